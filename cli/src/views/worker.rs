//! Workers.

use longshore_client::v1::{Offer, WorkerView};
use serde_json::json;

use crate::{
    amounts::{bytes, moment},
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

    fn wide(&self) -> String {
        table::table(
            ["NAME", "STATE", "SLOTS", "ATTEMPTS", "REPLICAS", "OFFERS", "NAMESPACES", "ID", "CONDITION"],
            self.0.iter().map(|worker| {
                [
                    worker.name.clone(),
                    state(worker).to_owned(),
                    worker.slots.to_string(),
                    worker.attempts.to_string(),
                    worker.replicas.to_string(),
                    worker.offer.as_ref().map_or_else(String::new, offers),
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
                "offer": worker.offer.as_ref().map(offer_value),
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

/// What it offers to work, in words.
fn offers(offer: &Offer) -> String {
    let mut parts =
        vec![format!("cpus={}", f64::from(offer.cpu_milli) / 1e3), format!("memory={}", bytes(offer.memory_bytes))];
    let mut named: Vec<String> = offer.resources.iter().map(|(name, count)| format!("{name}={count}")).collect();
    named.sort();
    parts.append(&mut named);
    let label = |(name, value): (&String, &String)| match value.as_str() {
        "" => format!("label {name}"),
        value => format!("label {name}={value}"),
    };
    let mut labels: Vec<String> = offer.labels.iter().map(label).collect();
    labels.sort();
    parts.append(&mut labels);
    if offer.any_network {
        parts.push("any network".to_owned());
    }
    parts.extend(offer.networks.iter().filter(|_| !offer.any_network).map(|name| format!("network {name}")));
    parts.extend(offer.root.then(|| "root".to_owned()));
    parts.join(", ")
}

fn offer_value(offer: &Offer) -> serde_json::Value {
    json!({
        "cpus": f64::from(offer.cpu_milli) / 1e3,
        "memory_bytes": offer.memory_bytes,
        "resources": offer.resources,
        "labels": offer.labels,
        "networks": (!offer.any_network).then_some(&offer.networks),
        "root": offer.root,
    })
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_worker_offers_is_told_where_there_is_room() {
        let offer = Offer {
            cpu_milli: 3_500,
            memory_bytes: 1 << 30,
            resources: [("gpu".to_owned(), 2)].into(),
            labels: [("disk".to_owned(), "ssd".to_owned()), ("big".to_owned(), String::new())].into(),
            networks: vec!["jobs".to_owned()],
            root: true,
            ..Offer::default()
        };
        let told = "cpus=3.5, memory=1.00 GiB, gpu=2, label big, label disk=ssd, network jobs, root";
        assert_eq!(offers(&offer), told);
        let view = WorkerList(vec![WorkerView { offer: Some(offer), ..WorkerView::default() }]);
        assert!(view.wide().contains(told) && !view.text().contains("cpus="));
        let Values::Many(values) = view.values() else { panic!("not a list") };
        assert_eq!((&values[0]["offer"]["cpus"], &values[0]["offer"]["labels"]["disk"]), (&3.5.into(), &"ssd".into()));
    }
}
