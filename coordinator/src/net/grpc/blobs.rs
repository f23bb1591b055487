//! `Blobs`: bytes in and out.

use std::sync::Arc;

use blake3::Hash;
use bytes::Bytes;
use longshore_blobs::{Blobs, Writer};
use longshore_proto::{
    CHUNK_BYTES, LINK_METADATA, SMALL_BLOB_BYTES,
    v1::{self, blobs_server, get_response, put_request},
};
use prost::Message;
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status, Streaming};

use super::{get_status, put_status};
use crate::{
    limits,
    net::door::{Door, Rights},
    net::gate::Caller,
    open::Room,
    workers::links::Links,
};

/// Small blobs joined into one answer until they reach this size.
const ANSWER_BYTES: usize = 1 << 20;

/// The service.
pub struct BlobsService {
    pub blobs: Arc<Blobs>,
    pub room: Room,
    pub door: Option<Arc<Door>>,
    pub links: Arc<Links>,
}

impl BlobsService {
    /// Whether a request is of a worker whose link is up: it brings the outputs of accepted work.
    fn is_of_worker<T>(&self, request: &Request<T>) -> bool {
        let shown = request.metadata().get_bin(LINK_METADATA).and_then(|proof| proof.to_bytes().ok());
        shown.is_some_and(|proof| self.links.proves(&proof))
    }
}

type Out = Result<v1::GetResponse, Status>;

#[tonic::async_trait]
impl blobs_server::Blobs for BlobsService {
    async fn missing(&self, request: Request<v1::MissingRequest>) -> Result<Response<v1::MissingResponse>, Status> {
        let asked = request.into_inner().digests;
        if asked.len() > limits::DIGESTS {
            return Err(Status::invalid_argument(format!("more than {} digests in one message", limits::DIGESTS)));
        }
        let mut digests = Vec::new();
        for digest in asked {
            if !self.blobs.contains(&checked(&digest)?) {
                digests.push(digest);
            }
        }
        Ok(Response::new(v1::MissingResponse { digests }))
    }

    async fn put(&self, request: Request<Streaming<v1::PutRequest>>) -> Result<Response<v1::PutResponse>, Status> {
        let of_worker = self.is_of_worker(&request);
        let mut steps = request.into_inner();
        let mut put = Put {
            blobs: Arc::clone(&self.blobs),
            room: self.room.clone(),
            of_worker,
            unlooked: limits::ROOM_LOOK_BYTES,
            open: None,
            told: v1::PutResponse::default(),
        };
        while let Some(step) = steps.message().await? {
            // Writing to the page cache is quick, but a full disk queue may make it wait.
            put = tokio::task::spawn_blocking(move || put.step(step).map(|()| put))
                .await
                .map_err(|_| Status::internal("storing a blob has panicked"))??;
        }
        if put.open.is_some() {
            return Err(Status::invalid_argument("the stream ended in the middle of a blob"));
        }
        let blobs = Arc::clone(&self.blobs);
        tokio::task::spawn_blocking(move || blobs.sync())
            .await
            .map_err(|_| Status::internal("syncing blobs has panicked"))?
            .map_err(|error| Status::internal(format!("blobs cannot be made durable: {error}")))?;
        Ok(Response::new(put.told))
    }

    type GetStream = ReceiverStream<Out>;

    async fn get(&self, request: Request<v1::GetRequest>) -> Result<Response<Self::GetStream>, Status> {
        let digests = request.into_inner().digests;
        if digests.len() > limits::DIGESTS {
            return Err(Status::invalid_argument(format!("more than {} digests in one message", limits::DIGESTS)));
        }
        let digests = digests.iter().map(checked).collect::<Result<Vec<_>, _>>()?;
        let (out, stream) = mpsc::channel(4);
        let blobs = Arc::clone(&self.blobs);
        tokio::task::spawn_blocking(move || {
            if let Err(status) = send_all(&blobs, &digests, &out) {
                // The reader may have gone.
                let _ = out.blocking_send(Err(status));
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn door(&self, request: Request<v1::DoorRequest>) -> Result<Response<v1::DoorResponse>, Status> {
        let caller = Caller::of(request.extensions())?;
        let rights = Rights {
            put: caller.may("/longshore.v1.Blobs/Put"),
            get: caller.may("/longshore.v1.Blobs/Get"),
            of_worker: self.is_of_worker(&request),
        };
        let told = self.door.as_ref().and_then(|door| Some((door.path()?, door.ticket(rights)?)));
        let told = told.map(|(socket, ticket)| v1::DoorResponse { socket, ticket });
        Ok(Response::new(told.unwrap_or_default()))
    }
}

fn checked(digest: &Bytes) -> Result<Hash, Status> {
    Hash::from_slice(digest).map_err(|_| Status::invalid_argument("a digest is not 32 bytes"))
}

/// One upload.
struct Put {
    blobs: Arc<Blobs>,
    room: Room,
    of_worker: bool,
    /// Bytes since there was room.
    unlooked: u64,
    open: Option<Large>,
    told: v1::PutResponse,
}

struct Large {
    writer: Writer,
    digest: Hash,
    left: u64,
    size: u64,
}

impl Put {
    fn step(&mut self, request: v1::PutRequest) -> Result<(), Status> {
        self.look_for_room(request.encoded_len() as u64)?;
        match request.step {
            Some(put_request::Step::Small(small)) if self.open.is_none() => self.small(small),
            Some(put_request::Step::Start(start)) if self.open.is_none() => self.start(&start),
            Some(put_request::Step::Data(data)) => self.data(&data),
            Some(_) => Err(Status::invalid_argument("a blob begins in the middle of another")),
            None => Err(Status::invalid_argument("an empty step")),
        }
    }

    fn look_for_room(&mut self, bytes: u64) -> Result<(), Status> {
        self.unlooked += bytes;
        if self.unlooked < limits::ROOM_LOOK_BYTES {
            return Ok(());
        }
        self.unlooked = 0;
        if self.of_worker { self.room.ensure_for_outputs() } else { self.room.ensure() }
    }

    fn small(&mut self, small: v1::SmallBlobs) -> Result<(), Status> {
        if small.blobs.iter().any(|blob| blob.data.len() > SMALL_BLOB_BYTES) {
            return Err(Status::invalid_argument(format!("a small blob has at most {SMALL_BLOB_BYTES} bytes")));
        }
        let digests = small.blobs.iter().map(|blob| checked(&blob.digest)).collect::<Result<Vec<_>, _>>()?;
        let blobs: Vec<(&Hash, &[u8])> = digests.iter().zip(small.blobs.iter().map(|blob| &*blob.data)).collect();
        let new = self.blobs.append_all_small(&blobs).map_err(|error| put_status(&error))?;
        self.told.stored += new.blobs;
        self.told.stored_bytes += new.bytes;
        Ok(())
    }

    fn start(&mut self, start: &v1::BlobStart) -> Result<(), Status> {
        let writer = self.blobs.create().map_err(|error| put_status(&error))?;
        let large = Large { writer, digest: checked(&start.digest)?, left: start.size, size: start.size };
        self.open = Some(large);
        self.finish_if_whole()
    }

    fn data(&mut self, data: &Bytes) -> Result<(), Status> {
        let large = self.open.as_mut().ok_or_else(|| Status::invalid_argument("data before the blob's start"))?;
        large.left = large
            .left
            .checked_sub(data.len() as u64)
            .ok_or_else(|| Status::invalid_argument("more data than the blob's size"))?;
        large.writer.write(data).map_err(|error| put_status(&error))?;
        self.finish_if_whole()
    }

    fn finish_if_whole(&mut self) -> Result<(), Status> {
        if let Some(large) = self.open.take_if(|large| large.left == 0) {
            let (_, new) = large.writer.finish(Some(large.digest)).map_err(|error| put_status(&error))?;
            self.told.stored += u64::from(new);
            self.told.stored_bytes += if new { large.size } else { 0 };
        }
        Ok(())
    }
}

fn send_all(blobs: &Blobs, digests: &[Hash], out: &mpsc::Sender<Out>) -> Result<(), Status> {
    let mut small = v1::SmallBlobs::default();
    let mut bytes = 0;
    for digest in digests {
        let size = blobs.size(digest).ok_or_else(|| Status::not_found(format!("no blob {digest}")))?;
        if size <= SMALL_BLOB_BYTES as u64 {
            let data = blobs.get(digest).map_err(|error| get_status(&error))?;
            bytes += data.len();
            small.blobs.push(v1::SmallBlob { digest: Bytes::copy_from_slice(digest.as_bytes()), data });
            if bytes < ANSWER_BYTES {
                continue;
            }
        }
        bytes = 0;
        send_small(&mut small, out)?;
        if size > SMALL_BLOB_BYTES as u64 {
            send_large(blobs, digest, size, out)?;
        }
    }
    send_small(&mut small, out)
}

fn send_small(small: &mut v1::SmallBlobs, out: &mpsc::Sender<Out>) -> Result<(), Status> {
    if small.blobs.is_empty() {
        return Ok(());
    }
    send(get_response::Step::Small(std::mem::take(small)), out)
}

fn send_large(blobs: &Blobs, digest: &Hash, size: u64, out: &mpsc::Sender<Out>) -> Result<(), Status> {
    let digest_bytes = Bytes::copy_from_slice(digest.as_bytes());
    send(get_response::Step::Start(v1::BlobStart { digest: digest_bytes, size }), out)?;
    for chunk in blobs.read_chunks(digest, CHUNK_BYTES).map_err(|error| get_status(&error))? {
        send(get_response::Step::Data(chunk.map_err(|error| get_status(&error))?), out)?;
    }
    Ok(())
}

fn send(step: get_response::Step, out: &mpsc::Sender<Out>) -> Result<(), Status> {
    out.blocking_send(Ok(v1::GetResponse { step: Some(step) })).map_err(|_| Status::cancelled("the reader has gone"))
}
