//! Services: what one is, where its replicas are, and one command a file.

mod name;
mod placement;
mod plan;

pub(crate) mod deploy;
pub(crate) mod place;
pub(crate) mod remove;
pub(crate) mod report;

pub(crate) use self::placement::Placement;
pub use self::{
    name::ServiceName,
    plan::{ReplicaKey, Role, ServicePlan},
};
