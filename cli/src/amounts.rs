//! Times, lengths of time, sizes and counts as people read them.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use indicatif::{BinaryBytes, HumanCount};

/// A length of time: `123ms`, `4.5s`, `2m 5s`, `3h 10m`, `4d 2h`.
pub fn took(millis: u64) -> String {
    let seconds = millis / 1_000;
    match seconds {
        0 => format!("{millis}ms"),
        1..60 => format!("{}.{}s", seconds, millis % 1_000 / 100),
        60..3_600 => format!("{}m {}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h {}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d {}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

/// How long ago, in its largest unit: `5s`, `3m`, `2h`, `4d`.
pub fn age(since_ms: u64, now_ms: u64) -> String {
    let seconds = now_ms.saturating_sub(since_ms) / 1_000;
    match seconds {
        0..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m", seconds / 60),
        3_600..86_400 => format!("{}h", seconds / 3_600),
        _ => format!("{}d", seconds / 86_400),
    }
}

/// A point in time as RFC 3339 has it, in UTC; `None` for 0, which means never.
pub fn moment(unix_ms: u64) -> Option<String> {
    // Beyond the year 9999 the format has no words; hostile clocks are cut off there.
    let at = UNIX_EPOCH + Duration::from_millis(unix_ms.min(253_402_300_799_000));
    (unix_ms > 0).then(|| humantime::format_rfc3339_millis(at).to_string())
}

/// Now, in milliseconds of Unix time.
pub fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// `1,234`.
pub fn count(count: u64) -> String {
    HumanCount(count).to_string()
}

/// `1.50 KiB`.
pub fn bytes(bytes: u64) -> String {
    BinaryBytes(bytes).to_string()
}

/// A count and its noun: `1 item`, `2 items`.
pub fn some(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lengths_of_time_have_two_units_at_most() {
        for (millis, text) in [
            (0, "0ms"),
            (999, "999ms"),
            (4_560, "4.5s"),
            (125_000, "2m 5s"),
            (11_400_000, "3h 10m"),
            (352_800_000, "4d 2h"),
        ] {
            assert_eq!(took(millis), text);
        }
    }

    #[test]
    fn ages_never_run_backwards() {
        assert_eq!(age(10_000, 5_000), "0s");
        assert_eq!(age(0, 7_200_000), "2h");
    }

    #[test]
    fn moments_are_utc_and_never_is_none() {
        assert_eq!(moment(0), None);
        assert_eq!(moment(1_500).as_deref(), Some("1970-01-01T00:00:01.500Z"));
        assert!(moment(u64::MAX).is_some());
    }

    #[test]
    fn nouns_agree_with_their_counts() {
        assert_eq!((some(1, "item"), some(1_200, "item")), ("1 item".to_owned(), "1,200 items".to_owned()));
    }
}
