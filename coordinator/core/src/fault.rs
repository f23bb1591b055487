//! How an attempt failed, as far as what follows depends on it, and what a stage says of that.

/// Whose fault a failure was, which decides what follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Blame {
    /// The item's: tried again while its stage allows.
    Item,
    /// The item's, and trying again would end the same.
    Hopeless,
    /// The slot went away under it: tried again, but not for ever, or a poisonous item would take down every slot.
    Slot,
    /// Nobody's here: tried again after a pause, with more patience.
    Infrastructure,
}

/// What kind of failure it was.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FaultClass {
    /// Nothing more is known.
    #[default]
    Other,
    /// The command exited with a code other than 0.
    Exit,
    /// A signal ended it.
    Signal,
    /// It met its memory limit.
    OutOfMemory,
    /// It ran for too long.
    Timeout,
    /// An output was refused.
    Output,
    /// The image cannot be had.
    Image,
    /// The command cannot be started.
    Command,
    /// The server says that the input is bad.
    Refused,
    /// What it ran on went away under it.
    Lost,
    /// Trouble of the worker, not the item's.
    Infrastructure,
}

/// How an attempt failed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fault {
    /// What kind of failure it was.
    pub class: FaultClass,
    /// Exit code, number of the signal, or status, where the class has one.
    pub code: i32,
    /// The same for failures that are alike by what they say: a hash of class, code and words.
    pub print: u64,
}

/// Some failures: those of a class, and of these codes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FaultRule {
    /// Their class.
    pub class: FaultClass,
    /// Least and greatest code, both included. All there are, for classes that have none.
    pub codes: (i32, i32),
}

impl FaultRule {
    /// All failures of a class.
    #[must_use]
    pub fn all(class: FaultClass) -> Self {
        Self { class, codes: (i32::MIN, i32::MAX) }
    }

    fn names(&self, fault: &Fault) -> bool {
        let (least, greatest) = self.codes;
        self.class == fault.class && (least..=greatest).contains(&fault.code)
    }
}

/// What follows from a failure of an item's own, by its class.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FaultPolicy {
    /// Those that are tried again. Empty: all for which that makes sense.
    pub on: Vec<FaultRule>,
    /// Those that are not, whatever `on` says.
    pub never: Vec<FaultRule>,
    /// Those that say "nothing here": the item has ended well, and left nothing.
    pub filter: Vec<FaultRule>,
}

impl FaultPolicy {
    /// Whether the item has ended well by that.
    pub(crate) fn filters(&self, blame: Blame, fault: &Fault) -> bool {
        is_own(blame) && names(&self.filter, fault)
    }

    /// Whether the item may be tried again after that, as far as its class decides. What is not its own failure always may.
    pub(crate) fn allows(&self, blame: Blame, fault: &Fault) -> bool {
        let sensible = blame != Blame::Hopeless;
        let wanted = if self.on.is_empty() { sensible } else { names(&self.on, fault) };
        !is_own(blame) || wanted && !names(&self.never, fault)
    }
}

fn is_own(blame: Blame) -> bool {
    match blame {
        Blame::Item | Blame::Hopeless => true,
        Blame::Slot | Blame::Infrastructure => false,
    }
}

fn names(rules: &[FaultRule], fault: &Fault) -> bool {
    rules.iter().any(|rule| rule.names(fault))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exit(code: i32) -> Fault {
        Fault { class: FaultClass::Exit, code, print: 0 }
    }

    fn exits(least: i32, greatest: i32) -> FaultRule {
        FaultRule { class: FaultClass::Exit, codes: (least, greatest) }
    }

    #[test]
    fn without_rules_everything_but_the_hopeless_is_tried_again() {
        let policy = FaultPolicy::default();
        assert!(policy.allows(Blame::Item, &exit(1)));
        assert!(!policy.allows(Blame::Hopeless, &exit(1)));
        assert!(!policy.filters(Blame::Item, &exit(1)));
    }

    #[test]
    fn never_goes_before_on_and_both_ends_of_a_range_belong_to_it() {
        let policy = FaultPolicy { on: vec![exits(1, 70)], never: vec![exits(64, 78)], ..FaultPolicy::default() };
        let allowed = [0, 1, 63, 64, 70, 71].map(|code| policy.allows(Blame::Item, &exit(code)));
        assert_eq!(allowed, [false, true, true, false, false, false]);
        assert!(!policy.allows(Blame::Item, &Fault { class: FaultClass::Timeout, ..exit(1) }));
    }

    #[test]
    fn what_is_hopeless_is_tried_again_only_when_it_is_named() {
        let image = Fault { class: FaultClass::Image, ..Fault::default() };
        let on = |class| FaultPolicy { on: vec![FaultRule::all(class)], ..FaultPolicy::default() };
        assert!(on(FaultClass::Image).allows(Blame::Hopeless, &image));
        assert!(!on(FaultClass::Command).allows(Blame::Hopeless, &image));
    }

    #[test]
    fn what_is_not_the_items_is_not_for_its_stage_to_decide() {
        let rules = vec![FaultRule::all(FaultClass::Lost), FaultRule::all(FaultClass::Infrastructure)];
        let policy = FaultPolicy { never: rules.clone(), filter: rules, ..FaultPolicy::default() };
        for (blame, class) in [(Blame::Slot, FaultClass::Lost), (Blame::Infrastructure, FaultClass::Infrastructure)] {
            let fault = Fault { class, ..Fault::default() };
            assert!(policy.allows(blame, &fault) && !policy.filters(blame, &fault), "{blame:?}");
        }
    }
}
