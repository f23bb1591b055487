//! How a coordinator is reached, on this machine and on others.
//!
//! ```text
//! address, credentials ──► way ──┬─► on this machine: its socket, or its port with a token (`local`)
//!                                └─► on another: TLS, once it is the one that token or identity trusts (`trust`)
//! wire: gRPC over the way, with whatever has to be shown
//! ```
//!
//! From the address alone it is clear whether TLS is spoken, before anybody is asked what a name stands for.

// A test that unwraps says where it failed.
#![cfg_attr(test, allow(clippy::unwrap_used))]

mod address;
mod credentials;
mod error;
mod heard;
mod stream;
mod way;
mod wire;

pub use address::AddressError;
pub use credentials::Credentials;
pub use error::WayError;
pub use heard::Heard;
pub use stream::{SPEAKS_TLS, Stream};
pub use way::Way;
pub use wire::Wire;
