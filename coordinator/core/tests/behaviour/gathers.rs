//! Gathers: by groups and ranges, of what came through, and again when more does.

use longshore_core::{Assignment, Blame, JobState, Only, Outbox, Record, Require, Source, StageKind, StageSpec};

use super::stage::{Stage, by_groups, gather, given, item, map, spec};

/// A map stage whose items are tried once.
fn once() -> StageSpec {
    StageSpec { attempts: 1, ..map() }
}

fn ranges(width: u64, require: Require) -> StageSpec {
    StageSpec { kind: StageKind::Ranges { require, width }, ..map() }
}

fn partial(require: Require) -> StageSpec {
    StageSpec { kind: StageKind::Gather { require }, ..map() }
}

/// What the one worker, which has room for all, was given.
fn attempts(out: &Outbox) -> Vec<Assignment> {
    let mut attempts: Vec<Assignment> = given(out).into_iter().map(|(_, attempt)| attempt).collect();
    attempts.sort_unstable_by_key(|attempt| attempt.item);
    attempts
}

fn items(out: &Outbox) -> Vec<(u16, u64)> {
    attempts(out).iter().map(|attempt| (attempt.item.stage, attempt.item.index)).collect()
}

fn withdrawn(out: &Outbox) -> Vec<(u16, u64)> {
    let records = out.records.iter().filter_map(|record| match record {
        Record::Withdrawn(record) => Some((record.item.stage, record.item.index)),
        _ => None,
    });
    records.collect()
}

/// A job of these stages whose first items are under way.
fn started(stages: &[StageSpec], inputs: u64) -> (Stage, Vec<Assignment>) {
    let mut it = Stage::new();
    it.join(1, 16);
    let first = it.submit(1, spec(stages), inputs);
    let first = attempts(&first);
    assert_eq!(first.len() as u64, inputs, "there is room for all");
    (it, first)
}

#[test]
fn a_group_does_not_wait_for_another_that_is_slower() {
    let (mut it, first) = started(&[map(), by_groups(Require::All, 2)], 4);
    assert_eq!(items(&it.succeeds(1, &first[1], 1)), []);
    let out = it.succeeds(1, &first[3], 1);
    assert_eq!(items(&out), [(1, 1)], "inputs 1 and 3 have ended, 0 and 2 have not");
    assert_eq!(attempts(&out)[0].source, Source::Group);
    it.succeeds(1, &attempts(&out)[0], 1);
    it.succeeds(1, &first[0], 1);
    let out = it.succeeds(1, &first[2], 1);
    assert_eq!(items(&out), [(1, 0)], "its queue had passed over it");
    it.succeeds(1, &attempts(&out)[0], 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn a_group_waits_for_every_descendant_of_its_inputs() {
    let (mut it, first) = started(&[map(), map(), by_groups(Require::All, 2)], 2);
    let split = attempts(&it.succeeds(1, &first[0], 2));
    assert_eq!(items(&it.succeeds(1, &split[0], 1)), []);
    assert_eq!(items(&it.succeeds(1, &split[1], 1)), [(2, 0)]);
}

#[test]
fn a_group_of_which_something_failed_never_runs_and_holds_up_no_other() {
    let (mut it, first) = started(&[once(), by_groups(Require::All, 2)], 4);
    it.fails(1, &first[0], Blame::Hopeless);
    it.succeeds(1, &first[1], 1);
    it.succeeds(1, &first[2], 1);
    let out = it.succeeds(1, &first[3], 1);
    assert_eq!(items(&out), [(1, 1)]);
    it.succeeds(1, &attempts(&out)[0], 1);
    assert_eq!(it.state(1), JobState::Failed);
    let gathered = it.counts(1, 1).gathered.expect("it gathers");
    assert_eq!((gathered.inputs, gathered.of, gathered.short, gathered.groups), (2, 4, 1, 2));
}

#[test]
fn a_group_for_which_nothing_was_left_has_no_item_and_a_gather_of_nothing_runs_once() {
    let (mut it, first) = started(&[map(), by_groups(Require::All, 2), gather()], 2);
    it.succeeds(1, &first[0], 0);
    let out = it.succeeds(1, &first[1], 0);
    assert_eq!(items(&out), [(2, 0)]);
    it.succeeds(1, &attempts(&out)[0], 1);
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn a_partial_gather_runs_when_everything_has_ended_and_enough_came_through() {
    for (require, runs) in [
        (Require::Any, true),
        (Require::Count(3), true),
        (Require::Count(4), false),
        (Require::Millionths(750_000), true),
        (Require::Millionths(760_000), false),
        (Require::All, false),
    ] {
        let (mut it, first) = started(&[once(), partial(require)], 4);
        it.fails(1, &first[0], Blame::Hopeless);
        assert_eq!(items(&it.succeeds(1, &first[1], 1)), []);
        assert_eq!(items(&it.succeeds(1, &first[2], 1)), [], "input 3 has not ended");
        let out = it.succeeds(1, &first[3], 1);
        assert_eq!(items(&out), if runs { vec![(1, 0)] } else { vec![] }, "{require:?}");
        if runs {
            it.succeeds(1, &attempts(&out)[0], 1);
            let gathered = it.counts(1, 1).gathered.expect("it gathers");
            assert_eq!((gathered.inputs, gathered.of), (3, 4));
        }
        assert_eq!(it.state(1), JobState::Failed, "what failed remains failed");
    }
}

#[test]
fn an_input_is_missing_once_however_many_of_its_descendants_failed() {
    let (mut it, first) = started(&[once(), once(), partial(Require::Count(1))], 2);
    let split = attempts(&it.succeeds(1, &first[0], 3));
    it.fails(1, &split[0], Blame::Hopeless);
    it.fails(1, &split[1], Blame::Hopeless);
    it.succeeds(1, &split[2], 1);
    let other = attempts(&it.succeeds(1, &first[1], 1));
    let out = it.succeeds(1, &other[0], 1);
    it.succeeds(1, &attempts(&out)[0], 1);
    let gathered = it.counts(1, 2).gathered.expect("it gathers");
    assert_eq!((gathered.inputs, gathered.of), (1, 2));
}

#[test]
fn a_retry_withdraws_what_was_gathered_without_what_it_puts_back_and_no_more() {
    let (mut it, first) = started(&[once(), by_groups(Require::Any, 2), map(), partial(Require::Any)], 4);
    it.fails(1, &first[0], Blame::Hopeless);
    it.succeeds(1, &first[1], 1);
    let groups = attempts(&it.succeeds(1, &first[2], 1));
    assert_eq!(groups[0].item, item(1, 1, 0));
    let behind = attempts(&it.succeeds(1, &groups[0], 2));
    for attempt in &behind {
        it.succeeds(1, attempt, 1);
    }
    let groups = attempts(&it.succeeds(1, &first[3], 1));
    let behind = attempts(&it.succeeds(1, &groups[0], 1));
    let last = attempts(&it.succeeds(1, &behind[0], 1));
    it.succeeds(1, &last[0], 1);
    assert_eq!(it.state(1), JobState::Failed);

    let out = it.retry(1);
    assert_eq!(withdrawn(&out), [(3, 0), (2, 0), (2, 1), (1, 0)], "the other group and what is behind it stay");
    assert_eq!(items(&out), [(0, 0)]);
    it = it.restart(2);
    it.join(1, 16);
    it.wait_with(1, 10_000);
    let again = it.view(1);
    assert_eq!(again.stages.iter().map(|stage| stage.items).collect::<Vec<_>>(), [4, 1, 1, 0]);
}

#[test]
fn nothing_is_kept_of_what_failed_behind_a_gather_that_is_withdrawn() {
    let (mut it, first) = started(&[once(), partial(Require::Any), once()], 2);
    it.fails(1, &first[0], Blame::Hopeless);
    let gathered = attempts(&it.succeeds(1, &first[1], 1));
    let behind = attempts(&it.succeeds(1, &gathered[0], 1));
    it.fails(1, &behind[0], Blame::Hopeless);
    assert_eq!(it.state(1), JobState::Failed);

    // Of the first stage alone: what failed behind the gather is not asked for, and is no item any more.
    let out = it.retry_only(1, Only { stage: 0, index: None });
    assert_eq!(withdrawn(&out), [(1, 0)]);
    assert!(out.records.contains(&Record::OutcomeGone(item(1, 2, 0))), "it would be listed for ever");
    it = it.restart(2);
    assert_eq!(
        it.view(1).stages.iter().map(|stage| (stage.items, stage.failed)).collect::<Vec<_>>(),
        [(2, 0), (0, 0), (0, 0)]
    );
    let out = it.join(1, 16);
    let mut out = if given(&out).is_empty() { it.wait_with(1, 10_000) } else { out };
    for _ in 0..3 {
        out = it.succeeds(1, &attempts(&out)[0], 1);
    }
    assert_eq!(it.state(1), JobState::Succeeded);
}

#[test]
fn what_runs_again_after_a_retry_ends_with_everything() {
    let (mut it, first) = started(&[once(), by_groups(Require::Any, 2), map(), gather()], 4);
    it.fails(1, &first[0], Blame::Hopeless);
    let mut last = Outbox::default();
    for attempt in &first[1..] {
        last = it.succeeds(1, attempt, 1);
        it.do_everything(1, last.clone(), 2);
    }
    drop(last);
    assert_eq!(it.state(1), JobState::Failed);
    let out = it.retry(1);
    it.do_everything(1, out, 2);
    assert_eq!(it.state(1), JobState::Succeeded);
    let view = it.view(1);
    assert_eq!(view.stages.iter().map(|stage| stage.succeeded).collect::<Vec<_>>(), [4, 2, 4, 1]);
    let gathered = view.stages[3].gathered.expect("it gathers");
    assert_eq!((gathered.inputs, gathered.of), (4, 4));
}

#[test]
fn a_tree_merges_ranges_of_inputs_as_each_is_complete() {
    let (mut it, first) = started(&[map(), ranges(2, Require::All), ranges(2, Require::All), gather()], 5);
    it.succeeds(1, &first[4], 1);
    let mut given = Vec::new();
    for at in [3, 2, 1, 0] {
        given.push(items(&it.succeeds(1, &first[at], 1)));
    }
    assert_eq!(given, [vec![], vec![(1, 1)], vec![], vec![(1, 0)]], "and the range of input 4 alone was first");
    assert_eq!(it.counts(1, 1).items, 3);
}

#[test]
fn a_tree_with_a_rule_merges_what_there_is_and_its_last_level_decides() {
    let stages = [once(), ranges(2, Require::Any), partial(Require::Count(2))];
    for (fail, runs) in [(2, true), (3, false)] {
        let (mut it, first) = started(&stages, 4);
        let mut out = Outbox::default();
        for attempt in &first[..fail] {
            out = it.fails(1, attempt, Blame::Hopeless);
        }
        assert_eq!(items(&out), []);
        let mut levels = Vec::new();
        for attempt in &first[fail..] {
            levels = attempts(&it.succeeds(1, attempt, 1));
        }
        assert_eq!(levels.len(), 1, "the other range is empty, or one of its inputs is missing");
        let out = it.succeeds(1, &levels[0], 1);
        assert_eq!(items(&out), if runs { vec![(2, 0)] } else { vec![] });
    }
}

#[test]
fn what_a_gather_before_did_without_is_not_missing_again() {
    let (mut it, first) = started(&[once(), by_groups(Require::Any, 1), gather()], 2);
    it.fails(1, &first[0], Blame::Hopeless);
    let groups = attempts(&it.succeeds(1, &first[1], 1));
    let out = it.succeeds(1, &groups[0], 1);
    assert_eq!(items(&out), [(2, 0)]);
    it.succeeds(1, &attempts(&out)[0], 1);
    let gathered = it.counts(1, 2).gathered.expect("it gathers");
    assert_eq!((gathered.inputs, gathered.of), (1, 2), "yet it is said");
}
