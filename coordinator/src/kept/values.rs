//! Values that several kept messages have, and back.

use longshore_core::{Digest, Namespace};
use longshore_proto::namespace;

use super::error::Malformed;

/// Nothing, for the namespace of all entries of before there were others.
pub fn namespace_to_kept(namespace: &Namespace) -> String {
    if namespace.is_default() { String::new() } else { namespace.name().to_owned() }
}

/// The namespace of that name. It stands in names of directories, so it is looked at.
pub fn namespace_from_kept(name: &str) -> Result<Namespace, Malformed> {
    if name.is_empty() {
        return Ok(Namespace::default());
    }
    namespace::check(name)?;
    Ok(Namespace::named(name))
}

/// A digest in a field of a message.
pub fn digest(field: &'static str, bytes: &[u8]) -> Result<Digest, Malformed> {
    match bytes.len() {
        0 => Err(Malformed::Missing { field }),
        count => bytes.try_into().map_err(|_| Malformed::Digest { field, bytes: count }),
    }
}
