//! A replica with interface `files`: one fresh process per call, in as many warm containers as it may work on calls.

use std::{os::fd::OwnedFd, sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::future::{BoxFuture, select_all};
use longshore_contract::bounds::ANSWER_BYTES;
use longshore_proto::v1::NamedBlob;
use longshore_shim::{Done, End, FromShim, Run, Stdin, Stdout, ToShim};
use tokio::{
    sync::{Mutex, mpsc, oneshot},
    time::timeout,
};

use super::{
    Ask, Serving, Unanswered,
    keeper::{Place, Room},
};
use crate::{
    contract::{
        failures,
        inputs::{InputDirs, Staged, Wanted},
        outputs::{Limits, OutputDirs, Tray},
        placeholders::{Facts, Template},
        yard::Yard,
    },
    runtime::{Control, Paths, Shim, ShimLost},
    work::Content,
};

/// Calls that may wait for a container.
const WAITING: usize = 256;

/// Between SIGTERM and SIGKILL for a call nobody waits for any more.
const GRACE_MS: u32 = 200;

/// Beyond its time a run has so long to be reported by the shim.
const SILENCE: Duration = Duration::from_secs(10);

/// Bytes kept of each log.
const LOG_BYTES: u32 = 4 << 10;

/// Name of the file a query is found in.
const QUERY: &str = "query";

/// Name of the file an answer is expected in.
const ANSWER: &str = "answer";

struct Call {
    ask: Ask,
    within: Duration,
    answer: oneshot::Sender<Result<Bytes, Unanswered>>,
}

/// The way to the benches.
pub(super) struct Files {
    calls: mpsc::Sender<Call>,
}

impl Serving for Files {
    fn call(&self, ask: Ask, within: Duration) -> BoxFuture<'_, Result<Bytes, Unanswered>> {
        Box::pin(async move {
            let (answer, answered) = oneshot::channel();
            self.calls.try_send(Call { ask, within, answer }).map_err(|error| match error {
                mpsc::error::TrySendError::Full(_) => Unanswered::Busy(format!("{WAITING} calls wait for it already")),
                mpsc::error::TrySendError::Closed(_) => Unanswered::Failed("its container has ended".to_owned()),
            })?;
            answered.await.unwrap_or_else(|_| Err(Unanswered::Failed("its container has ended".to_owned())))
        })
    }
}

/// All containers of a replica, each at work on one call.
pub(super) struct Benches<'a>(Vec<Bench<'a>>);

struct Bench<'a> {
    shim: &'a dyn Shim,
    control: &'a dyn Control,
    paths: &'a Paths,
    place: &'a Place,
    template: Template,
    inputs: InputDirs,
    outputs: OutputDirs,
    calls: Arc<Mutex<mpsc::Receiver<Call>>>,
    runs: u64,
}

impl Files {
    /// Makes started containers ready for calls.
    pub fn furnish<'a>(
        place: &'a Place,
        rooms: &'a [Room],
        yard: &Arc<Yard>,
        read_only_inputs: bool,
    ) -> Result<(Self, Benches<'a>), String> {
        let (calls, inbox) = mpsc::channel(WAITING);
        let inbox = Arc::new(Mutex::new(inbox));
        let benches = rooms.iter().map(|room| Bench::new(place, room, yard, Arc::clone(&inbox), read_only_inputs));
        Ok((Self { calls }, Benches(benches.collect::<Result<_, _>>()?)))
    }
}

impl Benches<'_> {
    /// Works until one of the containers ends; answers why.
    pub async fn work(self) -> String {
        let (why, _, _) = select_all(self.0.into_iter().map(|bench| Box::pin(bench.work()))).await;
        why
    }
}

impl<'a> Bench<'a> {
    fn new(
        place: &'a Place,
        room: &'a Room,
        yard: &Arc<Yard>,
        calls: Arc<Mutex<mpsc::Receiver<Call>>>,
        read_only_inputs: bool,
    ) -> Result<Self, String> {
        let argv = room.image.argv(&place.container);
        if argv.is_empty() {
            return Err("there is no command: the image has none and none was given".to_owned());
        }
        let env = place.container.env.iter().map(|var| (var.name.as_str(), var.value.as_str()));
        let paths = &room.paths;
        let directories = |error: std::io::Error| format!("its directories: {error}");
        Ok(Self {
            shim: &*room.shim,
            control: &*room.control,
            paths,
            place,
            template: Template::new(&argv, env),
            inputs: InputDirs::open(&paths.host_in, &paths.inside_in, read_only_inputs).map_err(directories)?,
            outputs: OutputDirs::open(&paths.host_out, &paths.inside_out, Arc::clone(yard)).map_err(directories)?,
            calls,
            runs: 0,
        })
    }

    async fn work(mut self) -> String {
        let calls = Arc::clone(&self.calls);
        loop {
            // Waiting for the next call, the end of the container is heard too.
            let call = tokio::select! {
                call = async { calls.lock().await.recv().await } => call,
                frame = self.shim.receive() => return self.unexpected(frame.map(|(frame, _)| frame)).await,
            };
            let Some(call) = call else { return "nobody calls it any more".to_owned() };
            if call.answer.is_closed() {
                continue;
            }
            if let Err(lost) = self.carry_out(call).await {
                return self.post_mortem(lost).await;
            }
        }
    }

    async fn unexpected(&self, frame: Result<FromShim, ShimLost>) -> String {
        match frame {
            Ok(_) => "its shim said what nobody asked".to_owned(),
            Err(lost) => self.post_mortem(lost).await,
        }
    }

    async fn post_mortem(&self, lost: ShimLost) -> String {
        let found = self.control.post_mortem().await;
        match (found.out_of_memory, found.exit_code) {
            (true, _) => "its container met its memory limit".to_owned(),
            (false, Some(code)) => format!("its container has ended (exit code {code}{})", also(&found.message)),
            (false, None) => format!("its container has ended: {}{}", lost.reason, also(&found.message)),
        }
    }

    async fn carry_out(&mut self, call: Call) -> Result<(), ShimLost> {
        let Call { ask, within, mut answer } = call;
        self.runs += 1;
        let seq = self.runs;
        let (staged, mut tray, stdout) = match self.furnish(ask) {
            Ok(furnished) => furnished,
            Err(error) => {
                let _ = answer.send(Err(Unanswered::Failed(format!("its files cannot be put in place: {error}"))));
                return Ok(());
            }
        };
        self.shim.send_with(&ToShim::Run(self.run(seq, &staged, &tray, within)), stdout.as_ref()).await?;
        let done = tokio::select! {
            done = self.done(within + SILENCE) => done?,
            () = answer.closed() => {
                self.shim.send(&ToShim::Stop { seq, grace_ms: GRACE_MS }).await?;
                self.done(SILENCE).await?
            }
        };
        let dirty = done.dirty;
        // What may still be alive could change what is collected.
        let outcome = match dirty {
            true => Err(Unanswered::Failed("it left what cannot be ended or removed".to_owned())),
            false => self.judge(&mut tray, done),
        };
        self.inputs.clear(staged);
        let cleared = self.outputs.clear(tray);
        // The caller may have gone.
        let _ = answer.send(outcome);
        match (dirty, cleared) {
            (true, _) => Err(ShimLost { reason: "a run left what cannot be removed".to_owned() }),
            (_, Err(error)) => Err(ShimLost { reason: format!("a run's directory cannot be removed: {error}") }),
            (false, Ok(())) => Ok(()),
        }
    }

    async fn done(&self, within: Duration) -> Result<Done, ShimLost> {
        match timeout(within, self.shim.receive()).await {
            Ok(Ok((FromShim::Done(done), _))) => Ok(done),
            Ok(Ok(_)) => Err(ShimLost { reason: "its shim said what nobody asked".to_owned() }),
            Ok(Err(lost)) => Err(lost),
            Err(_) => Err(ShimLost { reason: "a run was not reported in time".to_owned() }),
        }
    }

    /// Puts a call's input in place; answers it, where the answer goes, and the file of standard output.
    fn furnish(&mut self, ask: Ask) -> std::io::Result<(Staged, Tray, Option<OwnedFd>)> {
        let staged = self.stage(ask)?;
        let (tray, stdout) = self.outputs.lay(self.spools_stdout())?;
        Ok((staged, tray, stdout))
    }

    fn reads_stdin(&self, staged: &Staged) -> bool {
        let uses = self.template.uses();
        !(uses.input || (staged.manifest.is_some() && uses.manifest))
    }

    fn spools_stdout(&self) -> bool {
        let uses = self.template.uses();
        !uses.output && !uses.outdir
    }

    fn stage(&mut self, ask: Ask) -> std::io::Result<Staged> {
        let named = |path: String, bytes: Bytes| NamedBlob {
            path,
            digest: Bytes::copy_from_slice(blake3::hash(&bytes).as_bytes()),
            size: bytes.len() as u64,
            inline: Some(bytes),
        };
        let (inputs, gather) = match ask {
            Ask::Leaf(body) => (vec![named(QUERY.to_owned(), body)], false),
            Ask::Merge(parts) => {
                let parts = parts.into_iter().map(|(shard, part)| named(format!("shard-{shard:04}"), part));
                (parts.collect(), true)
            }
        };
        let uses = self.template.uses();
        let joined = gather && !uses.input && !uses.manifest;
        let wanted = Wanted { inputs: &inputs, name: QUERY, gather, joined };
        self.inputs.stage_small(&wanted).unwrap_or_else(|| Err(std::io::Error::other("a part without bytes")))
    }

    fn run(&self, seq: u64, staged: &Staged, tray: &Tray, within: Duration) -> Run {
        let facts = Facts {
            input: &staged.input,
            outdir: tray.path(),
            name: ANSWER,
            index: u64::from(self.place.shard),
            attempt: 1,
            job: &self.place.service,
            shard: (!self.place.merge).then_some(self.place.shard),
            shards: Some(self.place.shards),
            data: self.paths.inside_data.as_deref(),
            manifest: staged.manifest.as_deref(),
        };
        let env = self.template.env(&facts);
        let argv = self.template.argv(&facts);
        Run {
            seq,
            argv,
            env,
            stdin: if self.reads_stdin(staged) { Stdin::File(staged.stdin.clone()) } else { Stdin::Empty },
            stdout: if self.spools_stdout() { Stdout::Attached } else { Stdout::Log },
            timeout_ms: Some(u64::try_from(within.as_millis()).unwrap_or(u64::MAX)),
            grace_ms: GRACE_MS,
            log_bytes: LOG_BYTES,
        }
    }

    fn judge(&mut self, tray: &mut Tray, done: Done) -> Result<Bytes, Unanswered> {
        let bounds = failures::Bounds {
            timeout_ms: 0,
            memory_bytes: self.place.container.memory_bytes,
            max_output_bytes: ANSWER_BYTES,
        };
        let program = self.place.container.command.first().map_or("", String::as_str);
        if let Some(failure) = failures::of_end(&done.end, program, bounds) {
            let stderr = failures::log_bytes(done.stderr);
            let last = String::from_utf8_lossy(&stderr).lines().next_back().map(failures::one_line);
            let last = last.filter(|line| !line.is_empty()).map_or(String::new(), |line| format!(" ({line})"));
            let why = match done.end {
                End::TimedOut => "no answer in time".to_owned(),
                _ => format!("{}{last}", failure.message),
            };
            return Err(Unanswered::Failed(why));
        }
        let limits = Limits { file_bytes: ANSWER_BYTES, total_bytes: ANSWER_BYTES };
        let outputs = self.outputs.collect(tray, ANSWER, limits);
        let mut outputs = outputs.map_err(|error| Unanswered::Failed(error.to_string()))?;
        match (outputs.pop(), outputs.len()) {
            (Some(only), 0) => match only.content {
                Content::Inline(bytes) => Ok(bytes),
                Content::File(file) => std::fs::read(file.path())
                    .map(Bytes::from)
                    .map_err(|error| Unanswered::Failed(format!("its answer cannot be read: {error}"))),
            },
            (None, _) => Err(Unanswered::Failed("it left no answer".to_owned())),
            (Some(_), more) => Err(Unanswered::Failed(format!("it left {} files, not one answer", more + 1))),
        }
    }
}

fn also(message: &str) -> String {
    if message.is_empty() { String::new() } else { format!(", {message}") }
}
