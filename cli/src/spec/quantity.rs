//! Durations, sizes, shares of CPUs and counts, as flags and specs write them.

use std::{fmt, marker::PhantomData};

use longshore_client::bounds::{LOSSES, OUTPUTS, REPLICAS, SHARDS};
use serde::{
    Deserializer,
    de::{self, Visitor},
};

use super::invalid::{Checked, Invalid};

/// Most output files of an attempt.
pub const OUTPUT_FILES: u32 = OUTPUTS as u32;

/// A scalar with a meaning: what texts and numbers it is read from.
pub trait Quantity: Sized {
    /// What is expected, for errors: "a duration such as 30s".
    const EXPECTED: &'static str;

    /// From text, which is also how flags give it.
    fn from_text(text: &str) -> Option<Self>;

    /// From a whole number.
    fn from_integer(number: u64) -> Option<Self> {
        let _ = number;
        None
    }

    /// From a number with a point.
    fn from_float(number: f64) -> Option<Self> {
        let _ = number;
        None
    }

    /// Its JSON Schema.
    #[cfg(test)]
    fn schema() -> schemars::Schema;
}

/// A length of time in milliseconds, above 0: `2s`, `1m 30s`, `500ms`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Millis(pub u64);

impl Quantity for Millis {
    const EXPECTED: &'static str = "a duration above 0 with a unit, such as `500ms`, `2s` or `1m 30s`";

    fn from_text(text: &str) -> Option<Millis> {
        let millis = humantime::parse_duration(text).ok()?.as_millis();
        u64::try_from(millis).ok().filter(|&millis| millis > 0).map(Millis)
    }

    #[cfg(test)]
    fn schema() -> schemars::Schema {
        schemars::json_schema!({ "type": "string", "description": Self::EXPECTED, "pattern": "^[0-9].*[a-zA-Z]$" })
    }
}

/// A size in bytes, above 0: `512MiB`, `2g` (powers of 1024, as Docker has them), or a number of bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ByteSize(pub u64);

impl Quantity for ByteSize {
    const EXPECTED: &'static str = "a size above 0, such as `512MiB`, `2g` or a number of bytes";

    fn from_text(text: &str) -> Option<ByteSize> {
        let bytes = parse_size::Config::new().with_binary().parse_size(text).ok()?;
        ByteSize::from_integer(bytes)
    }

    fn from_integer(number: u64) -> Option<ByteSize> {
        (number > 0).then_some(ByteSize(number))
    }

    #[cfg(test)]
    fn schema() -> schemars::Schema {
        schemars::json_schema!({ "type": ["string", "integer"], "description": Self::EXPECTED, "exclusiveMinimum": 0 })
    }
}

/// CPUs in thousandths, above 0: `1.5`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MilliCpus(pub u32);

impl Quantity for MilliCpus {
    const EXPECTED: &'static str = "a number of CPUs, such as `1.5`, at least 0.001 and at most 65536";

    fn from_text(text: &str) -> Option<MilliCpus> {
        MilliCpus::from_float(text.parse().ok()?)
    }

    fn from_integer(number: u64) -> Option<MilliCpus> {
        MilliCpus::from_float(number as f64)
    }

    fn from_float(number: f64) -> Option<MilliCpus> {
        let milli = (number * 1000.0).round();
        (1.0..=65_536_000.0).contains(&milli).then_some(MilliCpus(milli as u32))
    }

    #[cfg(test)]
    fn schema() -> schemars::Schema {
        schemars::json_schema!({ "type": "number", "description": Self::EXPECTED, "minimum": 0.001, "maximum": 65536 })
    }
}

/// A whole number of at least 1 and at most `MAX`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Count<const MAX: u32>(pub u32);

impl<const MAX: u32> Quantity for Count<MAX> {
    const EXPECTED: &'static str = match MAX {
        REPLICAS => "a whole number from 1 to 64",
        SHARDS => "a whole number from 1 to 1024",
        LOSSES => "a whole number from 1 to 1000",
        OUTPUT_FILES => "a whole number from 1 to 10000",
        65_535 => "a whole number from 1 to 65535",
        _ => "a whole number of at least 1",
    };

    fn from_text(text: &str) -> Option<Self> {
        Self::from_integer(text.parse().ok()?)
    }

    fn from_integer(number: u64) -> Option<Self> {
        let number = u32::try_from(number).ok()?;
        (1..=MAX).contains(&number).then_some(Count(number))
    }

    #[cfg(test)]
    fn schema() -> schemars::Schema {
        schemars::json_schema!({ "type": "integer", "minimum": 1, "maximum": MAX })
    }
}

struct QuantityVisitor<Q>(PhantomData<Q>);

impl<Q: Quantity> Visitor<'_> for QuantityVisitor<Q> {
    type Value = Q;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(Q::EXPECTED)
    }

    fn visit_str<E: de::Error>(self, text: &str) -> Result<Q, E> {
        Q::from_text(text).ok_or_else(|| refusal::<Q, E>(&text))
    }

    fn visit_u64<E: de::Error>(self, number: u64) -> Result<Q, E> {
        Q::from_integer(number).ok_or_else(|| refusal::<Q, E>(&number))
    }

    fn visit_i64<E: de::Error>(self, number: i64) -> Result<Q, E> {
        let positive = u64::try_from(number).ok();
        positive.and_then(Q::from_integer).ok_or_else(|| refusal::<Q, E>(&number))
    }

    fn visit_f64<E: de::Error>(self, number: f64) -> Result<Q, E> {
        Q::from_float(number).ok_or_else(|| refusal::<Q, E>(&number))
    }
}

fn refusal<Q: Quantity, E: de::Error>(got: &dyn fmt::Display) -> E {
    E::custom(format!("`{got}` is not {}", Q::EXPECTED))
}

/// Read by serde.
pub fn deserialize<'de, Q: Quantity, D: Deserializer<'de>>(deserializer: D) -> Result<Q, D::Error> {
    deserializer.deserialize_any(QuantityVisitor(PhantomData))
}

/// Read from a word.
pub fn read<Q: Quantity>(text: &str) -> Checked<Q> {
    Q::from_text(text).ok_or_else(|| Invalid(format!("expected {}", Q::EXPECTED)))
}

macro_rules! quantities {
    ($([$($generics:tt)*] $quantity:ty;)*) => {$(
        impl<'de, $($generics)*> serde::Deserialize<'de> for $quantity {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                $crate::spec::quantity::deserialize(deserializer)
            }
        }

        impl<$($generics)*> std::str::FromStr for $quantity {
            type Err = $crate::spec::invalid::Invalid;

            fn from_str(text: &str) -> $crate::spec::invalid::Checked<Self> {
                $crate::spec::quantity::read(text)
            }
        }

        #[cfg(test)]
        impl<$($generics)*> schemars::JsonSchema for $quantity {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($quantity).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                <$quantity as $crate::spec::quantity::Quantity>::schema()
            }
        }
    )*};
}

pub(super) use quantities;

quantities! {
    [] Millis;
    [] ByteSize;
    [] MilliCpus;
    [const MAX: u32] Count<MAX>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_units() {
        for (text, millis) in [("2s", 2_000), ("500ms", 500), ("1m 30s", 90_000), ("1h", 3_600_000)] {
            assert_eq!(text.parse(), Ok(Millis(millis)), "{text}");
        }
        for bad in ["2", "0s", "-1s", "s", "", "1ns", "1e30y"] {
            assert!(bad.parse::<Millis>().is_err(), "{bad}");
        }
    }

    #[test]
    fn sizes_are_powers_of_1024_as_docker_has_them() {
        for (text, bytes) in
            [("512MiB", 512 << 20), ("2g", 2 << 30), ("512m", 512 << 20), ("1024", 1024), ("1KB", 1024)]
        {
            assert_eq!(text.parse(), Ok(ByteSize(bytes)), "{text}");
        }
        for bad in ["", "0", "-1m", "lots", "1x"] {
            assert!(bad.parse::<ByteSize>().is_err(), "{bad}");
        }
    }

    #[test]
    fn cpus_are_thousandths() {
        assert_eq!("1.5".parse(), Ok(MilliCpus(1_500)));
        assert_eq!("2".parse(), Ok(MilliCpus(2_000)));
        for bad in ["0", "-1", "nan", "inf", "1e9", "x"] {
            assert!(bad.parse::<MilliCpus>().is_err(), "{bad}");
        }
    }

    #[test]
    fn counts_are_whole_and_bounded() {
        assert_eq!("3".parse(), Ok(Count::<SHARDS>(3)));
        for bad in ["0", "1025", "-1", "1.5"] {
            assert!(bad.parse::<Count<SHARDS>>().is_err(), "{bad}");
        }
        // A constant cannot be made of another one's digits.
        assert!(Count::<SHARDS>::EXPECTED.ends_with(&format!("to {SHARDS}")));
        assert!(Count::<REPLICAS>::EXPECTED.ends_with(&format!("to {REPLICAS}")));
        assert!(Count::<LOSSES>::EXPECTED.ends_with(&format!("to {LOSSES}")));
        assert!(Count::<OUTPUT_FILES>::EXPECTED.ends_with(&format!("to {OUTPUT_FILES}")));
    }
}
