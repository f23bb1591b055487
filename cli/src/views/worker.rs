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
            [
                "NAME",
                "STATE",
                "SLOTS",
                "ATTEMPTS",
                "REPLICAS",
                "RUNTIME",
                "VERSION",
                "LABELS",
                "NAMESPACES",
                "ID",
                "CONDITION",
            ],
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
                    condition(worker),
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
                "draining": worker.draining,
                "slots": worker.slots,
                "attempts": worker.attempts,
                "replicas": worker.replicas,
                "runtime": worker.runtime,
                "version": worker.version,
                "trouble": trouble(worker),
                "notes": worker.condition.as_ref().map(|condition| &condition.notes).into_iter().flatten().collect::<Vec<_>>(),
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
        _ if worker.draining && worker.connected => "draining",
        true if trouble(worker).is_some() => "troubled",
        true => "connected",
        false => "away",
    }
}

/// What keeps it from taking work.
pub fn trouble(worker: &WorkerView) -> Option<&str> {
    worker.condition.as_ref().map(|condition| condition.trouble.as_str()).filter(|trouble| !trouble.is_empty())
}

/// What keeps it from taking work, and what is to be known of how it runs things.
fn condition(worker: &WorkerView) -> String {
    let notes = worker.condition.iter().flat_map(|condition| condition.notes.iter().map(String::as_str));
    trouble(worker).into_iter().chain(notes).collect::<Vec<_>>().join("; ")
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
