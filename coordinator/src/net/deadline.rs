//! Deadlines that callers of gRPC give: what nobody waits for any more is not gone on with.

use std::{
    convert::Infallible,
    task::{Context, Poll},
    time::Duration,
};

use axum::response::Response;
use futures_util::{
    FutureExt as _,
    future::{BoxFuture, Either},
};
use http::{HeaderMap, Request};
use tokio::time::timeout;
use tonic::Status;
use tower::{Layer, Service};

use crate::net::gate::is_grpc;

/// How long the caller of a request waits for its answer (gRPC over HTTP2, "Timeout").
const TIMEOUT: &str = "grpc-timeout";

/// Ends requests whose caller has said how long it waits.
#[derive(Debug, Clone, Copy)]
pub struct DeadlineLayer;

impl<S> Layer<S> for DeadlineLayer {
    type Service = Deadline<S>;

    fn layer(&self, inner: S) -> Deadline<S> {
        Deadline { inner }
    }
}

/// What is behind the layer.
#[derive(Debug, Clone)]
pub struct Deadline<S> {
    inner: S,
}

type Answer = Result<Response, Infallible>;

impl<S, B> Service<Request<B>> for Deadline<S>
where
    S: Service<Request<B>, Response = Response, Error = Infallible, Future: Send + 'static>,
{
    type Response = Response;
    type Error = Infallible;
    type Future = Either<S::Future, BoxFuture<'static, Answer>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let time = time_left(request.headers()).filter(|_| is_grpc(request.headers()));
        let answer = self.inner.call(request);
        match time {
            None => Either::Left(answer),
            Some(time) => Either::Right(in_time(answer, time).boxed()),
        }
    }
}

async fn in_time(answer: impl Future<Output = Answer>, time: Duration) -> Answer {
    timeout(time, answer)
        .await
        .unwrap_or_else(|_| Ok(Status::deadline_exceeded("the caller's time is over").into_http()))
}

/// Up to eight digits, and a unit. What is none of these says nothing.
fn time_left(headers: &HeaderMap) -> Option<Duration> {
    let said = headers.get(TIMEOUT)?.to_str().ok()?;
    let (digits, unit) = said.split_at_checked(said.len().checked_sub(1)?)?;
    if !(1..=8).contains(&digits.len()) || !digits.bytes().all(|digit| digit.is_ascii_digit()) {
        return None;
    }
    let count = digits.parse().ok()?;
    Some(match unit {
        "H" => Duration::from_secs(count * 3_600),
        "M" => Duration::from_secs(count * 60),
        "S" => Duration::from_secs(count),
        "m" => Duration::from_millis(count),
        "u" => Duration::from_micros(count),
        "n" => Duration::from_nanos(count),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use axum::body::Body;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    fn said(text: &str) -> Option<Duration> {
        let request = Request::builder().header(TIMEOUT, text).body(()).unwrap();
        time_left(request.headers())
    }

    #[test]
    fn a_time_is_digits_and_a_unit() {
        assert_eq!(said("3H"), Some(Duration::from_secs(10_800)));
        assert_eq!(said("2M"), Some(Duration::from_secs(120)));
        assert_eq!(said("15S"), Some(Duration::from_secs(15)));
        assert_eq!(said("250m"), Some(Duration::from_millis(250)));
        assert_eq!(said("7u"), Some(Duration::from_micros(7)));
        assert_eq!(said("99999999n"), Some(Duration::from_nanos(99_999_999)));
        for nonsense in ["", "S", "5", "123456789S", "-1S", "1.5S", "1x", "5\u{20ac}"] {
            assert_eq!(said(nonsense), None, "{nonsense}");
        }
    }

    const GRPC: &str = "application/grpc";

    async fn answered(kind: &str, timeout: Option<&str>, takes: Duration) -> Option<String> {
        let slow = service_fn(move |_: Request<Body>| async move {
            tokio::time::sleep(takes).await;
            Ok::<_, Infallible>(Response::new(Body::empty()))
        });
        let mut request = Request::builder().header("content-type", kind);
        if let Some(timeout) = timeout {
            request = request.header(TIMEOUT, timeout);
        }
        let answer = DeadlineLayer.layer(slow).oneshot(request.body(Body::empty()).unwrap()).await.unwrap();
        answer.headers().get("grpc-status").map(|code| code.to_str().unwrap().to_owned())
    }

    #[tokio::test(start_paused = true)]
    async fn an_answer_that_comes_too_late_is_not_waited_for() {
        let second = Duration::from_secs(1);
        assert_eq!(answered(GRPC, Some("999m"), second).await.as_deref(), Some("4"), "deadline exceeded");
        assert_eq!(answered(GRPC, Some("1001m"), second).await, None);
        assert_eq!(answered(GRPC, None, 1_000 * second).await, None);
        assert_eq!(answered("text/plain", Some("1m"), second).await, None, "no deadline of HTTP's");
    }
}
