//! The container contract as the worker keeps it: one run or one request is made, bounded and judged here, for stages,
//! gathers, leaves and merges alike.
//!
//! `slot` and `replicas` decide only when something runs. What a process or server is told, how bytes reach it and come
//! back, how much there may be, and what its end means, is the same for all of them.

pub(crate) mod amount;
mod arguments;
mod command;
pub(crate) mod failures;
pub(crate) mod fetch;
mod fields;
pub(crate) mod http;
pub(crate) mod inputs;
mod manifest;
pub(crate) mod names;
mod outputs;
pub(crate) mod placeholders;
pub(crate) mod received;
pub(crate) mod room;
pub(crate) mod run;
pub(crate) mod serve;
pub(crate) mod tree;
pub(crate) mod watch;
pub(crate) mod yard;

pub(crate) use outputs::{Limits, Links, Tray};
