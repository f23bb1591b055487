//! The simulated world, real Docker, and the real binary.

pub mod real;
pub mod world;
