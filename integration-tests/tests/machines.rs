//! A coordinator, its workers and its clients on machines of their own: real addresses, real certificates, real tokens, and
//! lines that fail.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod machines {
    pub mod cluster;
    mod identity;
    mod lines;
    mod work;
}
