//! A value sealed: AES-256-GCM (NIST SP 800-38D) with a random nonce, bound to whose it is, its name and its version, so that what
//! is kept of one secret cannot be put in the place of another, nor of an older or newer one.
//!
//! | bytes | |
//! |---|---|
//! | 1 | [`FORM`] |
//! | 12 | nonce: 2^32 values under one key are far from repeating one |
//! | the rest | the value, and 16 bytes of tag |

use longshore_core::SecretName;
use ring::aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use zeroize::Zeroizing;

use super::key::Key;

/// The form of what is sealed. Another one is not opened.
const FORM: u8 = 1;

/// It cannot be opened: it was changed, or is of another secret, version or key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("what is kept of it is damaged")]
pub struct Damaged;

/// Seals a value.
pub fn seal(key: &Key, name: &SecretName, version: u64, value: &[u8]) -> Vec<u8> {
    let mut nonce = [0; NONCE_LEN];
    rand::fill(&mut nonce);
    // Sealed in place: no other copy of the value is made.
    let mut sealed = Vec::with_capacity(1 + NONCE_LEN + value.len() + AES_256_GCM.tag_len());
    sealed.push(FORM);
    sealed.extend_from_slice(&nonce);
    sealed.extend_from_slice(value);
    let at = 1 + NONCE_LEN;
    let tag = cipher(key).seal_in_place_separate_tag(
        Nonce::assume_unique_for_key(nonce),
        Aad::from(about(name, version)),
        &mut sealed[at..],
    );
    let tag = tag.expect("ring refuses values of more than 64 GiB alone");
    sealed.extend_from_slice(tag.as_ref());
    sealed
}

/// Opens what was sealed for that version of that secret.
///
/// # Errors
/// When it was not, or not with this key.
pub fn open(key: &Key, name: &SecretName, version: u64, sealed: &[u8]) -> Result<Zeroizing<Vec<u8>>, Damaged> {
    let (form, rest) = sealed.split_first().ok_or(Damaged)?;
    let (nonce, sealed) = rest.split_first_chunk::<NONCE_LEN>().ok_or(Damaged)?;
    if *form != FORM {
        return Err(Damaged);
    }
    let mut value = Zeroizing::new(sealed.to_vec());
    let nonce = Nonce::assume_unique_for_key(*nonce);
    let opened = cipher(key).open_in_place(nonce, Aad::from(about(name, version)), &mut value).map_err(|_| Damaged)?;
    let bytes = opened.len();
    value.truncate(bytes);
    Ok(value)
}

fn cipher(key: &Key) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, key.bytes()).expect("a key has as many bytes as the cipher takes"))
}

/// What a value is bound to. No name has a NUL in it.
fn about(name: &SecretName, version: u64) -> Vec<u8> {
    [
        &b"longshore secret\0"[..],
        name.namespace.name().as_bytes(),
        b"\0",
        name.name.as_bytes(),
        b"\0",
        &version.to_be_bytes(),
    ]
    .concat()
}

#[cfg(test)]
mod tests {
    use longshore_core::Namespace;

    use super::*;

    fn name(namespace: &str, name: &str) -> SecretName {
        SecretName { namespace: Namespace::named(namespace), name: name.to_owned() }
    }

    #[test]
    fn a_value_is_opened_as_what_it_was_sealed_and_as_nothing_else() {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let [key, other] = dirs.each_ref().map(|dir| Key::make(dir.path()).unwrap());
        let db = name("default", "db");
        for value in [&b"x"[..], b"hunter2", &[0xff; 65_536]] {
            let sealed = seal(&key, &db, 3, value);
            assert_eq!(open(&key, &db, 3, &sealed).unwrap()[..], *value);
            assert!(value.len() < 4 || !sealed.windows(value.len()).any(|part| part == value));
            assert_ne!(sealed, seal(&key, &db, 3, value), "nonces are random");
            assert_eq!(open(&other, &db, 3, &sealed), Err(Damaged));
            assert_eq!(open(&key, &db, 2, &sealed), Err(Damaged));
            assert_eq!(open(&key, &name("default", "d"), 3, &sealed), Err(Damaged));
            assert_eq!(open(&key, &name("vision", "db"), 3, &sealed), Err(Damaged));
            for spoilt in [0, 1, 13, sealed.len() - 1] {
                let mut changed = sealed.clone();
                changed[spoilt] ^= 1;
                assert_eq!(open(&key, &db, 3, &changed), Err(Damaged), "byte {spoilt}");
            }
        }
        for cut in [&[][..], &[FORM], &[FORM; 13], &[FORM; 28]] {
            assert_eq!(open(&key, &db, 3, cut), Err(Damaged));
        }
    }
}
