//! One port for everything: gRPC with reflection and health, and the HTTP gateway.

use std::{future::Future, io, net::SocketAddr, sync::Arc, time::Duration};

use axum::Router;
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
    service::TowerToHyperService,
};
use longshore_proto::{
    DESCRIPTORS, MAX_MESSAGE_BYTES,
    v1::{
        agent_server::AgentServer, blobs_server::BlobsServer, jobs_server::JobsServer, services_server::ServicesServer,
    },
};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore},
    task::JoinSet,
    time::timeout,
};
use tonic::service::Routes;

use crate::{
    grpc::{AgentService, BlobsService, JobsService, ServicesService},
    http, limits,
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
    #[error(
        "{0} is not a loopback address: connections are not encrypted or authenticated yet, so only 127.0.0.0/8 and ::1 can be listened on"
    )]
    NotLoopback(SocketAddr),
    /// Reflection cannot be built.
    #[error("the service descriptors are malformed")]
    Descriptors(#[from] tonic_reflection::server::Error),
}

/// Everything that is served.
pub(crate) struct Served {
    pub jobs: JobsService,
    pub blobs: BlobsService,
    pub services: ServicesService,
    pub agent: AgentService,
}

impl Served {
    /// All routes on one router.
    pub fn routes(self) -> Result<Router, ServeError> {
        let reflection = tonic_reflection::server::Builder::configure()
            .register_encoded_file_descriptor_set(DESCRIPTORS)
            .build_v1()?;
        let (_, health) = tonic_health::server::health_reporter();
        let gateway = http::routes(self.services.clone());
        let grpc = Routes::new(reflection)
            .add_service(health)
            .add_service(
                JobsServer::new(self.jobs)
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
                ServicesServer::new(self.services)
                    .max_decoding_message_size(MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(limits::ANSWER_BYTES + MAX_MESSAGE_BYTES),
            )
            .add_service(
                AgentServer::new(self.agent)
                    .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
                    .max_encoding_message_size(2 * MAX_MESSAGE_BYTES),
            );
        Ok(http::guarded(grpc.into_axum_router().merge(gateway)))
    }
}

/// Accepts connections until `stop` is done, then ends those that are open.
pub(crate) async fn serve(
    listener: TcpListener,
    router: Router,
    stop: impl Future<Output = ()> + Send,
) -> Result<(), ServeError> {
    let address = listener.local_addr().map_err(ServeError::Listen)?;
    if !address.ip().is_loopback() {
        return Err(ServeError::NotLoopback(address));
    }
    let room = Arc::new(Semaphore::new(limits::CONNECTIONS));
    let mut connections = JoinSet::new();
    tokio::pin!(stop);
    loop {
        tokio::select! {
            () = &mut stop => break,
            accepted = accept(&listener, &room) => match accepted {
                Ok((stream, permit)) => {
                    connections.spawn(connection(stream, router.clone(), permit));
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
    Ok(())
}

async fn accept(listener: &TcpListener, room: &Arc<Semaphore>) -> io::Result<(TcpStream, OwnedSemaphorePermit)> {
    let permit = Arc::clone(room).acquire_owned().await.map_err(io::Error::other)?;
    let (stream, _) = listener.accept().await?;
    Ok((stream, permit))
}

async fn connection(stream: TcpStream, router: Router, permit: OwnedSemaphorePermit) {
    // Without this, small messages wait for acknowledgements: 40 ms each.
    if let Err(error) = stream.set_nodelay(true) {
        tracing::debug!(%error, "a connection cannot be set up");
        return;
    }
    // Whoever says nothing holds no place.
    if !matches!(timeout(limits::HEADER_TIME, stream.peek(&mut [0])).await, Ok(Ok(1))) {
        return;
    }
    let mut server = auto::Builder::new(TokioExecutor::new());
    server.http1().timer(TokioTimer::new()).header_read_timeout(limits::HEADER_TIME);
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
    let service = TowerToHyperService::new(router);
    if let Err(error) = server.serve_connection(TokioIo::new(stream), service).await {
        tracing::debug!(error, "a connection has ended early");
    }
    drop(permit);
}
