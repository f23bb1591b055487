//! Which image a stage's runs are of: whoever finds it first says it for all.

use longshore_core::{Digest, Notice, Order, Outbox, Record};

use crate::stage::{Stage, job_id, map, spec};

/// What a worker is told of a stage's image.
fn told(orders: &[Order]) -> Vec<(u16, Digest)> {
    let told = orders.iter().filter_map(|order| match order {
        Order::Image { job, stage, digest, .. } => Some((*job, *stage, *digest)),
        _ => None,
    });
    told.inspect(|(job, ..)| assert_eq!(*job, job_id(1))).map(|(_, stage, digest)| (stage, digest)).collect()
}

fn kept(records: &[Record]) -> Vec<(u16, Digest)> {
    let kept = records.iter().filter_map(|record| match record {
        Record::Image(image) => Some((image.stage, image.digest)),
        _ => None,
    });
    kept.collect()
}

#[test]
fn the_first_answer_counts_for_everybody_and_is_kept() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.join(2, 1);
    it.submit(1, spec(&[map()]), 3);
    let out = it.finds_image(1, 1, &[0], 7);
    assert_eq!((told(&out.orders), kept(&out.records)), (vec![(0, [7; 32])], vec![(0, [7; 32])]));
    assert_eq!(out.notices, [Notice::Job(job_id(1))]);
    for (worker, found) in [(2, 8), (1, 9), (2, 7)] {
        let out = it.finds_image(worker, 1, &[0], found);
        assert_eq!(told(&out.orders), [(0, [7; 32])], "the second to ask");
        assert!(out.records.is_empty() && out.notices.is_empty(), "{out:?}");
    }
    assert_eq!(it.counts(1, 0).image, Some([7; 32]));
}

#[test]
fn stages_that_name_the_same_image_are_given_the_same() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map(), map(), map()]), 3);
    let out = it.finds_image(1, 1, &[2, 0], 7);
    assert_eq!(told(&out.orders), [(2, [7; 32])], "as it was asked");
    assert_eq!(kept(&out.records), [(2, [7; 32]), (0, [7; 32])]);
    let out = it.finds_image(1, 1, &[1, 2], 8);
    assert_eq!((told(&out.orders), kept(&out.records)), (vec![(1, [7; 32])], vec![(1, [7; 32])]));
    assert!(kept(&it.finds_image(1, 1, &[0, 9], 8).records).is_empty(), "there is no such stage");
}

#[test]
fn nothing_is_agreed_on_with_whoever_is_not_asked() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[map()]), 3);
    let nothing = |out: &Outbox| told(&out.orders).is_empty() && kept(&out.records).is_empty();
    assert!(nothing(&it.finds_image(9, 1, &[0], 7)), "it never said hello");
    it.hello(1, 2, 1, &[], &[]);
    assert!(nothing(&it.finds_image(1, 1, &[0], 7)), "another life is in");
    assert!(nothing(&it.finds_image(1, 2, &[0], 7)), "there is no such job");
    it.join_for(2, 1, &["vision"]);
    assert!(nothing(&it.finds_image(2, 1, &[0], 7)), "it may not be given this job");
    it.join(3, 1);
    it.cancel(1);
    assert!(nothing(&it.finds_image(3, 1, &[0], 7)), "it has ended");
}
