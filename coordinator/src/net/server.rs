//! Ports and sockets for everything: gRPC with reflection and health, and the HTTP gateway.

use std::{collections::VecDeque, convert::Infallible, future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use futures_util::future::join_all;
use http::Request;
use hyper::body::Incoming;
use longshore_local::Entrance;
use longshore_proto::{
    DESCRIPTORS, MAX_MESSAGE_BYTES,
    v1::{
        agent_server::AgentServer, blobs_server::BlobsServer, jobs_server::JobsServer, members_server::MembersServer,
        secrets_server::SecretsServer, services_server::ServicesServer,
    },
};
use rustix::process::{Resource, getrlimit};
use tokio::{
    net::TcpListener,
    task::{AbortHandle, JoinSet},
};
use tokio_util::sync::CancellationToken;
use tonic::service::Routes;
use tower::MakeService;

use crate::{
    api::{jobs::Jobs, services::Services},
    audit::Audit,
    limits,
    members::register::Register,
    net::{
        connection::{self, MakeConnection, Requests},
        door::Door,
        gate::{Gate, Hosts, Peer},
        grpc::{AgentService, BlobsService, JobsService, MembersService, SecretsService, ServicesService},
        http as gateway,
        listener::{Listener, OwnSocket},
        secure::Secure,
        stack,
    },
    workers::session::Agents,
};

/// Pause after an accept that failed (descriptors may have run out), so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// Why the port cannot be served.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The listener cannot be used.
    #[error("cannot listen")]
    Listen(#[source] io::Error),
    /// Strangers could reach it.
    #[error("{0} is not a loopback address, and without TLS only 127.0.0.0/8 and ::1 can be listened on")]
    NotLoopback(SocketAddr),
    /// There is none to come in by.
    #[error("nothing is listened on for the coordinator's own user")]
    NoEntrance,
    /// TLS cannot be served.
    #[error("cannot serve TLS")]
    Tls(#[from] longshore_authority::ServerError),
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
    pub members: MembersService,
    pub secrets: SecretsService,
}

impl Served {
    /// All routes on one router.
    pub fn routes(self) -> Result<Router, ServeError> {
        let reflection =
            || tonic_reflection::server::Builder::configure().register_encoded_file_descriptor_set(DESCRIPTORS);
        let (_, health) = tonic_health::server::health_reporter();
        let (gateway, services) = (gateway::routes(self.services.clone()), self.services.clone());
        let grpc = Routes::new(reflection().build_v1()?)
            // What clients of many languages know is the version before.
            .add_service(reflection().build_v1alpha()?)
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
            .add_service(SecretsServer::new(self.secrets).max_decoding_message_size(limits::SECRETS_MESSAGE_BYTES))
            .add_service(MembersServer::new(self.members).max_decoding_message_size(limits::MEMBERS_MESSAGE_BYTES))
            .into_axum_router();
        let agent = AgentServer::new(AgentService(self.agents))
            .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
            .max_encoding_message_size(2 * MAX_MESSAGE_BYTES);
        let always = Routes::new(agent).add_service(health).into_axum_router().reset_fallback();
        Ok(stack::shedding(stack::grpc_of_queries(grpc, services).merge(gateway))
            .merge(stack::grpc_alone(always))
            .merge(gateway::health()))
    }
}

/// How a coordinator's own user comes in, and whoever of this machine has its token.
pub struct Local {
    /// A loopback address; without one there is the socket alone.
    pub port: Option<TcpListener>,
    /// The socket, and what is known of who comes in.
    pub entrance: Entrance,
}

/// Where connections come in.
pub(crate) struct Entrances {
    /// On this machine; at least one.
    pub local: Vec<Local>,
    /// From other machines, by TLS set up like this.
    pub secure: Vec<Secure>,
    /// By which names it is called from there.
    pub hosts: Hosts,
    /// Where its own user hands over descriptors: beside the first socket.
    pub door: Option<Arc<Door>>,
    /// Who else is known.
    pub register: Arc<Register>,
    /// Where it is written what was denied.
    pub audit: Arc<Audit>,
}

/// Accepts connections until `stop` is done, then ends those that are open.
pub(crate) async fn serve(
    entrances: Entrances,
    routes: Router,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let Entrances { local, secure, hosts, mut door, register, audit } = entrances;
    let hosts = Arc::new(hosts);
    let make = |entrance: &Entrance| {
        let gate = Gate::of(entrance, Arc::clone(&register), Arc::clone(&hosts)).audited(Arc::clone(&audit));
        MakeConnection::new(stack::before(routes.clone(), gate))
    };
    let first = make(&local.first().ok_or(ServeError::NoEntrance)?.entrance);
    let (mut ports, mut sockets) = (Vec::new(), Vec::new());
    for Local { port, entrance } in local {
        let make = make(&entrance);
        if let Some(port) = port {
            let address = port.local_addr().map_err(ServeError::Listen)?;
            if !address.ip().to_canonical().is_loopback() {
                return Err(ServeError::NotLoopback(address));
            }
            ports.push((port, make.clone()));
        }
        sockets.push((OwnSocket::of(entrance, door.take()).map_err(ServeError::Listen)?, make));
    }
    let most = connections(ports.len() + sockets.len() + secure.len());
    let stopping = CancellationToken::new();
    let stopped = async {
        stop.await;
        stopping.cancel();
    };
    let ports = join_all(ports.into_iter().map(|(port, make)| accept_all(port, make, most, &stopping)));
    let sockets = join_all(sockets.into_iter().map(|(socket, make)| accept_all(socket, make, most, &stopping)));
    let secure = join_all(secure.into_iter().map(|secure| accept_all(secure, first.clone(), most, &stopping)));
    tokio::join!(stopped, ports, sockets, secure);
    Ok(())
}

/// Serves whoever comes in until it is time to stop, then ends every connection.
async fn accept_all<L: Listener, M>(mut listener: L, make: M, most: usize, stopping: &CancellationToken)
where
    M: MakeService<Peer, Request<Incoming>, Service: Requests, MakeError = Infallible, Future: Send>
        + Clone
        + Send
        + 'static,
{
    let mut connections = JoinSet::new();
    let mut arrivals = Arrivals::default();
    loop {
        tokio::select! {
            () = stopping.cancelled() => break,
            accepted = listener.accept(), if connections.len() < most => match accepted {
                Ok((arrived, peer)) => {
                    let peer = peer.among(most);
                    let handle = connections.spawn(connection::serve::<L>(arrived, peer.clone(), make.clone()));
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

/// Connections open at once by each of so many ways in: of the descriptors this process may have, they take half together,
/// and the rest is left for everything else.
fn connections(ways: usize) -> usize {
    let descriptors = getrlimit(Resource::Nofile).current.unwrap_or(u64::MAX);
    limits::CONNECTIONS.min(usize::try_from(descriptors / 2).unwrap_or(usize::MAX) / ways).max(1)
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
