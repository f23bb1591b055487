//! What a run finds, what it leaves, and how its failure is told.

use std::sync::atomic::{AtomicUsize, Ordering};

use super::*;
use crate::{
    fitness::{About, Fitness},
    runtime::{Image, ImageError, ImageRequest, RuntimeError, Sandbox, SandboxSpec, StartError},
};

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
    assert_eq!(
        failure.message,
        "output refused: \"item\" is larger than 64 KiB, the bound of one output; `max_output` in the spec or --max-output \
         raises it"
    );
    assert_eq!(failure.class(), FailureClass::Output);
    world.end().await;
}

/// Goes on for longer than any test waits, so only whoever watches it ends it.
const THEN_STAYS: &str = "; exec sleep 600";

#[tokio::test]
async fn outputs_beyond_their_bound_together_end_the_run_while_it_goes_on() {
    let mut world = World::new(1);
    for (line, bound, message) in [
        (
            "head -c 700000 /dev/zero > \"{outdir}/a\"; head -c 700000 /dev/zero > \"{outdir}/b\"",
            (0, 1 << 20, 0),
            "its outputs take 1.3 MiB together and may take 1 MiB; `max_total_output: 2m` in the spec",
        ),
        (
            "head -c 2000000 /dev/zero > \"{out}\"",
            (1 << 20, 0, 0),
            "its output \"item\" has 1.9 MiB and may have 1 MiB; `max_output: 2m` in the spec or `--max-output 2m`",
        ),
        (
            "for i in 1 2 3 4 5; do echo > \"{outdir}/$i\"; done",
            (0, 0, 3),
            "it left 4 files and may leave 3; `max_output_files: 6` in the spec or `--max-output-files 6`",
        ),
        ("head -c 2000000 /dev/zero", (0, 1 << 20, 0), "its outputs take 1.9 MiB together and may take 1 MiB"),
    ] {
        let mut stage = world.shell(&format!("{line}{THEN_STAYS}"));
        (stage.max_output_bytes, stage.max_total_output_bytes, stage.max_output_files) = bound;
        let failure = world.failure(stage).await;
        assert_eq!(failure.class(), FailureClass::Output);
        assert!(failure.message.starts_with(&format!("ended while it ran: {message}")), "{}", failure.message);
    }
    world.end().await;
}

#[tokio::test]
async fn temporary_files_beyond_their_bound_end_the_run_and_are_gone_for_the_next() {
    let mut world = World::new(1);
    let mut stage = world.shell(&format!("head -c 2000000 /dev/zero > \"$TMPDIR/spill\"{THEN_STAYS}"));
    stage.container.as_mut().unwrap().tmp_bytes = 1 << 20;
    let failure = world.failure(stage.clone()).await;
    assert!(failure.message.contains("may take 1 MiB; `tmp_size: 2m` in the spec"), "{}", failure.message);
    stage.container.as_mut().unwrap().command[2] = "ls \"$TMPDIR\"; echo done".into();
    assert_eq!(world.outputs(stage, "a", "").await, [pair("a", "done\n")]);
    world.end().await;
}

#[tokio::test]
async fn temporary_files_that_were_removed_but_are_held_open_count_too() {
    let mut world = World::new(1);
    let held = "exec 3> \"$TMPDIR/held\"; rm \"$TMPDIR/held\"; head -c 2000000 /dev/zero >&3";
    // A child of it that holds it alone.
    let mut stage = world.shell(&format!("{held}; (sleep 600) & exec 3>&-{THEN_STAYS}"));
    stage.container.as_mut().unwrap().tmp_bytes = 1 << 20;
    let failure = world.failure(stage).await;
    assert!(failure.message.contains("take 1.9 MiB and may take 1 MiB"), "{}", failure.message);
    world.end().await;
}

#[tokio::test]
async fn whoever_asks_for_more_than_the_operator_allows_is_refused_with_the_flag() {
    let mut world = World::with(1, |options| {
        let ceilings = Ceilings { tmp_bytes: Some(1 << 30), ..Ceilings::default() };
        options.bounds = Policy::new(Machine::look(), 1, ceilings);
    });
    let mut stage = world.stage(&["true"]);
    stage.container.as_mut().unwrap().tmp_bytes = 2 << 30;
    let failure = world.failure(stage).await;
    assert_eq!(failure.class(), FailureClass::Command);
    assert!(failure.message.contains("tmp_size 2 GiB") && failure.message.contains("--max-tmp-size"), "{failure:?}");
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

/// A runtime whose engine fails every start.
struct Broken(ProcessRuntime);

impl Runtime for Broken {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn resolve<'a>(&'a self, asked: &'a ImageRequest) -> BoxFuture<'a, Result<Image, ImageError>> {
        self.0.resolve(asked)
    }

    fn start<'a>(&'a self, _: &'a SandboxSpec) -> BoxFuture<'a, Result<Sandbox, StartError>> {
        Box::pin(async { Err(StartError::Engine("out of order".into())) })
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, RuntimeError>> {
        self.0.sweep()
    }
}

fn broken() -> (World, Arc<Fitness>) {
    let dir = tempfile::tempdir().unwrap();
    let runtime = Broken(ProcessRuntime::new(Uuid::new_v4(), &dir.path().join("shim")).unwrap());
    let fitness = Arc::new(Fitness::default());
    let told = Arc::clone(&fitness);
    (World::over(Arc::new(runtime), "any", 1, dir, |options| options.fitness = told), fitness)
}

#[tokio::test]
async fn an_item_is_given_back_untried_where_nothing_can_run() {
    let (mut world, fitness) = broken();
    let trial = tokio::spawn(async move {
        fitness.doubted().await;
        fitness.report(About::Runtime, Some("it is broken".into()));
        fitness.tried();
    });
    let stage = world.stage(&["true"]);
    let work = world.map(stage, &[("a", ""), ("b", "")]);
    for finished in world.run(work).await {
        assert!(matches!(finished.ended, Ended::Returned), "{finished:?}");
    }
    trial.await.unwrap();
    world.end().await;
}

#[tokio::test]
async fn an_item_fails_whose_container_cannot_be_started_where_others_can() {
    let (mut world, fitness) = broken();
    let trial = tokio::spawn(async move {
        fitness.doubted().await;
        fitness.tried();
    });
    let stage = world.stage(&["true"]);
    let failure = world.failure(stage).await;
    assert_eq!(failure.class(), FailureClass::Infrastructure);
    assert!(failure.message.contains("out of order"), "{}", failure.message);
    trial.await.unwrap();
    world.end().await;
}

/// A runtime that cannot reach any registry, and counts how often it is asked.
struct Away(ProcessRuntime, AtomicUsize);

impl Runtime for Away {
    fn name(&self) -> &'static str {
        self.0.name()
    }

    fn resolve<'a>(&'a self, asked: &'a ImageRequest) -> BoxFuture<'a, Result<Image, ImageError>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        let (reference, registry) = (asked.reference.clone(), "nosuch.invalid".to_owned());
        Box::pin(async { Err(ImageError::Unreachable { reference, registry, cause: "no such host".to_owned() }) })
    }

    fn start<'a>(&'a self, spec: &'a SandboxSpec) -> BoxFuture<'a, Result<Sandbox, StartError>> {
        self.0.start(spec)
    }

    fn sweep(&self) -> BoxFuture<'_, Result<usize, RuntimeError>> {
        self.0.sweep()
    }
}

#[tokio::test]
async fn a_registry_that_is_away_is_asked_once_for_all_that_wait_and_the_engine_is_not_blamed() {
    let dir = tempfile::tempdir().unwrap();
    let process = ProcessRuntime::new(Uuid::new_v4(), &dir.path().join("shim")).unwrap();
    let runtime = Arc::new(Away(process, AtomicUsize::new(0)));
    let fitness = Arc::new(Fitness::default());
    let told = Arc::clone(&fitness);
    let mut world = World::over(Arc::clone(&runtime) as _, "any", 2, dir, |options| options.fitness = told);
    let stage = world.stage(&["true"]);
    let names: Vec<String> = (0..10).map(|number| number.to_string()).collect();
    let inputs: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let work = world.map(stage, &inputs);
    let finished = tokio::select! {
        finished = world.run(work) => finished,
        () = fitness.doubted() => panic!("the engine was blamed"),
    };
    assert_eq!(finished.len(), 10);
    for finished in finished {
        let Ended::Failure(failure) = finished.ended else { panic!("{finished:?}") };
        assert_eq!(failure.class(), FailureClass::Infrastructure, "{}", failure.message);
    }
    assert_eq!(runtime.1.load(Ordering::Relaxed), 1);
    world.end().await;
}
