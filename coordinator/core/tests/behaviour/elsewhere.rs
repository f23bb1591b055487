//! Where an item has failed it is tried again only when nobody else takes it for a while.

use longshore_core::{Assignment, Blame, StageSpec};

use crate::stage::{Stage, given, only, spec};

/// Items that are tried again at once.
fn quick() -> StageSpec {
    StageSpec { attempts: 9, ..StageSpec::default() }
}

/// Who was given what.
fn to(found: &[(longshore_core::WorkerId, Assignment)]) -> Vec<(u8, u64)> {
    found.iter().map(|(worker, attempt)| (worker.0[0], attempt.item.index)).collect()
}

#[test]
fn an_item_is_tried_again_on_another_worker() {
    for blame in [Blame::Item, Blame::Slot, Blame::Infrastructure] {
        let mut it = Stage::new();
        it.join(1, 1);
        let attempt = only(&it.submit(1, spec(&[quick()]), 1));
        it.join(2, 1);
        it.fails(1, &attempt, blame);
        it.heard(2);
        assert_eq!(to(&given(&it.wait_with(1, 200))), [(2, 0)], "{blame:?}");
    }
}

#[test]
fn the_one_on_which_it_failed_takes_others_meanwhile() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[quick()]), 3));
    let out = it.join(2, 1);
    let [(_, elsewhere)] = given(&out)[..] else { panic!("{out:?}") };
    let fresh = given(&it.fails(1, &attempt, Blame::Item));
    assert_eq!(to(&fresh), [(1, 2)]);
    it.heard(2);
    assert!(given(&it.wait_with(1, 10)).is_empty());
    assert!(given(&it.succeeds(1, &fresh[0].1, 1)).is_empty(), "the other may be free any moment");
    assert_eq!(to(&given(&it.succeeds(2, &elsewhere, 1))), [(2, 0)]);
}

#[test]
fn it_does_not_wait_for_ever() {
    let mut it = Stage::new();
    it.join(1, 1);
    let attempt = only(&it.submit(1, spec(&[quick()]), 2));
    it.join(2, 1);
    it.fails(1, &attempt, Blame::Item);
    let mut waited = 0;
    while it.given.len() == 2 {
        it.heard(2);
        it.wait_with(1, 100);
        waited += 100;
        assert!(waited < 6_000, "it starves");
    }
    let held: Vec<_> = it.core.worker_views().iter().map(|worker| worker.attempts).collect();
    assert_eq!((held, it.given[2].item.index), (vec![1, 1], 0), "the other is at work");
    assert!(waited >= 4_500, "{waited}");
}

#[test]
fn where_nobody_else_may_have_it_nobody_is_waited_for() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join_for(2, 1, &["other"]);
    it.join(3, 1);
    it.drain(3);
    let attempt = only(&it.submit(1, spec(&[quick()]), 1));
    it.fails(1, &attempt, Blame::Item);
    it.heard(2);
    it.heard(3);
    assert_eq!(to(&given(&it.wait_with(1, 10))), [(1, 0)]);
}

#[test]
fn it_goes_round_before_it_comes_back() {
    let mut it = Stage::new();
    it.join(1, 1);
    let mut attempt = only(&it.submit(1, spec(&[quick()]), 1));
    it.join(2, 1);
    it.join(3, 1);
    let mut on = vec![1];
    for _ in 0..5 {
        it.fails(*on.last().expect("one at least"), &attempt, Blame::Item);
        for worker in [1, 2, 3] {
            it.heard(worker);
        }
        let found = given(&it.wait_with(1, 10));
        (on, attempt) = ([on, vec![found[0].0.0[0]]].concat(), found[0].1);
    }
    assert_eq!(on[..3], [1, 2, 3]);
    assert!(
        on.windows(2).all(|pair| pair[0] != pair[1]),
        "nor does anybody wait when it has failed everywhere: {on:?}"
    );
}

#[test]
fn an_item_is_not_hidden_from_another_by_those_for_which_the_first_is_too_full() {
    let mut it = Stage::new();
    it.join(1, 1);
    let long = only(&it.submit(1, spec(&[quick(), quick()]), 9));
    let short = only(&it.succeeds_after(1, &long, 90_000, 1));
    let long = only(&it.succeeds_after(1, &short, 1_000, 0));
    let short = only(&it.succeeds_after(1, &long, 90_000, 1));
    it.join(2, 1);
    it.fails(1, &short, Blame::Item);
    let held: Vec<_> = it.core.worker_views().iter().map(|worker| worker.attempts).collect();
    assert_eq!(held, [1, 1], "both have a long one, and nothing is given ahead of those");
    it.heard(2);
    assert_eq!(to(&given(&it.wait_with(1, 10))), [(2, 1)], "of the short ones something is");
}
