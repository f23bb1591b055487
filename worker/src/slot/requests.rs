//! Attempts as requests to the server inside a container, one at a time.
//!
//! A 2xx answer is the output, under the item's own name. 4xx: this input is bad. 429 and 503: busy, asked again a few
//! times. Any other answer is a failure like an exit code. A server that ends, hangs up or is too slow takes its
//! container with it, since nobody knows what it is doing.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use http::StatusCode;
use longshore_contract::{DEFAULT_PORT, env as named};
use longshore_proto::v1::{Failure, FailureClass};
use longshore_shim::{End, Serve};
use tokio::{sync::mpsc, time::sleep};

use super::{
    key,
    plan::Plan,
    queue::Offer,
    shared::{Command, Shared},
    warm::{Verdict, Warm},
};
use crate::{
    contract::{
        failures::{self, failure},
        http::{CallError, HttpServer, NotReady, ServerEnd},
    },
    work::Ended,
};

mod answer;
mod question;

/// Pauses before a busy server is asked again.
const BUSY_PAUSES: [Duration; 5] = [
    Duration::from_millis(50),
    Duration::from_millis(100),
    Duration::from_millis(200),
    Duration::from_millis(400),
    Duration::from_millis(800),
];

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
    let server = match started(shared, warm, &first).await {
        Ok(server) => server,
        Err(failure) => {
            let mine = shared.queue().claim(seat, &first);
            if mine {
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
async fn started(shared: &Shared, warm: &mut Warm, offer: &Offer) -> Result<HttpServer, Failure> {
    if let Some(server) = &warm.server {
        return Ok(server.clone());
    }
    let plan = warm.plan(offer, shared);
    let serve = serve(shared, warm, offer);
    if serve.argv.is_empty() {
        return Err(failure(FailureClass::Command, "there is no command: the image has none and none was given"));
    }
    let lost = |lost: crate::runtime::ShimLost| failure(FailureClass::SlotLost, lost.to_string());
    let server = HttpServer::start(Arc::clone(&warm.shim), serve).await.map_err(lost)?;
    warm.server = Some(server.clone());
    let ready = tokio::select! {
        ready = server.ready(shared.options.server_start) => ready,
        () = shared.exit.cancelled() => Err(NotReady::Late("the worker is shutting down".into())),
    };
    match ready {
        Ok(()) => Ok(server),
        Err(NotReady::Ended(end)) => Err(of_server(warm, end, &plan).await),
        Err(NotReady::Late(seen)) => {
            let waited = shared.options.server_start.as_secs();
            Err(failure(FailureClass::Command, format!("the server was not ready within {waited}s: {seen}")))
        }
    }
}

fn serve(shared: &Shared, warm: &Warm, offer: &Offer) -> Serve {
    let container = key::container(&offer.work.stage);
    let port = u16::try_from(container.port).ok().filter(|port| *port > 0).unwrap_or(DEFAULT_PORT);
    let socket = warm.paths.inside_socket.clone();
    let env = vec![(named::PORT.into(), port.to_string()), (named::SOCKET.into(), socket.clone())];
    Serve { argv: warm.image.argv(&container), env, port, socket, log_bytes: shared.options.log_bytes }
}

/// Carries out one attempt of ours.
async fn ask(
    shared: &Arc<Shared>,
    warm: &mut Warm,
    server: &HttpServer,
    commands: &mut mpsc::UnboundedReceiver<Command>,
    offer: &Offer,
) -> Verdict {
    warm.begin();
    let plan = warm.plan(offer, shared);
    let begun = Instant::now();
    let outcome = tokio::select! {
        outcome = within_its_time(shared, warm, server, offer, &plan) => outcome,
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
    report(shared, offer, ended, took).await;
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

async fn within_its_time(shared: &Shared, warm: &Warm, server: &HttpServer, offer: &Offer, plan: &Plan) -> Outcome {
    let inputs = match super::pipeline::fetch_all(&offer.work.inputs, &shared.blobs).await {
        Ok(inputs) => inputs,
        Err(failure) => return Outcome::Ended(Ended::Failure(failure)),
    };
    let asked = patiently(shared, warm, server, offer, plan, &inputs);
    if plan.bounds.timeout_ms == 0 {
        return asked.await;
    }
    let timeout = tokio::time::timeout(Duration::from_millis(plan.bounds.timeout_ms), asked).await;
    timeout.unwrap_or_else(|_| {
        let failure = failures::of_end(&End::TimedOut, &plan.program, plan.bounds);
        failure.map_or(Outcome::Dropped, Outcome::Lost)
    })
}

/// Asks, and asks again while the server is busy.
async fn patiently(
    shared: &Shared,
    warm: &Warm,
    server: &HttpServer,
    offer: &Offer,
    plan: &Plan,
    inputs: &[crate::cache::Blob],
) -> Outcome {
    let mut pauses = BUSY_PAUSES.into_iter();
    loop {
        let request = question::request(&offer.work, inputs);
        let response = match server.call(request).await {
            Ok(response) => response,
            Err(error) => return Outcome::Lost(of_call(warm, server, &error, plan).await),
        };
        let status = response.status();
        let busy = status == StatusCode::TOO_MANY_REQUESTS || status == StatusCode::SERVICE_UNAVAILABLE;
        if busy && let Some(pause) = pauses.next() {
            drop(response);
            sleep(pause).await;
            continue;
        }
        return match answer::read(response, &offer.work, plan, &shared.yard).await {
            Ok(ended) => Outcome::Ended(ended),
            Err(answer::ReadError::Broken(error)) => {
                Outcome::Lost(of_call(warm, server, &CallError::Broken(error), plan).await)
            }
            Err(answer::ReadError::Disk(cause)) => {
                Outcome::Lost(failures::of_disk("the answer cannot be kept", &cause))
            }
        };
    }
}

/// Why a call had no whole answer: mostly because the server has ended.
async fn of_call(warm: &Warm, server: &HttpServer, error: &CallError, plan: &Plan) -> Failure {
    if let Some(end) = server.ended_within(END_NEWS).await {
        return of_server(warm, end, plan).await;
    }
    let cause = std::error::Error::source(error).map(|cause| format!(": {cause}")).unwrap_or_default();
    failure(FailureClass::SlotLost, format!("{error}{cause}"))
}

/// The failure of an attempt under which the server ended.
async fn of_server(warm: &Warm, end: ServerEnd, plan: &Plan) -> Failure {
    match end {
        ServerEnd::Sandbox(lost) => {
            let post_mortem = warm.control.post_mortem().await;
            failures::of_lost(&post_mortem, &lost.reason, plan.bounds)
        }
        ServerEnd::Process { end, stderr } => {
            let mut failure = match failures::of_end(&end, &plan.program, plan.bounds) {
                Some(failure) if matches!(end, End::OutOfMemory { .. } | End::NotStarted { .. }) => failure,
                Some(how) => failure(FailureClass::SlotLost, format!("the server ended: {}", how.message)),
                None => failure(FailureClass::SlotLost, "the server ended: exit code 0"),
            };
            failure.stderr_tail = failures::tail(&stderr);
            failure
        }
    }
}
