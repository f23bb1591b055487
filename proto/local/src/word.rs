//! The word a coordinator leaves: one small file for each address it listens on, which says how its own user comes in.

use std::{net::SocketAddr, path::PathBuf};

use serde::{Deserialize, Serialize};

/// What is in such a file, as JSON. The address is its name, see [`Word::file`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Word {
    /// Where the coordinator listens on TCP.
    pub address: SocketAddr,
    /// Its socket, for its own user and root; no token is needed there.
    pub socket: PathBuf,
    /// The file of the token that everybody needs who comes by TCP.
    pub token_file: PathBuf,
    /// Another one at each start: whose word it is.
    pub instance: String,
}

impl Word {
    /// Whether something of this name may be left by a coordinator.
    #[must_use]
    pub fn is_name(name: &str) -> bool {
        let kinds = [".json", ".sock", ".token", ".door", ".new"];
        name == "lock" || kinds.iter().any(|kind| name.ends_with(kind))
    }

    /// Name of the file for an address.
    #[must_use]
    pub fn file(address: SocketAddr) -> String {
        format!("{address}.json")
    }

    /// Name of the socket for an address.
    #[must_use]
    pub fn socket(address: SocketAddr) -> String {
        format!("{address}.sock")
    }

    /// Name of the token's file for an address.
    #[must_use]
    pub fn token(address: SocketAddr) -> String {
        format!("{address}.token")
    }
}
