//! A sentence for each reason, in the right number.

use longshore_client::v1::Paused;

use super::*;

const NOW_MS: u64 = 1_000_000;

fn workers(by: Hurdle, workers: u64, slots: u64) -> Vec<Hindered> {
    let names = (0..workers.min(3)).map(|number| format!("w{number}")).collect();
    vec![Hindered { by: by.into(), workers, slots, names, ..Hindered::default() }]
}

fn why(reason: WhyNot, items: u64) -> Why {
    Why { reason: reason.into(), items, stage: "count".to_owned(), ..Why::default() }
}

fn said(why: &Why) -> String {
    sentence(why, &JobView::default(), NOW_MS)
}

#[test]
fn what_keeps_the_whole_job_is_said_with_its_reason() {
    let job = JobView { reason: "its deadline of 6h is over".to_owned(), ..JobView::default() };
    assert_eq!(
        sentence(&why(WhyNot::Ended, 1), &job, NOW_MS),
        "1 item had not ended when the job did: its deadline of 6h is over"
    );
    assert_eq!(
        sentence(&why(WhyNot::Ending, 2), &job, NOW_MS),
        "nothing more is given out: its deadline of 6h is over"
    );
    let paused = Some(Paused { reason: "lunch".to_owned(), ..Paused::default() });
    let job = JobView { paused, ..JobView::default() };
    assert_eq!(sentence(&why(WhyNot::Paused, 2), &job, NOW_MS), "2 items wait: the job is paused: lunch");
    assert_eq!(said(&why(WhyNot::Paused, 1)), "1 item waits: the job is paused");
    let after =
        |jobs: &[&str]| Why { jobs: jobs.iter().map(|job| (*job).to_owned()).collect(), ..why(WhyNot::After, 3) };
    assert_eq!(said(&after(&["a"])), "3 items wait: the job is to run after job a, which has not ended");
    assert_eq!(said(&after(&["a", "b"])), "3 items wait: the job is to run after 2 jobs that have not ended: a, b");
    assert_eq!(next(&after(&["a"]), "j").as_deref(), Some("longshore job explain a"));
    let reunion = Why { until_ms: NOW_MS + 2_500, ..why(WhyNot::Reunion, 3) };
    assert!(said(&reunion).contains("for 2.5s more"), "{}", said(&reunion));
}

#[test]
fn what_workers_are_is_said_of_one_and_of_several() {
    let of = |reason, by, count| Why { workers: workers(by, count, count), ..why(reason, count) };
    for (reason, by, one, two) in [
        (
            WhyNot::NoWorkers,
            Hurdle::Lack,
            "no worker is here that may be given it",
            "no worker is here that may be given them",
        ),
        (
            WhyNot::NoneFits,
            Hurdle::Lack,
            "no worker that is here could ever run it",
            "no worker that is here could ever run them",
        ),
        (
            WhyNot::NoneReached,
            Hurdle::Away,
            "the worker that could run it cannot be reached",
            "the 2 workers that could run them cannot be reached",
        ),
        (
            WhyNot::NoneAble,
            Hurdle::Unable,
            "the worker that could run it takes nothing now",
            "the 2 workers that could run them take nothing now",
        ),
        (
            WhyNot::AllDraining,
            Hurdle::Draining,
            "the worker that could run it is drained",
            "the 2 workers that could run them are drained",
        ),
        (
            WhyNot::AllKept,
            Hurdle::Kept,
            "the worker that could run it is kept for an item that is to run alone",
            "the 2 workers that could run them are kept for items that are to run alone",
        ),
        (
            WhyNot::NoRoom,
            Hurdle::Room,
            "the worker that could run it has no room for more beside what it runs",
            "the 2 workers that could run them have no room for more beside what they run",
        ),
        (
            WhyNot::NoSlots,
            Hurdle::Slots,
            "the only slot of the worker that could run more is taken",
            "both slots of the 2 workers that could run more are taken",
        ),
    ] {
        assert_eq!(said(&of(reason, by, 1)), format!("1 item waits: {one}"));
        assert_eq!(said(&of(reason, by, 2)), format!("2 items wait: {two}"));
    }
    let image = Why { until_ms: NOW_MS + 60_000, workers: workers(Hurdle::Image, 1, 1), ..why(WhyNot::NoImage, 2) };
    assert_eq!(
        said(&image),
        "2 items wait: the worker that could run them cannot get the image, and is asked again in 1m 0s"
    );
}

#[test]
fn who_goes_first_is_named_where_that_may_be_known() {
    let full = workers(Hurdle::Slots, 1, 4);
    let first = |jobs: &[&str]| Why {
        jobs: jobs.iter().map(|job| (*job).to_owned()).collect(),
        priority: 7,
        workers: full.clone(),
        ..why(WhyNot::Priority, 2)
    };
    let taken = "2 items wait: all 4 slots of the worker that could run more are taken";
    assert_eq!(said(&first(&["a"])), format!("{taken}, and job a goes first, of priority 7"));
    assert_eq!(said(&first(&[])), format!("{taken}, and another job goes first, of priority 7"));
    assert_eq!(next(&first(&[]), "j").as_deref(), Some("longshore job set j --priority 8"));
    let turn = |jobs| Why { count: jobs, workers: full.clone(), ..why(WhyNot::Turn, 2) };
    assert_eq!(said(&turn(1)), format!("{taken}, and 1 job of which less is under way goes first"));
    assert_eq!(said(&turn(3)), format!("{taken}, and 3 jobs of which less is under way go first"));
}

#[test]
fn bounds_of_a_stage_are_said_with_the_command_that_moves_them() {
    let most = Why { count: 4, ..why(WhyNot::MaxParallel, 1) };
    assert_eq!(said(&most), "1 item waits: as many of the stage are under way as may be, which is 4 (max_parallel)");
    assert_eq!(next(&most, "j").as_deref(), Some("longshore job set j --max-parallel count=8"));
    let canary = |first| Why { count: first, ..why(WhyNot::Canary, 9) };
    assert_eq!(said(&canary(1)), "9 items wait: the first item has to succeed before (canary)");
    assert_eq!(said(&canary(5)), "9 items wait: the first 5 items have to succeed before (canary)");
    let crowded = Why { count: 10_000, ..why(WhyNot::Crowded, 9) };
    assert_eq!(
        said(&crowded),
        "9 items wait: 10,000 items failed and wait for another try, and no others are begun meanwhile"
    );
}

#[test]
fn what_time_ends_is_said_with_how_long_it_is() {
    let pause = |items, last_ms| Why { until_ms: NOW_MS + 3_200, last_ms, ..why(WhyNot::Pause, items) };
    assert_eq!(said(&pause(1, 0)), "1 item failed, and waits for its next try, in 3.2s");
    assert_eq!(
        said(&pause(2, NOW_MS + 9_000)),
        "2 items failed, and wait for their next tries: the first in 3.2s, the last in 9.0s"
    );
    let elsewhere = |items| Why { until_ms: NOW_MS + 4_000, ..why(WhyNot::Elsewhere, items) };
    assert_eq!(
        said(&elsewhere(1)),
        "1 item failed, and waits at most 4.0s more for another worker than the one on which it did"
    );
    assert_eq!(
        said(&elsewhere(2)),
        "2 items failed, and wait at most 4.0s more for another worker than those on which they did"
    );
}

#[test]
fn what_waits_behind_others_is_said() {
    assert_eq!(said(&why(WhyNot::Ahead, 1)), "1 item was given to a worker, and waits there behind others");
    assert_eq!(said(&why(WhyNot::Ahead, 2)), "2 items were given to workers, and wait there behind others");
    assert_eq!(said(&why(WhyNot::PutBack, 2)), "2 items wait: the retry has not come to them yet");
    assert_eq!(
        said(&why(WhyNot::Alone, 1)),
        "1 item waits for a worker that runs nothing else: workers went down with it"
    );
    assert_eq!(
        said(&why(WhyNot::Alone, 2)),
        "2 items wait for workers that run nothing else, one for each: workers went down with them"
    );
    assert_eq!(said(&why(WhyNot::Nothing, 1)), "1 item is being given out just now");
    let stage = |items, left| Why { count: left, of_stage: "split".to_owned(), ..why(WhyNot::Stage, items) };
    assert_eq!(said(&stage(0, 1)), "its items are made of what stage split leaves, of which 1 item has not ended");
    assert_eq!(said(&stage(1, 7)), "1 item waits for what stage split leaves, of which 7 items have not ended");
    assert_eq!(next(&stage(1, 7), "j"), None, "the cause is told before");
    assert_eq!(said(&why(WhyNot::Short, 1)), "1 item will never run: too much of what it gathers failed");
    assert!(said(&why(WhyNot::Unspecified, 1)).contains("too old"));
}

#[test]
fn workers_are_told_in_a_line_each() {
    let lack = Hindered { why: "it has no label \"gpu\"".to_owned(), ..workers(Hurdle::Lack, 1, 1).remove(0) };
    assert_eq!(hindered(&lack), "1 worker (w0): it has no label \"gpu\"");
    assert_eq!(hindered(&Hindered { workers: 5, ..lack }), "5 workers (w0, …): of each: it has no label \"gpu\"");
    assert_eq!(hindered(&workers(Hurdle::Slots, 1, 1)[0]), "1 worker (w0): has its 1 slot taken");
    assert_eq!(hindered(&workers(Hurdle::Slots, 2, 6)[0]), "2 workers (w0, w1): have their 6 slots taken");
    assert_eq!(hindered(&workers(Hurdle::Draining, 2, 6)[0]), "2 workers (w0, w1): are drained");
    let full = Hindered { why: "its disk is full".to_owned(), ..workers(Hurdle::Unable, 1, 1).remove(0) };
    assert_eq!(hindered(&full), "1 worker (w0): takes nothing now: its disk is full");
}

#[test]
fn a_name_is_quoted_in_a_command() {
    let mut drained = workers(Hurdle::Draining, 1, 1);
    drained[0].names = vec!["a b".to_owned()];
    let why = Why { workers: drained, ..why(WhyNot::AllDraining, 1) };
    assert_eq!(next(&why, "j").as_deref(), Some("longshore worker undrain 'a b'"));
}
