//! The real shim, told by a worker made of nothing but a socket. Every test runs it as a plain child and, where the
//! machine allows PID namespaces, as process 1.

#![allow(clippy::unwrap_used)]

mod ends;
mod files;
mod leaving;
mod leftovers;
mod logs;
mod order;
mod serving;
mod worker;
