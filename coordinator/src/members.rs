//! Who is known beside the coordinator's own user: people by their tokens, workers of other machines by their keys.

pub mod allowance;
pub mod register;
pub mod standing;
