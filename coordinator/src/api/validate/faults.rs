//! What a stage says of failures: which are tried again, and which are none.

use std::ops::RangeInclusive;

use longshore_core::{FaultPolicy, FaultRule};
use longshore_proto::v1::{FailureClass, FailureRule, Retry};

use crate::{kept::faults, limits};

/// Exit codes of a failure.
const EXIT_CODES: RangeInclusive<i32> = 1..=255;

/// Numbers of signals.
const SIGNALS: RangeInclusive<i32> = 1..=64;

/// Statuses that say that an input is bad.
const STATUSES: RangeInclusive<i32> = 400..=499;

/// What the core needs of it.
pub fn policy(retry: &Retry, filter: &[FailureRule]) -> Result<FaultPolicy, String> {
    if let Some(other) = filter.iter().find(|rule| rule.class() != FailureClass::Exit) {
        return Err(format!("filter is for exit codes, not for {}", other.class().as_str_name()));
    }
    if filter.iter().any(|rule| (rule.from, rule.to) == (0, 0)) {
        return Err("filter names exit codes, such as `exit: [3]`: of any code nothing could fail".to_owned());
    }
    Ok(FaultPolicy {
        on: rules("retry.on", &retry.on)?,
        never: rules("retry.never", &retry.never)?,
        filter: rules("filter", filter)?,
    })
}

fn rules(field: &str, rules: &[FailureRule]) -> Result<Vec<FaultRule>, String> {
    if rules.len() > limits::FAULT_RULES {
        return Err(format!("{field} has {} rules; there can be {}", rules.len(), limits::FAULT_RULES));
    }
    rules.iter().map(|told| rule(told).map_err(|why| format!("{field}: {why}"))).collect()
}

fn rule(told: &FailureRule) -> Result<FaultRule, String> {
    let codes = match told.class() {
        FailureClass::Exit => Some(("exit codes", EXIT_CODES)),
        FailureClass::Signal => Some(("signals", SIGNALS)),
        FailureClass::Refused => Some(("statuses", STATUSES)),
        FailureClass::OutOfMemory
        | FailureClass::Timeout
        | FailureClass::Image
        | FailureClass::Command
        | FailureClass::Output => None,
        FailureClass::SlotLost | FailureClass::Infrastructure => {
            return Err("losses and trouble of the infrastructure are tried through; `retry.losses` bounds the former"
                .to_owned());
        }
        FailureClass::Unspecified => return Err("a class of failures that this coordinator does not know".to_owned()),
    };
    let class = faults::of_wire(told.class());
    let (from, to) = (told.from, told.to);
    match codes {
        _ if (from, to) == (0, 0) => Ok(FaultRule::all(class)),
        None => Err("such failures have no code".to_owned()),
        Some((what, bounds)) if from > to || !bounds.contains(&from) || !bounds.contains(&to) => {
            Err(format!("{what} are from {} to {}, not {from}-{to}", bounds.start(), bounds.end()))
        }
        Some(_) => Ok(FaultRule { class, codes: (from, to) }),
    }
}

#[cfg(test)]
mod tests {
    use longshore_core::FaultClass;

    use super::*;

    fn told(class: FailureClass, from: i32, to: i32) -> FailureRule {
        FailureRule { class: class.into(), from, to }
    }

    #[test]
    fn rules_name_classes_and_codes_that_there_are() {
        let rule = |class, from, to| rule(&told(class, from, to));
        assert_eq!(rule(FailureClass::OutOfMemory, 0, 0), Ok(FaultRule::all(FaultClass::OutOfMemory)));
        assert_eq!(rule(FailureClass::Exit, 1, 255), Ok(FaultRule { class: FaultClass::Exit, codes: (1, 255) }));
        for (class, from, to) in [
            (FailureClass::Exit, 0, 3),
            (FailureClass::Exit, 3, 256),
            (FailureClass::Exit, 4, 3),
            (FailureClass::Signal, 1, 65),
            (FailureClass::Refused, 1, 500),
            (FailureClass::Timeout, 1, 1),
            (FailureClass::SlotLost, 0, 0),
            (FailureClass::Infrastructure, 0, 0),
            (FailureClass::Unspecified, 0, 0),
        ] {
            assert!(rule(class, from, to).is_err(), "{class:?} {from}-{to}");
        }
    }

    #[test]
    fn only_exit_codes_filter() {
        let filter = |rule| policy(&Retry::default(), &[rule]).map(|policy| policy.filter.len());
        assert_eq!(filter(told(FailureClass::Exit, 3, 3)), Ok(1));
        assert!(filter(told(FailureClass::Signal, 3, 3)).is_err());
        assert!(filter(told(FailureClass::Exit, 0, 0)).is_err());
    }

    #[test]
    fn a_stage_has_a_bounded_number_of_rules() {
        let rules = |count| rules("retry.on", &vec![told(FailureClass::Timeout, 0, 0); count]);
        assert!(rules(limits::FAULT_RULES).is_ok());
        assert!(rules(limits::FAULT_RULES + 1).is_err());
    }
}
