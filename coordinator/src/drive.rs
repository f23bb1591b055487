//! The loop around the core, and what it shows.

mod clock;
pub mod deployed;
mod driver;
mod handle;
mod observer;
mod watchers;

pub use self::{
    clock::Clock,
    driver::{Surroundings, start},
    handle::{Handle, Unanswered, Views},
};
