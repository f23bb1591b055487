//! The real binary on a real machine: servers are started, killed and started again as an operator would, and the
//! command line is typed as a person would.
//!
//! Every test has a [`TestEnv`] of its own: a directory, a runtime, and the promise that nothing is left behind, also
//! when the test fails. `LONGSHORE_REQUIRE_DOCKER=1` makes a missing Docker Engine a failure instead of a skip;
//! `LONGSHORE_BIN` names a binary to test instead of the one that would be built.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod binary;
mod cli;
mod docker;
mod env;
mod files;
mod gateway;
mod hole;
mod image;
mod patience;
mod server;
mod sick;
mod start;
mod stranger;
mod traces;

pub use binary::{longshore, repository};
pub use cli::{Ran, Running};
pub use docker::{Engine, Found};
pub use env::TestEnv;
pub use gateway::{Answered, ask, ask_like};
pub use hole::Hole;
pub use image::PROGRAM;
pub use patience::{PATIENCE, until};
pub use server::Server;
pub use sick::{SYMPTOM, SickEngine};
pub use stranger::Stranger;

/// Makes each function a test on the process runtime and another on Docker.
#[macro_export]
macro_rules! on_both_runtimes {
    ($($name:ident)*) => {
        mod on_processes {
            $(#[test] fn $name() { super::$name(&$crate::real::TestEnv::process()); })*
        }
        mod on_docker {
            $(#[test] fn $name() {
                if let Some(env) = $crate::real::TestEnv::docker() {
                    super::$name(&env);
                }
            })*
        }
    };
}

/// Makes each function a test on the process runtime.
#[macro_export]
macro_rules! on_processes {
    ($($name:ident)*) => {
        mod on_processes_only {
            $(#[test] fn $name() { super::$name(&$crate::real::TestEnv::process()); })*
        }
    };
}

/// Makes each function a test on Docker, for what only containers show.
#[macro_export]
macro_rules! on_docker {
    ($($name:ident)*) => {
        mod on_docker_only {
            $(#[test] fn $name() {
                if let Some(env) = $crate::real::TestEnv::docker() {
                    super::$name(&env);
                }
            })*
        }
    };
}
