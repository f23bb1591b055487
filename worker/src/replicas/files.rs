//! A replica with interface `files`: one fresh process per call, in as many warm containers as it may work on calls.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use longshore_contract::bounds::ANSWER_BYTES;
use longshore_proto::{
    bounds::OUTPUTS,
    v1::{Failure, FailureClass, NamedBlob},
};
use longshore_root::{Account, Call, CallError, Message, Part};
use longshore_shim::{Done, End, FromShim, ToShim};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::{Instant, timeout},
};

use super::{
    call::{Serving, call_error, part_name},
    error::ReplicaError,
    places::{Place, Places},
    spec::{ANSWER, ReplicaSpec, Started},
};
use crate::{
    causes,
    contract::{
        Limits, Links, Tray, failures,
        inputs::Staged,
        run::{Allowance, Asked, Furnished, Plan, RunDirs},
        watch,
        yard::Yard,
    },
    runtime::ShimLost,
    work::{Content, Output},
};

/// Between SIGTERM and SIGKILL for a call nobody waits for any more.
const GRACE: Duration = Duration::from_millis(200);

/// Beyond its time a run has so long to be reported by the shim.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes kept of each log.
const LOG_BYTES: u32 = 4 << 10;

/// Name of the file a query is found in.
const QUERY: &str = "query";

/// A call for which a container is free, or will be in a moment.
struct Queued {
    call: Call,
    until: Instant,
    account: Account,
    answer: oneshot::Sender<Result<Part, CallError>>,
    /// Given back when the container takes the next.
    _place: Place,
}

/// The way to the containers of a replica.
pub(super) struct Files {
    calls: mpsc::Sender<Queued>,
    places: Places,
}

impl Serving for Files {
    fn call<'a>(
        &'a self,
        call: Call,
        within: Duration,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Part, CallError>> {
        Box::pin(async move {
            if matches!(call, Call::Streamed { .. }) {
                return Err(CallError::Failed("takes no parts as they come: that needs interface http".to_owned()));
            }
            let until = Instant::now() + within;
            let place = self.places.take(until).await?;
            let (answer, answered) = oneshot::channel();
            let ended = || CallError::Away("its container has ended".to_owned());
            let queued = Queued { call, until, account: account.lent(), answer, _place: place };
            self.calls.send(queued).await.map_err(|_| ended())?;
            answered.await.unwrap_or_else(|_| Err(ended()))
        })
    }
}

/// The containers of a replica, each at work on one call.
pub(super) struct Lanes<'a>(Vec<Lane<'a>>);

/// One container, at work on one call after the other.
pub(super) struct Lane<'a> {
    started: Arc<Started>,
    spec: &'a ReplicaSpec,
    plan: Plan,
    dirs: RunDirs,
    calls: Arc<Mutex<mpsc::Receiver<Queued>>>,
    /// Who waits for what this container was working on when it ended.
    unanswered: Option<oneshot::Sender<Result<Part, CallError>>>,
    runs: u64,
}

/// What every container of a replica is made ready with.
#[derive(Clone)]
pub(super) struct Furnishing<'a> {
    spec: &'a ReplicaSpec,
    yard: Arc<Yard>,
    read_only_inputs: bool,
    calls: Arc<Mutex<mpsc::Receiver<Queued>>>,
}

impl Files {
    /// Makes started containers ready for calls, whose program is there; and others later, in place of those that end.
    pub(super) async fn furnish<'a>(
        spec: &'a ReplicaSpec,
        started: Vec<Arc<Started>>,
        yard: &Arc<Yard>,
        read_only_inputs: bool,
    ) -> Result<(Self, Lanes<'a>, Furnishing<'a>), ReplicaError> {
        let count = u32::try_from(started.len()).unwrap_or(u32::MAX).max(1);
        let (calls, waiting) = mpsc::channel(count as usize);
        let furnishing =
            Furnishing { spec, yard: Arc::clone(yard), read_only_inputs, calls: Arc::new(Mutex::new(waiting)) };
        let mut lanes = Vec::with_capacity(started.len());
        for started in started {
            lanes.push(furnishing.lane(started).await?);
        }
        Ok((Self { calls, places: Places::new(count) }, Lanes(lanes), furnishing))
    }
}

impl<'a> Furnishing<'a> {
    /// A started container, ready for calls.
    pub(super) async fn lane(&self, started: Arc<Started>) -> Result<Lane<'a>, ReplicaError> {
        let lane = Lane::new(self.spec, started, &self.yard, Arc::clone(&self.calls), self.read_only_inputs)?;
        lane.find_program().await?;
        Ok(lane)
    }
}

/// What happens to one container of several.
enum News<'a> {
    Ended(Arc<Started>, ReplicaError),
    IsBack(Box<Lane<'a>>),
}

impl<'a> Lanes<'a> {
    /// Works until no container is left; answers why. One that ends while others go on takes its own call along and no other, and
    /// is started `again`.
    pub(super) async fn work<F>(self, again: impl Fn(Arc<Started>, ReplicaError) -> F) -> ReplicaError
    where
        F: Future<Output = Lane<'a>> + Send + 'a,
    {
        let mut left = self.0.len();
        let mut working: FuturesUnordered<BoxFuture<'a, News<'a>>> =
            self.0.into_iter().map(|lane| lane.until_its_end().boxed()).collect();
        while let Some(news) = working.next().await {
            match news {
                News::Ended(_, why) if left == 1 => return why,
                News::Ended(started, why) => {
                    left -= 1;
                    let back = again(started, why);
                    working.push(async move { News::IsBack(Box::new(back.await)) }.boxed());
                }
                News::IsBack(lane) => {
                    left += 1;
                    working.push(lane.until_its_end().boxed());
                }
            }
        }
        ReplicaError::Uncalled
    }
}

impl<'a> Lane<'a> {
    fn new(
        spec: &'a ReplicaSpec,
        started: Arc<Started>,
        yard: &Arc<Yard>,
        calls: Arc<Mutex<mpsc::Receiver<Queued>>>,
        read_only_inputs: bool,
    ) -> Result<Self, ReplicaError> {
        let allowed = Allowance {
            timeout_ms: 0,
            outputs: Limits { file_bytes: ANSWER_BYTES, total_bytes: ANSWER_BYTES, files: OUTPUTS },
            links: Links::default(),
            tmp_bytes: spec.container.tmp_bytes,
            grace: GRACE,
            log_bytes: LOG_BYTES,
            ignores_memory_kills: false,
            streams_parts: false,
        };
        let plan = Plan::new(&started.image, &spec.container, &spec.secrets, &[], allowed);
        plan.ensure_command().map_err(ReplicaError::Failed)?;
        let dirs = RunDirs::open(&started.paths, Arc::clone(&started.users), yard, read_only_inputs)
            .map_err(ReplicaError::Directories)?;
        Ok(Self { started, spec, plan, dirs, calls, unanswered: None, runs: 0 })
    }

    /// Whether runs can be started at all: not every query shall find out.
    async fn find_program(&self) -> Result<(), ReplicaError> {
        let Some(question) = self.plan.question(self.spec.fixed(&self.started.paths)) else { return Ok(()) };
        self.started.shim.send(&question).await?;
        let found = timeout(SILENCE, self.started.shim.receive()).await;
        match found.map_err(|_| ShimLost { reason: "it gave no answer".to_owned() })?? {
            (FromShim::Found(None), _) => Ok(()),
            (FromShim::Found(Some(end)), _) => {
                self.plan.failure_of(&end).map_or(Ok(()), |f| Err(ReplicaError::Failed(f)))
            }
            _ => Err(ReplicaError::Shim("said what nobody asked")),
        }
    }

    async fn until_its_end(self) -> News<'a> {
        let started = Arc::clone(&self.started);
        News::Ended(started, self.work().await)
    }

    async fn work(mut self) -> ReplicaError {
        let why = match self.carry_out_all().await {
            ReplicaError::Lost(lost) => {
                let found = self.started.control.post_mortem().await;
                ReplicaError::Failed(failures::of_lost(&found, &lost.reason, self.plan.bounds()))
            }
            other => other,
        };
        if let Some(answer) = self.unanswered.take() {
            let why = self.spec.secrets.hide_in_text(causes::in_a_line(&why));
            // The caller may have gone.
            let _ = answer.send(Err(CallError::Lost(why)));
        }
        why
    }

    async fn carry_out_all(&mut self) -> ReplicaError {
        let calls = Arc::clone(&self.calls);
        loop {
            // Waiting for the next call, the end of the container is heard too.
            let queued = tokio::select! {
                biased;
                frame = self.started.shim.receive() => return match frame {
                    Ok(_) => ReplicaError::Shim("said what nobody asked"),
                    Err(lost) => lost.into(),
                },
                queued = async { calls.lock().await.recv().await } => queued,
            };
            let Some(Queued { call, until, account, mut answer, _place }) = queued else {
                return ReplicaError::Uncalled;
            };
            if answer.is_closed() {
                continue;
            }
            match self.carry_out(call, until, &account, &mut answer).await {
                Ok((outcome, goes_on)) => {
                    // The caller may have gone.
                    let _ = answer.send(outcome);
                    if let Err(error) = goes_on {
                        return error;
                    }
                }
                Err(error) => {
                    self.unanswered = Some(answer);
                    return error;
                }
            }
        }
    }

    /// What a call is answered, and whether the container is good for another.
    async fn carry_out(
        &mut self,
        call: Call,
        until: Instant,
        account: &Account,
        answer: &mut oneshot::Sender<Result<Part, CallError>>,
    ) -> Result<(Result<Part, CallError>, Result<(), ReplicaError>), ReplicaError> {
        // What is left of the time, now that the turn has come.
        let within = until.saturating_duration_since(Instant::now());
        self.runs += 1;
        let seq = self.runs;
        let (staged, (run, mut tray, stdout)) = match self.furnish(seq, call, within) {
            Ok(furnished) => furnished,
            Err(mut failure) => {
                self.spec.secrets.hide_in_failure(&mut failure);
                return Ok((Err(call_error(&failure)), Ok(())));
            }
        };
        self.started.shim.send_with(&ToShim::Run(run), stdout.as_ref()).await?;
        let mut over = None;
        let done = tokio::select! {
            done = self.done(within + SILENCE) => done?,
            () = answer.closed() => {
                let grace_ms = u32::try_from(GRACE.as_millis()).unwrap_or(u32::MAX);
                self.started.shim.send(&ToShim::Stop { seq, grace_ms }).await?;
                self.done(SILENCE).await?
            }
            failure = watch::over(|| self.started.temporary.sight_with(&tray, self.plan.limits())) => {
                self.started.shim.send(&ToShim::Stop { seq, grace_ms: 0 }).await?;
                over = Some(failure);
                self.done(SILENCE).await?
            }
        };
        let over = over.filter(|_| matches!(done.end, End::Stopped));
        let dirty = done.dirty;
        // What may still be alive could change what is collected.
        let outcome = match (dirty, over) {
            (true, _) => Err(CallError::Failed(ReplicaError::Dirty.to_string())),
            (false, Some(failure)) => Err(call_error(&failure)),
            (false, None) => match self.judge(&mut tray, done) {
                Ok(output) => tokio::select! {
                    taken = in_memory(output, account, until) => taken.map(Part::from),
                    () = answer.closed() => Err(CallError::Late("nobody waits any more".to_owned())),
                },
                Err(failure) => Err(call_error(&failure)),
            },
        };
        let cleared = self.dirs.clear(staged, tray);
        let goes_on = if dirty { Err(ReplicaError::Dirty) } else { cleared.map_err(ReplicaError::Unclearable) };
        Ok((outcome, goes_on))
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
        let gather = matches!(call, Call::Merge { .. });
        let inputs = inputs(call);
        let staged = self.dirs.inputs.stage_small(&self.plan.wanted(&inputs, QUERY, gather));
        let staged = staged.unwrap_or_else(|| Err(std::io::Error::other("a part without bytes")));
        let staged = staged.map_err(|cause| failures::of_disk("its input cannot be put in place", &cause))?;
        let asked = Asked {
            item: self.spec.item(),
            fixed: self.spec.fixed(&self.started.paths),
            gather,
            input: None,
            timeout_ms: Some(u64::try_from(within.as_millis()).unwrap_or(u64::MAX)),
        };
        match self.dirs.furnish(&self.plan, seq, &asked, &staged) {
            Ok(furnished) => Ok((staged, furnished)),
            Err(failure) => {
                self.dirs.inputs.clear(staged);
                Err(failure)
            }
        }
    }

    fn judge(&mut self, tray: &mut Tray, done: Done) -> Result<Output, Failure> {
        let judged = self.dirs.judge(&self.plan, tray, ANSWER, &done);
        let collected = judged.map_err(|failure| {
            let secrets = &self.spec.secrets;
            let stderr_tail = failures::tail(&failures::log_bytes(secrets.hide_in_log(done.stderr)));
            let mut failure = Failure { stderr_tail, ..failure };
            secrets.hide_in_failure(&mut failure);
            failure
        })?;
        only(collected.outputs)
    }
}

/// A call's inputs, which have all travelled along.
fn inputs(call: Call) -> Vec<NamedBlob> {
    let named = |path: String, bytes: Bytes| NamedBlob {
        path,
        digest: Bytes::copy_from_slice(blake3::hash(&bytes).as_bytes()),
        size: bytes.len() as u64,
        executable: false,
        inline: Some(bytes),
        origin: String::new(),
    };
    match call {
        Call::Leaf(Message { body, .. }) => vec![named(QUERY.to_owned(), body)],
        Call::Merge { parts, .. } => {
            parts.into_iter().map(|(shard, part)| named(part_name(shard), part.body)).collect()
        }
        // Refused when it came in.
        Call::Streamed { .. } => Vec::new(),
    }
}

/// The bytes of an answer, once there is room for them.
async fn in_memory(answer: Output, account: &Account, until: Instant) -> Result<Bytes, CallError> {
    let held = account.hold(answer.size, until).await?;
    let bytes = match answer.content {
        Content::Inline(bytes) => bytes,
        Content::File(file) => {
            let read = std::fs::read(file.path());
            let cannot = |cause| call_error(&failures::of_disk("its answer cannot be read", &cause));
            read.map(Bytes::from).map_err(cannot)?
        }
    };
    Ok(held.keep(bytes))
}

/// A call has exactly one answer.
fn only(mut outputs: Vec<Output>) -> Result<Output, Failure> {
    let refused = |why: String| Err(failures::failure(FailureClass::Output, why));
    match (outputs.pop(), outputs.len()) {
        (Some(only), 0) => Ok(only),
        (None, _) => refused("it left no answer".to_owned()),
        (Some(_), more) => refused(format!("it left {} files, not one answer", more + 1)),
    }
}
