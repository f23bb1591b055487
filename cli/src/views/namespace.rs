//! Whose things are shown: said where it is not the namespace that nobody has to name.

use longshore_client::DEFAULT_NAMESPACE;

/// The name, if it is to be said.
pub fn shown(namespace: &str) -> String {
    if namespace == DEFAULT_NAMESPACE { String::new() } else { namespace.to_owned() }
}
