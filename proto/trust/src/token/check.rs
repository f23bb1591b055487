//! The check at a token's end, which notices typing errors before anything is sent.
//!
//! All bytes before it are read as one number in base 256, and divided by the largest prime that two symbols have room for.
//! What is left over changes with every byte that is changed, whatever the byte, and whenever two neighbours change places:
//! the difference is less than the prime, times a power of 256, which the prime does not divide.

use crate::crockford;

/// The largest prime below 1,024, which is what two symbols have room for.
const PRIME: u32 = 1_021;

/// The check of everything before it.
pub fn of(text: &str) -> u32 {
    text.bytes().fold(0, |sum, byte| (sum * 256 + u32::from(byte)) % PRIME)
}

/// Appends it as two symbols.
pub fn append(check: u32, to: &mut String) {
    // Ten bits, and six more that are not there: two symbols of the four that two bytes take.
    let bytes = u16::try_from(check << 6).expect("a check has ten bits").to_be_bytes();
    to.push_str(&crockford::encode(&bytes)[..2]);
}

/// From two symbols.
pub fn decode(text: &str) -> Option<u32> {
    let bytes: [u8; 2] = (text.len() == 2).then(|| crockford::decode(&format!("{text}00"))).flatten()?;
    Some(u32::from(u16::from_be_bytes(bytes)) >> 6)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_is_read_as_it_is_written() {
        for check in 0..PRIME {
            let mut text = String::new();
            append(check, &mut text);
            assert_eq!((text.len(), decode(&text)), (2, Some(check)));
        }
        assert_eq!((decode(""), decode("é"), decode("00U")), (None, None, None));
    }

    #[test]
    fn one_other_byte_or_two_that_changed_places_are_noticed() {
        let text = "LSJ1-0123456789ABCDEFGHJKMNPQRSTVWXYZ-";
        let whole = of(text);
        for at in 0..text.len() {
            for byte in (0..128).filter(|byte| *byte != text.as_bytes()[at]) {
                let mut other = text.as_bytes().to_vec();
                other[at] = byte;
                assert_ne!(of(std::str::from_utf8(&other).unwrap()), whole);
            }
            let mut other = text.as_bytes().to_vec();
            let next = (at + 1) % text.len();
            if at < next && other[at] != other[next] {
                other.swap(at, next);
                assert_ne!(of(std::str::from_utf8(&other).unwrap()), whole);
            }
        }
    }
}
