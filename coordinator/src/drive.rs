//! The loop around the core, and what it shows.

pub mod deployed;
mod driver;

pub use self::driver::{Clock, Handle, Stopped, start};
