//! What a run finds, what it leaves, and how its failure is told.

use super::*;

#[tokio::test]
async fn an_item_is_mapped_to_an_output_beside_it() {
    let mut world = World::new(1);
    let stage = world.shell("tr a-z A-Z < \"{in}\" > \"{out}\"");
    assert_eq!(world.outputs(stage, "texts/a.txt", "hello").await, [pair("texts/a.txt", "HELLO")]);
    world.end().await;
}

#[tokio::test]
async fn without_words_bytes_travel_by_standard_input_and_output() {
    let mut world = World::new(1);
    let stage = world.stage(&["tr", "a-z", "A-Z"]);
    assert_eq!(world.outputs(stage, "a.txt", "hello").await, [pair("a.txt", "HELLO")]);
    let stage = world.stage(&["true"]);
    assert_eq!(world.outputs(stage, "a.txt", "hello").await, [pair("a.txt", "")], "an empty output is one");
    world.end().await;
}

#[tokio::test]
async fn all_files_below_outdir_are_outputs_and_standard_output_is_a_log() {
    let mut world = World::new(1);
    let stage = world
        .shell("echo said; echo wrong >&2; mkdir \"{outdir}\"/sub; echo 1 > \"{outdir}\"/sub/x; echo 2 > \"{outdir}\"/{stem}.two");
    let work = world.map(stage, &[("d/a.txt", "")]);
    let finished = world.run(work).await.remove(0);
    assert_eq!(outputs(&finished), [pair("d/a.two", "2\n"), pair("d/sub/x", "1\n")]);
    assert_eq!((finished.stdout_log, finished.stderr_log), ("said\n".into(), "wrong\n".into()));
    assert!(!finished.duration.is_zero());
    world.end().await;
}

#[tokio::test]
async fn outdir_alone_promises_no_output_and_out_does() {
    let mut world = World::new(1);
    let stage = world.shell("ls \"{outdir}\"");
    assert_eq!(world.outputs(stage, "a", "").await, []);
    let stage = world.shell(": \"{out}\"");
    let failure = world.failure(stage).await;
    assert_eq!(failure.class(), FailureClass::Output);
    assert_eq!(failure.message, "left no output: expected \"item\" ({out})");
    world.end().await;
}

#[tokio::test]
async fn words_and_variables_tell_the_facts() {
    let mut world = World::new(1);
    let mut stage = world.shell(
        "echo {name} {stem} {ext} {index} {attempt} {job} $MINE $FIXED $LONGSHORE_NAME {shard} > \"$LONGSHORE_OUTPUT\"",
    );
    let var = |name: &str, value: &str| EnvVar { name: name.into(), value: value.into() };
    stage.container.as_mut().unwrap().env = vec![var("MINE", "{index}:{name}"), var("FIXED", "f")];
    let expected = "a.tar.gz a.tar gz 0 1 job 0:a.tar.gz f a.tar.gz {shard}\n";
    assert_eq!(world.outputs(stage, "x/a.tar.gz", "").await, [pair("x/a.tar.gz", expected)]);
    world.end().await;
}

#[tokio::test]
async fn the_work_item_file_is_the_input() {
    let mut world = World::new(1);
    let stage = world.shell("cat \"$WORK_ITEM_FILE\"; cmp \"$WORK_ITEM_FILE\" \"$LONGSHORE_INPUT\"");
    assert_eq!(world.outputs(stage, "a", "x").await, [pair("a", "x")]);
    world.end().await;
}

const PARTS: [(&str, &str); 3] = [("z/b", "1"), ("a", "2"), ("q", "3")];

#[tokio::test]
async fn a_gather_finds_its_parts_in_a_directory_in_order() {
    let mut world = World::new(1);
    let work = world.gather(world.shell("ls \"{in}\" > \"{out}\"; cat \"{in}\"/* >> \"{out}\""), &PARTS);
    let finished = world.run(vec![work]).await;
    let text = "000000-b\n000001-a\n000002-q\n123";
    assert_eq!(outputs(&finished[0]), [pair("total", text)]);
    world.end().await;
}

#[tokio::test]
async fn a_gather_without_words_reads_its_parts_one_after_the_other() {
    let mut world = World::new(1);
    let work = world.gather(world.stage(&["cat"]), &PARTS);
    assert_eq!(outputs(&world.run(vec![work]).await[0]), [pair("total", "123")]);
    let work = world.gather(world.shell("grep -c digest \"{manifest}\"; cat"), &PARTS);
    assert_eq!(outputs(&world.run(vec![work]).await[0]), [pair("total", "1\n")], "the manifest is its way in");
    world.end().await;
}

#[tokio::test]
async fn inputs_that_did_not_travel_along_are_fetched() {
    let mut world = World::new(1);
    let stage = world.stage(&["cat"]);
    let mut work = world.map(stage, &[("known", "far away"), ("unknown", "x")]);
    let known = work[0].inputs[0].inline.take().unwrap();
    work[1].inputs[0].inline = None;
    world.blobs.0.lock().unwrap().insert(blake3::hash(&known), known);
    let finished = world.run(work).await;
    assert_eq!(outputs(&finished[0]), [pair("known", "far away")]);
    let Ended::Failure(failure) = &finished[1].ended else { panic!("it was never there") };
    assert_eq!(failure.class(), FailureClass::Infrastructure);
    assert!(failure.message.starts_with("input \"unknown\": blob"), "{}", failure.message);
    world.end().await;
}

#[tokio::test]
async fn a_large_output_arrives_in_a_file() {
    let mut world = World::new(1);
    let stage = world.shell("head -c 3000000 /dev/zero");
    let work = world.map(stage, &[("a", "")]);
    let finished = world.run(work).await.remove(0);
    let Ended::Success { outputs } = finished.ended else { panic!("no success") };
    let Content::File(owned) = &outputs[0].content else { panic!("inline") };
    assert_eq!(std::fs::read(owned.path()).unwrap(), vec![0; 3_000_000]);
    world.end().await;
}

#[tokio::test]
async fn a_failure_has_its_code_and_the_end_of_standard_error() {
    let mut world = World::new(1);
    let stage = world.shell("echo 'no such thing' >&2; echo partial > \"{out}\"; exit 3");
    let failure = world.failure(stage).await;
    assert_eq!((failure.class(), failure.code), (FailureClass::Exit, 3));
    assert_eq!((failure.message.as_str(), &*failure.stderr_tail), ("exit code 3", &b"no such thing\n"[..]));
    let stage = world.shell("kill -SEGV $$");
    let failure = world.failure(stage).await;
    assert_eq!((failure.class(), failure.code), (FailureClass::Signal, 11));
    world.end().await;
}

#[tokio::test]
async fn a_command_that_is_not_there_says_so() {
    let mut world = World::new(1);
    let stage = world.stage(&["no-such-program"]);
    let failure = world.failure(stage).await;
    assert_eq!(failure.class(), FailureClass::Command);
    assert!(failure.message.starts_with("no-such-program: not found in the image"), "{}", failure.message);
    let stage = world.stage(&[]);
    assert_eq!(world.failure(stage).await.class(), FailureClass::Command);
    let long = "x".repeat(300_000);
    let stage = world.stage(&["echo", &long]);
    assert_eq!(world.failure(stage).await.class(), FailureClass::Command);
    world.end().await;
}

#[tokio::test]
async fn a_run_over_its_time_is_ended() {
    let mut world = World::new(1);
    let mut stage = world.shell("trap '' TERM; while :; do sleep 0.05; done");
    stage.timeout_ms = 100;
    let failure = world.failure(stage).await;
    assert_eq!(failure.class(), FailureClass::Timeout);
    assert_eq!(failure.message, "ran longer than 100ms");
    world.end().await;
}

#[tokio::test]
async fn an_output_beyond_its_bound_is_refused() {
    let mut world = World::new(1);
    let mut stage = world.stage(&["head", "-c", "100000", "/dev/zero"]);
    stage.max_output_bytes = 65_536;
    let failure = world.failure(stage).await;
    assert_eq!(failure.message, "output larger than 64 KiB (max_output_bytes)");
    assert_eq!(failure.class(), FailureClass::Output);
    world.end().await;
}

#[tokio::test]
async fn a_sandbox_the_runtime_refuses_is_told() {
    let mut world = World::new(1);
    let mut stage = world.stage(&["true"]);
    stage.container.as_mut().unwrap().user = "nobody".into();
    let failure = world.failure(stage).await;
    assert_eq!(failure.class(), FailureClass::Command);
    assert!(failure.message.contains("nobody"), "{}", failure.message);
    world.end().await;
}
