//! Why a replica is not ready, or no longer.

use std::io;

use longshore_proto::v1::Failure;

use super::data::DataError;
use crate::{
    contract::{failures, tree::TreeError},
    runtime::{ImageError, ShimLost, StartError},
    secrets::NotGiven,
};

/// Why a replica cannot start, or has ended.
#[derive(Debug, thiserror::Error)]
pub(super) enum ReplicaError {
    /// What shall be here is not said whole.
    #[error("it has no {0}")]
    Missing(&'static str),
    /// A secret that it names is not there.
    #[error(transparent)]
    Secret(#[from] NotGiven),
    /// Its image cannot be used.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// Its data cannot be laid out.
    #[error("its data cannot be laid out")]
    Data(#[from] DataError),
    /// What was sent along cannot be laid out.
    #[error("what was sent along cannot be laid out")]
    Files(#[from] TreeError),
    /// A container cannot be started.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A directory cannot be made or opened.
    #[error("its directories cannot be used")]
    Directories(#[source] io::Error),
    /// Its command or server failed, or a container of it has ended.
    #[error("{}", failures::in_a_line(.0))]
    Failed(Failure),
    /// The shim no longer answers.
    #[error(transparent)]
    Lost(#[from] ShimLost),
    /// A shim is of no use any more.
    #[error("its shim {0}")]
    Shim(&'static str),
    /// What a run left is in the way of the next.
    #[error("a run left what cannot be ended or removed")]
    Dirty,
    /// The same, and the file system says why.
    #[error("a run's directory cannot be removed")]
    Unclearable(#[source] io::Error),
    /// It was ready, and is not any more, for too long.
    #[error("the server was stuck: {0}")]
    Stuck(String),
    /// It is no longer called.
    #[error("nobody calls it any more")]
    Uncalled,
}
