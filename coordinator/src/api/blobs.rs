//! Blobs: bytes in and out.

use std::sync::Arc;

use blake3::Hash;
use bytes::Bytes;
use longshore_blobs::{BlobStore, BlobWriter};
use longshore_proto::{
    CHUNK_BYTES, Digest, SMALL_BLOB_BYTES,
    v1::{self, get_response, put_request},
};
use prost::Message;
use tokio::sync::{Semaphore, mpsc};

use super::caller::{Caller, Role};
use crate::{
    error::{Error, blocking},
    kept::rooms::Rooms,
    limits,
    room::DiskRoom,
};

/// Small blobs joined into one answer until they reach this size.
const ANSWER_BYTES: usize = 1 << 20;

/// What can be asked of blobs.
#[derive(Clone)]
pub struct Blobs {
    pub rooms: Rooms,
    pub room: DiskRoom,
    /// How many may get blobs at once.
    pub downloads: Arc<Semaphore>,
}

type Out = Result<v1::GetResponse, Error>;

impl Blobs {
    /// Which of these are not in the room of the caller's namespace.
    pub async fn missing(&self, caller: &Caller, asked: Vec<Bytes>) -> Result<Vec<Bytes>, Error> {
        ensure_few(asked.len())?;
        let blobs = self.rooms.of(&caller.namespace);
        // Each may be a look at the disk, and they are many.
        blocking("looking for blobs", move || {
            let mut missing = Vec::new();
            for digest in asked {
                if !blobs.contains(&checked(&digest)?) {
                    missing.push(digest);
                }
            }
            Ok(missing)
        })
        .await
    }

    /// Begins an upload. What a worker whose link is up brings are the outputs of accepted work.
    ///
    /// # Errors
    /// [`Blobs::ensure_may_put`]'s.
    pub fn put(&self, caller: &Caller, of_worker: bool) -> Result<Upload, Error> {
        self.ensure_may_put(caller)?;
        Ok(Upload {
            blobs: self.rooms.of(&caller.namespace),
            room: self.room.clone(),
            of_worker,
            unlooked: limits::ROOM_LOOK_BYTES,
            open: None,
            told: v1::PutResponse::default(),
        })
    }

    /// A worker of another machine puts outputs of jobs, and a job has put something itself: it makes no room, or it could use
    /// up all that may be by names that it makes up.
    ///
    /// # Errors
    /// When there is no room, for a worker.
    pub fn ensure_may_put(&self, caller: &Caller) -> Result<(), Error> {
        if caller.role == Role::Worker && !self.rooms.is_there(&caller.namespace) {
            return Err(Error::denied(format!(
                "there are no jobs in namespace {} to put outputs of",
                caller.namespace
            )));
        }
        Ok(())
    }

    /// The bytes of blobs, in the order in which they were asked for.
    pub fn get(&self, caller: &Caller, digests: &[Bytes]) -> Result<mpsc::Receiver<Out>, Error> {
        ensure_few(digests.len())?;
        let digests = digests.iter().map(|digest| checked(digest)).collect::<Result<Vec<_>, _>>()?;
        let (out, answers) = mpsc::channel(4);
        let (blobs, downloads) = (self.rooms.of(&caller.namespace), Arc::clone(&self.downloads));
        tokio::spawn(async move {
            // Each holds a thread for as long as its reader takes.
            let Ok(permit) = downloads.acquire_owned().await else { return };
            tokio::task::spawn_blocking(move || {
                let _permit = permit;
                if let Err(error) = send_all(&*blobs, &digests, &out) {
                    // The reader may have gone.
                    let _ = out.blocking_send(Err(error));
                }
            });
        });
        Ok(answers)
    }
}

fn ensure_few(digests: usize) -> Result<(), Error> {
    if digests > limits::DIGESTS {
        return Err(Error::invalid(format!("more than {} digests in one message", limits::DIGESTS)));
    }
    Ok(())
}

/// A digest as it came in.
pub fn checked(digest: &[u8]) -> Result<Hash, Error> {
    Ok(Digest::try_from(digest)?.into())
}

/// One upload: blobs, one after the other.
pub struct Upload {
    blobs: Arc<dyn BlobStore>,
    room: DiskRoom,
    of_worker: bool,
    /// Bytes since there was room.
    unlooked: u64,
    open: Option<Large>,
    told: v1::PutResponse,
}

struct Large {
    writer: Box<dyn BlobWriter>,
    digest: Hash,
    left: u64,
    size: u64,
}

impl Upload {
    /// Takes in what comes next.
    pub async fn step(mut self, request: v1::PutRequest) -> Result<Self, Error> {
        // Writing to the page cache is quick, but a full disk queue may make it wait.
        blocking("storing a blob", move || self.take_in(request).map(|()| self)).await
    }

    /// Nothing more comes: answers what was new, once it is durable.
    pub async fn finish(self) -> Result<v1::PutResponse, Error> {
        if self.open.is_some() {
            return Err(Error::invalid("the stream ended in the middle of a blob"));
        }
        blocking("syncing blobs", move || {
            self.blobs.sync().map_err(|error| Error::internal(format!("blobs cannot be made durable: {error}")))
        })
        .await?;
        Ok(self.told)
    }

    fn take_in(&mut self, request: v1::PutRequest) -> Result<(), Error> {
        self.look_for_room(request.encoded_len() as u64)?;
        match request.step {
            Some(put_request::Step::Small(small)) if self.open.is_none() => self.small(small),
            Some(put_request::Step::Start(start)) if self.open.is_none() => self.start(&start),
            Some(put_request::Step::Data(data)) => self.data(&data),
            Some(_) => Err(Error::invalid("a blob begins in the middle of another")),
            None => Err(Error::invalid("an empty step")),
        }
    }

    fn look_for_room(&mut self, bytes: u64) -> Result<(), Error> {
        self.unlooked += bytes;
        if self.unlooked < limits::ROOM_LOOK_BYTES {
            return Ok(());
        }
        self.unlooked = 0;
        if self.of_worker { self.room.ensure_for_outputs() } else { self.room.ensure() }
    }

    fn small(&mut self, small: v1::SmallBlobs) -> Result<(), Error> {
        if small.blobs.iter().any(|blob| blob.data.len() > SMALL_BLOB_BYTES) {
            return Err(Error::invalid(format!("a small blob has at most {SMALL_BLOB_BYTES} bytes")));
        }
        let digests = small.blobs.iter().map(|blob| checked(&blob.digest)).collect::<Result<Vec<_>, _>>()?;
        let blobs: Vec<(&Hash, &[u8])> = digests.iter().zip(small.blobs.iter().map(|blob| &*blob.data)).collect();
        let new = self.blobs.append_all_small(&blobs)?;
        self.told.stored += new.blobs;
        self.told.stored_bytes += new.bytes;
        Ok(())
    }

    fn start(&mut self, start: &v1::BlobStart) -> Result<(), Error> {
        let writer = self.blobs.create()?;
        let large = Large { writer, digest: checked(&start.digest)?, left: start.size, size: start.size };
        self.open = Some(large);
        self.finish_if_whole()
    }

    fn data(&mut self, data: &Bytes) -> Result<(), Error> {
        let large = self.open.as_mut().ok_or_else(|| Error::invalid("data before the blob's start"))?;
        large.left = large
            .left
            .checked_sub(data.len() as u64)
            .ok_or_else(|| Error::invalid("more data than the blob's size"))?;
        large.writer.write(data)?;
        self.finish_if_whole()
    }

    fn finish_if_whole(&mut self) -> Result<(), Error> {
        if let Some(large) = self.open.take_if(|large| large.left == 0) {
            let (_, new) = large.writer.finish(Some(large.digest))?;
            self.told.stored += u64::from(new);
            self.told.stored_bytes += if new { large.size } else { 0 };
        }
        Ok(())
    }
}

fn send_all(blobs: &dyn BlobStore, digests: &[Hash], out: &mpsc::Sender<Out>) -> Result<(), Error> {
    let mut small = v1::SmallBlobs::default();
    let mut bytes = 0;
    for digest in digests {
        let size = blobs.size(digest).ok_or_else(|| Error::not_found(format!("no blob {digest}")))?;
        if size <= SMALL_BLOB_BYTES as u64 {
            let data = blobs.get(digest)?;
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

fn send_small(small: &mut v1::SmallBlobs, out: &mpsc::Sender<Out>) -> Result<(), Error> {
    if small.blobs.is_empty() {
        return Ok(());
    }
    send(get_response::Step::Small(std::mem::take(small)), out)
}

fn send_large(blobs: &dyn BlobStore, digest: &Hash, size: u64, out: &mpsc::Sender<Out>) -> Result<(), Error> {
    let digest_bytes = Bytes::copy_from_slice(digest.as_bytes());
    send(get_response::Step::Start(v1::BlobStart { digest: digest_bytes, size }), out)?;
    for chunk in blobs.read_chunks(digest, CHUNK_BYTES)? {
        send(get_response::Step::Data(chunk?), out)?;
    }
    Ok(())
}

fn send(step: get_response::Step, out: &mpsc::Sender<Out>) -> Result<(), Error> {
    out.blocking_send(Ok(v1::GetResponse { step: Some(step) })).map_err(|_| Error::internal("the reader has gone"))
}
