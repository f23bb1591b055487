//! The names of things, and the time.

use std::{fmt, ops::RangeInclusive, sync::Arc};

macro_rules! sixteen_bytes {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub [u8; 16]);

        impl fmt::Display for $name {
            /// As RFC 9562 writes a UUID.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                for (at, byte) in self.0.iter().enumerate() {
                    if matches!(at, 4 | 6 | 8 | 10) {
                        f.write_str("-")?;
                    }
                    write!(f, "{byte:02x}")?;
                }
                Ok(())
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "{}({self})", stringify!($name))
            }
        }
    };
}

sixteen_bytes!(
    /// A job. Made outside the core; ids that sort by time list jobs in order.
    JobId
);
impl JobId {
    /// All ids that begin with these hexadecimal digits, of which there are 1 to 32, in either case and with dashes or
    /// without; `None` when they are none.
    #[must_use]
    pub fn starting_with(text: &str) -> Option<RangeInclusive<Self>> {
        let (mut first, mut last) = ([0x00; 16], [0xff; 16]);
        let mut digits = 0;
        for char in text.chars().filter(|char| *char != '-') {
            let digit = u8::try_from(char.to_digit(16)?).ok()?;
            let (shift, mask) = if digits % 2 == 0 { (4, 0x0f) } else { (0, 0xf0) };
            let (low, high) = (first.get_mut(digits / 2)?, last.get_mut(digits / 2)?);
            *low |= digit << shift;
            *high &= (digit << shift) | mask;
            digits += 1;
        }
        (digits > 0).then_some(Self(first)..=Self(last))
    }

    /// With all digits the other way round.
    pub(crate) fn reversed(self) -> Self {
        let mut bytes = self.0.map(|byte| byte.rotate_left(4));
        bytes.reverse();
        Self(bytes)
    }
}

sixteen_bytes!(
    /// A worker, for as long as its data directory lives.
    WorkerId
);
sixteen_bytes!(
    /// One life of a worker's process.
    Incarnation
);

/// Whose things these are. What its name may be is for whoever takes it in to check. Cheap to clone.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Namespace(Arc<str>);

impl Namespace {
    /// Of this name.
    #[must_use]
    pub fn named(name: &str) -> Self {
        Self(name.into())
    }

    /// Its name.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0
    }

    /// Whether it is that of whoever names none.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.name() == DEFAULT
    }
}

/// The namespace that nobody has to name.
const DEFAULT: &str = "default";

impl Default for Namespace {
    /// That of whoever names none.
    fn default() -> Self {
        Self::named(DEFAULT)
    }
}

impl fmt::Display for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Namespace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Namespace({self})")
    }
}

/// The hash that names a blob. The core never looks inside.
pub type Digest = [u8; 32];

/// One request that waits for a [`Reply`](crate::Reply). Made outside the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct RequestId(pub u64);

/// One try of one item. The epoch says which run of the coordinator gave it out, so nothing of an earlier run can be
/// mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct AttemptId {
    /// The coordinator's epoch.
    pub epoch: u64,
    /// Counts up within the epoch.
    pub number: u64,
}

/// One item of one stage of one job.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct ItemKey {
    /// The job.
    pub job: JobId,
    /// Position of the stage in the job.
    pub stage: u16,
    /// Position of the item in the stage.
    pub index: u64,
}

/// The time, as told to the core.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub struct Now {
    /// Milliseconds of a clock that never jumps: leases and pauses are measured on it.
    pub steady_ms: u64,
    /// Milliseconds since the Unix epoch: only shown, never compared; but for how long tokens are good, which people are told
    /// as a date.
    pub wall_ms: u64,
}

#[cfg(test)]
mod tests {
    use super::JobId;

    fn range(text: &str) -> Option<(String, String)> {
        JobId::starting_with(text).map(|ids| (ids.start().to_string(), ids.end().to_string()))
    }

    #[test]
    fn a_whole_id_starts_only_itself() {
        let id =
            JobId([0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef, 0xfe, 0xdc, 0xba, 0x98, 0x76, 0x54, 0x32, 0x10]);
        assert_eq!(JobId::starting_with(&id.to_string()), Some(id..=id));
        assert_eq!(JobId::starting_with(&id.to_string().replace('-', "").to_uppercase()), Some(id..=id));
    }

    #[test]
    fn digits_may_be_odd_in_number() {
        let (first, last) = ("abc00000-0000-0000-0000-000000000000", "abcfffff-ffff-ffff-ffff-ffffffffffff");
        assert_eq!(range("aBc"), Some((first.to_owned(), last.to_owned())));
        let (first, last) = ("01234567-8a00-0000-0000-000000000000", "01234567-8aff-ffff-ffff-ffffffffffff");
        assert_eq!(range("01234567-8a"), Some((first.to_owned(), last.to_owned())));
    }

    #[test]
    fn what_is_no_beginning_of_an_id_starts_none() {
        for text in ["", "-", "x", "0g", "last", "é", &"0".repeat(33)] {
            assert_eq!(range(text), None, "{text:?}");
        }
    }
}
