//! What ends a job before its items, as kept messages.

use longshore_core::{Breaker, Cut, Halt, HaltAt};

use super::{error::Malformed, v1};

pub fn halt_to_kept(halt: Halt) -> v1::Halt {
    let Halt { at, now } = halt;
    let (items, percent) = match at {
        HaltAt::Items(items) => (items, 0),
        HaltAt::Percent(percent) => (0, percent),
    };
    v1::Halt { items, percent, now }
}

pub fn halt_from_kept(halt: v1::Halt) -> Halt {
    let v1::Halt { items, percent, now } = halt;
    let at = if percent > 0 { HaltAt::Percent(percent) } else { HaltAt::Items(items) };
    Halt { at, now }
}

pub fn to_kept(cut: Cut) -> v1::Cut {
    let stage = |stage: u16| u32::from(stage) + 1;
    let none = v1::Cut::default();
    match cut {
        Cut::Halt => v1::Cut { halt: true, ..none },
        Cut::Deadline => v1::Cut { deadline: true, ..none },
        Cut::Canary { stage: at } => v1::Cut { canary: stage(at), ..none },
        Cut::Breaker { stage: at } => v1::Cut { breaker: stage(at), ..none },
        Cut::Image { stage: at } => v1::Cut { breaker: stage(at), image: true, ..none },
        Cut::QueueTimeout => v1::Cut { deadline: true, queue: true, ..none },
    }
}

pub fn from_kept(cut: v1::Cut) -> Result<Cut, Malformed> {
    let stage = |at: u32| u16::try_from(at - 1).map_err(|_| Malformed::Missing { field: "stage that ended it" });
    match cut {
        v1::Cut { halt: true, .. } => Ok(Cut::Halt),
        v1::Cut { deadline: true, queue: true, .. } => Ok(Cut::QueueTimeout),
        v1::Cut { deadline: true, .. } => Ok(Cut::Deadline),
        v1::Cut { canary: at @ 1.., .. } => Ok(Cut::Canary { stage: stage(at)? }),
        v1::Cut { breaker: at @ 1.., image: true, .. } => Ok(Cut::Image { stage: stage(at)? }),
        v1::Cut { breaker: at @ 1.., .. } => Ok(Cut::Breaker { stage: stage(at)? }),
        _ => Err(Malformed::Missing { field: "reason why it ends" }),
    }
}

pub fn breaker_to_kept(breaker: Breaker) -> v1::Breaker {
    match breaker {
        Breaker::Auto => v1::Breaker::Auto,
        Breaker::On => v1::Breaker::On,
        Breaker::Off => v1::Breaker::Off,
    }
}

pub fn breaker_from_kept(breaker: i32) -> Result<Breaker, Malformed> {
    match v1::Breaker::try_from(breaker) {
        Ok(v1::Breaker::Auto) => Ok(Breaker::Auto),
        Ok(v1::Breaker::On) => Ok(Breaker::On),
        Ok(v1::Breaker::Off) => Ok(Breaker::Off),
        Err(_) => Err(Malformed::Unknown { field: "stage's breaker", value: breaker }),
    }
}
