//! Placement is what a plain scan over everything gives, whatever happens.

use proptest::prelude::*;

use super::*;
use crate::services::plan::{Role, ServicePlan};

/// The same, without any index.
#[derive(Default)]
struct Scan {
    wanted: BTreeSet<ReplicaKey>,
    placed: BTreeMap<ReplicaKey, WorkerId>,
}

impl Scan {
    fn settle(&mut self, workers: &BTreeMap<WorkerId, Clientele>) {
        for key in &self.wanted {
            if self.placed.contains_key(key) {
                continue;
            }
            let twin = |other: &ReplicaKey| {
                (&other.service, other.generation, other.role) == (&key.service, key.generation, key.role)
            };
            let twins = |worker| self.placed.iter().filter(|(other, on)| twin(other) && **on == worker).count();
            let all = |worker| self.placed.values().filter(|on| **on == worker).count();
            let may = workers.iter().filter(|(_, clientele)| clientele.has(&key.service.namespace));
            let best = may.map(|(worker, _)| *worker).min_by_key(|worker| (twins(*worker), all(*worker), *worker));
            if let Some(worker) = best {
                self.placed.insert(key.clone(), worker);
            }
        }
    }

    fn on(&self, worker: WorkerId) -> Vec<ReplicaKey> {
        self.placed.iter().filter(|(_, on)| **on == worker).map(|(key, _)| key.clone()).collect()
    }
}

#[derive(Debug, Clone)]
enum Deed {
    Deploy(u8, ServicePlan),
    Remove(u8),
    Join(u8),
    LinkLost(u8),
    Lose(u8),
    /// A worker says it has a replica of that service: shard and number.
    Has(u8, u8, u32, u32),
}

fn deed() -> impl Strategy<Value = Deed> {
    let plan = (1..4_u32, 1..4_u32, 0..3_u32);
    let plan = plan.prop_map(|(shards, replicas, merges)| ServicePlan { shards, replicas, merges });
    prop_oneof![
        2 => (0..4_u8, plan).prop_map(|(service, plan)| Deed::Deploy(service, plan)),
        1 => (0..4_u8).prop_map(Deed::Remove),
        3 => (0..6_u8).prop_map(Deed::Join),
        1 => (0..6_u8).prop_map(Deed::LinkLost),
        1 => (0..6_u8).prop_map(Deed::Lose),
        2 => (0..6_u8, 0..4_u8, 0..4_u32, 0..4_u32).prop_map(|(w, s, shard, number)| Deed::Has(w, s, shard, number)),
    ]
}

fn worker(number: u8) -> WorkerId {
    WorkerId([number; 16])
}

/// Services of two namespaces.
fn service(number: u8) -> ServiceName {
    let namespace = Namespace::named(if number.is_multiple_of(2) { "even" } else { "odd" });
    ServiceName { namespace, name: (number / 2).to_string() }
}

/// Workers for everybody, for one of the namespaces, and for one that has nothing.
fn clientele(number: u8) -> Clientele {
    let only = |name| Clientele::Only(BTreeSet::from([Namespace::named(name)]));
    match number {
        1 => only("even"),
        2 => only("odd"),
        3 => only("nothing"),
        _ => Clientele::Everybody,
    }
}

/// Both, side by side.
#[derive(Default)]
struct Pair {
    placement: Placement,
    scan: Scan,
    connected: BTreeMap<WorkerId, Clientele>,
    generation: u64,
}

impl Pair {
    fn does(&mut self, deed: Deed) {
        match deed {
            Deed::Deploy(number, plan) => {
                let name = service(number);
                if !self.scan.wanted.iter().any(|key| key.service == name) {
                    self.generation += 1;
                    self.placement.want(plan.replicas_of(&name, self.generation));
                    self.scan.wanted.extend(plan.replicas_of(&name, self.generation));
                }
            }
            Deed::Remove(number) => {
                self.placement.unwant(&service(number));
                self.scan.wanted.retain(|key| key.service != service(number));
                self.scan.placed.retain(|key, _| key.service != service(number));
            }
            Deed::Join(number) => {
                self.connected.insert(worker(number), clientele(number));
                self.placement.tell_anew(worker(number));
            }
            Deed::LinkLost(number) => drop(self.connected.remove(&worker(number))),
            Deed::Lose(number) => {
                self.connected.remove(&worker(number));
                self.placement.lose(worker(number));
                self.scan.placed.retain(|_, on| *on != worker(number));
            }
            Deed::Has(number, of, shard, replica) => {
                let key = ReplicaKey {
                    service: service(of),
                    generation: self.generation,
                    role: Role::Leaf { shard },
                    number: replica,
                };
                if self.scan.wanted.contains(&key) && clientele(number).has(&key.service.namespace) {
                    self.scan.placed.entry(key.clone()).or_insert(worker(number));
                }
                let status = ReplicaStatus { key, phase: ReplicaPhase::Ready, message: String::new() };
                self.placement.report(worker(number), &clientele(number), &[status]);
            }
        }
    }

    fn settle(&mut self) {
        let connected = &self.connected;
        self.placement.settle(|namespace| {
            connected.iter().filter(|(_, clientele)| clientele.has(namespace)).map(|(worker, _)| *worker).collect()
        });
        self.scan.settle(connected);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(96) })]

    #[test]
    fn replicas_are_where_a_plain_scan_puts_them(deeds in prop::collection::vec((deed(), any::<bool>()), 1..60)) {
        let mut pair = Pair::default();
        for (deed, settles) in deeds {
            pair.does(deed);
            if settles {
                pair.settle();
            }
            let placed: BTreeMap<ReplicaKey, WorkerId> =
                pair.placement.placed.iter().map(|(key, placed)| (key.clone(), placed.worker)).collect();
            prop_assert_eq!(&placed, &pair.scan.placed);
            for number in 0..6 {
                let on: Vec<ReplicaKey> = pair.placement.on(worker(number)).cloned().collect();
                prop_assert_eq!(on, pair.scan.on(worker(number)));
            }
        }
    }
}

#[test]
fn the_first_worker_without_twins_is_found_behind_no_more_than_those_with_twins() {
    let emptiest: BTreeSet<(usize, WorkerId)> = (0..5).map(|number| (0, worker(number))).collect();
    let twins = BTreeMap::from([(worker(0), 1), (worker(1), 2)]);
    assert_eq!(best(&emptiest, &twins), Some((0, worker(2))));
}

#[test]
fn when_all_have_twins_the_fewest_count_and_then_the_emptiest_worker() {
    let emptiest = BTreeSet::from([(2, worker(0)), (4, worker(2)), (5, worker(1))]);
    let twins = BTreeMap::from([(worker(0), 2), (worker(1), 1), (worker(2), 1)]);
    assert_eq!(best(&emptiest, &twins), Some((4, worker(2))));
}
