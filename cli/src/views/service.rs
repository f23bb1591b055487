//! Services and their replicas.

use longshore_client::{
    escape,
    v1::{ReplicaState, ReplicaView, ServiceView},
};
use serde_json::{Value, json};

use super::namespace;
use crate::{
    printer::{Values, View},
    table,
};

/// All services.
#[derive(Debug)]
pub struct ServiceList(pub Vec<ServiceView>);

impl View for ServiceList {
    fn text(&self) -> String {
        table::table(
            ["NAME", "STATE", "SHARDS", "REPLICAS", "GENERATION", "IMAGE"],
            self.0.iter().map(|service| {
                [
                    name(service),
                    state(service).to_owned(),
                    shards(service).to_string(),
                    format!("{}/{}", ready(service), service.replicas.len()),
                    service.generation.to_string(),
                    image(service),
                ]
            }),
        )
    }

    fn values(&self) -> Values {
        Values::Many(self.0.iter().map(value).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(name).collect()
    }
}

/// One service.
#[derive(Debug)]
pub struct ServiceDetail(pub ServiceView);

impl View for ServiceDetail {
    fn text(&self) -> String {
        let service = &self.0;
        let mut text = table::facts([
            ("namespace", namespace::shown(&service.namespace)),
            ("name", name(service)),
            ("state", state(service).to_owned()),
            ("generation", service.generation.to_string()),
            ("shards", shards(service).to_string()),
            ("image", image(service)),
        ]);
        text.push_str("\n\n");
        text.push_str(&table::table(
            ["REPLICA", "WORKER", "STATE", "MESSAGE"],
            service.replicas.iter().map(|replica| {
                [
                    replica_name(replica),
                    replica.worker.clone(),
                    replica_state(replica).to_owned(),
                    replica.message.clone(),
                ]
            }),
        ));
        text
    }

    fn values(&self) -> Values {
        Values::One(value(&self.0))
    }

    fn names(&self) -> Vec<String> {
        vec![name(&self.0)]
    }
}

/// One replica in one line, escaped: `shard 2, replica 0 on w1: failed: no such image`.
pub fn replica_line(replica: &ReplicaView) -> String {
    let mut line = replica_name(replica);
    if !replica.worker.is_empty() {
        line = format!("{line} on {}", replica.worker);
    }
    format!("{}: {}", escape::line(&line), replica_trouble(replica))
}

/// How a replica is, in one line, escaped: `failed: no such image`.
pub fn replica_trouble(replica: &ReplicaView) -> String {
    let state = replica_state(replica);
    if replica.message.is_empty() { state.to_owned() } else { escape::line(&format!("{state}: {}", replica.message)) }
}

fn replica_name(replica: &ReplicaView) -> String {
    match replica.merge {
        true => format!("merge, replica {}", replica.number),
        false => format!("shard {}, replica {}", replica.shard, replica.number),
    }
}

fn replica_state(replica: &ReplicaView) -> &'static str {
    match replica.state() {
        ReplicaState::Unspecified => "unknown",
        ReplicaState::Unplaced => "unplaced",
        ReplicaState::Starting => "starting",
        ReplicaState::Ready => "ready",
        ReplicaState::Failed => "failed",
    }
}

fn name(service: &ServiceView) -> String {
    service.spec.as_ref().map(|spec| spec.name.clone()).unwrap_or_default()
}

fn image(service: &ServiceView) -> String {
    let leaf = service.spec.as_ref().and_then(|spec| spec.leaf.as_ref());
    let container = leaf.and_then(|leaf| leaf.container.as_ref());
    container.map(|container| container.image.clone()).unwrap_or_default()
}

fn shards(service: &ServiceView) -> u32 {
    let leaf = service.spec.as_ref().and_then(|spec| spec.leaf.as_ref());
    leaf.map_or(0, |leaf| leaf.shards)
}

fn ready(service: &ServiceView) -> usize {
    let ready = |replica: &&ReplicaView| replica.state() == ReplicaState::Ready;
    service.replicas.iter().filter(ready).count()
}

fn state(service: &ServiceView) -> &'static str {
    match service.ready {
        true => "ready",
        false => "not ready",
    }
}

fn value(service: &ServiceView) -> Value {
    let replica = |replica: &ReplicaView| {
        json!({
            "merge": replica.merge,
            "shard": replica.shard,
            "number": replica.number,
            "worker": replica.worker,
            "state": replica_state(replica),
            "message": replica.message,
        })
    };
    json!({
        "name": name(service),
        "namespace": service.namespace,
        "ready": service.ready,
        "generation": service.generation,
        "shards": shards(service),
        "image": image(service),
        "replicas": service.replicas.iter().map(replica).collect::<Vec<_>>(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_replica_is_one_line_with_its_message() {
        let replica = ReplicaView {
            shard: 2,
            worker: "w1".to_owned(),
            state: ReplicaState::Failed.into(),
            message: "no such\nimage".to_owned(),
            ..ReplicaView::default()
        };
        assert_eq!(replica_line(&replica), "shard 2, replica 0 on w1: failed: no such\\nimage");
    }
}
