//! A coordinator's certificate authority: its keys, what it signs, and whom it recognises.
//!
//! ```text
//! keys: a file that only the coordinator's user reads ──► authority ──► certificates of members (request ──► member)
//!                                                             │
//!   server: TLS 1.3, its own certificate made anew by itself ◄┴ members: whose certificate is good, or was not long ago
//!              └── public: another certificate, for browsers
//! ```
//!
//! Everything is decided by the clock that was handed in: the coordinator's.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod authority;
mod keys;
mod members;
mod public;
mod request;
mod server;

pub use authority::{Authority, AuthorityError, Signed};
pub use keys::{Kept, KeysError, Opened, SECRETS_KEY, SECRETS_KEY_ASIDE, is_key_file, open};
pub use members::{GRACE, Presented};
pub use public::{PublicCertificate, PublicError};
pub use request::{Request, RequestError};
pub use server::{Server, ServerError, server};
