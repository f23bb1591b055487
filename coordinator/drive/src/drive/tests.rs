//! One link speaks for a worker, and time passes.

use longshore_core::{
    AttemptId, Clientele, End, Finished, Incarnation, ItemKey, JobId, JobSpec, Namespace, Order, Record, Reply,
    RequestId, Settings, StageSpec,
};

use super::*;
use crate::{LinkId, presence::LOOK_MS};

#[derive(Debug, Clone, Default)]
struct Everything(Vec<Record>);

impl Page for Everything {
    type Batch = Vec<Record>;

    fn add(&mut self, records: Vec<Record>) {
        self.0.extend(records);
    }

    fn is_full(&self) -> bool {
        false
    }

    fn finish(self) -> Vec<Record> {
        self.0
    }
}

#[derive(Debug, Default)]
struct Inputs(Vec<Input>);

impl Witness for Inputs {
    fn before(&mut self, _: Now, input: &Input) {
        self.0.push(input.clone());
    }

    fn after(&mut self, _: &Outbox) {}
}

type TestDrive = Drive<Everything, (), Inputs>;

const WORKER: WorkerId = WorkerId([1; 16]);
const LIFE: Incarnation = Incarnation([1; 16]);

fn at(steady_ms: u64) -> Now {
    Now { steady_ms, wall_ms: 0 }
}

fn drive() -> TestDrive {
    let settings = Settings { reunion_ms: 0, ..Settings::default() };
    let core = Core::load(1, settings, at(0), []);
    Drive::new(core, at(0), Everything::default(), Inputs::default(), Rules::default())
}

/// A heartbeat of a worker that does not count them.
const OLD: Beat = Beat { number: 0, answered: 0 };

fn peer(link: u64) -> Peer {
    Peer { link: LinkId(link), worker: WORKER, incarnation: LIFE }
}

fn hello() -> Hello {
    Hello {
        previous: None,
        name: "one".to_owned(),
        slots: 1,
        is_member: false,
        clientele: Clientele::Everybody,
        offer: std::sync::Arc::default(),
        held: Vec::new(),
        replicas: Vec::new(),
    }
}

/// Time passes, and is told whenever that is asked for.
fn passes(drive: &mut TestDrive, to_ms: u64) {
    while let Some(due_ms) = drive.next_tick_ms().filter(|due_ms| *due_ms <= to_ms) {
        let seen_ms = drive.presence.look_ms() - LOOK_MS;
        drive.tick(at(due_ms.max(seen_ms)));
    }
}

/// Keeps and releases everything; answers what has left.
fn settle(drive: &mut TestDrive) -> Vec<Effects<()>> {
    let mut left = Vec::new();
    loop {
        match drive.advance() {
            Next::Wait => return left,
            Next::Release(effects) => left.push(effects),
            Next::Keep(_) => {
                let effects = drive.kept();
                left.push(effects);
            }
        }
    }
}

fn orders_of(left: &[Effects<()>], link: u64) -> Vec<Order> {
    left.iter().filter_map(|effects| effects.orders.get(&LinkId(link))).flatten().cloned().collect()
}

fn submit(drive: &mut TestDrive, now: Now) {
    let spec = JobSpec { stages: vec![StageSpec::default()], ..JobSpec::default() };
    let job = JobId([9; 16]);
    let request = RequestId(1);
    let (namespace, key) = (Namespace::default(), String::new());
    drive.request(
        now,
        Input::Submit {
            request,
            job,
            namespace,
            key,
            spec,
            inputs: 1,
            groups: Vec::new(),
            detail: [0; 32],
            meaning: None,
        },
    );
}

#[test]
fn the_first_order_of_a_link_is_its_welcome() {
    let mut drive = drive();
    submit(&mut drive, at(1));
    drive.hello(at(1), peer(1), hello());
    let orders = orders_of(&settle(&mut drive), 1);
    assert!(matches!(orders[0], Order::Welcome { .. }), "{orders:?}");
    assert!(orders.iter().any(|order| matches!(order, Order::Assign { .. })), "{orders:?}");
}

#[test]
fn a_newer_link_takes_over_and_the_older_is_neither_heard_nor_missed() {
    let mut drive = drive();
    drive.hello(at(1), peer(1), hello());
    drive.hello(at(2), peer(2), hello());
    assert_eq!(drive.word(at(3), peer(1), Word::Goodbye).0, Heard::Replaced);
    assert!(drive.ended(at(4), peer(1)).is_empty());
    assert_eq!(drive.witness().0.len(), 2, "the core has heard the hellos alone");
    assert_eq!(drive.word(at(5), peer(2), Word::Heartbeat(OLD)).0, Heard::Told);
    let left = settle(&mut drive);
    assert_eq!(orders_of(&left, 1), [], "the first link's welcome is nobody's");
    assert!(matches!(orders_of(&left, 2)[0], Order::Welcome { .. }));
}

#[test]
fn the_end_of_the_link_that_speaks_is_told_once() {
    let mut drive = drive();
    drive.hello(at(1), peer(1), hello());
    drive.ended(at(2), peer(1));
    drive.ended(at(3), peer(1));
    let lost = drive.witness().0.iter().filter(|input| matches!(input, Input::LinkLost { .. })).count();
    assert_eq!((lost, drive.links().of(WORKER)), (1, None));
}

#[test]
fn a_worker_whose_lease_has_run_out_has_to_say_hello_again() {
    let mut drive = drive();
    drive.hello(at(1), peer(1), hello());
    passes(&mut drive, 1 + Settings::default().lease_ms + 1);
    let late = at(1 + Settings::default().lease_ms + 1);
    let finished = Word::Finished(vec![Finished {
        id: AttemptId { epoch: 1, number: 1 },
        item: ItemKey { job: JobId([9; 16]), stage: 0, index: 0 },
        end: End::Returned,
        run_us: 0,
    }]);
    for word in [Word::Heartbeat(OLD), finished, Word::Replicas(Vec::new())] {
        drive.links.hello(WORKER, LinkId(1));
        let steps = drive.witness().0.len();
        assert_eq!(drive.word(late, peer(1), word).0, Heard::Unknown);
        assert_eq!((drive.witness().0.len(), drive.links().of(WORKER)), (steps, None));
    }
    drive.hello(late, peer(2), hello());
    assert_eq!(drive.word(late, peer(2), Word::Heartbeat(OLD)).0, Heard::Told);
}

#[test]
fn time_passes_while_jobs_run_and_when_the_core_asks_for_it() {
    let mut drive = drive();
    assert_eq!(drive.next_tick_ms(), None);
    submit(&mut drive, at(5));
    assert_eq!(drive.next_tick_ms(), Some(BALANCE_MS), "also while much happens");
    drive.tick(at(300));
    assert_eq!(drive.next_tick_ms(), Some(300 + BALANCE_MS));
    drive.request(at(310), Input::Cancel { request: RequestId(2), job: JobId([9; 16]), reason: String::new() });
    assert_eq!(drive.next_tick_ms(), None);
    drive.hello(at(400), peer(1), hello());
    assert_eq!(drive.next_tick_ms(), Some(400 + LOOK_MS), "as long as somebody has a lease");
    drive.ended(at(400), peer(1));
    assert_eq!(drive.next_tick_ms(), drive.core().next_deadline_ms());
    assert!(drive.next_tick_ms().is_some());
}

#[test]
fn a_reply_leaves_when_what_it_speaks_of_is_durable() {
    let mut drive = drive();
    submit(&mut drive, at(1));
    assert!(matches!(drive.advance(), Next::Keep(records) if matches!(records[..], [Record::Job(_)])));
    assert!(matches!(drive.advance(), Next::Wait));
    let replies = drive.kept().replies;
    assert!(matches!(replies[..], [(RequestId(1), Reply::Submitted { existed: false, .. })]), "{replies:?}");
}

mod lives;
mod newcomers;
