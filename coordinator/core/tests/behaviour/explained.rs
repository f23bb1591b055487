//! Why what waits does not run: the first reason is the one that has to be mended first.

use std::collections::{BTreeMap, BTreeSet};

use longshore_core::{
    Blame, Control, Cut, Explanation, Fault, FaultClass, Hurdle, JobSpec, Lack, Needs, Offer, Reason, StageSpec, Why,
};

use crate::stage::{Stage, WALL_MS, gather, given, job_id, map, only, spec};

/// Why what of job 1 waits does.
fn explained(it: &Stage) -> Explanation {
    it.core.explain(job_id(1)).expect("the job is there")
}

/// The stage, how many items, an example and the reason of each group.
fn why(it: &Stage) -> Vec<(Option<u16>, u64, Option<u64>, Reason)> {
    explained(it).why.into_iter().map(|why| (why.stage, why.items, why.example, why.reason)).collect()
}

/// What hinders so many workers, of the first group.
fn hurdles(it: &Stage) -> Vec<(Hurdle, u64)> {
    let Some(Why { workers, .. }) = explained(it).why.into_iter().next() else { return Vec::new() };
    workers.into_iter().map(|hindered| (hindered.by, hindered.count)).collect()
}

fn needing(needs: Needs) -> StageSpec {
    StageSpec { needs: needs.shared(), ..map() }
}

fn network() -> Needs {
    Needs { network: "jobs".to_owned(), ..Needs::default() }
}

fn without_networks() -> Offer {
    Offer { networks: Some(BTreeSet::new()), ..Offer::default() }
}

#[test]
fn nobody_is_asked_about_a_job_that_is_not_there() {
    assert_eq!(Stage::new().core.explain(job_id(1)), None);
}

#[test]
fn an_item_that_runs_waits_for_nothing() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map()]), 1);
    let found = explained(&it);
    assert_eq!((found.running, found.why, found.left_out), (1, Vec::new(), 0));
}

#[test]
fn without_workers_there_is_nobody() {
    let mut it = Stage::new();
    it.join_for(1, 1, &["other"]);
    it.submit(1, spec(&[map()]), 3);
    assert_eq!(why(&it), [(Some(0), 3, Some(0), Reason::NoWorkers)]);
    assert!(hurdles(&it).is_empty(), "those of others are nobody's business");
}

#[test]
fn what_fits_nowhere_is_told_with_what_each_worker_lacks() {
    let mut it = Stage::new();
    it.submit(1, spec(&[needing(network())]), 3);
    it.join_with(1, 1, without_networks());
    it.join_with(2, 1, without_networks());
    assert_eq!(why(&it), [(Some(0), 3, Some(0), Reason::NoneFits)]);
    assert_eq!(hurdles(&it), [(Hurdle::Lack(Lack::Network("jobs".to_owned())), 2)]);
}

#[test]
fn the_nearest_worker_says_what_it_is() {
    let mut it = Stage::new();
    it.join_with(1, 1, without_networks());
    it.join(2, 1);
    it.drain(2);
    it.submit(1, spec(&[needing(network())]), 2);
    assert_eq!(why(&it), [(Some(0), 2, Some(0), Reason::AllDraining)]);
    assert_eq!(hurdles(&it)[0], (Hurdle::Draining, 1));
    it.undrain(2);
    it.hello(2, 1, 0, &[], &[]);
    assert_eq!(why(&it)[0].3, Reason::NoneAble);
    it.link_lost(2);
    assert_eq!(why(&it)[0].3, Reason::NoneReached);
    assert_eq!(hurdles(&it).len(), 2);
}

#[test]
fn taken_slots_are_counted_and_what_is_given_ahead_waits_there() {
    let mut it = Stage::new();
    it.join(1, 2);
    let first = given(&it.submit(1, spec(&[map()]), 9))[0].1;
    assert_eq!(why(&it), [(Some(0), 7, Some(2), Reason::NoSlots)]);
    let workers = &explained(&it).why[0].workers;
    assert_eq!((workers[0].slots, workers[0].some[0].1.as_str()), (2, "worker-1"));
    // Short ones are given ahead.
    it.succeeds_after(1, &first, 20_000, 0);
    let behind: Vec<Reason> = why(&it).into_iter().map(|(.., reason)| reason).collect();
    assert_eq!(behind, [Reason::NoSlots, Reason::Ahead]);
    assert_eq!(explained(&it).running, 2);
}

#[test]
fn what_is_counted_waits_for_room() {
    let mut it = Stage::new();
    let offer = Offer { resources: BTreeMap::from([("gpu".to_owned(), 1)]), ..Offer::default() };
    it.join_with(1, 4, offer);
    let gpu = Needs { resources: BTreeMap::from([("gpu".to_owned(), 1)]), ..Needs::default() };
    it.submit(1, spec(&[needing(gpu)]), 2);
    assert_eq!(why(&it), [(Some(0), 1, Some(1), Reason::NoRoom)]);
    assert!(matches!(hurdles(&it)[0], (Hurdle::Room(_), 1)));
}

#[test]
fn jobs_of_a_higher_priority_and_those_that_have_fewer_go_first() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.submit(1, spec(&[map()]), 5);
    it.submit_in("other", 2, "", spec(&[map()]), 5);
    assert_eq!(why(&it)[0].3, Reason::Turn { jobs: 1 });
    it.submit_in("other", 3, "", JobSpec { priority: 1, ..spec(&[map()]) }, 5);
    assert_eq!(why(&it)[0].3, Reason::Priority { job: None, priority: 1 }, "whose it is is nobody's business");
    it.submit(4, JobSpec { priority: 2, ..spec(&[map()]) }, 5);
    assert_eq!(why(&it)[0].3, Reason::Priority { job: Some(job_id(4)), priority: 2 });
    // One that nobody here could run goes before nobody.
    let mut it = Stage::new();
    it.join_with(1, 1, without_networks());
    it.submit(1, spec(&[map()]), 5);
    it.join_with(2, 1, Offer::default());
    it.goodbye(2);
    it.submit(2, JobSpec { priority: 9, ..spec(&[needing(network())]) }, 5);
    assert_eq!(why(&it)[0].3, Reason::NoSlots);
}

#[test]
fn a_stage_has_so_many_at_once() {
    let mut it = Stage::new();
    it.join(1, 4);
    it.submit(1, spec(&[StageSpec { max_parallel: 1, ..map() }]), 3);
    assert_eq!(why(&it), [(Some(0), 2, Some(1), Reason::MaxParallel { most: 1 })]);
}

#[test]
fn a_failed_item_waits_for_its_pause_and_then_for_another_worker() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[map()]), 2));
    it.join(2, 1);
    it.fails(1, &attempt, Blame::Item);
    let [(Some(0), 1, Some(0), Reason::Pause { first_ms, last_ms })] = why(&it)[..] else { panic!("{:?}", why(&it)) };
    assert!(first_ms == last_ms && (WALL_MS + 300..=WALL_MS + 400).contains(&first_ms));
    it.heard(2);
    it.wait_with(1, 500);
    let [(Some(0), 1, Some(0), Reason::Elsewhere { until_ms })] = why(&it)[..] else { panic!("{:?}", why(&it)) };
    assert_eq!(until_ms, first_ms + 5_000);
    assert_eq!(hurdles(&it), [(Hurdle::Slots, 1), (Hurdle::Failed, 1)]);
}

#[test]
fn a_worker_that_cannot_get_the_image_is_in_nobodys_way() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[map()]), 2));
    it.join(2, 1);
    it.goodbye(2);
    let out = it.join(3, 1);
    let image = Fault { class: FaultClass::Image, ..Fault::default() };
    it.fails_by(1, &attempt, Blame::Hopeless, image);
    assert_eq!(hurdles(&it), [(Hurdle::Slots, 1), (Hurdle::NoImage { until_ms: WALL_MS + 60_000 }, 1)]);
    it.ends(3, &only(&out), longshore_core::End::Returned);
    it.drain(3);
    assert_eq!(why(&it).last().map(|why| why.3.clone()), Some(Reason::NoImage { until_ms: WALL_MS + 60_000 }));
}

#[test]
fn a_later_stage_waits_for_what_it_is_made_of_behind_the_cause() {
    let mut it = Stage::new();
    it.submit(1, spec(&[map(), map(), gather()]), 3);
    let upstream = |stage| (Some(stage), 0, None, Reason::Stage { stage: 0, left: 3 });
    let all = (Some(2), 1, None, Reason::Stage { stage: 0, left: 3 });
    assert_eq!(why(&it), [(Some(0), 3, Some(0), Reason::NoWorkers), upstream(1), all]);
}

#[test]
fn the_whole_job_has_one_reason_when_it_has_one() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(2, spec(&[map()]), 1);
    it.submit(1, JobSpec { after: vec![job_id(2)], ..spec(&[map()]) }, 3);
    let whole = |reason: Reason| [(None, 3, None, reason)];
    assert_eq!(why(&it), whole(Reason::After(vec![job_id(2)])));
    it.pause(1);
    assert_eq!(why(&it), whole(Reason::Paused));
    it.cancel(1);
    assert_eq!(why(&it), whole(Reason::Ended));
    it.cancel(2);
    it.retry(1);
    assert_eq!(why(&it), [(Some(0), 2, Some(1), Reason::NoSlots)]);
    let mut it = it.restart(2);
    assert!(matches!(why(&it)[..], [(None, 3, None, Reason::Reunion { until_ms })] if until_ms == WALL_MS + 500));
    it.wait(500);
    assert_eq!(why(&it)[0].3, Reason::NoWorkers);
}

#[test]
fn a_job_that_ends_gives_out_nothing_more() {
    let mut it = Stage::new();
    it.join(1, 2);
    let stage = StageSpec { canary: 1, attempts: 1, ..map() };
    let first = only(&it.submit(1, spec(&[stage]), 4));
    assert_eq!(why(&it), [(Some(0), 3, None, Reason::Canary { first: 1 })]);
    it.submit(2, spec(&[map()]), 1);
    it.fails(1, &first, Blame::Item);
    assert_eq!(explained(&it).record.cut, Some(Cut::Canary { stage: 0 }));
    assert_eq!(why(&it), [(None, 3, None, Reason::Ended)]);
}

#[test]
fn one_under_which_workers_went_down_waits_to_be_alone() {
    let mut it = Stage::new();
    it.join(1, 2);
    it.submit(2, spec(&[map()]), 1);
    it.submit(1, spec(&[StageSpec { losses: 9, ..map() }]), 1);
    for life in 2..9 {
        it.hello(1, life, 2, &[], &[]);
        it.wait(1_100);
        if explained(&it).why.iter().any(|why| why.reason == Reason::Alone) {
            return;
        }
        it.hello(1, life, 2, &[], &[]);
    }
    let reasons: Vec<_> = why(&it).into_iter().map(|(.., reason)| reason).collect();
    assert!(reasons.is_empty(), "it had its turn alone: {reasons:?}");
}

#[test]
fn what_a_retry_has_not_come_to_is_told() {
    let mut it = Stage::new();
    it.join(1, 8);
    let stage = StageSpec { attempts: 1, breaker: longshore_core::Breaker::Off, ..StageSpec::default() };
    let mut todo = given(&it.submit(1, spec(&[stage]), 1_500));
    while let Some((_, attempt)) = todo.pop() {
        todo.extend(given(&it.fails(1, &attempt, Blame::Item)));
    }
    it.retry(1);
    let reasons: Vec<_> = why(&it).into_iter().map(|(_, items, _, reason)| (items, reason)).collect();
    assert!(reasons.iter().all(|(_, reason)| *reason != Reason::Nothing), "{reasons:?}");
    assert_eq!(reasons.iter().map(|(items, _)| items).sum::<u64>() + explained(&it).running, 1_000);
    it.control(Control::Pause { job: job_id(1), why: String::new(), stop: true });
    assert_eq!(why(&it).len(), 1);
}
