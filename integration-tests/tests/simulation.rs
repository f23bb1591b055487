//! The simulated world over many seeds, and proof that its oracle sees what it should.
//!
//! `LONGSHORE_SIM_SEEDS` says how many seeds, `LONGSHORE_SIM_FIRST` where they begin, `LONGSHORE_SIM_SEED` runs just one.

use std::{thread, time::Instant};

use integration_tests::world::{
    coverage::Coverage,
    outcome::{Failure, run},
    sabotage::Sabotage,
};

/// Few enough for every build; more are asked for by environment.
const SEEDS: u64 = 480;

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok().map(|text| text.parse().unwrap_or_else(|_| panic!("{name} is not a number: {text:?}")))
}

struct Survey {
    coverage: Coverage,
    failures: Vec<Failure>,
    events: u64,
    ms: u64,
}

/// Runs every `step`th seed of a range, until one has failed.
fn survey(first: u64, end: u64, step: u64) -> Survey {
    let mut survey = Survey { coverage: Coverage::default(), failures: Vec::new(), events: 0, ms: 0 };
    let mut seed = first;
    while seed < end && survey.failures.is_empty() {
        match run(seed, Sabotage::None) {
            Ok(lived) => {
                survey.coverage.add(&lived.coverage);
                survey.events += lived.events;
                survey.ms += lived.ms;
            }
            Err(failure) => survey.failures.push(*failure),
        }
        seed += step;
    }
    survey
}

#[test]
fn every_promise_holds_in_every_world() {
    if let Some(seed) = number("LONGSHORE_SIM_SEED") {
        let lived = run(seed, Sabotage::None).unwrap_or_else(|failure| panic!("{failure}"));
        println!("seed {seed}: {} events, {} ms", lived.events, lived.ms);
        return;
    }
    let first = number("LONGSHORE_SIM_FIRST").unwrap_or(0);
    let seeds = number("LONGSHORE_SIM_SEEDS").unwrap_or(SEEDS);
    let lanes = thread::available_parallelism().map_or(1, |lanes| lanes.get() as u64);
    let began = Instant::now();
    let surveys: Vec<Survey> = thread::scope(|scope| {
        let lane = |lane| scope.spawn(move || survey(first + lane, first + seeds, lanes));
        let running: Vec<_> = (0..lanes).map(lane).collect();
        running.into_iter().map(|lane| lane.join().expect("a lane ends")).collect()
    });
    let took = began.elapsed();
    let mut coverage = Coverage::default();
    let (mut events, mut ms, mut failed) = (0, 0, 0);
    for survey in &surveys {
        coverage.add(&survey.coverage);
        events += survey.events;
        ms += survey.ms;
        failed += survey.failures.len();
        survey.failures.iter().for_each(|failure| println!("{failure}\n"));
    }
    println!(
        "{seeds} seeds, {events} events, {} simulated hours in {took:.1?}: {:.0} seeds/s",
        ms / 3_600_000,
        seeds as f64 / took.as_secs_f64()
    );
    coverage.iter().for_each(|(what, times)| println!("{times:>9} × {what}"));
    assert_eq!(failed, 0, "seeds failed; see above");
    if seeds >= SEEDS {
        assert_eq!(coverage.missing(), Vec::<&str>::new(), "these never happened");
    }
}

#[test]
fn a_seed_is_the_same_run_every_time() {
    for seed in 0..5 {
        let once = run(seed, Sabotage::None).unwrap_or_else(|failure| panic!("{failure}"));
        let again = run(seed, Sabotage::None).unwrap_or_else(|failure| panic!("{failure}"));
        assert_eq!((once.events, once.ms), (again.events, again.ms));
        assert_eq!(once.coverage, again.coverage);
    }
}

/// A gather that failed was put back while inputs of its group were, too: for that moment there is no such item.
#[test]
fn a_gather_is_put_back_together_with_what_it_lacks() {
    for seed in [1269, 2114] {
        run(seed, Sabotage::None).unwrap_or_else(|failure| panic!("{failure}"));
    }
}

#[test]
fn every_rule_of_the_drive_is_missed_when_it_is_broken() {
    for sabotage in Sabotage::all() {
        let found = (0..SEEDS).find_map(|seed| run(seed, sabotage).err());
        let found = found.unwrap_or_else(|| panic!("{sabotage:?} is not found"));
        println!("{sabotage:?}: seed {}: {}", found.seed, found.what);
    }
}
