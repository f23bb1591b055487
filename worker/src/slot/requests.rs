//! Attempts as requests to the server inside a container, one at a time.
//!
//! A busy server is asked again a few times. One that ends, hangs up or is too slow takes its container with it, since
//! nobody knows what it is doing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use longshore_proto::v1::{Failure, FailureClass};
use longshore_shim::End;
use tokio::{sync::mpsc, time::sleep};

use super::{
    key,
    plan::{self, StagePlan},
    queue::Offer,
    shared::{Command, Shared},
    warm::{Verdict, Warm},
};
use crate::{
    cache::Blob,
    contract::{
        failures, fetch,
        http::{Content, Part, Question},
        received::AsOutput,
        serve::{Server, ServerSpec, Unserved},
    },
    pauses::Pauses,
    runtime::Paths,
    work::{Ended, Work},
};

/// First and longest pause before a busy server is asked again.
const BUSY_PAUSES: (Duration, Duration) = (Duration::from_millis(50), Duration::from_millis(800));

/// How often a busy server is asked again.
const BUSY_TRIES: u32 = 5;

/// After a server hung up, the news of its end may take so long.
const END_NEWS: Duration = Duration::from_millis(500);

/// How one request ended.
enum Outcome {
    Ended(Ended),
    /// It failed, and the server is not to be asked again.
    Lost(Failure),
    /// Nobody wants to know any more.
    Dropped,
}

/// Asks the server for this attempt and whatever comes for the same container.
pub(super) async fn run(
    seat: usize,
    shared: &Arc<Shared>,
    warm: &mut Warm,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    first: Offer,
) -> Verdict {
    let begun = Instant::now();
    let server = match started(shared, warm, &first).await {
        Ok(server) => server,
        Err(failure) => {
            let mine = shared.queue().claim(seat, &first);
            if mine && let Some(failure) = shared.believe(&first, failure, Some(begun)) {
                report(shared, &first, Ended::Failure(failure), Duration::ZERO).await;
            }
            return Verdict::Retire;
        }
    };
    let mut next = Some(first);
    while let Some(offer) = next {
        let mine = shared.queue().claim(seat, &offer);
        if mine && ask(shared, warm, &server, commands, &offer).await == Verdict::Retire {
            return Verdict::Retire;
        }
        warm.touch();
        if !warm.is_fit(shared.options.max_age, shared.options.max_runs) {
            return Verdict::Retire;
        }
        next = shared.queue().more(seat, warm.pace.is_quick(), Instant::now());
        if let Some(offer) = next.take_if(|offer| !warm.serves(offer)) {
            let wake = shared.queue().decline(seat, &offer);
            shared.wake(wake);
        }
    }
    Verdict::Keep
}

/// The server, started and ready.
async fn started(shared: &Shared, warm: &mut Warm, offer: &Offer) -> Result<Server, Failure> {
    if let Some(server) = &warm.server {
        return Ok(server.clone());
    }
    let container = warm.bounds.container.written_into(key::container(&offer.work.stage));
    let spec = ServerSpec {
        image: &warm.image,
        container: &container,
        fixed: plan::fixed(&offer.work, &warm.paths),
        secrets: &offer.work.secrets,
        socket: &warm.paths.inside_socket,
        max_output_bytes: warm.bounds.outputs.file_bytes,
        log_bytes: shared.options.log_bytes,
        users: &warm.users,
    };
    let server = Server::start(Arc::clone(&warm.shim), spec).await?;
    warm.server = Some(server.clone());
    tokio::select! {
        ready = server.ready(shared.options.server_start, &*warm.control, |_| {}) => ready?,
        over = warm.temporary.over() => return Err(over),
        () = shared.exit.cancelled() => return Err(failures::of_shutdown()),
    }
    Ok(server)
}

/// Carries out one attempt of ours.
async fn ask(
    shared: &Arc<Shared>,
    warm: &mut Warm,
    server: &Server,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    offer: &Offer,
) -> Verdict {
    warm.begin();
    let plan = warm.plan(offer, shared);
    let begun = Instant::now();
    let outcome = tokio::select! {
        outcome = within_its_time(shared, warm, server, offer, &plan) => outcome,
        // A server has no end of its own to wait for: its container goes.
        over = warm.temporary.over() => Outcome::Lost(over),
        () = stopped(commands, offer) => Outcome::Dropped,
        () = shared.exit.cancelled() => Outcome::Dropped,
    };
    let took = begun.elapsed();
    warm.pace.note(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    let (ended, verdict) = match outcome {
        Outcome::Ended(ended) => (ended, Verdict::Keep),
        Outcome::Lost(failure) => (Ended::Failure(failure), Verdict::Retire),
        Outcome::Dropped => return Verdict::Retire,
    };
    let ended = match ended {
        Ended::Failure(failure) => shared.believe(offer, failure, Some(begun)).map(Ended::Failure),
        ended => Some(ended),
    };
    if let Some(ended) = ended {
        report(shared, offer, ended, took).await;
    }
    verdict
}

async fn report(shared: &Shared, offer: &Offer, ended: Ended, took: Duration) {
    let wanted = shared.queue().finish(offer);
    if wanted {
        let mut finished = offer.work.ended(ended);
        finished.duration = took;
        shared.report(finished).await;
    }
}

/// Waits until this attempt is to be stopped. It has started, so it is not given back.
async fn stopped(commands: &mut mpsc::UnboundedReceiver<Command>, offer: &Offer) {
    loop {
        match commands.recv().await {
            Some(Command::Stop(id)) if id == offer.work.id => return,
            Some(_) => {}
            None => std::future::pending().await,
        }
    }
}

async fn within_its_time(shared: &Shared, warm: &Warm, server: &Server, offer: &Offer, plan: &StagePlan) -> Outcome {
    // How long its inputs take to come is not the item's fault, whatever the interface.
    let inputs = match fetch::all(&offer.work.inputs, &offer.work.namespace, &shared.blobs).await {
        Ok(inputs) => inputs,
        Err(failure) => return Outcome::Ended(Ended::Failure(failure)),
    };
    let deadline = plan.timeout_ms().map(|ms| tokio::time::Instant::now() + Duration::from_millis(ms));
    let asked = patiently(shared, warm, server, &offer.work, &inputs, deadline);
    let Some(deadline) = deadline else { return asked.await };
    tokio::time::timeout_at(deadline, asked).await.unwrap_or_else(|_| {
        let ending = failures::Ending { end: &End::TimedOut, memory_kills: 0, process_refusals: 0 };
        let failure = failures::of_end(ending, plan.runs.program(), plan.bounds());
        failure.map_or(Outcome::Dropped, Outcome::Lost)
    })
}

/// Asks, and asks again while the server is busy. It is told how much of the time is left.
async fn patiently(
    shared: &Shared,
    warm: &Warm,
    server: &Server,
    work: &Work,
    inputs: &[Blob],
    deadline: Option<tokio::time::Instant>,
) -> Outcome {
    let mut pauses = Pauses::new(BUSY_PAUSES.0, BUSY_PAUSES.1);
    let mut left = BUSY_TRIES;
    loop {
        let within = deadline.map(|deadline| deadline.saturating_duration_since(tokio::time::Instant::now()));
        let mut answer = AsOutput::new(&shared.yard);
        let asked = server.ask(question(work, &warm.paths, inputs, within), &mut answer).await;
        return match asked {
            Ok(_) => Outcome::Ended(Ended::Success { outputs: vec![answer.into_output(&work.path)] }),
            Err(Unserved::Busy(_)) if left > 0 => {
                left -= 1;
                sleep(pauses.next()).await;
                continue;
            }
            // Whatever it was still doing for that item would take the next one's time too.
            Err(Unserved::Failed(failure)) if failure.class() == FailureClass::Timeout => Outcome::Lost(failure),
            Err(Unserved::Busy(failure) | Unserved::Failed(failure)) => Outcome::Ended(Ended::Failure(failure)),
            // Only queries have bounds of memory; an item goes elsewhere.
            Err(Unserved::NoRoom(error)) => Outcome::Lost(failures::failure(FailureClass::SlotLost, error.to_string())),
            Err(Unserved::Lost(error)) => Outcome::Lost(server.failure_of(&error, END_NEWS, &*warm.control).await),
        };
    }
}

/// The request of an attempt.
fn question<'a>(work: &'a Work, paths: &'a Paths, inputs: &[Blob], within: Option<Duration>) -> Question<'a> {
    let content = match (inputs, &work.inputs[..]) {
        ([blob], [input]) if !work.gather => Content::One(blob.clone(), input.size),
        _ => {
            let parts = (0..).zip(&work.inputs).zip(inputs);
            let part = |((shard, input), blob): ((u64, &longshore_proto::v1::NamedBlob), &Blob)| Part {
                shard,
                name: input.path.clone(),
                size: input.size,
                blob: blob.clone(),
                said: http::HeaderMap::new(),
            };
            Content::Parts(parts.map(part).collect())
        }
    };
    Question { item: plan::item(work), fixed: plan::fixed(work, paths), within, said: http::HeaderMap::new(), content }
}
