//! Any outcomes of shards, in any order: what is said of an answer is what a plain look at them says.

use bytes::Bytes;
use proptest::prelude::*;

use super::*;
use crate::scripted::Named;

/// What becomes of a shard, if it is heard of at all.
#[derive(Debug, Clone)]
enum Outcome {
    Whole,
    InPart(u64, u64),
    Failed,
    Refused,
    Silent,
}

fn outcome() -> impl Strategy<Value = Outcome> {
    prop_oneof![
        4 => Just(Outcome::Whole),
        2 => (1..1_000_u64).prop_flat_map(|of| (0..of, Just(of))).prop_map(|(some, of)| Outcome::InPart(some, of)),
        1 => Just(Outcome::Failed),
        1 => Just(Outcome::Refused),
        1 => Just(Outcome::Silent),
    ]
}

fn rule() -> impl Strategy<Value = Require> {
    prop_oneof![
        Just(Require::All),
        Just(Require::Deadline),
        (1..8_u32).prop_map(Require::Count),
        (1..=100_u32).prop_map(|percent| Require::Fraction(f64::from(percent) / 100.0)),
    ]
}

fn arrived(outcome: &Outcome) -> Option<Arrived<Named>> {
    let part = |share| Arrived {
        part: Ok(Prepared::Whole(Bytes::from_static(b"x").into())),
        share,
        no_room: false,
        refused: false,
        target: None,
        size: 1,
    };
    let failed =
        |refused| Arrived { part: Err("why".to_owned()), share: None, refused, no_room: false, target: None, size: 0 };
    Some(match outcome {
        Outcome::Whole => part(None),
        Outcome::InPart(some, of) => part(Share::said(true, Some(&format!("{some}/{of}")), "")),
        Outcome::Failed => failed(false),
        Outcome::Refused => failed(true),
        Outcome::Silent => return None,
    })
}

/// Parts that are whole, all there are, and the share they cover, with nothing but what the outcomes say.
fn plain(outcomes: &[(u64, Outcome, bool)]) -> (usize, usize, f64) {
    let heard: Vec<_> = outcomes.iter().map(|(weight, outcome, taken)| (*weight as f64, outcome, *taken)).collect();
    let whole = heard.iter().filter(|(_, outcome, taken)| *taken && matches!(outcome, Outcome::Whole)).count();
    let parts = |outcome: &Outcome| matches!(outcome, Outcome::Whole | Outcome::InPart(..));
    let there = heard.iter().filter(|(_, outcome, taken)| *taken && parts(outcome)).count();
    let of = |outcome: &Outcome| match outcome {
        Outcome::Whole => 1.0,
        Outcome::InPart(some, of) => *some as f64 / *of as f64,
        _ => 0.0,
    };
    let covered: f64 =
        heard.iter().filter(|(_, _, taken)| *taken).map(|(weight, outcome, _)| weight * of(outcome)).sum();
    (whole, there, covered / heard.iter().map(|(weight, ..)| weight).sum::<f64>())
}

fn check(outcomes: Vec<(u64, Outcome)>, order: &[usize], require: Require) -> Result<(), TestCaseError> {
    let topology: Topology<Named> = Topology {
        shards: outcomes.iter().map(|_| Vec::new()).collect(),
        weights: outcomes.iter().map(|(weight, _)| *weight).collect(),
        ..Topology::default()
    };
    let mut outcomes: Vec<(u64, Outcome, bool)> =
        outcomes.into_iter().map(|(weight, outcome)| (weight, outcome, false)).collect();
    let now = Instant::now();
    let mut gathering = Gathering::new(&topology, require, now, now + Duration::from_secs(60));
    for &shard in order {
        if !gathering.goes_on() {
            break;
        }
        if let Some(arrived) = arrived(&outcomes[shard].1) {
            outcomes[shard].2 = true;
            gathering.take(u32::try_from(shard).unwrap(), arrived);
        }
    }
    let (Gathered { coverage, parts }, verdict) = gathering.end();
    let (whole, there, covered) = plain(&outcomes);
    prop_assert_eq!(coverage.answered(), whole);
    prop_assert_eq!((parts.len(), coverage.answered() + coverage.in_part()), (there, there));
    prop_assert_eq!(coverage.is_complete(), whole == outcomes.len());
    prop_assert_eq!(coverage.covered() >= 1.0, whole == outcomes.len());
    prop_assert!((coverage.covered() - covered).abs() < 1e-9, "{} is not {}", coverage.covered(), covered);
    let enough = there > 0
        && match require {
            Require::All => whole == outcomes.len(),
            Require::Count(count) => whole >= count as usize,
            Require::Fraction(share) => covered + 1e-9 >= share,
            Require::Deadline => true,
        };
    prop_assert_eq!(verdict.is_ok(), enough);
    if let Err(too_few) = verdict {
        let heard = outcomes.iter().filter(|(_, _, taken)| *taken);
        let failed = heard.clone().filter(|(_, outcome, _)| matches!(outcome, Outcome::Failed)).count();
        let refused = heard.filter(|(_, outcome, _)| matches!(outcome, Outcome::Refused)).count();
        prop_assert_eq!(too_few.refused, refused > 0 && failed == 0);
    }
    Ok(())
}

/// `CASES` of them, from a command for more than the usual few thousand.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(20_000)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    #[test]
    fn what_is_said_of_an_answer_is_what_came(
        (outcomes, order, require) in prop::collection::vec((1..100_u64, outcome()), 1..8).prop_flat_map(|outcomes| {
            let order: Vec<usize> = (0..outcomes.len()).collect();
            (Just(outcomes), Just(order).prop_shuffle(), rule())
        })
    ) {
        check(outcomes, &order, require)?;
    }
}
