//! A replica with interface `files`: one fresh process per call, in as many warm containers as it may work on calls.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{BoxFuture, select_all};
use longshore_contract::bounds::ANSWER_BYTES;
use longshore_proto::v1::{Failure, FailureClass, NamedBlob};
use longshore_root::{Call, CallError};
use longshore_shim::{Done, FromShim, ToShim};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

use super::{
    call::{Serving, call_error, part_name},
    error::ReplicaError,
    spec::{ANSWER, ReplicaSpec, Started},
};
use crate::{
    contract::{
        Tray, failures,
        inputs::Staged,
        run::{Allowance, Asked, Furnished, Plan, RunDirs},
        yard::Yard,
    },
    runtime::ShimLost,
    work::{Content, Output},
};

/// Calls that may wait for a container.
const WAITING: usize = 256;

/// Between SIGTERM and SIGKILL for a call nobody waits for any more.
const GRACE: Duration = Duration::from_millis(200);

/// Beyond its time a run has so long to be reported by the shim.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes kept of each log.
const LOG_BYTES: u32 = 4 << 10;

/// Name of the file a query is found in.
const QUERY: &str = "query";

/// A call that waits for a container.
struct Queued {
    call: Call,
    within: Duration,
    answer: oneshot::Sender<Result<Bytes, CallError>>,
}

/// The way to the containers of a replica.
pub(super) struct Files {
    calls: mpsc::Sender<Queued>,
}

impl Serving for Files {
    fn call(&self, call: Call, within: Duration) -> BoxFuture<'_, Result<Bytes, CallError>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.calls.try_send(Queued { call, within, answer }).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => CallError::Busy(format!("{WAITING} calls wait for it already")),
                mpsc::error::TrySendError::Closed(_) => CallError::Failed("its container has ended".to_owned()),
            })?;
            answered.await.unwrap_or_else(|_| Err(CallError::Failed("its container has ended".to_owned())))
        })
    }
}

/// All containers of a replica, each at work on one call.
pub(super) struct Lanes<'a>(Vec<Lane<'a>>);

struct Lane<'a> {
    started: &'a Started,
    spec: &'a ReplicaSpec,
    plan: Plan,
    dirs: RunDirs,
    calls: Arc<Mutex<mpsc::Receiver<Queued>>>,
    runs: u64,
}

impl Files {
    /// Makes started containers ready for calls.
    pub(super) fn furnish<'a>(
        spec: &'a ReplicaSpec,
        started: &'a [Started],
        yard: &Arc<Yard>,
        read_only_inputs: bool,
    ) -> Result<(Self, Lanes<'a>), ReplicaError> {
        let (calls, waiting) = mpsc::channel(WAITING);
        let waiting = Arc::new(Mutex::new(waiting));
        let lane = |started| Lane::new(spec, started, yard, Arc::clone(&waiting), read_only_inputs);
        Ok((Self { calls }, Lanes(started.iter().map(lane).collect::<Result<_, _>>()?)))
    }
}

impl Lanes<'_> {
    /// Works until one of the containers ends; answers why.
    pub(super) async fn work(self) -> ReplicaError {
        let (why, _, _) = select_all(self.0.into_iter().map(|lane| Box::pin(lane.work()))).await;
        why
    }
}

impl<'a> Lane<'a> {
    fn new(
        spec: &'a ReplicaSpec,
        started: &'a Started,
        yard: &Arc<Yard>,
        calls: Arc<Mutex<mpsc::Receiver<Queued>>>,
        read_only_inputs: bool,
    ) -> Result<Self, ReplicaError> {
        let allowed = Allowance {
            timeout_ms: 0,
            max_output_bytes: ANSWER_BYTES,
            total_output_bytes: ANSWER_BYTES,
            grace: GRACE,
            log_bytes: LOG_BYTES,
        };
        let plan = Plan::new(&started.image, &spec.container, allowed);
        plan.ensure_command().map_err(ReplicaError::Failed)?;
        let dirs = RunDirs::open(&started.paths, yard, read_only_inputs).map_err(ReplicaError::Directories)?;
        Ok(Self { started, spec, plan, dirs, calls, runs: 0 })
    }

    async fn work(mut self) -> ReplicaError {
        match self.carry_out_all().await {
            ReplicaError::Lost(lost) => {
                let found = self.started.control.post_mortem().await;
                ReplicaError::Failed(failures::of_lost(&found, &lost.reason, self.plan.bounds()))
            }
            other => other,
        }
    }

    async fn carry_out_all(&mut self) -> ReplicaError {
        let calls = Arc::clone(&self.calls);
        loop {
            // Waiting for the next call, the end of the container is heard too.
            let queued = tokio::select! {
                queued = async { calls.lock().await.recv().await } => queued,
                frame = self.started.shim.receive() => return match frame {
                    Ok(_) => ReplicaError::Shim("said what nobody asked"),
                    Err(lost) => lost.into(),
                },
            };
            let Some(queued) = queued else { return ReplicaError::Uncalled };
            if queued.answer.is_closed() {
                continue;
            }
            if let Err(error) = self.carry_out(queued).await {
                return error;
            }
        }
    }

    async fn carry_out(&mut self, queued: Queued) -> Result<(), ReplicaError> {
        let Queued { call, within, mut answer } = queued;
        self.runs += 1;
        let seq = self.runs;
        let (staged, (run, mut tray, stdout)) = match self.furnish(seq, call, within) {
            Ok(furnished) => furnished,
            Err(failure) => {
                let _ = answer.send(Err(call_error(&failure)));
                return Ok(());
            }
        };
        self.started.shim.send_with(&ToShim::Run(run), stdout.as_ref()).await?;
        let done = tokio::select! {
            done = self.done(within + SILENCE) => done?,
            () = answer.closed() => {
                let grace_ms = u32::try_from(GRACE.as_millis()).unwrap_or(u32::MAX);
                self.started.shim.send(&ToShim::Stop { seq, grace_ms }).await?;
                self.done(SILENCE).await?
            }
        };
        let dirty = done.dirty;
        // What may still be alive could change what is collected.
        let outcome = match dirty {
            true => Err(CallError::Failed(ReplicaError::Dirty.to_string())),
            false => self.judge(&mut tray, done).map_err(|failure| call_error(&failure)),
        };
        let cleared = self.dirs.clear(staged, tray);
        // The caller may have gone.
        let _ = answer.send(outcome);
        if dirty { Err(ReplicaError::Dirty) } else { cleared.map_err(ReplicaError::Unclearable) }
    }

    async fn done(&self, within: Duration) -> Result<Done, ReplicaError> {
        match timeout(within, self.started.shim.receive()).await {
            Ok(Ok((FromShim::Done(done), _))) => Ok(done),
            Ok(Ok(_)) => Err(ReplicaError::Shim("said what nobody asked")),
            Ok(Err(lost)) => Err(lost.into()),
            Err(_) => Err(ShimLost { reason: "a run was not reported in time".to_owned() }.into()),
        }
    }

    /// Puts a call's input in place and makes its run.
    fn furnish(&mut self, seq: u64, call: Call, within: Duration) -> Result<(Staged, Furnished), Failure> {
        let gather = matches!(call, Call::Merge(_));
        let inputs = inputs(call);
        let staged = self.dirs.inputs.stage_small(&self.plan.wanted(&inputs, QUERY, gather));
        let staged = staged.unwrap_or_else(|| Err(std::io::Error::other("a part without bytes")));
        let staged = staged.map_err(|cause| failures::of_disk("its input cannot be put in place", &cause))?;
        let asked = Asked {
            item: self.spec.item(),
            fixed: self.spec.fixed(&self.started.paths),
            gather,
            timeout_ms: Some(u64::try_from(within.as_millis()).unwrap_or(u64::MAX)),
        };
        // All calls are of one service.
        match self.dirs.furnish(&self.plan, (seq, [0; 16]), &asked, &staged) {
            Ok(furnished) => Ok((staged, furnished)),
            Err(failure) => {
                self.dirs.inputs.clear(staged);
                Err(failure)
            }
        }
    }

    fn judge(&mut self, tray: &mut Tray, done: Done) -> Result<Bytes, Failure> {
        let judged = self.dirs.judge(&self.plan, tray, ANSWER, &done);
        let outputs = judged.map_err(|failure| {
            let stderr_tail = failures::tail(&failures::log_bytes(done.stderr));
            Failure { stderr_tail, ..failure }
        })?;
        only(outputs)
    }
}

/// A call's inputs, which have all travelled along.
fn inputs(call: Call) -> Vec<NamedBlob> {
    let named = |path: String, bytes: Bytes| NamedBlob {
        path,
        digest: Bytes::copy_from_slice(blake3::hash(&bytes).as_bytes()),
        size: bytes.len() as u64,
        inline: Some(bytes),
    };
    match call {
        Call::Leaf(body) => vec![named(QUERY.to_owned(), body)],
        Call::Merge(parts) => parts.into_iter().map(|(shard, part)| named(part_name(shard), part)).collect(),
    }
}

/// A call has exactly one answer.
fn only(mut outputs: Vec<Output>) -> Result<Bytes, Failure> {
    let refused = |why: String| Err(failures::failure(FailureClass::Output, why));
    match (outputs.pop(), outputs.len()) {
        (Some(only), 0) => match only.content {
            Content::Inline(bytes) => Ok(bytes),
            Content::File(file) => std::fs::read(file.path())
                .map(Bytes::from)
                .map_err(|cause| failures::of_disk("its answer cannot be read", &cause)),
        },
        (None, _) => refused("it left no answer".to_owned()),
        (Some(_), more) => refused(format!("it left {} files, not one answer", more + 1)),
    }
}
