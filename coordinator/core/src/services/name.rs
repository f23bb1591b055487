//! What a service is called, and whose it is.

use std::fmt;

use crate::ids::Namespace;

/// A service's name in its namespace. Services of two namespaces are never the same, whatever they are called.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServiceName {
    /// Whose it is.
    pub namespace: Namespace,
    /// What it is called there.
    pub name: String,
}

impl ServiceName {
    /// A service of the default namespace.
    #[must_use]
    pub fn in_default(name: &str) -> Self {
        Self { namespace: Namespace::default(), name: name.to_owned() }
    }
}

/// As those who look after the coordinator read it. Whoever asks in a namespace is told the name alone.
impl fmt::Display for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_default() {
            f.write_str(&self.name)
        } else {
            write!(f, "{}/{}", self.namespace, self.name)
        }
    }
}

impl fmt::Debug for ServiceName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ServiceName({self})")
    }
}
