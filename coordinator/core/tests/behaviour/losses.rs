//! What goes away under an item: how far that speaks against it, when it is given up for that, and that it runs alone before.

use std::collections::BTreeMap;

use longshore_core::{Assignment, End, Finished, Input, ItemKey, JobState, Losses, Outbox, Record, StageSpec};

use crate::stage::{Stage, given, job_id, life, map, only, spec, worker_id};

/// The newest losses that are kept of the first item.
fn losses(it: &Stage) -> Losses {
    let of_first = |record: &Record| match record {
        Record::Trouble(trouble) if trouble.item == FIRST => Some(trouble.losses.clone()),
        _ => None,
    };
    it.records.iter().rev().find_map(of_first).unwrap_or_default()
}

/// A stage whose items may be tried and lost that often.
fn bears(attempts: u32, losses: u32) -> StageSpec {
    StageSpec { attempts, losses, ..map() }
}

const FIRST: ItemKey = ItemKey { job: longshore_core::JobId([1; 16]), stage: 0, index: 0 };

/// Workers that are heard all along, and what they hold.
struct Crew {
    it: Stage,
    slots: u32,
    lives: BTreeMap<u8, u8>,
    held: Vec<(u8, Assignment)>,
}

impl Crew {
    fn new(workers: u8, slots: u32) -> Self {
        let mut it = Stage::new();
        let lives = (1..=workers).map(|worker| (worker, 1)).collect();
        (1..=workers).for_each(|worker| drop(it.join(worker, slots)));
        Self { it, slots, lives, held: Vec::new() }
    }

    fn note(&mut self, out: &Outbox) {
        self.held.extend(given(out).into_iter().map(|(worker, attempt)| (worker.0[0], attempt)));
    }

    fn submit(&mut self, job: u8, stage: StageSpec, items: u64) {
        let out = self.it.submit(job, spec(&[stage]), items);
        self.note(&out);
    }

    fn pass(&mut self, ms: u64) {
        self.it.now_ms += ms;
        for (worker, number) in self.lives.clone() {
            let as_of_ms = self.it.now_ms;
            let (worker, incarnation) = (worker_id(worker), life(number));
            let out = self.it.step(Input::Heard { worker, incarnation, as_of_ms });
            self.note(&out);
        }
        let out = self.it.step(Input::Tick);
        self.note(&out);
    }

    /// It went down, and starts again.
    fn goes_down(&mut self, worker: u8) {
        let life = self.lives[&worker] + 1;
        self.lives.insert(worker, life);
        self.held.retain(|(holder, _)| *holder != worker);
        let out = self.it.hello(worker, life, self.slots, &[], &[]);
        self.note(&out);
    }

    /// Everything but the first item succeeds that is under way now.
    fn others_succeed(&mut self) {
        let (first, others) = self.held.drain(..).partition(|(_, attempt)| attempt.item == FIRST);
        self.held = first;
        for (worker, attempt) in others {
            let (incarnation, worker) = (life(self.lives[&worker]), worker_id(worker));
            let end = End::Succeeded { outputs: 0, detail: vec![1] };
            let results = vec![Finished { id: attempt.id, item: attempt.item, end, run_us: 30_000 }];
            let out = self.it.step(Input::Finished { worker, incarnation, results });
            self.note(&out);
        }
    }

    /// Who holds the first item, and what else.
    fn holder(&self) -> Option<(u8, usize)> {
        let (worker, _) = self.held.iter().find(|(_, attempt)| attempt.item == FIRST)?;
        Some((*worker, self.held.iter().filter(|(holder, _)| holder == worker).count() - 1))
    }

    /// The first item takes down whoever has it, again and again; answers whom, and what went down with it.
    fn is_poisoned(&mut self) -> Vec<(u8, usize)> {
        let mut down = Vec::new();
        for _ in 0..400 {
            match self.holder() {
                _ if self.it.state(1).has_ended() || down.len() == 20 => break,
                Some((worker, beside)) => {
                    down.push((worker, beside));
                    self.goes_down(worker);
                }
                None => {
                    self.pass(90);
                    if self.it.now_ms.is_multiple_of(20) {
                        self.others_succeed();
                    }
                }
            }
        }
        down
    }
}

#[test]
fn a_worker_that_goes_down_with_several_items_says_nothing_of_any() {
    let mut crew = Crew::new(1, 2);
    crew.submit(1, map(), 2);
    crew.goes_down(1);
    let losses = losses(&crew.it);
    assert_eq!((losses.workers, losses.others, losses.slots), (0, 1, 0));
    assert_eq!(
        losses.on.iter().map(|on| (on.worker, on.name.as_str())).collect::<Vec<_>>(),
        [(worker_id(1), "worker-1")]
    );
}

#[test]
fn an_item_that_is_alone_on_the_only_worker_is_given_up_when_it_goes_down_once_too_often() {
    for (attempts, losses, most) in [(1, 3, 3), (10, 3, 10), (2, 5, 5), (1, 1, 2)] {
        let mut crew = Crew::new(1, 1);
        crew.submit(1, bears(attempts, losses), 1);
        assert_eq!(crew.is_poisoned().len(), most, "{attempts} {losses}");
        assert_eq!(crew.it.state(1), JobState::Failed);
        let outcome = crew.it.records.iter().rev().find_map(|record| match record {
            Record::Outcome(outcome) => Some(outcome),
            _ => None,
        });
        let given_up = outcome.and_then(|outcome| outcome.given_up.as_ref()).expect("why is kept");
        let most = u32::try_from(most).expect("a test names small numbers");
        assert_eq!((given_up.attempts, given_up.losses.workers), (most, most));
        assert_eq!((crew.it.view(1).given_up, crew.it.view(1).given_up_first[0].0), (1, FIRST));
        crew.it.retry(1);
        assert_eq!(crew.it.view(1).given_up, 0);
    }
}

#[test]
fn the_same_worker_over_and_over_counts_once_where_there_is_another() {
    let mut crew = Crew::new(2, 1);
    crew.submit(1, map(), 1);
    // The other is busy for long.
    crew.submit(2, map(), 1);
    for _ in 0..40 {
        if let Some((worker, _)) = crew.holder() {
            assert_eq!(worker, 1);
            crew.goes_down(1);
        }
        crew.pass(300);
    }
    assert_eq!(crew.it.state(1), JobState::Running);
    let losses = losses(&crew.it);
    assert!(losses.workers == 1 && losses.others >= 1, "{losses:?}");
}

#[test]
fn an_item_that_takes_down_different_workers_is_given_up() {
    let mut crew = Crew::new(3, 1);
    crew.submit(1, map(), 1);
    let down = crew.is_poisoned();
    assert_eq!(crew.it.state(1), JobState::Failed, "{down:?}");
    assert!((3..=5).contains(&down.len()), "{down:?}");
}

#[test]
fn an_item_that_takes_workers_down_is_found_out_among_many_and_soon_takes_no_other_with_it() {
    let mut crew = Crew::new(3, 2);
    crew.submit(1, map(), 30);
    let down = crew.is_poisoned();
    assert_eq!(crew.it.counts(1, 0).failed, 1, "{down:?}");
    assert!(down.len() <= 6, "{down:?}");
    assert!(down.iter().skip(2).all(|(_, beside)| *beside == 0), "after two it is alone: {down:?}");
    for _ in 0..40 {
        crew.pass(90);
        crew.others_succeed();
    }
    let counts = crew.it.counts(1, 0);
    assert_eq!((counts.failed, counts.succeeded), (1, 29));
    assert_eq!(crew.it.core.ledger().job(job_id(1)).map(|job| job.given_up().len()), Some(1));
}

#[test]
fn whoever_waits_for_an_empty_worker_gets_one_although_there_is_always_more_to_do() {
    let mut crew = Crew::new(1, 2);
    crew.submit(1, bears(9, 9), 4_000);
    // Down in company, until it is to be alone.
    for _ in 0..200 {
        match crew.holder() {
            _ if losses(&crew.it).count() == 8 => break,
            Some(_) => crew.goes_down(1),
            None => {
                crew.pass(90);
                crew.others_succeed();
            }
        }
    }
    assert_eq!(losses(&crew.it).count(), 8, "{:?} {:?}", crew.held, crew.it.view(1));
    for _ in 0..40 {
        if crew.holder().is_some() {
            break;
        }
        crew.pass(90);
        crew.others_succeed();
    }
    assert_eq!(crew.holder(), Some((1, 0)));
    assert!(crew.it.counts(1, 0).succeeded < 3_000, "it did not have to wait for everything else");
    crew.pass(900);
    crew.pass(900);
    assert_eq!(crew.holder(), Some((1, 0)), "nothing is given to that worker meanwhile");
}

#[test]
fn losses_are_known_after_a_restart_and_none_is_invented() {
    let mut crew = Crew::new(1, 1);
    crew.submit(1, bears(1, 3), 1);
    crew.goes_down(1);
    let before = losses(&crew.it);
    let mut it = crew.it.restart(2);
    let out = it.hello(1, 2, 1, &[], &[]);
    assert_eq!((losses(&it), only(&out).attempt), (before, 2));
}

#[test]
fn what_may_have_been_the_end_of_a_machine_speaks_against_an_item_only_when_it_happens_elsewhere_too() {
    let mut it = Stage::new();
    it.join(1, 1);
    it.submit(1, spec(&[bears(1, 3)]), 1);
    it.takes_over(1, 2, 1);
    it.takes_over(1, 3, 1);
    assert_eq!((losses(&it).workers, losses(&it).others), (0, 2));
    it.goodbye_of(1, 3);
    it.join(2, 1);
    assert_eq!(it.counts(1, 0).running, 1);
    it.takes_over(2, 2, 1);
    assert_eq!((losses(&it).workers, losses(&it).others), (1, 2));
}

#[test]
fn where_things_went_away_is_remembered_of_the_newest_eight() {
    let mut crew = Crew::new(1, 1);
    crew.submit(1, bears(30, 3), 1);
    for _ in 0..200 {
        match crew.holder() {
            _ if losses(&crew.it).count() == 12 => break,
            Some(_) => crew.goes_down(1),
            None => crew.pass(300),
        }
    }
    assert_eq!(losses(&crew.it).on.len(), 8);
}
