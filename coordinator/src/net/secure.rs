//! Where connections of other machines come in: by TLS. A handshake is an arrival like any other: it has the time that whoever
//! says nothing has, takes a place among those who are not known, and holds up nobody.

use std::io;

use longshore_authority::{Presented, Server};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use super::{
    gate::{Peer, Via},
    listener::{Listener, accept_by_tcp},
};

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
        let stream = arrived.acceptor.accept(arrived.stream).await?;
        let (_, session) = stream.get_ref();
        let shown = session.peer_certificates().and_then(|chain| Presented::of(chain.first()?));
        Ok((stream, peer.showing(shown)))
    }
}

#[cfg(test)]
mod tests;
