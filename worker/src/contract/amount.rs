//! Amounts as people write them.

/// A number of bytes, in the largest unit that divides it.
pub(crate) fn bytes(number: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, size)| number >= *size && number.is_multiple_of(*size));
    unit.map_or_else(|| format!("{number} bytes"), |(name, size)| format!("{} {name}", number / size))
}

/// Thousandths of CPUs.
pub(crate) fn cpus(milli: u32) -> String {
    (f64::from(milli) / 1_000.0).to_string()
}

/// A number of bytes that was measured, to a tenth of the largest unit.
pub(crate) fn about(number: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];
    let unit = UNITS.iter().find(|(_, size)| number >= *size);
    unit.map_or_else(|| bytes(number), |(name, size)| format!("{:.1} {name}", number as f64 / *size as f64))
}

/// A number of bytes as flags and specs take it.
pub(crate) fn flag(number: u64) -> String {
    const UNITS: [(&str, u64); 4] = [("t", 1 << 40), ("g", 1 << 30), ("m", 1 << 20), ("k", 1 << 10)];
    let unit = UNITS.iter().find(|(_, size)| number >= *size && number.is_multiple_of(*size));
    unit.map_or_else(|| number.to_string(), |(name, size)| format!("{}{name}", number / size))
}

/// A number of milliseconds, likewise.
pub(crate) fn milliseconds(number: u64) -> String {
    match number {
        ms if ms > 0 && ms % 60_000 == 0 => format!("{}min", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn amounts_are_told_in_the_unit_that_fits() {
        assert_eq!([bytes(0), bytes(1_500), bytes(64 << 20)], ["0 bytes", "1500 bytes", "64 MiB"]);
        assert_eq!([cpus(1_500), cpus(2_000)], ["1.5", "2"]);
        assert_eq!([flag(20 << 30), flag(1_000)], ["20g", "1000"]);
        assert_eq!([about(10), about(1_600_000)], ["10 bytes", "1.5 MiB"]);
        assert_eq!([milliseconds(250), milliseconds(2_000), milliseconds(120_000)], ["250ms", "2s", "2min"]);
    }
}
