//! Runs that leave what they must not, or get in the way of those after them.

use super::*;

async fn refused(line: &str) -> String {
    let mut world = World::new(1);
    let stage = world.shell(line);
    let failure = world.failure(stage).await;
    assert_eq!(failure.class(), FailureClass::Output, "{}", failure.message);
    let stage = world.stage(&["cat"]);
    assert_eq!(world.outputs(stage, "next", "fine").await, [pair("next", "fine")], "the next item notices nothing");
    world.end().await;
    failure.message
}

#[tokio::test]
async fn what_is_no_plain_file_fails_the_attempt_by_name() {
    let message = refused("ln -s /etc/shadow \"{outdir}\"/x").await;
    assert!(message.starts_with("output refused: \"x\" is a link to \"/etc/shadow\", which leads out"), "{message}");
    assert_eq!(refused("mkfifo \"{outdir}\"/p").await, "output refused: \"p\" is a FIFO");
    assert_eq!(
        refused("echo > \"{outdir}/$(printf 'a\\nb')\"").await,
        "output refused: the name \"a\\nb\" has control characters"
    );
}

#[tokio::test]
async fn an_output_directory_turned_into_a_link_is_not_followed() {
    let message = refused("rmdir \"{outdir}\"; ln -s /etc \"{outdir}\"").await;
    assert_eq!(message, "output refused: the run removed its output directory");
}

#[tokio::test]
async fn a_failed_run_leaves_nothing_behind_however_much_it_left() {
    let mut world = World::new(1);
    let stage = world.shell(
        "for i in 1 2 3; do mkdir -p \"{outdir}\"/$i/a/b; echo > \"{outdir}\"/$i/a/b/c; done; ln -s / \"{outdir}\"/root; exit 1",
    );
    assert_eq!(world.failure(stage).await.class(), FailureClass::Exit);
    let stage = world.shell("ls \"$(dirname \"{outdir}\")\" | wc -l > \"{out}\"");
    assert_eq!(world.outputs(stage, "a", "").await[0].1.trim(), "1", "only its own");
    world.end().await;
}

#[tokio::test]
async fn a_run_that_occupies_the_next_ones_directory_only_spoils_its_container() {
    let mut world = World::new(1);
    let stage = world.shell(
        "cd \"$(dirname \"{outdir}\")\"; for n in 2 3 4 5 6; do mkdir -p $n; ln -s /etc/passwd $n/x; done; echo {name}",
    );
    let work = world.map(stage, &[("a", "")]);
    let hostile = world.run(work).await;
    assert!(matches!(hostile[0].ended, Ended::Success { .. }), "{hostile:?}");
    let stage = world.stage(&["cat"]);
    let work = world.map(stage, &[("b", "1"), ("c", "2"), ("d", "3")]);
    let finished = world.run(work).await;
    assert_eq!(finished.iter().flat_map(outputs).collect::<Vec<_>>(), [pair("b", "1"), pair("c", "2"), pair("d", "3")]);
    world.end().await;
}

#[tokio::test]
async fn a_process_left_behind_is_dead_before_outputs_are_collected() {
    let mut world = World::new(1);
    let stage = world.shell("setsid sh -c 'while :; do rm -f \"{out}\"; ln -s /etc/shadow \"{out}\"; rm -f \"{out}\"; echo fine > \"{out}\"; done' & sleep 0.1; exit 0");
    let work = world.map(stage, &[("a", "")]);
    let finished = world.run(work).await.remove(0);
    match finished.ended {
        Ended::Success { outputs } => assert!(["", "fine\n"].contains(&text(&outputs[0]).as_str())),
        Ended::Failure(failure) => assert_eq!(failure.class(), FailureClass::Output, "{}", failure.message),
        Ended::Returned => panic!("it ran"),
    }
    world.end().await;
}
