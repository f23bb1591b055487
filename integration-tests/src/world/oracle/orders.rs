//! Whether the orders of a step may be given: one attempt of an item at a time, to a worker that is there, with the
//! right input, and nothing that has ended.

use std::collections::BTreeSet;

use longshore_core::{
    Assignment, AttemptId, Clientele, Input, ItemKey, JobId, Namespace, Order, ReplicaKey, Source, StageKind, WorkerId,
};

use super::{
    check::{Check, demand},
    facts::Stops,
    state::{Known, Oracle, Seen},
};
use crate::world::{count, coverage::Coverage, flow::Flow};

/// No worker needs more attempts per slot than this to keep its slots busy.
const MOST_PER_SLOT: u64 = 64;

impl Oracle {
    /// After a hello, when attempts that the worker does not have are nobody's: those it has may go on if nothing speaks against
    /// it, and the others have to be stopped.
    pub(super) fn reconcile(
        &mut self,
        seen: Seen<'_>,
        mut stops: Stops,
        coverage: &mut Coverage,
    ) -> Result<Stops, String> {
        let Input::Hello { worker, incarnation, slots, clientele, held, .. } = seen.input else {
            return Ok(stops);
        };
        if self.live.is_revoked(*worker) {
            coverage.saw("a hello of a revoked worker");
            demand!(seen.out.orders.is_empty(), "a revoked worker is told {:?}", seen.out.orders);
            return Ok(stops);
        }
        self.missed.remove(worker);
        self.told.remove(worker);
        let known = Known {
            incarnation: *incarnation,
            slots: u64::from(*slots),
            clientele: clientele.clone(),
            connected: true,
            heard_ms: seen.now.steady_ms,
        };
        self.workers.insert(*worker, known);
        if self.last.insert(*worker, *incarnation).is_some_and(|last| last != *incarnation) {
            // What the other life has ended under it is nobody's fault.
            if held.iter().any(|held| self.given.contains_key(&held.id)) {
                coverage.saw("a life back after another");
            }
            stops.extend(held.iter().map(|held| (*worker, held.id)));
            return Ok(stops);
        }
        let believed: BTreeSet<AttemptId> = self.held_by(*worker).into_iter().map(|(id, _)| id).collect();
        for held in held {
            if believed.contains(&held.id) {
                continue;
            }
            let honest = self.given.get(&held.id) == Some(&(held.item, *worker));
            let pending = self.item_may_change(&held.item).is_ok() && !self.is_stopped(held.item.job);
            let barred = self.may_have(*worker, &held.item).is_err();
            if pending && barred {
                coverage.saw("an attempt refused that its worker may not have");
            }
            if !pending || barred || self.holders.contains_key(&held.item) || !self.is_nobodys(held.id) {
                if !honest {
                    coverage.saw("a false claim refused");
                }
                stops.push((*worker, held.id));
                continue;
            }
            if !honest {
                coverage.saw("a false claim believed");
            }
            coverage.saw("an attempt adopted");
            if held.id.epoch < self.epoch {
                coverage.saw("an attempt adopted after a coordinator crash");
            }
            self.holders.insert(held.item, (held.id, *worker));
        }
        Ok(stops)
    }

    /// Whether what ran of the job was stopped.
    fn is_stopped(&self, job: JobId) -> bool {
        self.live.job(job).and_then(|job| job.paused.as_ref()).is_some_and(|paused| paused.stop)
    }

    /// Whether the attempt may have been given out, and no worker holds it.
    fn is_nobodys(&self, id: AttemptId) -> bool {
        let newest = AttemptId { epoch: self.epoch, number: u64::MAX };
        let newest = self.given.range(..=newest).next_back().map(|(newest, _)| *newest);
        let may_be = id.epoch < self.epoch || newest.is_some_and(|newest| id <= newest);
        may_be && self.holders.values().all(|(other, _)| *other != id)
    }

    pub(super) fn orders(&mut self, seen: Seen<'_>, stops: &Stops, coverage: &mut Coverage) -> Check {
        let mut stopped = BTreeSet::new();
        for order in &seen.out.orders {
            match order {
                Order::Assign { worker, attempts } => {
                    for attempt in attempts {
                        self.assignment_may_be(seen, *worker, attempt, coverage)?;
                    }
                }
                Order::Stop { worker, ids } => {
                    coverage.saw("an attempt stopped");
                    stopped.extend(ids.iter().map(|id| (*worker, *id)));
                }
                Order::Return { worker, ids } => {
                    coverage.saw("an attempt asked back");
                    self.may_be_asked_back(*worker, ids)?;
                }
                Order::Settle { worker, ids } => settles_what_ended(seen.input, *worker, ids)?,
                Order::Welcome { worker, .. } => {
                    let said = matches!(seen.input, Input::Hello { worker: who, .. } if who == worker);
                    demand!(said, "{worker} is welcome but did not say hello");
                }
                Order::Replicas { worker, keep } => {
                    self.is_connected(*worker)?;
                    for key in keep {
                        self.may_be_given(*worker, &key.service.namespace)?;
                    }
                    self.told.insert(*worker, keep.iter().cloned().collect());
                }
                Order::Image { worker, job, stage, digest } => {
                    self.is_connected(*worker)?;
                    self.may_have(*worker, &ItemKey { job: *job, stage: *stage, index: 0 })?;
                    let agreed = self.live.image(*job, *stage);
                    demand!(agreed == Some(*digest), "{worker} is told another image than was agreed on for {job}");
                }
                Order::ForgetJob { job, .. } => {
                    let ended = self.live.job(*job).is_none_or(|job| job.state.has_ended());
                    demand!(ended, "{job} is to be forgotten but has not ended");
                }
            }
        }
        let expected: BTreeSet<(WorkerId, AttemptId)> = stops.iter().copied().collect();
        demand!(stopped == expected, "to be stopped are {expected:?}, the core stops {stopped:?}");
        Ok(())
    }

    /// Nobody is given what is of a namespace that is none of its own.
    fn may_be_given(&self, worker: WorkerId, namespace: &Namespace) -> Check {
        let may = self.workers.get(&worker).is_some_and(|known| match &known.clientele {
            Clientele::Everybody => true,
            Clientele::Only(some) => some.iter().any(|one| one == namespace),
        });
        demand!(may, "{worker} is given something of {namespace}");
        Ok(())
    }

    pub(super) fn may_have(&self, worker: WorkerId, item: &ItemKey) -> Check {
        let job = self.live.job(item.job).ok_or_else(|| format!("{item:?} is of no job"))?;
        self.may_be_given(worker, &job.namespace)
    }

    fn is_connected(&self, worker: WorkerId) -> Check {
        let connected = self.workers.get(&worker).is_some_and(|known| known.connected);
        demand!(connected, "an order for {worker}, which is not connected");
        Ok(())
    }

    fn assignment_may_be(
        &mut self,
        seen: Seen<'_>,
        worker: WorkerId,
        assignment: &Assignment,
        coverage: &mut Coverage,
    ) -> Check {
        let Assignment { id, item, .. } = *assignment;
        self.is_connected(worker)?;
        self.may_have(worker, &item)?;
        if self.workers.get(&worker).is_some_and(|known| known.clientele != Clientele::Everybody) {
            coverage.saw("an item given to a worker of few namespaces");
        }
        demand!(!self.in_reunion(seen.now), "{item:?} is given out in reunion");
        demand!(id.epoch == self.epoch, "{id:?} is not of epoch {}", self.epoch);
        demand!(self.live.is_running(item.job), "the job of {item:?} ended");
        let may = self.live.job(item.job).is_some_and(|job| job.paused.is_none() && job.awaits.is_empty());
        demand!(may, "{item:?} is given out of a job that rests or waits");
        demand!(!self.live.is_drained(worker), "{item:?} is given to {worker}, which is drained");
        let is_cut = self.live.job(item.job).is_some_and(|job| job.cut.is_some());
        demand!(!is_cut, "{item:?} is given out though its job ends with what runs");
        demand!(self.live.outcome(&item).is_none(), "{item:?} has ended");
        demand!(self.has(&item), "there is no {item:?}");
        if let Some(holder) = self.holders.get(&item) {
            return Err(format!("{item:?} is given out but {holder:?} has it"));
        }
        let tries =
            self.live.trouble(&item).map_or(0, |trouble| trouble.failures + trouble.losses.count() + trouble.mishaps);
        let tries = tries + self.earlier(&item);
        demand!(assignment.attempt == tries + 1, "{assignment:?} after {tries} tries");
        self.source_is_right(seen, assignment, coverage)?;
        self.there_is_room(worker, assignment)?;
        self.is_alone_if_it_should(worker, assignment, coverage)?;
        self.holders.insert(item, (id, worker));
        let before = self.given.insert(id, (item, worker));
        demand!(before.is_none(), "{id:?} is given out twice");
        Ok(())
    }

    fn source_is_right(&self, seen: Seen<'_>, assignment: &Assignment, coverage: &mut Coverage) -> Check {
        let item = &assignment.item;
        let job = self.live.job(item.job);
        let stage = job.and_then(|job| job.spec.stages.get(usize::from(item.stage)));
        let stage = stage.ok_or_else(|| format!("{item:?} is of no stage"))?;
        let right = match stage.kind {
            StageKind::Gather { .. } => {
                coverage.saw("a gather item given out");
                Source::Everything
            }
            StageKind::Groups { .. } | StageKind::Ranges { .. } => {
                coverage.saw(match stage.kind {
                    StageKind::Groups { .. } => "a group given out",
                    _ => "a merge of a tree given out",
                });
                Source::Group
            }
            StageKind::Map if item.stage == 0 => Source::Input,
            StageKind::Map => {
                coverage.saw("an item made from an output given out");
                let (parent, ordinal) = count::parent(&self.live, item)?;
                Source::Output { parent, ordinal }
            }
        };
        demand!(assignment.source == right, "{assignment:?}: the source is {right:?}");
        if Flow::of(&self.live, item.job).lacks(item) {
            coverage.saw("a gather of what came through");
        }
        let shown = seen.core.source(item);
        demand!(shown == Some(right), "the source of {item:?} is shown as {shown:?}");
        Ok(())
    }

    /// Who is to run alone does.
    fn is_alone_if_it_should(&mut self, worker: WorkerId, assignment: &Assignment, coverage: &mut Coverage) -> Check {
        let held = self.held_by(worker);
        let kept = held.iter().find(|(id, _)| id.epoch == self.epoch && self.alone.contains(id));
        demand!(kept.is_none(), "{assignment:?} is given to {worker} beside {kept:?}, which is to be alone");
        if self.is_suspect(&assignment.item) {
            demand!(held.is_empty(), "{assignment:?} is to be alone, but {worker} has {held:?}");
            coverage.saw("an item given out to be alone");
            self.alone.insert(assignment.id);
        }
        Ok(())
    }

    fn there_is_room(&self, worker: WorkerId, assignment: &Assignment) -> Check {
        let item = assignment.item;
        let slots = self.workers.get(&worker).map_or(0, |known| known.slots);
        let (mut on_worker, mut of_stage) = (0_u64, 0_u64);
        for (other, (_, holder)) in &self.holders {
            on_worker += u64::from(*holder == worker);
            of_stage += u64::from((other.job, other.stage) == (item.job, item.stage));
        }
        demand!(on_worker < slots * MOST_PER_SLOT, "{worker} has {on_worker}");
        let most = self
            .live
            .job(item.job)
            .and_then(|job| job.spec.stages.get(usize::from(item.stage)))
            .map_or(0, |stage| u64::from(stage.max_parallel));
        demand!(most == 0 || of_stage < most, "{of_stage} of at most {most} run");
        Ok(())
    }

    fn may_be_asked_back(&self, worker: WorkerId, ids: &[AttemptId]) -> Check {
        self.is_connected(worker)?;
        let held = self.held_by(worker);
        for id in ids {
            let has = held.iter().any(|(other, _)| other == id);
            demand!(has, "{id:?} is asked back from {worker}, which does not hold it");
        }
        Ok(())
    }

    /// No replica is wanted of two workers.
    pub(super) fn replicas(&mut self, seen: Seen<'_>, coverage: &mut Coverage) -> Check {
        let mut all: BTreeSet<&ReplicaKey> = BTreeSet::new();
        // A drained worker keeps what another is starting.
        let stay = self.told.iter().filter(|(worker, _)| !self.live.is_drained(**worker));
        for key in stay.flat_map(|(_, keep)| keep) {
            demand!(all.insert(key), "two workers shall keep {key}");
        }
        for service in self.live.services().filter(|service| service.plan.is_some()) {
            let view = seen.core.service_view(&service.name).ok_or_else(|| format!("{} is not shown", service.name))?;
            for replica in view.replicas {
                let Some((worker, _)) = replica.worker else {
                    continue;
                };
                demand!(self.workers.contains_key(&worker), "{} is on {worker}", replica.key);
                self.may_be_given(worker, &replica.key.service.namespace)?;
                for (other, keep) in &self.told {
                    let told = keep.contains(&replica.key);
                    let moves = self.live.is_drained(worker) || self.live.is_drained(*other);
                    demand!(!told || *other == worker || moves, "{} is told {other}", replica.key);
                }
                if self.placed.insert(replica.key, worker).is_none()
                    && matches!(seen.input, Input::Hello { worker: who, replicas, .. } if *who == worker && !replicas.is_empty())
                {
                    coverage.saw("a replica adopted");
                }
            }
        }
        Ok(())
    }
}

fn settles_what_ended(input: &Input, worker: WorkerId, ids: &[AttemptId]) -> Check {
    let ended = match input {
        Input::Finished { worker: who, results, .. } => {
            *who == worker && results.iter().map(|result| result.id).eq(ids.iter().copied())
        }
        _ => false,
    };
    demand!(ended, "{ids:?} of {worker} are settled but did not end");
    Ok(())
}
