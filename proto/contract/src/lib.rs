//! The container contract: every name and number that an image sees of Longshore.
//!
//! An image serves as stage, gather, leaf or merge without a change, so what it is told has one home: the words in
//! braces of its command ([`Word`]), the variables of its environment ([`mod@env`]), the headers and paths of the requests
//! to its server ([`header`], [`path`]), and what it may be sent and may answer ([`bounds`]). `docs/contract.md` is the
//! same for people. There is no code here but what these names mean, and no dependency.

pub mod bounds;
pub mod env;
pub mod header;
pub mod path;
mod word;

pub use word::Word;

/// TCP port of a server whose container does not say.
pub const DEFAULT_PORT: u16 = 8080;
