//! From an HTTP request to the user's code and back.

use std::convert::Infallible;
use std::error::Error;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::{FutureExt, Stream, StreamExt};
use http_body_util::{BodyDataStream, BodyExt, Either, Full, LengthLimitError, Limited};
use hyper::body::{Body, Incoming};
use hyper::header::{ALLOW, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Response, StatusCode};
use longshore_contract::path;

use crate::answer::{Answer, Content};
use crate::deadline::Deadline;
use crate::error::AnswerError;
use crate::leaf::Leaf;
use crate::merge::{Merge, MergeRequest, Part};
use crate::parts;
use crate::place::Place;
use crate::pool::Pool;
use crate::request::Request;
use crate::writing::{Held, Written, begun};

/// The body of an answer: bytes that are there, or that are still written.
pub(crate) type Sent = Either<Full<Bytes>, Written>;

/// What answers `POST /`.
pub(crate) trait Handler: Send + Sync + 'static {
    fn handle(
        &self,
        request: hyper::Request<Incoming>,
        bounds: &Bounds,
        deadline: Deadline,
    ) -> impl Future<Output = Result<Answer, AnswerError>> + Send;

    fn ready(&self) -> bool;
}

/// Bounds of a single request.
#[derive(Debug)]
pub(crate) struct Bounds {
    pub(crate) body_max_bytes: usize,
    pub(crate) longest: Duration,
    pub(crate) pool: Pool,
}

/// Answers one HTTP request; failures are answers too.
pub(crate) async fn respond<H: Handler>(
    handler: Arc<H>,
    bounds: Arc<Bounds>,
    request: hyper::Request<Incoming>,
) -> Result<Response<Sent>, Infallible> {
    let response = match (request.method(), request.uri().path()) {
        (&Method::POST, path::REQUEST) => match answer(&*handler, &bounds, request).await {
            Ok(response) => response,
            Err(error) => plain(error.status(), TEXT, format!("{error}\n")),
        },
        (&Method::GET | &Method::HEAD, path::HEALTH) => health(handler.ready()),
        (_, path::REQUEST) => not_allowed("POST"),
        (_, path::HEALTH) => not_allowed("GET, HEAD"),
        (_, path) => plain(StatusCode::NOT_FOUND, TEXT, format!("nothing is at {path}; ask POST / or GET /healthz\n")),
    };
    Ok(response)
}

async fn answer<H: Handler>(
    handler: &H,
    bounds: &Bounds,
    request: hyper::Request<Incoming>,
) -> Result<Response<Sent>, AnswerError> {
    let deadline = Deadline::of(request.headers(), bounds.longest)?;
    let held = Held::new(bounds.pool.admit()?, deadline.waiting());
    if request.body().size_hint().lower() > bounds.body_max_bytes as u64 {
        return Err(AnswerError::TooLarge { limit_bytes: bounds.body_max_bytes });
    }
    let end = deadline.clone();
    let answered = async {
        let answer = handler.handle(request, bounds, deadline.clone()).await?;
        let (status, head) = (answer.status(), answer.head());
        let body = match answer.into_content() {
            Content::Whole(bytes) => Either::Left(Full::new(bytes)),
            Content::Written(write) => Either::Right(begun(write, &bounds.pool, deadline, held).await?),
        };
        let mut response = Response::new(body);
        (*response.status_mut(), *response.headers_mut()) = (status, head);
        Ok(response)
    };
    tokio::select! {
        biased;
        answered = answered => answered,
        () = end.over() => Err(AnswerError::Late),
    }
}

const TEXT: &str = "text/plain; charset=utf-8";

fn plain(status: StatusCode, content_type: &'static str, body: impl Into<Bytes>) -> Response<Sent> {
    let mut response = Response::new(Either::Left(Full::new(body.into())));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn not_allowed(allowed: &'static str) -> Response<Sent> {
    let mut response = plain(StatusCode::METHOD_NOT_ALLOWED, TEXT, format!("only {allowed} is allowed here\n"));
    response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
    response
}

fn health(ready: bool) -> Response<Sent> {
    let (status, text) =
        if ready { (StatusCode::OK, "ready\n") } else { (StatusCode::SERVICE_UNAVAILABLE, "not ready\n") };
    plain(status, TEXT, text)
}

/// Serves a [`Leaf`].
pub(crate) struct LeafHandler<L> {
    pub(crate) leaf: Arc<L>,
    pub(crate) place: Arc<Place>,
}

impl<L: Leaf> Handler for LeafHandler<L> {
    async fn handle(
        &self,
        request: hyper::Request<Incoming>,
        bounds: &Bounds,
        deadline: Deadline,
    ) -> Result<Answer, AnswerError> {
        let (head, body) = request.into_parts();
        let body = collect(body, bounds.body_max_bytes).await?;
        let leaf = Arc::clone(&self.leaf);
        let request = Request::new(head.headers, body, Arc::clone(&self.place), deadline.clone());
        bounds.pool.run(&deadline, move || leaf.answer(&request)).await
    }

    fn ready(&self) -> bool {
        self.leaf.ready()
    }
}

async fn collect(body: Incoming, limit_bytes: usize) -> Result<Bytes, AnswerError> {
    let refused = |error: Box<dyn Error + Send + Sync>| {
        if error.is::<LengthLimitError>() {
            return AnswerError::TooLarge { limit_bytes };
        }
        AnswerError::BadRequest(format!("the body cannot be read: {error}"))
    };
    Limited::new(body, limit_bytes).collect().await.map(|body| body.to_bytes()).map_err(refused)
}

/// Serves a [`Merge`].
pub(crate) struct MergeHandler<M> {
    pub(crate) merge: Arc<M>,
}

impl<M: Merge> Handler for MergeHandler<M> {
    async fn handle(
        &self,
        request: hyper::Request<Incoming>,
        bounds: &Bounds,
        deadline: Deadline,
    ) -> Result<Answer, AnswerError> {
        let boundary = parts::boundary(request.headers())?;
        let (head, body) = request.into_parts();
        let asked = MergeRequest::new(head.headers, deadline.clone())?;
        let body = BodyDataStream::new(body);
        let mut parts = pin!(parts::parts(body, boundary, bounds.body_max_bytes));
        let mut folding = Folding::Begin(asked);
        loop {
            let burst = burst(parts.as_mut()).await?;
            let merge = Arc::clone(&self.merge);
            match bounds.pool.run(&deadline, move || folding.step(&*merge, burst)).await? {
                Step::Answered(answer) => return Ok(answer),
                Step::Wants(state) => folding = Folding::Under(state),
            }
        }
    }

    fn ready(&self) -> bool {
        self.merge.ready()
    }
}

/// Parts that have come together: they go to a thread together, since each switch to one has its price.
struct Burst {
    parts: Vec<Part>,
    last: bool,
}

async fn burst(mut parts: impl Stream<Item = Result<Part, AnswerError>> + Unpin) -> Result<Burst, AnswerError> {
    let mut burst = Burst { parts: Vec::new(), last: false };
    let mut next = parts.next().await;
    loop {
        match next {
            Some(part) => burst.parts.push(part?),
            None => burst.last = true,
        }
        if burst.last {
            return Ok(burst);
        }
        match parts.next().now_or_never() {
            Some(further) => next = further,
            None => return Ok(burst),
        }
    }
}

/// A fold, before its first part or under way.
enum Folding<S> {
    Begin(MergeRequest),
    Under(Under<S>),
}

/// What has been folded so far.
struct Under<S> {
    state: S,
    /// How many parts that is.
    parts: u32,
    /// The answer need not wait for all.
    may_stop: bool,
}

/// Where a fold is after a burst.
enum Step<S> {
    Wants(Under<S>),
    Answered(Answer),
}

impl<S> Folding<S> {
    fn step<M: Merge<State = S>>(self, merge: &M, burst: Burst) -> Result<Step<S>, AnswerError> {
        let mut under = match self {
            Self::Begin(request) => Under { state: merge.begin(&request), parts: 0, may_stop: request.is_streamed() },
            Self::Under(under) => under,
        };
        for part in burst.parts {
            merge.add(&mut under.state, part)?;
            under.parts += 1;
            if under.may_stop && merge.is_enough(&under.state) {
                let parts = under.parts;
                return merge.finish(under.state).map(|answer| Step::Answered(answer.of_parts(parts)));
            }
        }
        if burst.last { merge.finish(under.state).map(Step::Answered) } else { Ok(Step::Wants(under)) }
    }
}
