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
    /// Its process.
    pub pid: u32,
}

impl Word {
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
