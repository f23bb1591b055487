//! Workers.

use longshore_client::v1::WorkerView;
use serde_json::json;

use crate::{
    amounts::moment,
    printer::{Values, View},
    table,
};

/// All known workers.
#[derive(Debug)]
pub struct WorkerList(pub Vec<WorkerView>);

impl View for WorkerList {
    fn text(&self) -> String {
        table::table(
            ["NAME", "STATE", "SLOTS", "ATTEMPTS", "REPLICAS", "RUNTIME", "VERSION", "LABELS", "NAMESPACES", "ID"],
            self.0.iter().map(|worker| {
                [
                    worker.name.clone(),
                    state(worker).to_owned(),
                    worker.slots.to_string(),
                    worker.attempts.to_string(),
                    worker.replicas.to_string(),
                    worker.runtime.clone(),
                    worker.version.clone(),
                    labels(worker),
                    namespaces(worker),
                    worker.worker_id.clone(),
                ]
            }),
        )
    }

    fn values(&self) -> Values {
        let value = |worker: &WorkerView| {
            json!({
                "id": worker.worker_id,
                "name": worker.name,
                "state": state(worker),
                "slots": worker.slots,
                "attempts": worker.attempts,
                "replicas": worker.replicas,
                "runtime": worker.runtime,
                "version": worker.version,
                "member": worker.member.as_ref().map(|member| json!({
                    "joined": moment(member.joined_ms),
                    "revoked": moment(member.revoked_ms),
                    "labels": member.labels,
                    "namespaces": member.namespaces,
                    "token": member.token,
                })),
            })
        };
        Values::Many(self.0.iter().map(value).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|worker| worker.name.clone()).collect()
    }
}

fn state(worker: &WorkerView) -> &'static str {
    match worker.connected {
        _ if worker.member.as_ref().is_some_and(|member| member.revoked_ms > 0) => "revoked",
        true => "connected",
        false => "away",
    }
}

fn labels(worker: &WorkerView) -> String {
    let labels = worker.member.iter().flat_map(|member| &member.labels);
    let mut labels: Vec<_> = labels.map(|(name, value)| format!("{name}={value}")).collect();
    labels.sort();
    labels.join(",")
}

fn namespaces(worker: &WorkerView) -> String {
    worker.member.as_ref().map(|member| member.namespaces.join(",")).unwrap_or_default()
}
