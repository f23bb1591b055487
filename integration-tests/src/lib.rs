//! The simulated world, real Docker, and the real binary.

pub mod lan;
pub mod network;
pub mod real;
pub mod world;
