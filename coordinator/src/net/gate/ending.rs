//! Whatever somebody has opened ends when they are known no more: requests under way, and streams. What their end of the
//! connection does not take is not asked for either, and ends with the connection.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::HeaderMap;
use hyper::body::{Body as HttpBody, Frame, SizeHint};
use tonic::Status;

use crate::members::standing::Standing;

/// What is said at the end.
#[derive(Debug, Clone)]
pub struct Last {
    /// As gRPC says it.
    pub status: Status,
    /// How a request is answered that has no answer yet.
    pub answer: fn(&Status, bool) -> Response,
    /// Whether gRPC is spoken.
    pub is_grpc: bool,
}

/// Answers a request, as long as whoever has made it is known.
pub async fn while_standing(
    answering: impl Future<Output = Result<Response, Infallible>>,
    standing: Standing,
    last: Last,
) -> Result<Response, Infallible> {
    tokio::select! {
        biased;
        answered = answering => answered.map(|response| response.map(|body| until(body, standing, last))),
        () = standing.clone().ended() => Ok((last.answer)(&last.status, last.is_grpc)),
    }
}

/// What somebody says in a request is heard as long as they are known, whatever they take of the answer.
pub fn heard_while(body: Body, standing: Standing, last: Last) -> Body {
    // Breaks off: only answers end with a status.
    if body.is_end_stream() { body } else { until(body, standing, Last { is_grpc: false, ..last }) }
}

fn until(body: Body, standing: Standing, last: Last) -> Body {
    Body::new(Until { body: Some(body), ended: Box::pin(standing.ended()), last })
}

/// A body that ends early.
struct Until {
    body: Option<Body>,
    ended: BoxFuture<'static, ()>,
    last: Last,
}

impl HttpBody for Until {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let this = self.get_mut();
        let Some(body) = &mut this.body else { return Poll::Ready(None) };
        if this.ended.as_mut().poll(cx).is_ready() {
            this.body = None;
            return Poll::Ready(Some(last_frame(&this.last)));
        }
        let frame = std::task::ready!(Pin::new(body).poll_frame(cx));
        if frame.is_none() {
            this.body = None;
        }
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        self.body.as_ref().is_none_or(HttpBody::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.body.as_ref().map(HttpBody::size_hint).unwrap_or_default()
    }
}

/// gRPC's streams end with a status; others just break off.
fn last_frame(last: &Last) -> Result<Frame<Bytes>, axum::Error> {
    let mut trailers = HeaderMap::new();
    match last.is_grpc && last.status.add_header(&mut trailers).is_ok() {
        true => Ok(Frame::trailers(trailers)),
        false => Err(axum::Error::new(last.status.clone())),
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;
    use http_body_util::BodyExt as _;

    use super::*;
    use crate::members::standing::Term;

    fn last(is_grpc: bool) -> Last {
        let answer = |status: &Status, _| Response::new(Body::from(status.message().to_owned()));
        Last { status: Status::unauthenticated("no more"), answer, is_grpc }
    }

    async fn open(term: &Term, is_grpc: bool) -> Body {
        let endless = stream::iter([Ok::<_, Infallible>("something")]).chain(stream::pending());
        let answering = std::future::ready(Ok(Response::new(Body::from_stream(endless))));
        while_standing(answering, term.standing(), last(is_grpc)).await.unwrap().into_body()
    }

    use futures_util::StreamExt as _;

    #[tokio::test]
    async fn a_stream_ends_with_the_standing_and_says_why() {
        let term = Term::until(0);
        let mut body = open(&term, true).await;
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "something");
        term.end();
        let trailers = body.frame().await.unwrap().unwrap().into_trailers().unwrap();
        assert_eq!(
            (&trailers["grpc-status"], &trailers["grpc-message"]),
            (&"16".parse().unwrap(), &"no%20more".parse().unwrap())
        );
        assert!(body.frame().await.is_none());
        let mut broken = open(&term, false).await;
        assert!(broken.frame().await.unwrap().is_err());
    }

    #[tokio::test]
    async fn a_request_without_an_answer_is_answered_at_the_end() {
        let term = Term::until(0);
        let standing = term.standing();
        drop(term);
        let answered = while_standing(std::future::pending(), standing, last(false)).await.unwrap();
        assert_eq!(answered.into_body().collect().await.unwrap().to_bytes(), "no more");
    }

    #[tokio::test]
    async fn what_is_said_is_heard_no_more_at_the_end() {
        let term = Term::until(0);
        let said = stream::iter([Ok::<_, Infallible>("something"), Ok("more")]);
        let mut body = heard_while(Body::from_stream(said), term.standing(), last(true));
        assert_eq!(body.frame().await.unwrap().unwrap().into_data().unwrap(), "something");
        term.end();
        assert!(body.frame().await.unwrap().is_err() && body.frame().await.is_none());
    }

    #[tokio::test]
    async fn whatever_ends_by_itself_is_as_it_was() {
        let term = Term::until(0);
        let answering = std::future::ready(Ok(Response::new(Body::from("whole"))));
        let body = while_standing(answering, term.standing(), last(true)).await.unwrap().into_body();
        assert_eq!(body.collect().await.unwrap().to_bytes(), "whole");
    }
}
