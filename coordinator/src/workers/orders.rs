//! Orders of the core as messages to a worker.

use std::{collections::HashSet, sync::Arc};

use bytes::Bytes;
use longshore_core::{Assignment, AttemptId, ItemKey, JobId, Namespace, Order, ReplicaKey, Role, Source};
use longshore_proto::{
    Digest,
    v1::{self, NamedBlob, to_worker},
};

use crate::{
    drive::deployed::Deployed,
    error::chain,
    kept::{catalog::Catalog, error::CatalogError, inputs::Inputs, messages::Messages},
    replica::{namespace_on_wire, replica_id},
    workers::sessions::Proof,
};

/// Bytes of inputs that travel in one message, beside one input that is larger. Answers to heartbeats wait for one to leave.
const MESSAGE_BYTES: usize = 256 << 10;

/// Bytes of a gather item's parts that travel in the message itself.
const PARTS_BYTES: u64 = 1 << 20;

/// Parts of a gather item that travel in the message itself.
const INLINE_PARTS: u64 = 64;

/// Attempts whose input cannot be had: the worker never sees them.
pub struct Unreadable {
    pub assignment: Assignment,
    pub why: String,
    /// It is lost: no other try will find it.
    pub lost: bool,
}

/// The job that assignments are being written of, while they follow one another.
struct OpenJob {
    id: JobId,
    bytes: Bytes,
    inputs: Option<Inputs>,
    room: Option<Messages>,
}

impl OpenJob {
    fn new(id: JobId) -> Self {
        Self { id, bytes: job_bytes(id), inputs: None, room: None }
    }

    /// The blobs of its namespace.
    fn room(&mut self, catalog: &Catalog) -> Result<&Messages, CatalogError> {
        match &mut self.room {
            Some(room) => Ok(room),
            none => Ok(none.insert(catalog.room_of(self.id)?)),
        }
    }

    fn input(&mut self, catalog: &Catalog, index: u64) -> Result<NamedBlob, CatalogError> {
        match &mut self.inputs {
            Some(inputs) => inputs.get(catalog.lists(), index),
            none => none.insert(catalog.inputs(self.id)?).get(catalog.lists(), index),
        }
    }
}

/// What every worker is told when it is welcome.
#[derive(Debug)]
pub struct Terms {
    /// The coordinator's epoch.
    pub epoch: u64,
    /// The lease.
    pub lease_ms: u32,
    /// Certificates, as DER, of the authorities that are trusted in this cluster: there may be others than when it joined.
    pub roots: Vec<Bytes>,
    /// The cluster.
    pub cluster: String,
}

/// What a link has told its worker already.
pub struct OrderWriter {
    pub catalog: Arc<Catalog>,
    pub deployed: Arc<Deployed>,
    terms: Arc<Terms>,
    proof: Proof,
    told: HashSet<(JobId, u16)>,
}

impl OrderWriter {
    pub fn new(catalog: Arc<Catalog>, deployed: Arc<Deployed>, terms: Arc<Terms>, proof: Proof) -> Self {
        Self { catalog, deployed, terms, proof, told: HashSet::new() }
    }

    /// The messages for some orders, in order, and the attempts that cannot be sent.
    pub fn write(&mut self, orders: Vec<Order>) -> (Vec<v1::ToWorker>, Vec<Unreadable>) {
        let mut messages = Vec::new();
        let mut unreadable = Vec::new();
        let mut settled = Vec::new();
        let mut assigned = Vec::new();
        for order in orders {
            // What is to be forgotten and what is to be run have nothing to do with each other; all else keeps its place.
            if !matches!(order, Order::Assign { .. } | Order::Settle { .. }) {
                settle(&mut settled, &mut messages);
                self.assign(std::mem::take(&mut assigned), &mut messages, &mut unreadable);
            }
            match order {
                Order::Assign { attempts, .. } => assigned.extend(attempts),
                Order::Settle { ids, .. } => settled.extend(ids),
                Order::ForgetJob { job, .. } => {
                    self.told.retain(|(told, _)| *told != job);
                    messages.push(to_worker::Message::Forget(v1::ForgetJob { job_id: job_bytes(job) }));
                }
                Order::Welcome { .. } => messages.push(to_worker::Message::Welcome(v1::Welcome {
                    epoch: self.terms.epoch,
                    lease_ms: self.terms.lease_ms,
                    heartbeat_ms: self.terms.lease_ms / 8,
                    proof: Bytes::copy_from_slice(&self.proof),
                    roots: self.terms.roots.clone(),
                    cluster: self.terms.cluster.clone(),
                })),
                Order::Stop { ids, .. } => {
                    messages.push(to_worker::Message::Stop(v1::StopAttempts { ids: attempt_ids(&ids) }));
                }
                Order::Return { ids, .. } => {
                    messages.push(to_worker::Message::Return(v1::ReturnAttempts { ids: attempt_ids(&ids) }));
                }
                Order::Replicas { keep, .. } => messages.push(self.replicas(&keep)),
            }
        }
        settle(&mut settled, &mut messages);
        self.assign(assigned, &mut messages, &mut unreadable);
        let messages = messages.into_iter().map(|message| v1::ToWorker { message: Some(message) }).collect();
        (messages, unreadable)
    }

    fn assign(
        &mut self,
        assignments: Vec<Assignment>,
        messages: &mut Vec<to_worker::Message>,
        unreadable: &mut Vec<Unreadable>,
    ) {
        let mut message = v1::Assign { attempts: Vec::with_capacity(assignments.len()), ..v1::Assign::default() };
        let mut bytes = 0;
        let mut open: Option<OpenJob> = None;
        for assignment in assignments {
            let job = match open.take() {
                Some(job) if job.id == assignment.item.job => open.insert(job),
                _ => open.insert(OpenJob::new(assignment.item.job)),
            };
            let written = self.context(&assignment.item, &mut message).and_then(|()| self.attempt(job, &assignment));
            match written {
                Ok(attempt) => {
                    let inline = attempt.inputs.iter().filter_map(|input| input.inline.as_ref());
                    bytes += inline.map(Bytes::len).sum::<usize>() + 64 * (1 + attempt.inputs.len());
                    message.attempts.push(attempt);
                }
                Err(error) => unreadable.push(Unreadable { assignment, why: chain(&error), lost: error.is_loss() }),
            }
            if bytes > MESSAGE_BYTES {
                messages.push(to_worker::Message::Assign(std::mem::take(&mut message)));
                bytes = 0;
            }
        }
        if !message.attempts.is_empty() || !message.contexts.is_empty() {
            messages.push(to_worker::Message::Assign(message));
        }
    }

    fn context(&mut self, item: &ItemKey, message: &mut v1::Assign) -> Result<(), CatalogError> {
        if self.told.contains(&(item.job, item.stage)) {
            return Ok(());
        }
        let submission = self.catalog.submission(item.job)?;
        message.contexts.push(v1::StageContext {
            job_id: job_bytes(item.job),
            stage: u32::from(item.stage),
            job_name: submission.name().to_owned(),
            spec: submission.stages().get(usize::from(item.stage)).cloned(),
            namespace: namespace_on_wire(submission.room().namespace()),
        });
        self.told.insert((item.job, item.stage));
        Ok(())
    }

    fn attempt(&self, job: &mut OpenJob, assignment: &Assignment) -> Result<v1::Attempt, CatalogError> {
        let item = assignment.item;
        let mut attempt = v1::Attempt {
            id: Some(attempt_id(assignment.id)),
            job_id: job.bytes.clone(),
            stage: u32::from(item.stage),
            index: item.index,
            attempt: assignment.attempt,
            ..v1::Attempt::default()
        };
        if assignment.source == Source::Everything {
            let submission = self.catalog.submission(item.job)?;
            let stage = submission.stages().get(usize::from(item.stage));
            attempt.path = stage.map_or(String::new(), |stage| stage.name.clone());
            let lists = self.catalog.everything(item.job, item.stage.saturating_sub(1))?;
            match lists.as_slice() {
                [only] if only.count <= INLINE_PARTS => {
                    let room = job.room(&self.catalog)?;
                    attempt.inputs = room.listed(only)?;
                    let small = attempt.inputs.iter().map(|input| input.size).sum::<u64>() <= PARTS_BYTES;
                    if small {
                        attempt.inputs.iter_mut().try_for_each(|input| room.inline(input))?;
                    }
                }
                _ => attempt.inputs_refs = lists,
            }
        } else {
            let mut input = match assignment.source {
                Source::Input => job.input(&self.catalog, item.index)?,
                other => self.catalog.source(&item, other)?,
            };
            job.room(&self.catalog)?.inline(&mut input)?;
            attempt.path.clone_from(&input.path);
            attempt.inputs.push(input);
        }
        Ok(attempt)
    }

    fn replicas(&self, keep: &[ReplicaKey]) -> to_worker::Message {
        let replicas = keep.iter().filter_map(|key| self.replica(key)).collect();
        to_worker::Message::Replicas(v1::DesiredReplicas { replicas })
    }

    fn replica(&self, key: &ReplicaKey) -> Option<v1::DesiredReplica> {
        // A replica that is left out is not told again.
        let entry = self.deployed.get_or_read(&key.service)?;
        let leaf = entry.spec.leaf.as_ref()?;
        let id = Some(replica_id(key));
        Some(match key.role {
            Role::Leaf { shard } => v1::DesiredReplica {
                id,
                container: leaf.container.clone(),
                shards: leaf.shards,
                concurrency: leaf.concurrency,
                data: leaf.data.get(shard as usize).map(|list| self.sized(&key.service.namespace, list)),
            },
            Role::Merge => {
                let merge = entry.spec.merge.as_ref()?;
                v1::DesiredReplica {
                    id,
                    container: merge.container.clone(),
                    shards: leaf.shards,
                    concurrency: merge.concurrency,
                    data: None,
                }
            }
        })
    }
}

impl OrderWriter {
    /// A client's list with its size, which a worker needs to fetch it.
    fn sized(&self, namespace: &Namespace, list: &v1::BlobListRef) -> v1::BlobListRef {
        let room = self.catalog.room(namespace);
        let size = Digest::try_from(&list.digest).ok().and_then(|digest| room.size(digest)).unwrap_or_default();
        v1::BlobListRef { size, ..list.clone() }
    }
}

/// The message for everything that is to be forgotten.
fn settle(ids: &mut Vec<AttemptId>, messages: &mut Vec<to_worker::Message>) {
    if !ids.is_empty() {
        messages.push(to_worker::Message::Settled(v1::Settled { ids: attempt_ids(ids) }));
        ids.clear();
    }
}

fn job_bytes(job: JobId) -> Bytes {
    Bytes::copy_from_slice(&job.0)
}

fn attempt_id(id: AttemptId) -> v1::AttemptId {
    v1::AttemptId { epoch: id.epoch, number: id.number }
}

fn attempt_ids(ids: &[AttemptId]) -> Vec<v1::AttemptId> {
    ids.iter().copied().map(attempt_id).collect()
}
