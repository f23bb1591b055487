//! The simulated world, real Docker, and the real binary.

pub mod world;
