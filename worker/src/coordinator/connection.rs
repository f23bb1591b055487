//! The coordinator as the worker sees it: one connection, and blobs over it.

use std::{
    fs::File,
    io,
    sync::{Arc, PoisonError, RwLock, RwLockReadGuard},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{StreamExt, TryStreamExt};
use longshore_proto::{
    CHUNK_BYTES, LINK_METADATA, MAX_MESSAGE_BYTES, NAMESPACE_METADATA, SMALL_BLOB_BYTES,
    v1::{
        self, agent_client::AgentClient, blobs_client::BlobsClient, get_response, members_client::MembersClient,
        put_request,
    },
};
use longshore_way::{AddressError, Credentials, Heard, Way, WayError, Wire};
use tokio::{
    io::AsyncReadExt,
    sync::{Notify, mpsc},
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status,
    metadata::{Binary, MetadataValue},
    transport::Endpoint,
};

use super::door::{Door, Tickets};
use crate::{
    cache::{FetchError, Fetcher, Linker, Pieces},
    executor::{Content, Output},
};

/// Why a worker may not join.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// Somebody else is there.
    #[error(transparent)]
    Way(#[from] WayError),
    /// The coordinator says so: it does not know us.
    #[error("{0}")]
    Told(String),
    /// It knows us, and we may not.
    #[error("{0}")]
    Denied(String),
}

/// The connection. Cheap to clone; made when it is first used, and anew whenever it is lost.
#[derive(Debug, Clone)]
pub struct Coordinator {
    way: Way,
    wires: Arc<RwLock<Wires>>,
    /// Proves that what is put is of the worker whose link is up.
    proof: Arc<RwLock<Option<MetadataValue<Binary>>>>,
    /// For large blobs on the coordinator's own machine.
    door: Door,
    /// Told when the coordinator does not take the certificate that was shown.
    late: Arc<Notify>,
}

#[derive(Debug)]
struct Wires {
    /// For the link and for queries.
    link: Wire,
    /// For blobs: many of them fill a connection, and heartbeats must not wait behind them.
    bulk: Wire,
}

impl Wires {
    fn lazy(way: &Way) -> Self {
        let set_up = |endpoint: Endpoint| {
            endpoint
                .connect_timeout(Duration::from_secs(5))
                .http2_keep_alive_interval(Duration::from_secs(10))
                .keep_alive_timeout(Duration::from_secs(20))
                .keep_alive_while_idle(true)
                .initial_stream_window_size(1 << 20)
                .initial_connection_window_size(8 << 20)
        };
        Self { link: Wire::lazy(way, set_up), bulk: Wire::lazy(way, set_up) }
    }
}

impl Coordinator {
    /// A connection to `address`; nothing is sent yet.
    ///
    /// # Errors
    /// When that is no address.
    pub fn at(address: &str, credentials: impl Into<Credentials>) -> Result<Self, AddressError> {
        let way = Way::to(address, credentials)?;
        let wires = Arc::new(RwLock::new(Wires::lazy(&way)));
        Ok(Self { way, wires, proof: Arc::default(), door: Door::default(), late: Arc::default() })
    }

    fn wires(&self) -> RwLockReadGuard<'_, Wires> {
        self.wires.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Nothing comes from the coordinator any more: whatever is asked for from now on goes over new connections. The old ones
    /// would notice by themselves, but late.
    pub(crate) fn dial_anew(&self) {
        *self.wires.write().unwrap_or_else(PoisonError::into_inner) = Wires::lazy(&self.way);
    }

    /// What became of the way, if that is why something could not be asked.
    pub(crate) fn why_lost(&self, status: &Status) -> Option<WayError> {
        // What the coordinator itself has said has no source.
        let source = std::error::Error::source(status)?;
        WayError::among(source).or_else(|| self.way.refused())
    }

    /// The coordinator does not know whoever shows what was shown: a certificate may have expired by its clock.
    pub(crate) fn is_not_known(&self) {
        self.late.notify_one();
    }

    /// Until that is so.
    pub(crate) async fn until_not_known(&self) {
        self.late.notified().await;
    }

    /// When anything last came over the connection for the link.
    pub(crate) fn heard(&self) -> Heard {
        self.wires().link.heard().clone()
    }

    /// Makes sure that whoever is at the address, if anybody is, lets us in.
    ///
    /// # Errors
    /// When somebody else is there, or the token is not good.
    pub(crate) async fn ensure_not_refused(&self) -> Result<(), Refused> {
        match self.way.connect().await {
            Err(refused) if refused.is_refusal() => return Err(refused.into()),
            Err(_) => return Ok(()),
            Ok(_) => {}
        }
        match self.blobs().missing(v1::MissingRequest::default()).await {
            Err(status) if status.code() == Code::Unauthenticated => Err(Refused::Told(status.message().to_owned())),
            Err(status) if status.code() == Code::PermissionDenied => Err(Refused::Denied(status.message().to_owned())),
            Err(status) => self.why_lost(&status).map_or(Ok(()), |way| Err(way.into())),
            Ok(_) => Ok(()),
        }
    }

    /// From now on proves by this that the link is ours.
    pub(crate) fn prove_by(&self, proof: &[u8]) {
        *self.proof.write().unwrap_or_else(PoisonError::into_inner) = Some(MetadataValue::from_bytes(proof));
    }

    fn proven<T>(&self, message: T) -> Request<T> {
        let mut request = Request::new(message);
        if let Some(proof) = &*self.proof.read().unwrap_or_else(PoisonError::into_inner) {
            request.metadata_mut().insert_bin(LINK_METADATA, proof.clone());
        }
        request
    }

    /// The links.
    pub(crate) fn agent(&self) -> AgentClient<Wire> {
        AgentClient::new(self.wires().link.clone())
            .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
            .max_encoding_message_size(2 * MAX_MESSAGE_BYTES)
    }

    /// Certificates.
    pub(crate) fn members(&self) -> MembersClient<Wire> {
        MembersClient::new(self.wires().link.clone())
    }

    /// Whether it is spoken to without TLS, on this machine or as if it were.
    pub(crate) fn is_local(&self) -> bool {
        !self.way.is_secure()
    }

    fn blobs(&self) -> BlobsClient<Wire> {
        BlobsClient::new(self.wires().bulk.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// Brings blobs for the cache, which verifies them.
    pub(crate) fn fetcher(&self) -> Fetcher {
        let coordinator = self.clone();
        Arc::new(move |namespace, digest, _size| {
            let mut blobs = coordinator.blobs();
            Box::pin(async move {
                let request = v1::GetRequest { digests: vec![Bytes::copy_from_slice(digest.as_bytes())] };
                let request = named(&namespace, Request::new(request));
                let stream = blobs.get(request).await.map_err(|status| fetch_error(digest, &status))?.into_inner();
                let pieces: Pieces = stream
                    .map_err(move |status| fetch_error(digest, &status))
                    .map_ok(|response| match response.step {
                        Some(get_response::Step::Small(small)) => {
                            small.blobs.into_iter().next().map_or(Bytes::new(), |blob| blob.data)
                        }
                        Some(get_response::Step::Data(data)) => data,
                        Some(get_response::Step::Start(_)) | None => Bytes::new(),
                    })
                    .boxed();
                Ok(pieces)
            })
        })
    }

    /// Brings large blobs for the cache as links, where the coordinator is on this machine.
    pub(crate) fn linker(&self) -> Linker {
        let coordinator = self.clone();
        Arc::new(move |namespace, digest, path| {
            let coordinator = coordinator.clone();
            Box::pin(async move { coordinator.door.link(&coordinator, &namespace, digest, path).await })
        })
    }

    /// Puts the outputs that are too large to travel with their result among the blobs of their job's namespace; answers their
    /// digests when they are durable.
    pub(crate) async fn put(&self, namespace: &Arc<str>, outputs: &[Output]) -> Result<Vec<blake3::Hash>, Status> {
        let (mut digests, mut to_send) = (Vec::with_capacity(outputs.len()), Vec::new());
        for output in outputs {
            let adopted = match &output.content {
                Content::File(file) if output.size > SMALL_BLOB_BYTES as u64 => {
                    self.door.adopt(self, namespace, file).await
                }
                _ => None,
            };
            let digest = match adopted {
                Some(digest) => digest,
                None => {
                    let digest = digest_of(output).await.map_err(unreadable)?;
                    to_send.push((digest, output.size, output.content.clone()));
                    digest
                }
            };
            digests.push(digest);
        }
        if !to_send.is_empty() {
            self.send(namespace, to_send).await?;
        }
        Ok(digests)
    }

    async fn send(&self, namespace: &str, outputs: Vec<(blake3::Hash, u64, Content)>) -> Result<(), Status> {
        let (steps, stream) = mpsc::channel(4);
        let reading = tokio::spawn(async move {
            for (digest, size, content) in outputs {
                send(&steps, digest, size, &content).await?;
            }
            Ok::<(), io::Error>(())
        });
        let put = self.blobs().put(named(namespace, self.proven(ReceiverStream::new(stream)))).await;
        match reading.await {
            Ok(Err(error)) if error.kind() != io::ErrorKind::BrokenPipe => Err(unreadable(error)),
            _ => put.map(|_| ()),
        }
    }
}

impl Tickets for Coordinator {
    async fn ticket(&self, namespace: &str) -> Option<v1::DoorResponse> {
        if !self.way.is_here() {
            // A tunnel may begin at a port: the door would be on another machine.
            return None;
        }
        Some(self.blobs().door(named(namespace, self.proven(v1::DoorRequest {}))).await.ok()?.into_inner())
    }
}

/// A request about the blobs of a namespace.
fn named<T>(namespace: &str, mut request: Request<T>) -> Request<T> {
    // What came from the coordinator as a name is one.
    if let Some(name) = (!namespace.is_empty()).then(|| namespace.parse().ok()).flatten() {
        request.metadata_mut().insert(NAMESPACE_METADATA, name);
    }
    request
}

fn fetch_error(digest: blake3::Hash, status: &Status) -> FetchError {
    match status.code() {
        Code::NotFound => FetchError::Missing { digest },
        Code::DataLoss => FetchError::Corrupt { digest, cause: status.message().to_owned() },
        _ => FetchError::Unavailable { digest, cause: status.message().to_owned() },
    }
}

/// Our own file: nothing gets better by asking the coordinator again.
fn unreadable(error: io::Error) -> Status {
    Status::invalid_argument(format!("an output cannot be read: {error}"))
}

/// The digest of an output; reads it if nobody has.
async fn digest_of(output: &Output) -> io::Result<blake3::Hash> {
    let file = match (&output.digest, &output.content) {
        (Some(digest), _) => return Ok(*digest),
        (None, Content::Inline(bytes)) => return Ok(blake3::hash(bytes)),
        (None, Content::File(file)) => Arc::clone(file),
    };
    let hashing = tokio::task::spawn_blocking(move || {
        let mut hasher = blake3::Hasher::new();
        hasher.update_reader(File::open(file.path())?)?;
        Ok(hasher.finalize())
    });
    hashing.await.map_err(io::Error::other)?
}

/// Sends the messages that put one output.
async fn send(
    steps: &mpsc::Sender<v1::PutRequest>,
    digest: blake3::Hash,
    size: u64,
    content: &Content,
) -> io::Result<()> {
    let digest = Bytes::copy_from_slice(digest.as_bytes());
    let small = |digest, data| put_request::Step::Small(v1::SmallBlobs { blobs: vec![v1::SmallBlob { digest, data }] });
    match content {
        Content::Inline(data) => say(steps, small(digest, data.clone())).await,
        Content::File(owned) if size <= SMALL_BLOB_BYTES as u64 => {
            let data = tokio::fs::read(owned.path()).await?;
            say(steps, small(digest, data.into())).await
        }
        Content::File(owned) => {
            say(steps, put_request::Step::Start(v1::BlobStart { digest, size })).await?;
            let mut file = tokio::fs::File::open(owned.path()).await?;
            loop {
                let mut chunk = vec![0; CHUNK_BYTES];
                let read = file.read(&mut chunk).await?;
                if read == 0 {
                    return Ok(());
                }
                chunk.truncate(read);
                say(steps, put_request::Step::Data(chunk.into())).await?;
            }
        }
    }
}

async fn say(steps: &mpsc::Sender<v1::PutRequest>, step: put_request::Step) -> io::Result<()> {
    // The coordinator has said why when it listens no more.
    steps.send(v1::PutRequest { step: Some(step) }).await.map_err(|_| io::ErrorKind::BrokenPipe.into())
}
