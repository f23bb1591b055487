//! Answers in one message: encoded at once, and sent in pieces as they are read, like those that come piece by piece.

use std::{
    convert::Infallible,
    sync::{Arc, Mutex, PoisonError},
};

use axum::{body::Body, response::Response};
use bytes::Bytes;
use http_body_util::{BodyExt as _, StreamBody};
use hyper::body::Frame;
use longshore_root::{Held, Outstanding};
use tokio_stream::{StreamExt as _, wrappers::ReceiverStream};

use super::{
    sending::{self, Until},
    streams::Cut,
};
use crate::api::admission::Turn;

/// What an answer in one message holds until it is read: travels with it from whoever answers.
#[derive(Clone)]
pub struct Whole(Arc<Mutex<Option<(Held, Turn, Outstanding)>>>);

impl Whole {
    /// Room for the message, and the query's turn.
    pub fn new(room: Held, turn: Turn, outstanding: Outstanding) -> Self {
        Self(Arc::new(Mutex::new(Some((room, turn, outstanding)))))
    }

    fn take(&self) -> Option<(Held, Turn, Outstanding)> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }
}

/// Sends an answer that is in one message as it is read; any other as it is.
pub async fn as_it_is_read(mut response: Response) -> Response {
    let Some((room, turn, outstanding)) = response.extensions_mut().remove::<Whole>().and_then(|whole| whole.take())
    else {
        return response;
    };
    let (parts, body) = response.into_parts();
    // It is all there: this is where it is encoded.
    let Ok(whole) = body.collect().await else { return Response::from_parts(parts, Body::empty()) };
    let trailers = whole.trailers().cloned().map(Frame::trailers);
    let pieces = vec![room.keep(whole.to_bytes())];
    let until = Until { held: turn, outstanding, cut: Cut::of_this_stream() };
    let sent = sending::send(pieces, until, None, Frame::<Bytes>::data, trailers);
    let frames = ReceiverStream::new(sent).map(Ok::<_, Infallible>);
    Response::from_parts(parts, Body::new(StreamBody::new(frames)))
}
