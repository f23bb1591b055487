//! A replica with interface `http`: a server that stays up, asked many things at once.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, StreamExt as _, future::BoxFuture, stream};
use http::{HeaderMap, StatusCode};
use longshore_contract::{bounds::ANSWER_BYTES, header};
use longshore_proto::head;
use longshore_root::{Account, Arriving, Call, CallError, Message, Part as Answered, Share};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};

use super::{
    abandoned::Work,
    call::{Serving, call_error, part_name},
    error::ReplicaError,
    places::Places,
    spec::{ReplicaSpec, Started},
};
use crate::{
    cache::Blob,
    causes,
    contract::{
        failures,
        http::{Again, CallError as Unheard, Coming, Content, Hangup, Health, Part, Question},
        placeholders::Fixed,
        received::InRoom,
        serve::{Said, Server, ServerSpec, Unserved},
    },
    runtime::Control,
};

/// How long a server may take to be ready: models are large.
const START: Duration = Duration::from_secs(600);

/// Bytes kept of each log.
const LOG_BYTES: u32 = 16 << 10;

/// Calls a server works on at once when its service does not say.
const CONCURRENCY: u32 = 16;

/// The news of a server's end may be so long behind the end of its connections. After that it is asked whether it is there; where it
/// says nothing, the news is waited for as long again as a machine with too much to do may take.
const NEWS: Duration = Duration::from_millis(200);
const LATE_NEWS: Duration = Duration::from_secs(2);

/// A server that is ready.
pub(super) struct ServerReplica {
    server: Server,
    spec: Arc<ReplicaSpec>,
    places: Places,
    concurrency: u32,
    /// Why it has ended, once it has.
    ended: watch::Sender<Option<String>>,
    /// Calls that were not answered because it ended.
    orphans: AtomicUsize,
    /// Calls that were not done long after their time, since it last answered one.
    overdue: Arc<AtomicUsize>,
}

impl ServerReplica {
    /// Starts the server in its container and waits until it is ready; `seen` is told what keeps it from that.
    pub(super) async fn start(
        spec: &Arc<ReplicaSpec>,
        started: &Started,
        seen: impl Fn(&str),
    ) -> Result<Self, ReplicaError> {
        let told = ServerSpec {
            image: &started.image,
            container: &spec.container,
            fixed: spec.fixed(&started.paths),
            secrets: &spec.secrets,
            socket: &started.paths.inside_socket,
            max_output_bytes: ANSWER_BYTES,
            log_bytes: LOG_BYTES,
            users: &started.users,
        };
        let server = Server::start(Arc::clone(&started.shim), told).await.map_err(ReplicaError::Failed)?;
        server.ready(START, &*started.control, seen).await.map_err(ReplicaError::Failed)?;
        let concurrency = if spec.concurrency == 0 { CONCURRENCY } else { spec.concurrency };
        Ok(Self {
            server,
            spec: Arc::clone(spec),
            places: Places::new(concurrency),
            concurrency,
            ended: watch::Sender::new(None),
            orphans: AtomicUsize::new(0),
            overdue: Arc::default(),
        })
    }

    /// Waits until the server has ended; answers why.
    pub(super) async fn ended(&self, control: &dyn Control) -> ReplicaError {
        self.server.ended().await;
        if !self.is_idle() {
            self.orphans.fetch_add(1, Ordering::Relaxed);
        }
        let failure = self.server.end(control).await;
        let why = self.spec.secrets.hide_in_text(failures::in_a_line(&failure));
        self.ended.send_replace(Some(why));
        self.places.close();
        ReplicaError::Failed(failure)
    }

    /// Whether it worked on something when it ended.
    pub(super) fn was_at_work(&self) -> bool {
        self.orphans.load(Ordering::Relaxed) > 0
    }

    /// Whether it works on something whose time is not over, as far as is known.
    pub(super) fn may_be_busy(&self) -> bool {
        !self.is_idle() && self.overdue.load(Ordering::Relaxed) == 0
    }

    fn is_idle(&self) -> bool {
        self.places.are_free(self.concurrency)
    }

    /// What it says of its health now.
    pub(super) async fn health(&self) -> Health {
        self.server.health().await
    }

    async fn ask(&self, call: Call, within: Duration, account: &Account) -> Result<Answered, CallError> {
        let until = Instant::now() + within;
        let place = self.places.take(until).await?;
        let (server, spec, hangup) = (self.server.clone(), Arc::clone(&self.spec), Hangup::default());
        let (line, mut answer) = (hangup.clone(), InRoom::new(account, until));
        let work = async move {
            // Until the server is done with it, not until nobody waits for it.
            let _place = place;
            let fixed = Fixed { job: &spec.service, shards: Some(spec.shards), ..Fixed::default() };
            // What is left of the time, now that the turn has come.
            let within = until.saturating_duration_since(Instant::now());
            let (said, content) = content(call);
            let question = Question { item: spec.item(), fixed, within: Some(within), said, content };
            let said = server.ask_until(question, &line, &mut answer).await?;
            Ok(answered(&said, answer.whole()))
        };
        let asked = Work::new(work.boxed(), hangup, until, &self.overdue).await;
        if !matches!(asked, Err(Unserved::Lost(_))) {
            self.overdue.store(0, Ordering::Relaxed);
        }
        match asked {
            Ok(answer) => Ok(answer),
            Err(Unserved::Busy(failure)) => Err(CallError::Busy(failures::in_a_line(&failure))),
            Err(Unserved::Failed(failure)) => Err(call_error(&failure)),
            Err(Unserved::NoRoom(error)) => Err(error.into()),
            Err(Unserved::Lost(error @ Unheard::Ended)) => Err(CallError::Away(error.to_string())),
            Err(Unserved::Lost(error)) => Err(self.lost(&error).await),
        }
    }

    /// There was no answer: because the server has ended, or it has only hung up.
    async fn lost(&self, error: &Unheard) -> CallError {
        let mut ended = self.ended.subscribe();
        self.orphans.fetch_add(1, Ordering::Relaxed);
        let mut told =
            timeout(NEWS, ended.wait_for(Option::is_some)).await.ok().and_then(Result::ok).map(|why| why.clone());
        if told.is_none() {
            // One that answers has only hung up; of one that does not, the news is late.
            let is_silent = async { matches!(self.server.health().await, Health::Silent(_)) };
            let late = timeout(LATE_NEWS, async {
                tokio::select! {
                    biased;
                    why = ended.wait_for(Option::is_some) => why.ok().map(|why| why.clone()),
                    false = is_silent => None,
                }
            });
            told = late.await.ok().flatten();
        }
        let told = match told {
            Some(why) => CallError::Lost(why.unwrap_or_default()),
            // Of a whole container it may take longer to find out.
            _ if matches!(error, Unheard::EndedOverIt) => CallError::Lost(error.to_string()),
            _ => CallError::Failed(causes::in_a_line(error)),
        };
        if !matches!(told, CallError::Lost(_)) {
            self.orphans.fetch_sub(1, Ordering::Relaxed);
        }
        told
    }
}

impl Serving for ServerReplica {
    fn call<'a>(
        &'a self,
        call: Call,
        within: Duration,
        account: &'a Account,
    ) -> BoxFuture<'a, Result<Answered, CallError>> {
        Box::pin(self.ask(call, within, account))
    }
}

/// The answer, with what is said of its bytes, and whether it is all there is.
fn answered(said: &Said, body: Bytes) -> Answered {
    let text = |name: &str| said.headers.get(name).map(|value| String::from_utf8_lossy(value.as_bytes()));
    let missing = text(header::MISSING).unwrap_or_default();
    let share = Share::said(said.status == StatusCode::PARTIAL_CONTENT, text(header::COVERAGE).as_deref(), &missing);
    let read = text(header::PARTS).and_then(|parts| parts.trim().parse().ok());
    Answered { message: Message { head: head::chosen(&said.headers, &head::OF_BYTES), body }, share, read }
}

/// What is said besides, and the bytes.
fn content(call: Call) -> (HeaderMap, Content) {
    match call {
        Call::Leaf(Message { head, body }) => {
            let size = body.len() as u64;
            (head, Content::One(Blob::Bytes(body), size))
        }
        Call::Merge { head, parts } => {
            (head, Content::Parts(parts.into_iter().map(|(shard, message)| named(shard, message)).collect()))
        }
        Call::Streamed { head, parts } => (head, Content::Coming(Again(Arc::new(move || coming(parts.clone()))))),
    }
}

/// Parts as they come, as the server is sent them.
fn coming(parts: Arriving) -> Coming {
    let next = |(mut parts, number): (Arriving, usize)| async move {
        let part = parts.part(number).await.map_err(io::Error::other)?;
        Ok(part.map(|(shard, message)| (named(shard, message), (parts, number + 1))))
    };
    stream::try_unfold((parts, 0), next).boxed()
}

fn named(shard: u32, Message { head, body }: Message) -> Part {
    Part { shard: shard.into(), name: part_name(shard), size: body.len() as u64, blob: Blob::Bytes(body), said: head }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};

    use super::*;

    fn of(status: u16, headers: &[(&'static str, &'static str)]) -> Answered {
        let header = |&(name, value)| (HeaderName::from_static(name), HeaderValue::from_static(value));
        let headers = headers.iter().map(header).collect();
        answered(&Said { status: StatusCode::from_u16(status).unwrap(), headers }, Bytes::from_static(b"half"))
    }

    #[test]
    fn an_answer_that_says_it_is_partial_is_a_partial_one() {
        let half = of(206, &[("longshore-coverage", "1/2"), ("longshore-missing", "shard 1: dead")]);
        let said = Share::said(true, Some("1/2"), "shard 1: dead");
        assert_eq!((half.share, said.is_some()), (said, true));
        assert_eq!(of(200, &[("longshore-coverage", "2/2")]).share, None);
        assert!(of(200, &[("longshore-coverage", "1/2")]).share.is_some() && of(206, &[]).share.is_some());
    }

    #[test]
    fn how_many_parts_a_merge_has_read_is_heard() {
        assert_eq!((of(200, &[("longshore-parts", "3")]).read, of(200, &[]).read), (Some(3), None));
        assert_eq!(of(200, &[("longshore-parts", "all")]).read, None);
    }

    #[test]
    fn what_is_said_of_its_bytes_comes_along_and_nothing_else() {
        let said =
            [("content-type", "text/csv"), ("content-encoding", "gzip"), ("set-cookie", "x"), ("connection", "close")];
        let head = of(200, &said).message.head;
        assert_eq!(
            (head.len(), &head["content-type"], &head["content-encoding"]),
            (2, &HeaderValue::from_static("text/csv"), &HeaderValue::from_static("gzip"))
        );
    }
}
