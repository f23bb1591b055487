//! How processes of one machine find and recognise each other.
//!
//! ```text
//! a coordinator: entrance ──► word (a file for its address) ◄── way :those who call
//!                   │              socket, token                  │
//!                   └────────────── user, private ────────────────┘        door: descriptors
//! ```
//!
//! A coordinator's own user comes in by a unix socket, where the kernel says who calls; everybody else by TCP on loopback
//! and with a token. Whoever calls makes sure, before a byte is sent, that the other end is the user it should be: after a
//! crash anybody may listen on a port.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

pub mod door;
mod entrance;
mod listener;
mod private;
mod runtime_dir;
mod token;
mod user;
mod way;
mod word;

pub use entrance::{Entrance, EntranceError};
pub use private::{PrivateDir, PrivateDirError};
pub use runtime_dir::{RuntimeDir, data_dir};
pub use token::{Token, TokenDigest, TokenError, TokenSource};
pub use user::User;
pub use way::{LocalStream, LocalWay, LocalWayError};
pub use word::Word;
