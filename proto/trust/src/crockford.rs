//! Bytes as text that people can read aloud and type: Crockford's base32, without padding or check symbol.

use std::sync::LazyLock;

use data_encoding::{Encoding, Specification};

/// No I, L, O and U; small letters are read too, and what looks like a digit is that digit.
static CROCKFORD: LazyLock<Encoding> = LazyLock::new(|| {
    let mut spec = Specification::new();
    spec.symbols.push_str("0123456789ABCDEFGHJKMNPQRSTVWXYZ");
    spec.translate.from.push_str("abcdefghjkmnpqrstvwxyzOoIiLl");
    spec.translate.to.push_str("ABCDEFGHJKMNPQRSTVWXYZ001111");
    spec.encoding().expect("32 symbols, and none is translated to what is no symbol")
});

/// Bytes as text.
pub fn encode(bytes: &[u8]) -> String {
    CROCKFORD.encode(bytes)
}

/// Appends bytes as text.
pub fn append(bytes: &[u8], to: &mut String) {
    CROCKFORD.encode_append(bytes, to);
}

/// Symbols that so many bytes take.
pub const fn symbols(bytes: usize) -> usize {
    (bytes * 8).div_ceil(5)
}

/// Exactly `N` bytes from a text, if it is one of so many.
pub fn decode<const N: usize>(text: &str) -> Option<[u8; N]> {
    if text.len() != symbols(N) {
        return None;
    }
    let mut bytes = [0; N];
    let length = CROCKFORD.decode_mut(text.as_bytes(), &mut bytes).ok()?;
    (length == N).then_some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_come_back_however_they_are_typed() {
        let bytes: [u8; 32] = std::array::from_fn(|n| (n * 37) as u8);
        let text = encode(&bytes);
        assert_eq!(text.len(), symbols(32));
        assert_eq!(decode(&text), Some(bytes));
        assert_eq!(decode(&text.to_lowercase()), Some(bytes));
        assert_eq!(decode(&text.replace('0', "o").replace('1', "L")), Some(bytes));
    }

    #[test]
    fn another_length_another_symbol_or_a_bit_beyond_the_last_byte_is_no_text_of_ours() {
        assert_eq!(decode::<5>("0000000"), None);
        assert_eq!(decode::<5>("0000000U"), None);
        assert_eq!(decode::<5>("0000000é"), None);
        assert_eq!(decode::<1>("00"), Some([0]));
        assert_eq!(decode::<1>("01"), None, "two bits are left over");
    }
}
