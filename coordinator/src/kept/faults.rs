//! Rules about failures as kept messages, and classes of failures in the words of the wire.

use longshore_core::{FaultClass, FaultRule};
use longshore_proto::v1::FailureClass;

use super::{error::Malformed, v1};

/// As kept.
pub fn to_kept(rules: Vec<FaultRule>) -> Vec<v1::FaultRule> {
    let rule = |rule: FaultRule| {
        let (from, to) = if rule == FaultRule::all(rule.class) { (0, 0) } else { rule.codes };
        v1::FaultRule { class: on_wire(rule.class) as u32, from, to }
    };
    rules.into_iter().map(rule).collect()
}

/// The rules that were kept.
pub fn from_kept(rules: Vec<v1::FaultRule>) -> Result<Vec<FaultRule>, Malformed> {
    let rule = |v1::FaultRule { class, from, to }| {
        let value = i32::try_from(class).unwrap_or(i32::MAX);
        let known = FailureClass::try_from(value).map_err(|_| Malformed::Unknown { field: "rule's class", value })?;
        let class = of_wire(known);
        Ok(if (from, to) == (0, 0) { FaultRule::all(class) } else { FaultRule { class, codes: (from, to) } })
    };
    rules.into_iter().map(rule).collect()
}

/// The class that the core knows.
pub fn of_wire(class: FailureClass) -> FaultClass {
    match class {
        FailureClass::Unspecified => FaultClass::Other,
        FailureClass::Exit => FaultClass::Exit,
        FailureClass::Signal => FaultClass::Signal,
        FailureClass::OutOfMemory => FaultClass::OutOfMemory,
        FailureClass::Timeout => FaultClass::Timeout,
        FailureClass::Image => FaultClass::Image,
        FailureClass::Command => FaultClass::Command,
        FailureClass::Output => FaultClass::Output,
        FailureClass::SlotLost => FaultClass::Lost,
        FailureClass::Infrastructure => FaultClass::Infrastructure,
        FailureClass::Refused => FaultClass::Refused,
    }
}

/// The class in the words of the wire.
pub fn on_wire(class: FaultClass) -> FailureClass {
    match class {
        FaultClass::Other => FailureClass::Unspecified,
        FaultClass::Exit => FailureClass::Exit,
        FaultClass::Signal => FailureClass::Signal,
        FaultClass::OutOfMemory => FailureClass::OutOfMemory,
        FaultClass::Timeout => FailureClass::Timeout,
        FaultClass::Image => FailureClass::Image,
        FaultClass::Command => FailureClass::Command,
        FaultClass::Output => FailureClass::Output,
        FaultClass::Lost => FailureClass::SlotLost,
        FaultClass::Infrastructure => FailureClass::Infrastructure,
        FaultClass::Refused => FailureClass::Refused,
    }
}
