//! Orders of the core as messages to a worker.

use std::{
    collections::{BTreeSet, HashMap},
    sync::Arc,
};

use bytes::Bytes;
use longshore_core::{Assignment, AttemptId, ItemKey, JobId, Namespace, Order, ReplicaKey, Role, SecretName, Source};
use longshore_proto::{
    Digest, ImageDigest, secret,
    v1::{self, NamedBlob, OfOutputs, to_worker},
};
use prost::Message;

use crate::{
    drive::deployed::Deployed,
    error::chain,
    kept::{
        catalog::Catalog,
        error::CatalogError,
        grouped::{self, GroupsError, of_outputs},
        inputs::Inputs,
        messages::Messages,
    },
    limits,
    replica::{namespace_on_wire, replica_id},
    secrets::{
        told::{self, Untold},
        vault::Vault,
    },
    workers::sessions::Proof,
};

/// Bytes of inputs that travel in one message, beside one input that is larger. Answers to heartbeats wait for one to leave.
const MESSAGE_BYTES: usize = 256 << 10;

/// Bytes of a gather item's parts that travel in the message itself.
const PARTS_BYTES: u64 = 1 << 20;

/// Parts of a gather item that travel in the message itself.
const INLINE_PARTS: u64 = 64;

/// An attempt that its worker never sees.
pub struct Unsent {
    pub assignment: Assignment,
    pub how: How,
}

/// How an attempt ended before it was sent.
pub enum How {
    /// Its input or secrets cannot be had.
    Not(Why),
    /// It was the coordinator's own to do: it has these outputs.
    Done(v1::BlobList),
}

/// Why an attempt cannot be given out.
#[derive(Debug, thiserror::Error)]
pub enum Why {
    /// What is kept cannot be read.
    #[error("its input {}: {}", if .0.is_loss() { "is lost" } else { "cannot be read" }, chain(.0))]
    Kept(#[from] CatalogError),
    /// A secret cannot be had.
    #[error("{0}; then `longshore job retry`")]
    Secrets(#[from] Untold),
    /// There are more parts than a directory is made of.
    #[error(
        "a directory of {0} parts is too large, {most} are the most; read them from standard input (`parts: stdin`), or gather \
         them in steps (`fan_in`)",
        most = limits::PART_FILES
    )]
    Parts(u64),
    /// Outputs are not as a gather by their keys needs them.
    #[error(transparent)]
    Groups(GroupsError),
}

impl From<GroupsError> for Why {
    fn from(error: GroupsError) -> Self {
        match error {
            GroupsError::Kept(error) => Self::Kept(error),
            other => Self::Groups(other),
        }
    }
}

impl Why {
    /// Whether no other try finds it otherwise: nobody waits for somebody to put a secret.
    pub fn is_for_good(&self) -> bool {
        match self {
            Self::Kept(error) => error.is_loss(),
            Self::Secrets(_) | Self::Parts(_) | Self::Groups(_) => true,
        }
    }

    /// What kind of failure it is.
    pub fn class(&self) -> v1::FailureClass {
        match self {
            Self::Groups(_) => v1::FailureClass::Output,
            Self::Kept(_) | Self::Secrets(_) | Self::Parts(_) => v1::FailureClass::Infrastructure,
        }
    }
}

/// Where what is told comes from.
pub struct Sources {
    pub catalog: Arc<Catalog>,
    pub deployed: Arc<Deployed>,
    pub vault: Arc<Vault>,
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
    kept: Sources,
    terms: Arc<Terms>,
    proof: Proof,
    /// With which versions of their secrets.
    told: HashMap<(JobId, u16), Vec<u64>>,
}

impl OrderWriter {
    pub fn new(kept: Sources, terms: Arc<Terms>, proof: Proof) -> Self {
        Self { kept, terms, proof, told: HashMap::new() }
    }

    /// The messages for some orders, in order, and the attempts that are not sent.
    pub fn write(&mut self, orders: Vec<Order>) -> (Vec<v1::ToWorker>, Vec<Unsent>) {
        let mut messages = Vec::new();
        let mut unsent = Vec::new();
        let mut settled = Vec::new();
        let mut assigned = Vec::new();
        for order in orders {
            // What is to be forgotten and what is to be run have nothing to do with each other; all else keeps its place.
            if !matches!(order, Order::Assign { .. } | Order::Settle { .. }) {
                settle(&mut settled, &mut messages);
                self.assign(std::mem::take(&mut assigned), &mut messages, &mut unsent);
            }
            match order {
                Order::Assign { attempts, .. } => assigned.extend(attempts),
                Order::Settle { ids, .. } => settled.extend(ids),
                Order::ForgetJob { job, .. } => {
                    self.told.retain(|(told, _), _| *told != job);
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
                Order::Image { job, stage, digest, .. } => messages.push(to_worker::Message::Image(v1::ImageAgreed {
                    job_id: job_bytes(job),
                    stage: u32::from(stage),
                    digest: Bytes::copy_from_slice(&digest),
                })),
                Order::Replicas { keep, .. } => messages.push(self.replicas(&keep)),
            }
        }
        settle(&mut settled, &mut messages);
        self.assign(assigned, &mut messages, &mut unsent);
        let messages = messages.into_iter().map(|message| v1::ToWorker { message: Some(message) }).collect();
        (messages, unsent)
    }

    fn assign(
        &mut self,
        assignments: Vec<Assignment>,
        messages: &mut Vec<to_worker::Message>,
        unsent: &mut Vec<Unsent>,
    ) {
        let mut message = v1::Assign { attempts: Vec::with_capacity(assignments.len()), ..v1::Assign::default() };
        let mut bytes = 0;
        let mut open: Option<OpenJob> = None;
        for assignment in assignments {
            let job = match open.take() {
                Some(job) if job.id == assignment.item.job => open.insert(job),
                _ => open.insert(OpenJob::new(assignment.item.job)),
            };
            match self.done_here(&assignment.item) {
                Ok(None) => {}
                Ok(Some(outputs)) => {
                    unsent.push(Unsent { assignment, how: How::Done(outputs) });
                    continue;
                }
                Err(why) => {
                    unsent.push(Unsent { assignment, how: How::Not(why) });
                    continue;
                }
            }
            let context = self.context(&assignment.item, &mut message);
            let written = context.and_then(|told| {
                bytes += told;
                self.attempt(job, &assignment)
            });
            match written {
                Ok(attempt) => {
                    let inline = attempt.inputs.iter().filter_map(|input| input.inline.as_ref());
                    bytes += inline.map(Bytes::len).sum::<usize>() + 64 * (1 + attempt.inputs.len());
                    bytes += attempt.missing.as_ref().map_or(0, Message::encoded_len);
                    message.attempts.push(attempt);
                }
                Err(why) => unsent.push(Unsent { assignment, how: How::Not(why) }),
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

    /// What the item leaves, where that is the coordinator's own to find.
    fn done_here(&self, item: &ItemKey) -> Result<Option<v1::BlobList>, Why> {
        // Only what has gathered everything is.
        if item.stage == 0 || item.index > 0 {
            return Ok(None);
        }
        let submission = self.kept.catalog.submission(item.job)?;
        let finds = submission.stages().get(usize::from(item.stage)).map(of_outputs) == Some(OfOutputs::Finds);
        Ok(if finds { Some(self.kept.catalog.groups_of_outputs(item)?) } else { None })
    }

    /// Tells what the attempts of the item's stage share, if that is not known yet or its secrets have changed since; answers how
    /// many bytes of secrets that takes.
    fn context(&mut self, item: &ItemKey, message: &mut v1::Assign) -> Result<usize, Why> {
        let stage = (item.job, item.stage);
        if self.told.get(&stage).is_some_and(Vec::is_empty) {
            return Ok(0);
        }
        let submission = self.kept.catalog.submission(item.job)?;
        let spec = submission.stages().get(usize::from(item.stage));
        let namespace = submission.room().namespace();
        let container = spec.and_then(|spec| spec.container.as_ref());
        if let (Some(known), Some(container)) = (self.told.get(&stage), container)
            && *known == told::versions(&self.kept.vault, namespace, container)
        {
            return Ok(0);
        }
        let secrets = container.map(|container| told::values(&self.kept.vault, namespace, container)).transpose()?;
        let secrets = secrets.unwrap_or_default();
        let bytes = secrets.iter().map(|secret| secret.value.len()).sum();
        self.told.insert(stage, secrets.iter().map(|secret| secret.version).collect());
        message.contexts.push(v1::StageContext {
            job_id: job_bytes(item.job),
            stage: u32::from(item.stage),
            job_name: submission.name().to_owned(),
            spec: spec.cloned(),
            namespace: namespace_on_wire(namespace),
            image: self.kept.catalog.image(item.job, item.stage)?.map_or_else(Bytes::new, ImageDigest::to_wire),
            secrets,
        });
        Ok(bytes)
    }

    fn attempt(&self, job: &mut OpenJob, assignment: &Assignment) -> Result<v1::Attempt, Why> {
        let item = assignment.item;
        let mut attempt = v1::Attempt {
            id: Some(attempt_id(assignment.id)),
            job_id: job.bytes.clone(),
            stage: u32::from(item.stage),
            index: item.index,
            attempt: assignment.attempt,
            memory_bytes: assignment.memory_bytes,
            ..v1::Attempt::default()
        };
        if matches!(assignment.source, Source::Everything | Source::Group) {
            let submission = self.kept.catalog.submission(item.job)?;
            let stage = submission.stages().get(usize::from(item.stage));
            attempt.path = match assignment.source {
                Source::Group => self.kept.catalog.group_path(&item)?,
                _ => stage.map_or(String::new(), |stage| stage.name.clone()),
            };
            let (lists, missing) = self.kept.catalog.parts(&item, assignment.source)?;
            self.add_parts(job, &mut attempt, stage, lists)?;
            attempt.missing = (missing.count > 0).then_some(missing);
        } else {
            let mut input = match assignment.source {
                Source::Input => job.input(&self.kept.catalog, item.index)?,
                other => self.kept.catalog.source(&item, other)?,
            };
            attempt.path.clone_from(&input.path);
            let submission = self.kept.catalog.submission(item.job)?;
            let stage = submission.stages().get(usize::from(item.stage));
            if stage.map(of_outputs) == Some(OfOutputs::Gathers) {
                let group = grouped::read(job.room(&self.kept.catalog)?, &input)?;
                self.add_parts(job, &mut attempt, stage, group.lists)?;
                attempt.missing = group.missing;
            } else {
                job.room(&self.kept.catalog)?.inline(&mut input)?;
                attempt.inputs.push(input);
            }
        }
        Ok(attempt)
    }

    /// Adds the parts in these lists: a few small ones with their bytes.
    fn add_parts(
        &self,
        job: &mut OpenJob,
        attempt: &mut v1::Attempt,
        stage: Option<&v1::Stage>,
        lists: Vec<v1::BlobListRef>,
    ) -> Result<(), Why> {
        let parts = lists.iter().map(|list| list.count).sum();
        if parts > limits::PART_FILES && stage.is_some_and(lays_parts) {
            return Err(Why::Parts(parts));
        }
        match lists.as_slice() {
            [only] if only.count <= INLINE_PARTS => {
                let room = job.room(&self.kept.catalog)?;
                attempt.inputs = room.listed(only)?;
                let small = attempt.inputs.iter().map(|input| input.size).sum::<u64>() <= PARTS_BYTES;
                if small {
                    attempt.inputs.iter_mut().try_for_each(|input| room.inline(input))?;
                }
            }
            _ => attempt.inputs_refs = lists,
        }
        Ok(())
    }

    fn replicas(&self, keep: &[ReplicaKey]) -> to_worker::Message {
        let (mut replicas, mut named) = (Vec::with_capacity(keep.len()), BTreeSet::new());
        for (key, replica) in keep.iter().filter_map(|key| Some((key, self.replica(key)?))) {
            let names = replica.container.as_ref().map(secret::named).unwrap_or_default();
            let whose = &key.service.namespace;
            named.extend(names.iter().map(|name| SecretName { namespace: whose.clone(), name: (*name).to_owned() }));
            replicas.push(replica);
        }
        let secrets = told::of_namespaces(&self.kept.vault, named);
        to_worker::Message::Replicas(v1::DesiredReplicas { replicas, secrets })
    }

    fn replica(&self, key: &ReplicaKey) -> Option<v1::DesiredReplica> {
        // A replica that is left out is not told again.
        let entry = self.kept.deployed.get_or_read(&key.service)?;
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
        let room = self.kept.catalog.room(namespace);
        let size = Digest::try_from(&list.digest).ok().and_then(|digest| room.size(digest)).unwrap_or_default();
        v1::BlobListRef { size, ..list.clone() }
    }
}

/// Whether a gather's parts are files of a directory.
fn lays_parts(stage: &v1::Stage) -> bool {
    let http = stage.container.as_ref().is_some_and(|container| container.interface() == v1::Interface::Http);
    !http && stage.parts() != v1::PartsAs::Stdin
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
