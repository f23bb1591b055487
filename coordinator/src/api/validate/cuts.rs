//! What is to end a job before its items.

use longshore_core::{Breaker, Halt, HaltAt};
use longshore_proto::v1::{self, halt::Fail};

use crate::limits;

/// How many failed items end it.
pub fn halt(halt: &v1::Halt) -> Result<Halt, String> {
    let at = match halt.fail {
        Some(Fail::Items(items @ 1..)) => HaltAt::Items(items),
        Some(Fail::Percent(percent @ 1..=100)) => HaltAt::Percent(percent),
        Some(Fail::Items(0)) => return Err("halt: at least one item has to fail".to_owned()),
        Some(Fail::Percent(percent)) => return Err(format!("halt: a share is from 1% to 100%, not {percent}%")),
        None => return Err("halt: it says neither how many items nor which share of them".to_owned()),
    };
    Ok(Halt { at, now: halt.now })
}

/// How many items go before all others.
pub fn canary(items: u32) -> Result<u32, String> {
    if items > limits::CANARY {
        return Err(format!("canary is at most {}, not {items}", limits::CANARY));
    }
    Ok(items)
}

/// Whether it ends when nothing succeeds in a stage.
pub fn breaker(breaker: v1::Breaker) -> Breaker {
    match breaker {
        v1::Breaker::Unspecified => Breaker::Auto,
        v1::Breaker::On => Breaker::On,
        v1::Breaker::Off => Breaker::Off,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_halt_is_at_some_items_or_a_share_of_them() {
        let told = |fail| halt(&v1::Halt { fail, now: true });
        assert_eq!(told(Some(Fail::Items(3))), Ok(Halt { at: HaltAt::Items(3), now: true }));
        assert_eq!(told(Some(Fail::Percent(100))), Ok(Halt { at: HaltAt::Percent(100), now: true }));
        for bad in [None, Some(Fail::Items(0)), Some(Fail::Percent(0)), Some(Fail::Percent(101))] {
            assert!(told(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_canary_is_a_few_items() {
        assert!(canary(limits::CANARY).is_ok() && canary(limits::CANARY + 1).is_err());
    }
}
