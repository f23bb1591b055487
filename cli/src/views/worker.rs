//! Workers.

use longshore_client::v1::WorkerView;
use serde_json::json;

use crate::{
    printer::{Values, View},
    table,
};

/// All known workers.
#[derive(Debug)]
pub struct WorkerList(pub Vec<WorkerView>);

impl View for WorkerList {
    fn text(&self) -> String {
        table::table(
            ["NAME", "STATE", "SLOTS", "ATTEMPTS", "REPLICAS", "RUNTIME", "VERSION", "ID"],
            self.0.iter().map(|worker| {
                [
                    worker.name.clone(),
                    state(worker).to_owned(),
                    worker.slots.to_string(),
                    worker.attempts.to_string(),
                    worker.replicas.to_string(),
                    worker.runtime.clone(),
                    worker.version.clone(),
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
        true => "connected",
        false => "away",
    }
}
