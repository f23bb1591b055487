//! Where connections of other machines come in: by TLS. A handshake is an arrival like any other: it has the time that whoever
//! says nothing has, takes a place among those who are not known, and holds up nobody.

use std::{io, time::Duration};

use longshore_authority::{Presented, Server};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    gate::{Peer, Via},
    listener::{Listener, accept_by_tcp},
};

/// How long whoever is hung up on may take to notice.
const HANGING_UP: Duration = Duration::from_secs(1);

/// An address that other machines reach.
pub struct Secure {
    listener: TcpListener,
    acceptor: TlsAcceptor,
}

impl Secure {
    /// Listens with TLS that is set up like this.
    pub fn new(listener: TcpListener, server: Server) -> Self {
        Self { listener, acceptor: server.into() }
    }
}

/// Hangs up so that the other end hears why: it may have said more already, and to close a connection with something unread
/// takes back what was sent last.
async fn hang_up(mut stream: TcpStream) {
    let mut rest = [0; 4_096];
    let hearing = async {
        stream.shutdown().await?;
        while stream.read(&mut rest).await? > 0 {}
        Ok::<_, io::Error>(())
    };
    // Nothing follows from it.
    let _ = timeout(HANGING_UP, hearing).await;
}

/// A connection before its handshake.
pub struct Arrived {
    stream: TcpStream,
    acceptor: TlsAcceptor,
}

impl Listener for Secure {
    type Arrived = Arrived;
    type Stream = TlsStream<TcpStream>;

    async fn accept(&mut self) -> io::Result<(Arrived, Peer)> {
        let (stream, peer) = accept_by_tcp(&self.listener, Via::Tls(None)).await?;
        Ok((Arrived { stream, acceptor: self.acceptor.clone() }, peer))
    }

    async fn greet(arrived: Arrived, peer: Peer) -> io::Result<(TlsStream<TcpStream>, Peer)> {
        let stream = match arrived.acceptor.accept(arrived.stream).into_fallible().await {
            Ok(stream) => stream,
            Err((error, stream)) => {
                hang_up(stream).await;
                return Err(error);
            }
        };
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(|chain| Presented::of(chain.first()?));
        Ok((stream, peer.showing(shown)))
    }
}

#[cfg(test)]
mod tests;
