//! Connections that are kept for the next request.

use std::{
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll},
};

use bytes::Bytes;
use http::Response;
use hyper::body::{Frame, Incoming, SizeHint};

use super::connection::Connection;

/// Most connections kept.
const CONNECTIONS: usize = 256;

/// The connections of one server that nobody uses now.
#[derive(Default)]
pub(super) struct Pool(Mutex<Idle>);

#[derive(Default)]
struct Idle {
    connections: Vec<Connection>,
    closed: bool,
}

impl Pool {
    fn lock(&self) -> MutexGuard<'_, Idle> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The one used last: it is the likeliest to be open still.
    pub(super) fn take(&self) -> Option<Connection> {
        self.lock().connections.pop()
    }

    /// An answer that brings its connection back.
    pub(super) fn lend(self: &Arc<Self>, connection: Connection, response: Response<Incoming>) -> Response<Answer> {
        response.map(|body| Answer { body, lent: Some((connection, Arc::clone(self))) })
    }

    fn keep(&self, connection: Connection) {
        let mut idle = self.lock();
        if idle.connections.len() < CONNECTIONS && !idle.closed && !connection.line().is_hung_up() {
            idle.connections.push(connection);
        }
    }

    /// Closes all of them and keeps none any more: the server has ended.
    pub(super) fn close(&self) {
        let mut idle = self.lock();
        idle.closed = true;
        idle.connections.clear();
    }
}

/// An answer's body. Read to its end, it gives its connection back; dropped before, it closes it.
pub(crate) struct Answer {
    body: Incoming,
    lent: Option<(Connection, Arc<Pool>)>,
}

impl hyper::body::Body for Answer {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let this = &mut *self;
        let mut frame = Pin::new(&mut this.body).poll_frame(context);
        if frame.is_pending()
            && let Some((connection, _)) = &mut this.lent
        {
            connection.go_on(context);
            frame = Pin::new(&mut this.body).poll_frame(context);
        }
        match frame {
            Poll::Ready(None) => {
                if let Some((connection, pool)) = this.lent.take() {
                    pool.keep(connection);
                }
            }
            Poll::Ready(Some(Err(_))) => this.lent = None,
            Poll::Ready(Some(Ok(_))) | Poll::Pending => {}
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
