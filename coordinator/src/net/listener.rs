//! Where connections come in on this machine: the port for whoever has the token, the socket for the coordinator's own user.

use std::{future::Future, io, sync::Arc, time::Duration};

use longshore_local::{Entrance, User};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    time::timeout,
};

use crate::{
    error::chain,
    net::{
        door::Door,
        gate::{Peer, Via},
    },
};

/// How often it is made sure that the socket is still there, while nobody comes in.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// A listener that says how its connections came in.
pub trait Listener: 'static {
    /// A connection of which nothing was heard yet.
    type Arrived: Send + 'static;
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    async fn accept(&mut self) -> io::Result<(Self::Arrived, Peer)>;

    /// Hears the first of it, and with that perhaps who it is. Off the loop that accepts; whoever is too slow is given up.
    fn greet(arrived: Self::Arrived, peer: Peer) -> impl Future<Output = io::Result<(Self::Stream, Peer)>> + Send;
}

/// Accepts one by TCP.
pub(super) async fn accept_by_tcp(listener: &TcpListener, via: Via) -> io::Result<(TcpStream, Peer)> {
    let (stream, there) = listener.accept().await?;
    // Without this, small messages wait for acknowledgements: 40 ms each.
    stream.set_nodelay(true)?;
    let here = stream.local_addr()?;
    Ok((stream, Peer::new(via).from(there.ip()).at(here.ip())))
}

impl Listener for TcpListener {
    type Arrived = TcpStream;
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        accept_by_tcp(self, Via::Port).await
    }

    async fn greet(stream: TcpStream, peer: Peer) -> io::Result<(TcpStream, Peer)> {
        stream.readable().await?;
        Ok((stream, peer))
    }
}

/// The socket for the coordinator's own user. It is made anew where it was removed.
pub struct OwnSocket {
    entrance: Entrance,
    listener: UnixListener,
    door: Option<Arc<Door>>,
    /// Whether the entrance is newer than what is listened on.
    stale: bool,
}

impl OwnSocket {
    /// The entrance's socket, and the door beside it.
    ///
    /// # Errors
    /// When it cannot be listened on.
    pub fn of(entrance: Entrance, door: Option<Arc<Door>>) -> io::Result<Self> {
        let listener = UnixListener::from_std(entrance.listener()?)?;
        Ok(Self { entrance, listener, door, stale: false })
    }

    fn look_after(&mut self) {
        match self.entrance.restore() {
            Ok(is_new) => self.stale |= is_new,
            Err(error) => {
                let error = chain(&error);
                tracing::warn!(error, "the socket was removed, and another cannot be made");
            }
        }
        if !self.stale {
            return;
        }
        match self.entrance.listener().and_then(UnixListener::from_std) {
            Ok(listener) => (self.listener, self.stale) = (listener, false),
            Err(error) => return tracing::warn!(%error, "the socket cannot be listened on"),
        }
        tracing::warn!(socket = %self.entrance.socket().display(), "the socket was removed: another was made");
        let moved = self.door.as_ref().map_or(Ok(()), |door| door.move_to(self.entrance.door()?));
        if let Err(error) = moved {
            tracing::warn!(%error, "descriptors cannot be handed over any more: large blobs go through the connection");
        }
    }
}

impl Listener for OwnSocket {
    type Arrived = UnixStream;
    type Stream = UnixStream;

    async fn accept(&mut self) -> io::Result<(UnixStream, Peer)> {
        let (stream, _) = loop {
            match timeout(LOOK_AFTER, self.listener.accept()).await {
                Ok(accepted) => break accepted?,
                Err(_) => self.look_after(),
            }
        };
        let user = User::at_other_end_of(&stream);
        let peer = Peer::new(Via::Socket(user));
        if user.is_some_and(|user| user == self.entrance.owner() || user == User::ROOT) {
            // Whatever they ask, and however late.
            peer.is_known_now();
        }
        Ok((stream, peer))
    }

    async fn greet(stream: UnixStream, peer: Peer) -> io::Result<(UnixStream, Peer)> {
        stream.readable().await?;
        Ok((stream, peer))
    }
}
