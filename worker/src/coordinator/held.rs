//! The attempts this worker holds, until the coordinator has settled each: what it says hello with.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use bytes::Bytes;
use longshore_proto::{
    ImageDigest,
    v1::{self, Container, HeldAttempt, Stage, StageContext},
};

use crate::{
    executor::{Work, WorkId},
    work::{Secrets, namespace},
};

/// All held attempts, and what their stages are.
#[derive(Default)]
pub(crate) struct Held {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    attempts: BTreeMap<WorkId, Attempt>,
    /// Stages as they are for attempts that have more memory, so that these share what is worked out for them.
    grown: HashMap<(Bytes, u32, u64), Arc<Stage>>,
    stages: HashMap<(Bytes, u32), Context>,
}

/// What the attempts of a stage share.
#[derive(Clone)]
pub(crate) struct Context {
    /// Whose job it is; empty for the namespace that nobody names.
    pub namespace: Arc<str>,
    pub job_name: String,
    pub stage: Arc<Stage>,
    /// Which image its runs are of, where that was agreed on.
    pub image: Option<ImageDigest>,
    /// What its container names of secrets.
    pub secrets: Secrets,
}

struct Attempt {
    job_id: Bytes,
    stage: u32,
    index: u64,
    path: String,
    attempt: u32,
    result: Option<v1::Result>,
}

impl Held {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Learns of a stage. One that is known already, with the same versions of its secrets, stays the same object, which keeps what
    /// was worked out for it; with others it is another one, so that nothing of before is used for it.
    pub fn learn(&self, context: StageContext) {
        let (Some(spec), Some(namespace)) = (context.spec, namespace(&context.namespace)) else { return };
        let mut inner = self.lock();
        let key = (context.job_id, context.stage);
        let (image, secrets) = (ImageDigest::from_wire(&context.image), Secrets::new(context.secrets));
        let is_same = |known: &&mut Context| *known.stage == spec && known.secrets.versions() == secrets.versions();
        if let Some(known) = inner.stages.get_mut(&key).filter(is_same) {
            known.image = known.image.or(image);
        } else {
            inner.grown.retain(|(job, stage, _), _| (job, *stage) != (&key.0, key.1));
            let (job_name, stage) = (context.job_name, Arc::new(spec));
            inner.stages.insert(key, Context { namespace, job_name, stage, image, secrets });
        }
    }

    /// Takes in an attempt; `None` when it is held already or its stage is unknown.
    pub fn take_in(&self, attempt: &v1::Attempt) -> Option<(WorkId, Context)> {
        let id = attempt.id?;
        let id = (id.epoch, id.number);
        let mut inner = self.lock();
        if inner.attempts.contains_key(&id) {
            return None;
        }
        let mut context = inner.stages.get(&(attempt.job_id.clone(), attempt.stage))?.clone();
        if attempt.memory_bytes > 0 {
            let key = (attempt.job_id.clone(), attempt.stage, attempt.memory_bytes);
            let grown = inner.grown.entry(key).or_insert_with(|| with_memory(&context.stage, attempt.memory_bytes));
            context.stage = Arc::clone(grown);
        }
        let held = Attempt {
            job_id: attempt.job_id.clone(),
            stage: attempt.stage,
            index: attempt.index,
            path: attempt.path.clone(),
            attempt: attempt.attempt,
            result: None,
        };
        inner.attempts.insert(id, held);
        Some((id, context))
    }

    /// Completes a result with what it is the result of and keeps it until it is settled; `None` when nobody wants it.
    pub fn finish(&self, id: WorkId, result: v1::Result) -> Option<v1::Result> {
        let mut inner = self.lock();
        let held = inner.attempts.get_mut(&id)?;
        let result = v1::Result {
            id: Some(v1::AttemptId { epoch: id.0, number: id.1 }),
            job_id: held.job_id.clone(),
            stage: held.stage,
            index: held.index,
            path: held.path.clone(),
            attempt: held.attempt,
            ..result
        };
        held.result = Some(result.clone());
        Some(result)
    }

    /// Whether somebody still wants this attempt.
    pub fn holds(&self, id: WorkId) -> bool {
        self.lock().attempts.contains_key(&id)
    }

    /// Forgets attempts.
    pub fn forget(&self, ids: &[WorkId]) {
        let mut inner = self.lock();
        for id in ids {
            inner.attempts.remove(id);
        }
    }

    /// Forgets every attempt; answers which there were.
    pub fn forget_all(&self) -> Vec<WorkId> {
        std::mem::take(&mut self.lock().attempts).into_keys().collect()
    }

    /// Forgets what the stages of a job are.
    pub fn forget_job(&self, job_id: &Bytes) {
        let mut inner = self.lock();
        inner.stages.retain(|(job, _), _| job != job_id);
        inner.grown.retain(|(job, ..), _| job != job_id);
    }

    /// Everything held, for a hello.
    pub fn all(&self) -> Vec<HeldAttempt> {
        let inner = self.lock();
        let held = inner.attempts.iter().map(|(id, attempt)| HeldAttempt {
            id: Some(v1::AttemptId { epoch: id.0, number: id.1 }),
            job_id: attempt.job_id.clone(),
            stage: attempt.stage,
            index: attempt.index,
        });
        held.collect()
    }

    /// Results that are not settled.
    pub fn unsettled(&self) -> Vec<v1::Result> {
        self.lock().attempts.values().filter_map(|attempt| attempt.result.clone()).collect()
    }
}

/// The stage as it is for an attempt that has so much memory.
fn with_memory(stage: &Stage, memory_bytes: u64) -> Arc<Stage> {
    let container = stage.container.clone().map(|container| Container { memory_bytes, ..container });
    Arc::new(Stage { container, ..stage.clone() })
}

/// An attempt as the executor takes it.
pub(crate) fn work(id: WorkId, context: Context, attempt: v1::Attempt) -> Option<Work> {
    Some(Work {
        id,
        job: attempt.job_id.as_ref().try_into().ok()?,
        namespace: context.namespace,
        job_name: context.job_name,
        stage_index: attempt.stage,
        gather: context.stage.kind() == v1::StageKind::Gather,
        stage: context.stage,
        image: context.image,
        index: attempt.index,
        attempt: attempt.attempt,
        path: attempt.path,
        inputs: attempt.inputs,
        missing: attempt.missing.unwrap_or_default(),
        secrets: context.secrets,
    })
}
