//! Workers: leases, lives, links, and what they hold.

use longshore_core::{Clientele, Input, JobState, Notice, Order, Record};

use crate::stage::{Stage, given, item, job_id, life, map, only, spec, stopped, worker_id};

#[test]
fn the_welcome_is_the_first_order() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    let out = it.join(1, 1);
    assert_eq!(out.orders[0], Order::Welcome { worker: worker_id(1), incarnation: life(1) });
    assert_eq!(given(&out).len(), 1);
}

#[test]
fn the_welcome_comes_first_even_when_the_last_life_ended_a_job() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map()]), 1);
    it.join(1, 1);
    for life in 2..4 {
        it.hello(1, life, 1, &[], &[]);
        it.wait(900);
    }
    let out = it.hello(1, 4, 1, &[], &[]);
    assert_eq!(it.state(1), JobState::Failed, "there is no other worker, and this one went down with it three times");
    assert!(matches!(out.orders[0], Order::Welcome { .. }), "{:?}", out.orders);
}

#[test]
fn a_silent_worker_is_gone_when_its_lease_is_over() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.submit(1, spec(&[map()]), 1);
    it.now_ms += 1_000;
    it.heard(2);
    assert!(it.step(Input::Tick).records.is_empty(), "the lease runs until its end");
    let out = it.wait(1);
    assert!(out.records.contains(&Record::WorkerGone(worker_id(1))));
    assert!(!it.core.knows(worker_id(1), life(1)));
    assert!(it.core.knows(worker_id(2), life(1)));
}

#[test]
fn a_worker_that_speaks_keeps_its_lease() {
    let mut it = Stage::new();
    it.join(1, 1);
    for _ in 0..10 {
        it.now_ms += 900;
        it.heard(1);
    }
    assert!(it.step(Input::Tick).records.is_empty());
}

#[test]
fn a_lost_link_is_not_a_lost_worker() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let attempt = only(&out);
    it.link_lost(1);
    it.wait(900);
    it.hello(1, 1, 1, &[attempt], &[]);
    it.succeeds(1, &attempt, 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn nothing_is_given_to_a_worker_without_a_link() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.link_lost(1);
    assert!(given(&it.submit(1, spec(&[map()]), 1)).is_empty());
    assert_eq!(it.view(1).idle_because, Some("no worker is connected that may be given it"));
}

#[test]
fn what_a_worker_never_got_is_given_out_again() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let lost = only(&out);
    let out = it.hello(1, 1, 1, &[], &[]);
    let again = only(&out);
    assert_eq!((again.item, again.attempt), (lost.item, 1));
    assert_ne!(again.id, lost.id);
}

#[test]
fn watchers_hear_that_an_attempt_was_lost() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.submit(1, spec(&[map()]), 2);
    let out = it.hello(1, 1, 1, &[], &[]);
    assert!(out.notices.contains(&Notice::Job(job_id(1))));
}

#[test]
fn watchers_hear_of_what_is_lost_and_found_in_reunion() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.join(2, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let attempt = only(&out);
    assert_eq!(out.notices, [Notice::Job(job_id(1))], "it was given out");
    let mut it = it.restart(2);
    assert_eq!(it.hello(1, 1, 2, &[attempt], &[]).notices, [Notice::Job(job_id(1))], "it is found");
    assert_eq!(it.hello(1, 1, 2, &[], &[]).notices, [Notice::Job(job_id(1))], "it was never got");
    assert_eq!(it.join(2, 1).notices, [Notice::Job(job_id(1))], "it is given out again");
}

#[test]
fn a_goodbye_leaves_nothing_suspect() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map()]), 1);
    it.goodbye(1);
    let out = it.hello(1, 2, 1, &[], &[]);
    assert!(!out.records.iter().any(|record| matches!(record, Record::Trouble(_))));
}

#[test]
fn an_attempt_nobody_needs_is_stopped_when_its_worker_comes_back() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let attempt = only(&out);
    it.link_lost(1);
    it.cancel(1);
    let out = it.hello(1, 1, 1, &[attempt], &[]);
    assert_eq!(stopped(&out), [attempt.id]);
}

#[test]
fn work_goes_on_after_a_lease_was_lost_unless_it_runs_elsewhere() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 1);
    let attempt = only(&out);
    it.wait(1_001);
    assert_eq!(it.counts(1, 0).queued, 1);
    let out = it.hello(1, 1, 1, &[attempt], &[]);
    assert!(stopped(&out).is_empty());
    assert_eq!((it.counts(1, 0).running, it.counts(1, 0).queued), (1, 0));
}

#[test]
fn a_life_that_comes_back_after_another_goes_on_with_nothing_and_blames_nobody() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[map()]), 1));
    it.takes_over(1, 9, 1);
    it.step(Input::Goodbye { worker: worker_id(1), incarnation: life(9) });
    let out = it.hello(1, 1, 1, &[attempt], &[]);
    assert_eq!(stopped(&out), [attempt.id]);
    let again = only(&out);
    assert!(again.item == attempt.item && again.id != attempt.id);
    it.fails(1, &attempt, longshore_core::Blame::Slot);
    let out = it.hello(1, 1, 1, &[again], &[]);
    assert!(stopped(&out).is_empty(), "it is the same life");
    it.succeeds(1, &again, 0);
    assert_eq!((it.state(1), again.attempt), (JobState::Succeeded, 2));
    assert!(!it.records.iter().any(|record| matches!(record, Record::Trouble(it) if it.losses.workers > 0)));
}

#[test]
fn only_what_was_likely_running_is_suspect() {
    let mut it = Stage::new();
    it.join(1, 1);
    let out = it.submit(1, spec(&[map()]), 9);
    let out = it.succeeds(1, &only(&out), 0);
    assert!(given(&out).len() > 1, "short items are given out ahead");
    let out = it.hello(1, 2, 1, &[], &[]);
    let suspects: Vec<_> = out.records.iter().filter(|record| matches!(record, Record::Trouble(_))).collect();
    assert!(
        matches!(suspects[..], [Record::Trouble(it)] if it.losses.workers == 1 && it.item == item(1, 0, 1)),
        "{suspects:?}"
    );
}

#[test]
fn nothing_speaks_against_an_item_whose_only_worker_is_taken_over_again_and_again() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map()]), 1);
    for life in 2..9 {
        let out = it.takes_over(1, life, 1);
        let counted =
            out.records.iter().filter(|record| matches!(record, Record::Trouble(it) if it.losses.workers > 0));
        assert_eq!(counted.count(), 0, "{out:?}");
        assert_eq!(u32::from(life), only(&out).attempt, "that it was tried is shown");
        assert!(matches!(out.orders[0], Order::Welcome { .. }), "{:?}", out.orders);
    }
    assert_eq!(it.state(1), JobState::Running);
}

#[test]
fn nothing_is_suspect_when_another_life_comes_after_a_silence() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.submit(1, spec(&[map()]), 2);
    it.wait(1_001);
    let out = it.takes_over(1, 2, 2);
    assert!(!out.records.iter().any(|record| matches!(record, Record::Trouble(_))), "{out:?}");
    // Nor is it when the first comes back later, started anew: who ran what is not told any more.
    it.wait(1_001);
    let out = it.hello(1, 2, 1, &[], &[]);
    assert!(!out.records.iter().any(|record| matches!(record, Record::Trouble(_))), "{out:?}");
}

#[test]
fn a_worker_is_kept_once_and_again_under_a_new_name() {
    let mut it = Stage::new();
    let hello = |name: &str| Input::Hello {
        worker: worker_id(1),
        incarnation: life(1),
        previous: None,
        name: name.to_owned(),
        slots: 1,
        clientele: Clientele::Everybody,
        offer: std::sync::Arc::default(),
        held: Vec::new(),
        replicas: Vec::new(),
    };
    assert_eq!(it.step(hello("one")).records.len(), 1);
    assert!(it.step(hello("one")).records.is_empty());
    assert_eq!(it.step(hello("two")).records.len(), 1);
}

#[test]
fn a_worker_whose_link_was_lost_in_the_midst_of_work_is_given_no_more() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.submit(1, spec(&[map()]), 1);
    it.link_lost(1);
    assert!(given(&it.submit(2, spec(&[map()]), 1)).is_empty());
}

#[test]
fn every_worker_with_a_link_is_told_to_forget_an_ended_job() {
    let mut it = Stage::new();
    for worker in 1..4 {
        it.join(worker, 1);
    }
    it.link_lost(3);
    it.submit(1, spec(&[map()]), 1);
    let forget = |worker| Order::ForgetJob { worker: worker_id(worker), job: job_id(1) };
    let out = it.cancel(1);
    let told: Vec<&Order> = out.orders.iter().filter(|it| matches!(it, Order::ForgetJob { .. })).collect();
    assert_eq!(told, [&forget(1), &forget(2)]);
}

#[test]
fn a_job_that_ends_by_itself_is_forgotten_too() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[map()]), 1));
    let forget = Order::ForgetJob { worker: worker_id(1), job: job_id(1) };
    assert!(it.succeeds(1, &attempt, 0).orders.contains(&forget));
}

#[test]
fn a_goodbye_blames_nobody() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map()]), 1);
    let out = it.goodbye(1);
    assert_eq!(out.records, [Record::WorkerGone(worker_id(1))]);
    assert_eq!(it.counts(1, 0).queued, 1);
}

#[test]
fn a_worker_that_is_gone_has_to_say_hello_again() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.wait(1_001);
    let out = it.heard(1);
    assert_eq!((out.records.len(), out.orders.len()), (0, 0));
    assert!(!it.core.knows(worker_id(1), life(1)));
}
