//! Pauses before another try.

/// The pause after `failures` failed tries, milliseconds: it doubles from the first to the longest, with up to a quarter of
/// jitter drawn from the item's own numbers, so that the core stays free of randomness and items of one burst still spread.
pub(crate) fn pause_ms((first_ms, longest_ms): (u64, u64), failures: u32, seed: u64) -> u64 {
    let doubled = first_ms.saturating_mul(1_u64.checked_shl(failures.saturating_sub(1)).unwrap_or(u64::MAX));
    let pause = doubled.min(longest_ms.max(first_ms));
    let spread = pause / 4;
    if spread == 0 { pause } else { pause - spread + mix(seed, u64::from(failures)) % (spread + 1) }
}

/// SplitMix64's finaliser over two numbers.
fn mix(a: u64, b: u64) -> u64 {
    let mut z = a.wrapping_add(b.wrapping_add(1).wrapping_mul(0x9e37_79b9_7f4a_7c15));
    z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    z ^ (z >> 31)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_the_longest() {
        for seed in 0..100 {
            let pauses: Vec<u64> = (1..10).map(|n| pause_ms((1_000, 60_000), n, seed)).collect();
            for (n, pause) in pauses.iter().enumerate() {
                let full = (1_000 << n).min(60_000);
                assert!((full * 3 / 4..=full).contains(pause), "{pauses:?}");
            }
        }
    }

    #[test]
    fn pauses_do_not_overflow() {
        assert!(pause_ms((u64::MAX, 0), u32::MAX, 1) >= u64::MAX / 4 * 3 - 4);
    }
}
