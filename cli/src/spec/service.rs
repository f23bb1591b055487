//! `service.yaml`: leaves with their shards, a merge, and what a query may ask for.

use std::path::PathBuf;

use longshore_client::{
    bounds::{REPLICAS, SHARDS},
    v1::{LeafSpec, RequestSpec, ServiceSpec},
};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{
    SpecError, SpecText,
    container::with_container,
    merge::Merge,
    name::ServiceName,
    quantity::{Count, Millis},
    require::Require,
};

/// A scatter/gather tree: a query goes to every shard, and the parts to the merge.
#[derive(Debug, Clone, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema), schemars(title = "Longshore service"))]
#[serde(deny_unknown_fields)]
struct ServiceFile {
    /// Lower-case letters, digits and `-`.
    name: ServiceName,
    /// Answers for one shard.
    leaf: LeafFile,
    /// Joins the parts: a container, or `concat` (in shard order, byte for byte; what unset means), `json-array`, `sum`, `{sum: FIELD}`, or
    /// `{top: 10, by: FIELD}` with `order: ascending` where the lowest is the best.
    merge: Option<Merge>,
    /// What a query may ask for.
    #[serde(default)]
    request: RequestFile,
}

with_container! {
    /// The container that answers for one shard.
    pub struct LeafFile {
        /// Into how many shards the work is divided; unset means 1.
        shards: Option<Count<SHARDS>>,
        /// Copies of each shard; unset means 1.
        replicas: Option<Count<REPLICAS>>,
        /// Requests one replica works on at once; unset means 1 for files, 16 for http.
        concurrency: Option<Count<{ u32::MAX }>>,
        /// Directory whose files are divided among the shards; relative to the spec.
        #[cfg_attr(test, schemars(with = "Option<String>"))]
        data: Option<Spanned<String>>,
        /// What each shard counts in a share of the service (`require: 0.9`), such as its number of documents: as many as shards.
        /// Unset: each counts 1.
        #[serde(default)]
        weights: Vec<u64>,
    }
}

/// What a query may ask for.
#[derive(Debug, Clone, Copy, Default, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
struct RequestFile {
    /// Longest time a query may take; unset means 10s.
    deadline: Option<Millis>,
    /// How complete an answer has to be; unset means all.
    require: Option<Require>,
}

/// A service as its spec describes it.
#[derive(Debug, Clone)]
pub struct ServicePlan {
    /// The service, without its data.
    pub spec: ServiceSpec,
    /// Directory whose files are divided among the shards, as written.
    pub data: Option<PathBuf>,
}

/// The service a spec describes.
pub fn parse(spec: &SpecText) -> Result<ServicePlan, SpecError> {
    let file: ServiceFile = spec.parse()?;
    if let Some(data) = file.leaf.data.as_ref().filter(|data| data.value.is_empty()) {
        return Err(SpecError::new(spec, Some(data.referenced), "`data` names a directory"));
    }
    Ok(ServicePlan {
        data: file.leaf.data.as_ref().map(|data| PathBuf::from(&data.value)),
        spec: ServiceSpec {
            name: file.name.0.clone(),
            leaf: Some(leaf(spec, &file.leaf)?),
            merge: file.merge.as_ref().map(|merge| merge.wire(spec)).transpose()?,
            request: Some(RequestSpec {
                deadline_ms: file.request.deadline.map_or(0, |deadline| deadline.0),
                require: file.request.require.map(Require::wire),
            }),
        },
    })
}

fn leaf(spec: &SpecText, file: &LeafFile) -> Result<LeafSpec, SpecError> {
    Ok(LeafSpec {
        container: Some(file.container(spec)?),
        shards: file.shards.map_or(1, |shards| shards.0),
        replicas: file.replicas.map_or(0, |replicas| replicas.0),
        concurrency: file.concurrency.map_or(0, |concurrency| concurrency.0),
        data: Vec::new(),
        weights: file.weights.clone(),
    })
}

#[cfg(test)]
pub(super) fn schema() -> schemars::Schema {
    schemars::schema_for!(ServiceFile)
}
