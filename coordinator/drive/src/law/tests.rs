//! Records go before effects, whole, in order, and once.

use longshore_core::{ItemKey, JobId, Record, RequestId, WorkerId};

use super::*;

/// A page that is full with two outboxes.
#[derive(Debug, Clone, Default)]
struct Two(Vec<Vec<Record>>);

impl Page for Two {
    type Batch = Vec<Vec<Record>>;

    fn add(&mut self, records: Vec<Record>) {
        self.0.push(records);
    }

    fn is_full(&self) -> bool {
        self.0.len() >= 2
    }

    fn finish(self) -> Self::Batch {
        self.0
    }
}

type TestLaw = Law<Two, &'static str>;

const WORKER: WorkerId = WorkerId([1; 16]);

fn law() -> TestLaw {
    Law::new(Two::default(), Rules::default())
}

fn linked() -> Links {
    let mut links = Links::default();
    links.hello(WORKER, LinkId(1));
    links
}

fn record(number: u64) -> Record {
    Record::OutcomeGone(ItemKey { job: JobId([7; 16]), stage: 0, index: number })
}

/// An outbox with so many records, a reply and an order.
fn outbox(number: u64, records: u64) -> Outbox {
    Outbox {
        records: (0..records).map(|record| self::record(number * 10 + record)).collect(),
        orders: vec![Order::ForgetJob { worker: WORKER, job: JobId([u8::try_from(number).unwrap(); 16]) }],
        replies: vec![(RequestId(number), Reply::Cancelled)],
        notices: Vec::new(),
    }
}

fn released(next: Next<'_, Vec<Vec<Record>>, &'static str>) -> Effects<&'static str> {
    match next {
        Next::Release(effects) => effects,
        other => panic!("{other:?}"),
    }
}

fn kept(next: Next<'_, Vec<Vec<Record>>, &'static str>) -> Vec<Vec<Record>> {
    match next {
        Next::Keep(batch) => batch.clone(),
        other => panic!("{other:?}"),
    }
}

fn waits(law: &mut TestLaw, links: &Links) -> bool {
    matches!(law.advance(links), Next::Wait)
}

fn requests(effects: &Effects<&'static str>) -> Vec<u64> {
    effects.replies.iter().map(|(request, _)| request.0).collect()
}

#[test]
fn what_needs_no_record_leaves_at_once_and_once() {
    let (mut law, links) = (law(), linked());
    law.take(outbox(1, 0), &links);
    law.show("a change");
    law.tell("a look").unwrap();
    let effects = released(law.advance(&links));
    assert_eq!(requests(&effects), [1]);
    assert_eq!((effects.shown, effects.told), (vec!["a change"], vec!["a look"]));
    assert_eq!(effects.orders[&LinkId(1)].len(), 1);
    assert!(waits(&mut law, &links) && law.is_idle());
}

#[test]
fn effects_wait_for_their_records_and_so_does_whoever_looks_meanwhile() {
    let (mut law, links) = (law(), linked());
    law.take(outbox(1, 1), &links);
    law.tell("a look").unwrap();
    assert_eq!(kept(law.advance(&links)), [[record(10)]]);
    law.take(outbox(2, 0), &links);
    law.tell("a later look").unwrap();
    law.show("a later change");
    assert!(waits(&mut law, &links) && law.is_keeping() && !law.is_idle());
    let first = law.kept(&links);
    assert_eq!((requests(&first), first.told), (vec![1], vec!["a look"]));
    // What was decided while the batch was on its way had no record of its own, but may speak of the batch.
    let second = released(law.advance(&links));
    assert_eq!((requests(&second), second.told, second.shown), (vec![2], vec!["a later look"], vec!["a later change"]));
    assert!(law.is_idle());
}

#[test]
fn many_outboxes_share_batches_in_order_and_all_effects_wait_for_the_last() {
    let (mut law, links) = (law(), linked());
    (1..=3).for_each(|number| law.take(outbox(number, 3), &links));
    let first = kept(law.advance(&links));
    assert_eq!(first, [[record(10), record(11), record(12)], [record(20), record(21), record(22)]]);
    assert_eq!(requests(&law.kept(&links)), [0_u64; 0], "a third outbox is not durable");
    let second = kept(law.advance(&links));
    assert_eq!(second, [[record(30), record(31), record(32)]]);
    assert_eq!(requests(&law.kept(&links)), [1, 2, 3]);
    assert!(waits(&mut law, &links) && law.is_idle());
}

#[test]
fn one_batch_is_on_its_way_at_a_time() {
    let (mut law, links) = (law(), linked());
    law.take(outbox(1, 1), &links);
    assert_eq!(kept(law.advance(&links)).len(), 1);
    law.take(outbox(2, 1), &links);
    assert!(waits(&mut law, &links));
    assert_eq!(requests(&law.kept(&links)), [1]);
    assert_eq!(kept(law.advance(&links)), [[record(20)]]);
}

#[test]
fn a_batch_without_room_goes_again_first_and_nobody_waits_to_look() {
    let (mut law, links) = (law(), linked());
    law.take(outbox(1, 1), &links);
    law.tell("before").unwrap();
    let batch = kept(law.advance(&links));
    law.take(outbox(2, 1), &links);
    law.tell("meanwhile").unwrap();
    assert!(!law.has_no_room() && law.again().is_none(), "it is not known yet");
    let mut refused = law.found_no_room();
    refused.sort_unstable();
    assert_eq!(refused, ["before", "meanwhile"]);
    assert_eq!(law.tell("later"), Err("later"));
    law.show("a change");
    assert!(law.has_no_room() && waits(&mut law, &links));
    assert_eq!(law.again(), Some(&batch));
    assert!(law.found_no_room().is_empty(), "again");
    assert_eq!(law.again(), Some(&batch));
    let effects = law.kept(&links);
    assert_eq!((requests(&effects), effects.told, effects.shown.len()), (vec![1], vec![], 0));
    assert!(!law.has_no_room() && law.tell("at last").is_ok());
    assert_eq!(kept(law.advance(&links)), [[record(20)]]);
    let effects = law.kept(&links);
    assert_eq!((requests(&effects), effects.told, effects.shown), (vec![2], vec!["at last"], vec!["a change"]));
}

#[test]
fn an_order_goes_to_the_link_it_was_given_for_or_nowhere() {
    let (mut law, mut links) = (law(), linked());
    law.take(outbox(1, 1), &links);
    assert_eq!(kept(law.advance(&links)).len(), 1);
    links.hello(WORKER, LinkId(2));
    law.take(outbox(2, 0), &links);
    let first = law.kept(&links);
    assert_eq!((first.orders.len(), first.dropped), (0, 1));
    assert_eq!(released(law.advance(&links)).orders[&LinkId(2)].len(), 1);
    assert!(links.end(WORKER, LinkId(2)));
    law.take(outbox(3, 0), &links);
    assert!(released(law.advance(&links)).orders.is_empty(), "nobody is there to be given it");
}
