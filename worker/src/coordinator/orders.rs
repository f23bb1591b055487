//! What the coordinator wants, handed to whoever does it.

use std::sync::Arc;

use longshore_proto::v1::{self, to_worker};
use tokio::sync::mpsc;

use super::{
    agreements::Agreements,
    held::{self, Held},
};
use crate::{
    cache::{Cache, lists},
    causes,
    executor::{Executor, WorkId},
    replicas::Replicas,
};

/// Those who do it.
pub(crate) struct Orders {
    pub executor: Arc<Executor>,
    pub blobs: Cache,
    pub held: Arc<Held>,
    pub results: mpsc::UnboundedSender<v1::Result>,
    pub replicas: Arc<Replicas>,
    pub images: Arc<Agreements>,
}

impl Orders {
    /// Does what the coordinator wants.
    pub fn take_in(&self, order: to_worker::Message) {
        match order {
            to_worker::Message::Assign(assign) => self.assign(assign),
            to_worker::Message::Stop(stop) => {
                let ids = work_ids(&stop.ids);
                self.executor.stop(&ids);
                self.held.forget(&ids);
            }
            to_worker::Message::Return(back) => self.executor.give_back(&work_ids(&back.ids)),
            to_worker::Message::Settled(settled) => self.held.forget(&work_ids(&settled.ids)),
            to_worker::Message::Replicas(desired) => self.replicas.keep(desired.replicas, desired.secrets),
            to_worker::Message::Image(agreed) => self.images.answered(&agreed),
            to_worker::Message::Forget(forget) => {
                self.held.forget_job(&forget.job_id);
                if let Ok(job) = forget.job_id.as_ref().try_into() {
                    self.executor.forget_job(job);
                    self.images.forget_job(job);
                }
            }
            to_worker::Message::Welcome(_) | to_worker::Message::Answer(_) | to_worker::Message::Ping(_) => {}
        }
    }

    /// The coordinator counts on nothing that is here: everything is ended, and nothing is said of it.
    pub fn drop_all(&self) {
        self.executor.stop(&self.held.forget_all());
        self.replicas.keep(Vec::new(), Vec::new());
    }

    fn assign(&self, assign: v1::Assign) {
        for context in assign.contexts {
            self.held.learn(context);
        }
        let mut ready = Vec::with_capacity(assign.attempts.len());
        for attempt in assign.attempts {
            let Some((id, context)) = self.held.take_in(&attempt) else { continue };
            if attempt.inputs_refs.is_empty() {
                ready.extend(held::work(id, context, attempt));
            } else {
                self.assign_long(id, context, attempt);
            }
        }
        self.executor.submit(ready);
    }

    /// An attempt whose list of parts is kept in blobs.
    fn assign_long(&self, id: WorkId, context: held::Context, mut attempt: v1::Attempt) {
        let (executor, held, results) = (Arc::clone(&self.executor), Arc::clone(&self.held), self.results.clone());
        let blobs = self.blobs.clone();
        tokio::spawn(async move {
            match lists::entries(&blobs, &context.namespace, &attempt.inputs_refs).await {
                Ok(inputs) => {
                    if !held.holds(id) {
                        // It was stopped while its list was on the way.
                        return;
                    }
                    attempt.inputs = inputs;
                    executor.submit(held::work(id, context, attempt).into_iter().collect());
                }
                Err(why) => {
                    let failure = v1::Failure {
                        class: v1::FailureClass::Infrastructure.into(),
                        message: format!("the list of its parts cannot be had: {}", causes::in_a_line(&why)),
                        ..v1::Failure::default()
                    };
                    let end = Some(v1::result::End::Failure(failure));
                    if let Some(result) = held.finish(id, v1::Result { end, ..v1::Result::default() }) {
                        let _ = results.send(result);
                    }
                }
            }
        });
    }
}

fn work_ids(ids: &[v1::AttemptId]) -> Vec<WorkId> {
    ids.iter().map(|id| (id.epoch, id.number)).collect()
}
