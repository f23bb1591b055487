//! What `longshore doctor` looks at, and knows the insides of.

pub mod check;
pub mod data;
pub mod docker;
