//! Who gets what, and when: with a clock of the test's own.

use longshore_proto::v1::{Container, Stage};

use super::*;
use crate::work::Secrets;

struct World {
    queue: Queue,
    now: Instant,
    stages: HashMap<&'static str, Arc<Stage>>,
    number: u64,
}

impl World {
    fn new(seats: usize) -> Self {
        let now = Instant::now();
        Self { queue: Queue::new(seats, now), now, stages: HashMap::new(), number: 0 }
    }

    fn pass(&mut self, time: Duration) {
        self.now += time;
    }

    /// Submits so many attempts for an image; answers the seats woken.
    fn submit(&mut self, image: &'static str, count: usize) -> Wake {
        let stage = self.stages.entry(image).or_insert_with(|| {
            let container = Container { image: image.into(), ..Container::default() };
            Arc::new(Stage { container: Some(container), ..Stage::default() })
        });
        let stage = Arc::clone(stage);
        let work = (0..count).map(|_| {
            self.number += 1;
            work(self.number, &stage)
        });
        let work: Vec<_> = work.collect();
        self.queue.submit(work, self.now)
    }

    /// What an idle seat is offered, and claims.
    fn take(&mut self, seat: usize) -> Offer {
        let offer = self.offered(seat);
        assert!(self.queue.claim(seat, &offer));
        offer
    }

    fn offered(&mut self, seat: usize) -> Offer {
        match self.queue.next(seat, self.now) {
            Next::Offer(offer) => offer,
            other => panic!("no offer: {other:?}"),
        }
    }

    fn more(&mut self, seat: usize) -> Option<Offer> {
        self.queue.more(seat, false, self.now)
    }

    fn rests(&mut self, seat: usize) -> Option<Instant> {
        match self.queue.next(seat, self.now) {
            Next::Wait(until) => until,
            other => panic!("not resting: {other:?}"),
        }
    }
}

fn work(number: u64, stage: &Arc<Stage>) -> Work {
    Work {
        id: (1, number),
        job: [0; 16],
        namespace: "".into(),
        job_name: "job".into(),
        stage_index: 0,
        stage: Arc::clone(stage),
        image: None,
        index: number,
        attempt: 1,
        path: number.to_string(),
        inputs: Vec::new(),
        gather: false,
        missing: longshore_proto::v1::Missing::default(),
        secrets: Secrets::default(),
    }
}

fn image(offer: &Offer) -> &str {
    &offer.work.stage.container.as_ref().unwrap().image
}

#[test]
fn work_is_taken_in_order_of_arrival_by_as_many_seats_as_there_is_work() {
    let mut world = World::new(3);
    assert_eq!(world.submit("a", 2).len(), 2);
    assert_eq!(world.take(0).work.index, 1);
    assert_eq!(world.take(1).work.index, 2);
    assert_eq!(world.rests(2), None);
    assert_eq!(world.queue.held().len(), 2);
}

#[test]
fn an_attempt_submitted_twice_is_held_once() {
    let mut world = World::new(1);
    world.submit("a", 1);
    world.number = 0;
    world.submit("a", 1);
    let offer = world.take(0);
    assert!(world.more(0).is_none());
    assert!(world.queue.finish(&offer));
    assert!(!world.queue.finish(&offer));
}

#[test]
fn a_seat_keeps_to_its_container_and_idle_ones_with_the_right_one_go_first() {
    let mut world = World::new(2);
    world.submit("a", 1);
    world.submit("b", 1);
    let (a, b) = (world.take(0), world.take(1));
    assert_eq!((image(&a), image(&b)), ("a", "b"));
    world.queue.finish(&a);
    world.queue.finish(&b);
    world.rests(0);
    world.rests(1);
    assert_eq!(world.submit("b", 1), [1]);
    assert_eq!(world.submit("a", 1), [0]);
    assert_eq!(image(&world.take(1)), "b");
    assert_eq!(image(&world.take(0)), "a");
}

#[test]
fn an_idle_seat_takes_what_another_only_prepares() {
    let mut world = World::new(2);
    world.submit("a", 2);
    world.take(0);
    let prepared = world.more(0).unwrap();
    let taken = world.take(1);
    assert_eq!(prepared.ticket, taken.ticket);
    assert!(!world.queue.claim(0, &prepared), "no longer there");
}

#[test]
fn busy_seats_prepare_different_attempts() {
    let mut world = World::new(2);
    world.submit("a", 4);
    world.take(0);
    world.take(1);
    let (first, second) = (world.more(0).unwrap(), world.more(1).unwrap());
    assert_ne!(first.ticket, second.ticket);
    assert!(world.queue.claim(0, &first));
    assert!(world.more(0).is_none(), "the last one is another's to prepare");
}

#[test]
fn what_a_seat_declines_is_anybodys() {
    let mut world = World::new(2);
    world.submit("a", 3);
    world.take(0);
    world.take(1);
    let offer = world.more(0).unwrap();
    assert!(world.more(1).is_none());
    assert_eq!(world.queue.decline(0, &offer), [1]);
    assert!(world.more(1).is_some());
}

#[test]
fn a_stopped_attempt_is_gone_wherever_it_was() {
    let mut world = World::new(1);
    world.submit("a", 3);
    let taken = world.take(0);
    let prepared = world.more(0).unwrap();
    assert_eq!(world.queue.stop(&[(1, 1), (1, 2), (1, 3), (9, 9)]), [(0, (1, 1))]);
    assert!(!world.queue.claim(0, &prepared));
    assert!(!world.queue.finish(&taken), "nobody wants to hear of it");
    assert!(world.queue.put_back(taken).is_empty());
    assert!(world.queue.held().is_empty());
    assert_eq!(world.rests(0), None);
}

#[test]
fn only_what_waits_is_given_back() {
    let mut world = World::new(1);
    world.submit("a", 2);
    world.take(0);
    world.more(0);
    let (back, at_seats) = world.queue.give_back(&[(1, 1), (1, 2)]);
    assert_eq!(back.iter().map(|work| work.id).collect::<Vec<_>>(), [(1, 2)]);
    assert_eq!(at_seats, [(0, (1, 1))]);
    assert_eq!(world.queue.held(), [(1, 1)]);
}

#[test]
fn what_is_put_back_keeps_its_place() {
    let mut world = World::new(1);
    world.submit("a", 3);
    let first = world.take(0);
    world.queue.vacate(0);
    world.rests_not(0);
    world.queue.put_back(first);
    assert_eq!(world.take(0).work.index, 1);
}

impl World {
    fn rests_not(&mut self, seat: usize) {
        let offer = self.offered(seat);
        self.queue.decline(seat, &offer);
    }
}

#[test]
fn a_neglected_group_gets_a_seat_after_a_while_and_only_one() {
    let mut world = World::new(2);
    world.submit("a", 100);
    world.take(0);
    world.take(1);
    world.submit("b", 100);
    assert!(world.more(0).is_some(), "b can wait");
    world.pass(PATIENCE + Duration::from_millis(1));
    assert!(world.more(0).is_none(), "seat 0 shall change over");
    assert_eq!(image(&world.take(0)), "b");
    assert_eq!(image(&world.more(1).unwrap()), "a", "b has its seat");
}

#[test]
fn work_that_quick_seats_will_have_done_starts_no_container() {
    let mut world = World::new(2);
    world.submit("a", 1);
    let offer = world.take(0);
    world.rests(1);
    world.queue.finish(&offer);
    assert!(world.queue.more(0, true, world.now).is_none());
    let wake = world.submit("a", 2);
    assert_eq!(wake, [0, 1]);
    let until = world.rests(1).unwrap();
    assert_eq!(until, world.now + SPREAD_AFTER);
    world.pass(SPREAD_AFTER);
    assert_eq!(world.take(1).work.index, 2, "it waited long enough");
}

#[test]
fn a_closed_queue_hands_out_nothing() {
    let mut world = World::new(1);
    world.submit("a", 1);
    world.queue.close();
    world.submit("a", 1);
    assert!(matches!(world.queue.next(0, world.now), Next::Close));
    assert!(world.queue.held().is_empty());
}
