//! Secrets: sealed as they come in, opened for workers alone, and never shown.
//!
//! ```text
//! api ──► vault: seal with the key ──► core, kept ──► shown to the vault ──► vault: open ──► orders, to a worker
//! ```
//!
//! The key is in the directory of keys, beside the data and not in it, so that a copy of the data has no value in it.

mod key;
mod seal;
pub mod told;
pub mod vault;
