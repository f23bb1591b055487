//! Who runs when: windows, warm containers, stopping, giving back.

use std::{
    collections::HashSet,
    path::{Path, PathBuf},
};

use super::*;

impl World {
    /// A file outside that runs and the test use to hear of each other.
    fn signal(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
}

/// A shell line that says it has begun, and ends when it may.
fn waits(begun: &Path, may_end: &Path) -> String {
    format!("echo x >> '{}'; until [ -e '{}' ]; do sleep 0.01; done", begun.display(), may_end.display())
}

fn lines(path: &Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[tokio::test]
async fn many_quick_items_all_succeed() {
    let mut world = World::new(2);
    let stage = world.stage(&["cat"]);
    let names: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    let inputs: Vec<_> = names.iter().map(|name| (name.as_str(), name.as_str())).collect();
    let work = world.map(stage, &inputs);
    for (finished, name) in world.run(work).await.iter().zip(&names) {
        assert_eq!(outputs(finished), [pair(name, name)]);
    }
    world.end().await;
}

#[tokio::test]
async fn items_of_one_container_share_its_process_one() {
    let mut world = World::new(1);
    let stage = world.shell("echo $PPID");
    let work = world.map(stage, &[("a", ""), ("b", "")]);
    let finished = world.run(work).await;
    assert_eq!(outputs(&finished[0])[0].1, outputs(&finished[1])[0].1);
    let stage = world.shell("echo other job; echo $PPID");
    let mut work = world.map(stage, &[("c", "")]);
    work[0].job = [8; 16];
    let other = outputs(&world.run(work).await[0])[0].1.clone();
    assert_eq!(other, format!("other job\n{}", outputs(&finished[0])[0].1), "also across jobs and commands");
    world.end().await;
}

#[tokio::test]
async fn no_container_is_for_items_of_two_namespaces() {
    let mut world = World::new(1);
    let stage = world.shell("echo $PPID");
    let mut shims = Vec::new();
    for namespace in ["", "vision", "vision", ""] {
        let mut work = world.map(stage.clone(), &[("a", "")]);
        work[0].namespace = namespace.into();
        let finished = world.run(work).await;
        assert_eq!(&*finished[0].namespace, namespace);
        shims.push(outputs(&finished[0])[0].1.clone());
    }
    assert_eq!(shims[1], shims[2], "within one it is shared");
    assert!(shims[0] != shims[1] && shims[2] != shims[3], "{shims:?}");
    world.end().await;
}

#[tokio::test]
async fn isolation_gives_each_item_its_own_container() {
    let mut world = World::new(1);
    let mut stage = world.shell("echo $PPID");
    stage.isolation = Isolation::Container.into();
    let work = world.map(stage, &[("a", ""), ("b", ""), ("c", "")]);
    let shims: HashSet<_> = world.run(work).await.iter().map(|finished| outputs(finished)[0].1.clone()).collect();
    assert_eq!(shims.len(), 3);
    world.end().await;
}

#[tokio::test]
async fn a_container_takes_no_more_than_its_share_of_runs() {
    let mut world = World::with(1, |options| options.max_runs = 2);
    let stage = world.shell("echo $PPID");
    let work = world.map(stage, &[("a", ""), ("b", ""), ("c", ""), ("d", "")]);
    let shims: HashSet<_> = world.run(work).await.iter().map(|finished| outputs(finished)[0].1.clone()).collect();
    assert_eq!(shims.len(), 2);
    world.end().await;
}

#[tokio::test]
async fn an_idle_container_is_removed_after_a_while() {
    let mut world = World::with(1, |options| options.idle = Duration::from_millis(50));
    let stage = world.shell("echo $PPID");
    let shim = world.outputs(stage, "a", "").await.remove(0).1;
    let process = PathBuf::from("/proc").join(shim.trim());
    world.until(|| !process.exists()).await;
    world.end().await;
}

#[tokio::test]
async fn a_container_that_died_idle_is_replaced() {
    let mut world = World::new(1);
    let stage = world.shell("echo $PPID");
    let work = world.map(stage, &[("a", ""), ("b", "")]);
    let (first, second) = (vec![work[0].clone()], vec![work[1].clone()]);
    let shim = outputs(&world.run(first).await[0]).remove(0).1;
    kill(shim.trim());
    world.until(|| is_dead(shim.trim())).await;
    let other = outputs(&world.run(second).await[0]).remove(0).1;
    assert_ne!(shim, other);
    world.end().await;
}

/// Gone, or a zombie: its sockets are closed then.
fn is_dead(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_none_or(|rest| rest.is_empty() || rest.starts_with(" Z"))
}

fn kill(pid: &str) {
    let pid = rustix::process::Pid::from_raw(pid.parse().unwrap()).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
}

#[tokio::test]
async fn as_many_run_at_once_as_there_are_slots() {
    let mut world = World::new(3);
    let (begun, may_end) = (world.signal("begun"), world.signal("end"));
    let stage = world.shell(&waits(&begun, &may_end));
    let work = world.map(stage, &[("a", ""), ("b", ""), ("c", ""), ("d", ""), ("e", "")]);
    world.executor.submit(work);
    world.until(|| lines(&begun) == 3).await;
    assert_eq!(world.executor.held().len(), 5);
    std::fs::write(&may_end, "").unwrap();
    for _ in 0..5 {
        outputs(&world.finished().await);
    }
    assert_eq!(lines(&begun), 5);
    world.end().await;
}

#[tokio::test]
async fn nothing_stays_behind_a_long_item_when_a_slot_is_free() {
    let mut world = World::new(2);
    let (begun, may_end) = (world.signal("begun"), world.signal("end"));
    // Quick ones first, so that the shims hold several; then some of the same command that wait.
    let line = format!("case {{name}} in long*) {};; *) sleep 0;; esac", waits(&begun, &may_end));
    let stage = Arc::new(world.shell(&line));
    let mut work = Vec::new();
    for number in 0..40 {
        work.push(world.work(&stage, &format!("quick{number}"), vec![named("x", "")]));
    }
    work.push(world.work(&stage, "long", vec![named("x", "")]));
    for number in 40..60 {
        work.push(world.work(&stage, &format!("quick{number}"), vec![named("x", "")]));
    }
    world.executor.submit(work);
    for _ in 0..60 {
        assert_ne!(world.finished().await.index, 40, "the long one has not been let go yet");
    }
    std::fs::write(&may_end, "").unwrap();
    assert_eq!(world.finished().await.index, 40);
    world.end().await;
}

#[tokio::test]
async fn a_stopped_item_ends_and_is_not_heard_of() {
    let mut world = World::new(1);
    let (begun, never) = (world.signal("begun"), world.signal("never"));
    let stage = world.shell(&format!("{}; echo late > \"{{out}}\"", waits(&begun, &never)));
    let work = world.map(stage, &[("running", ""), ("waiting", "")]);
    let ids: Vec<_> = work.iter().map(|work| work.id).collect();
    world.executor.submit(work);
    world.until(|| lines(&begun) == 1).await;
    world.executor.stop(&ids);
    assert!(world.executor.held().is_empty());
    let stage = world.stage(&["cat"]);
    let after = world.map(stage, &[("after", "x")]);
    let finished = world.run(after).await;
    assert_eq!(outputs(&finished[0]), [pair("after", "x")], "the first thing heard of");
    assert_eq!(lines(&begun), 1, "the waiting one never started");
    world.end().await;
}

#[tokio::test]
async fn what_has_not_started_is_given_back_and_what_has_goes_on() {
    let mut world = World::new(1);
    let (begun, may_end) = (world.signal("begun"), world.signal("end"));
    let stage = world.shell(&waits(&begun, &may_end));
    let work = world.map(stage, &[("running", ""), ("next", ""), ("last", "")]);
    let ids: Vec<_> = work.iter().map(|work| work.id).collect();
    world.executor.submit(work);
    world.until(|| lines(&begun) == 1).await;
    world.executor.give_back(&ids);
    for _ in 0..2 {
        let finished = world.finished().await;
        assert!(matches!(finished.ended, Ended::Returned), "{finished:?}");
        assert_ne!(finished.id, ids[0]);
    }
    std::fs::write(&may_end, "").unwrap();
    assert_eq!(world.finished().await.id, ids[0]);
    assert_eq!(lines(&begun), 1);
    world.end().await;
}

#[tokio::test]
async fn runs_held_by_the_shim_are_given_back_too() {
    let mut world = World::new(1);
    let (begun, may_end) = (world.signal("begun"), world.signal("end"));
    let line = format!("case {{name}} in quick*) :;; *) {};; esac", waits(&begun, &may_end));
    let stage = Arc::new(world.shell(&line));
    let mut work: Vec<_> = (0..30).map(|n| world.work(&stage, &format!("quick{n}"), vec![named("x", "")])).collect();
    let long: Vec<_> = (0..8).map(|n| world.work(&stage, &format!("long{n}"), vec![named("x", "")])).collect();
    let ids: Vec<_> = long.iter().map(|work| work.id).collect();
    work.extend(long);
    world.executor.submit(work);
    for _ in 0..30 {
        outputs(&world.finished().await);
    }
    world.until(|| lines(&begun) == 1).await;
    world.executor.give_back(&ids);
    for _ in 0..7 {
        assert!(matches!(world.finished().await.ended, Ended::Returned));
    }
    std::fs::write(&may_end, "").unwrap();
    assert_eq!(world.finished().await.id, ids[0]);
    assert_eq!(lines(&begun), 1);
    world.end().await;
}

#[tokio::test]
async fn losing_a_container_fails_only_the_item_that_ran() {
    let mut world = World::new(1);
    let (begun, never) = (world.signal("begun"), world.signal("never"));
    let line = format!("case {{name}} in long) echo $PPID > '{}'; {};; esac", begun.display(), waits(&begun, &never));
    let stage = Arc::new(world.shell(&line));
    let mut work: Vec<_> = (0..30).map(|n| world.work(&stage, &format!("quick{n}"), vec![named("x", "")])).collect();
    work.push(world.work(&stage, "long", vec![named("x", "")]));
    work.extend((0..6).map(|n| world.work(&stage, &format!("after{n}"), vec![named("x", "")])));
    world.executor.submit(work);
    world.until(|| lines(&begun) == 2).await;
    let text = std::fs::read_to_string(&begun).unwrap();
    kill(text.lines().next().unwrap());
    let mut lost = Vec::new();
    for _ in 0..37 {
        let finished = world.finished().await;
        if let Ended::Failure(failure) = finished.ended {
            lost.push((finished.index, failure.class()));
        }
    }
    assert_eq!(lost, [(30, FailureClass::SlotLost)]);
    world.end().await;
}

#[tokio::test]
async fn other_containers_get_their_turn() {
    let mut world = World::new(1);
    let first = world.shell("echo $PPID");
    let mut second = world.shell("echo $PPID");
    second.container.as_mut().unwrap().image = "another".into();
    let mut work = world.map(first, &[("a", ""), ("b", "")]);
    work.extend(world.map(second, &[("c", ""), ("d", "")]));
    let finished = world.run(work).await;
    let shims: Vec<_> = finished.iter().map(|finished| outputs(finished)[0].1.clone()).collect();
    assert_eq!((&shims[0], &shims[2]), (&shims[1], &shims[3]));
    assert_ne!(shims[0], shims[2]);
    world.end().await;
}

#[tokio::test]
async fn shutting_down_ends_what_runs_and_removes_everything() {
    let mut world = World::new(2);
    let (begun, never) = (world.signal("begun"), world.signal("never"));
    let stage = world.shell(&format!(
        "echo $$ >> '{}'; until [ -e '{}' ]; do sleep 0.01; done",
        begun.display(),
        never.display()
    ));
    let work = world.map(stage, &[("a", ""), ("b", ""), ("c", "")]);
    world.executor.submit(work);
    world.until(|| lines(&begun) == 2).await;
    let runs = std::fs::read_to_string(&begun).unwrap();
    let World { executor, mut results, dir, .. } = world;
    timeout(PATIENCE, executor.shutdown()).await.unwrap();
    drop(executor);
    assert!(results.recv().await.is_none(), "nothing is reported");
    for pid in runs.lines() {
        assert!(!Path::new("/proc").join(pid).exists());
    }
    drop(dir);
}

#[tokio::test]
async fn nobody_taking_results_holds_the_slots_but_not_the_end() {
    let mut world = World::new(2);
    let stage = world.stage(&["cat"]);
    let names: Vec<String> = (0..300).map(|number| number.to_string()).collect();
    let inputs: Vec<_> = names.iter().map(|name| (name.as_str(), "")).collect();
    let work = world.map(stage, &inputs);
    world.executor.submit(work);
    outputs(&world.finished().await);
    world.end().await;
}
