//! One port, and a socket beside it, for everything: gRPC with reflection and health, and the HTTP gateway.

use std::{collections::VecDeque, future::Future, io, net::SocketAddr, pin::pin, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::Request;
use hyper::body::Incoming;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use longshore_local::{Entrance, User};
use longshore_proto::{
    DESCRIPTORS, MAX_MESSAGE_BYTES,
    v1::{
        agent_server::AgentServer, blobs_server::BlobsServer, jobs_server::JobsServer, services_server::ServicesServer,
    },
};
use rustix::process::{Resource, getrlimit};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::ServiceBuilder;
use tower_http::timeout::TimeoutBody;

use crate::{
    api::{jobs::Jobs, services::Services},
    error::chain,
    limits,
    net::{
        door::Door,
        gate::{Gate, Peer, Via},
        grpc::{AgentService, BlobsService, JobsService, ServicesService},
        http as gateway,
    },
    workers::session::Agents,
};

/// Pause after an accept that failed (descriptors may have run out), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// How often it is made sure that the socket is still there, while nobody comes in.
const LOOK_AFTER: Duration = Duration::from_secs(10);

/// Why the port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener cannot be used.
    #[error("cannot listen")]
    Listen(#[source] io::Error),
    /// Strangers could reach it.
    #[error(
        "{0} is not a loopback address: connections are not encrypted yet, so only 127.0.0.0/8 and ::1 can be listened on"
    )]
    NotLoopback(SocketAddr),
    /// Reflection cannot be built.
    #[error("the service descriptors are malformed")]
    Descriptors(#[from] tonic_reflection::server::Error),
}

/// Everything that is served.
pub(crate) struct Served {
    pub jobs: Jobs,
    pub blobs: BlobsService,
    pub services: Services,
    pub agents: Agents,
}

impl Served {
    /// All routes on one router.
    pub fn routes(self) -> Result<Router, ServeError> {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .build_v1()?;
        let (_, health) = tonic_health::server::health_reporter();
        let gateway = gateway::routes(self.services.clone());
        let grpc = Routes::new(reflection)
            .add_service(health)
            .add_service(
                JobsServer::new(JobsService(self.jobs))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    // One item's outputs may take what a worker may report of them.
                    .max_encoding_message_size(2 * MAX_MESSAGE_BYTES),
            )
            .add_service(
                BlobsServer::new(self.blobs)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(MAX_MESSAGE_BYTES),
            )
            .add_service(
                ServicesServer::new(ServicesService(self.services))
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(limits::ANSWER_BYTES + MAX_MESSAGE_BYTES),
            )
            .add_service(
                AgentServer::new(AgentService(self.agents))
                    .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(2 * MAX_MESSAGE_BYTES),
            );
        Ok(grpc.into_axum_router().merge(gateway))
    }
}

/// Where connections come in.
pub(crate) struct Entrances {
    /// For whoever has the token.
    pub port: TcpListener,
    /// For the coordinator's own user, and what is known of who comes in.
    pub own: Entrance,
    /// Where its own user hands over descriptors.
    pub door: Option<Arc<Door>>,
}

/// Accepts connections until `stop` is done, then ends those that are open.
pub(crate) async fn serve(
    entrances: Entrances,
    router: Router,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let Entrances { port, own, door } = entrances;
    let address = port.local_addr().map_err(ServeError::Listen)?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let router = router.layer(Gate::of(&own));
    let socket = OwnSocket::of(own, door).map_err(ServeError::Listen)?;
    let stopping = CancellationToken::new();
    let stopped = async {
        stop.await;
        stopping.cancel();
    };
    tokio::join!(stopped, accept_all(port, router.clone(), &stopping), accept_all(socket, router, &stopping));
    Ok(())
}

/// A listener that says how its connections came in.
trait Listener: 'static {
    type Stream: AsyncRead + AsyncWrite + Unpin + Send + 'static;

    async fn accept(&mut self) -> io::Result<(Self::Stream, Peer)>;

    /// Until there is something to read.
    fn readable(stream: &Self::Stream) -> impl Future<Output = io::Result<()>> + Send;
}

impl Listener for TcpListener {
    type Stream = TcpStream;

    async fn accept(&mut self) -> io::Result<(TcpStream, Peer)> {
        let (stream, _) = TcpListener::accept(self).await?;
        // Without this, small messages wait for acknowledgements: 40 ms each.
        stream.set_nodelay(true)?;
        Ok((stream, Peer::new(Via::Port)))
    }

    async fn readable(stream: &TcpStream) -> io::Result<()> {
        stream.readable().await
    }
}

/// The socket for the coordinator's own user. It is made anew where it was removed.
struct OwnSocket {
    entrance: Entrance,
    listener: UnixListener,
    door: Option<Arc<Door>>,
    /// Whether the entrance is newer than what is listened on.
    stale: bool,
}

impl OwnSocket {
    fn of(entrance: Entrance, door: Option<Arc<Door>>) -> io::Result<Self> {
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

    async fn readable(stream: &UnixStream) -> io::Result<()> {
        stream.readable().await
    }
}

/// Serves whoever comes in until it is time to stop, then ends every connection.
async fn accept_all<L: Listener>(mut listener: L, router: Router, stopping: &CancellationToken) {
    let most = connections();
    let mut connections = JoinSet::new();
    let mut arrivals = Arrivals::default();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept(), if connections.len() < most => match accepted {
                Ok((stream, peer)) => {
                    let handle = connections.spawn(connection::<L>(stream, peer.clone(), router.clone()));
                    arrivals.note(peer, handle);
                    if connections.len() == most {
                        arrivals.end_one();
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a connection cannot be accepted");
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    connections.shutdown().await;
}

/// Connections open at once by one way in: of the descriptors this process may have, each takes its share only, and most
/// are left for everything else.
fn connections() -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    limits::CONNECTIONS.min(usize::try_from(descriptors / 4).unwrap_or(usize::MAX)).max(1)
}

/// Connections in the order they came, as long as it is not known who they are.
#[derive(Default)]
struct Arrivals(VecDeque<(Peer, AbortHandle)>);

impl Arrivals {
    fn note(&mut self, peer: Peer, handle: AbortHandle) {
        let settled = |(peer, handle): &(Peer, AbortHandle)| peer.is_known() || handle.is_finished();
        // Those that came last settle last, mostly; what is left over is looked at when room is needed.
        while self.0.front().is_some_and(settled) {
            self.0.pop_front();
        }
        self.0.push_back((peer, handle));
    }

    /// Ends the one of which it has been unknown for longest who it is: strangers who fill the room do not shut it to those
    /// who show who they are.
    fn end_one(&mut self) {
        self.0.retain(|(peer, handle)| !peer.is_known() && !handle.is_finished());
        if let Some((_, stranger)) = self.0.pop_front() {
            stranger.abort();
        }
    }
}

async fn connection<L: Listener>(stream: L::Stream, peer: Peer, router: Router) {
    // Whoever says nothing holds no place.
    if !matches!(timeout(limits::HEADER_TIME, L::readable(&stream)).await, Ok(Ok(()))) {
        return;
    }
    let mut server = auto::Builder::new(TokioExecutor::new());
    server
        .http1()
        .timer(TokioTimer::new())
        .header_read_timeout(limits::HEADER_TIME)
        .max_buf_size(limits::HEADER_BUFFER_BYTES);
    server
        .http2()
        .timer(TokioTimer::new())
        .max_concurrent_streams(limits::STREAMS)
        .max_header_list_size(limits::HEADER_BYTES)
        // Callers that give up together (a deadline) must not cost each other the connection.
        .max_pending_accept_reset_streams(1_024)
        .initial_stream_window_size(1 << 20)
        .initial_connection_window_size(8 << 20)
        .max_frame_size(limits::FRAME_BYTES)
        .keep_alive_interval(Duration::from_secs(10))
        .keep_alive_timeout(Duration::from_secs(20));
    let known = peer.clone();
    let service = ServiceBuilder::new().map_request(move |request| with_peer(request, &peer)).service(router);
    let mut serving = pin!(server.serve_connection(TokioIo::new(stream), TowerToHyperService::new(service)));
    let ended = tokio::select! {
        ended = serving.as_mut() => ended,
        // Whoever does not show who it is holds no place either.
        () = unknown_for_too_long(&known) => {
            serving.as_mut().graceful_shutdown();
            timeout(limits::HEADER_TIME, serving).await.unwrap_or(Ok(()))
        }
    };
    if let Err(error) = ended {
        tracing::debug!(error, "a connection has ended early");
    }
}

async fn unknown_for_too_long(peer: &Peer) {
    tokio::time::sleep(limits::HEADER_TIME).await;
    if peer.is_known() {
        std::future::pending().await
    }
}

/// Puts the other end of its connection into a request, and sees to it that its body comes.
fn with_peer(request: Request<Incoming>, peer: &Peer) -> Request<Body> {
    let of_worker = request.uri().path().starts_with("/longshore.v1.Agent/");
    let mut request = match of_worker {
        true => request.map(Body::new),
        false => request.map(|body| Body::new(TimeoutBody::new(limits::BODY_SILENCE, body))),
    };
    request.extensions_mut().insert(peer.clone());
    request
}
