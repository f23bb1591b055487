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
use tokio::{
    runtime::Handle,
    sync::{Semaphore, mpsc, mpsc::error::SendTimeoutError},
};

use super::caller::{Caller, Role};
use crate::{
    error::{Error, blocking},
    kept::rooms::Rooms,
    limits,
    members::allowance::Allowance,
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
    pub downloads: Downloads,
}

/// Turns of downloads: those of one kind of callers wait for no other.
#[derive(Debug, Clone)]
pub struct Downloads {
    admins: Arc<Semaphore>,
    others: Arc<Semaphore>,
    members: Arc<Semaphore>,
}

impl Downloads {
    /// So many of each kind.
    pub fn new(each: usize) -> Self {
        let turns = || Arc::new(Semaphore::new(each));
        Self { admins: turns(), others: turns(), members: turns() }
    }

    fn of(&self, role: Role) -> Arc<Semaphore> {
        Arc::clone(match role {
            Role::Admin => &self.admins,
            Role::Worker => &self.members,
            Role::Submit | Role::Read | Role::Query => &self.others,
        })
    }
}

/// Answers of a download that wait for its reader.
const ANSWERS: usize = 4;

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
    /// Each counts as one of those that its caller may have, until nobody reads it any more.
    pub fn get(
        &self,
        caller: &Caller,
        allowance: Option<&Allowance>,
        digests: &[Bytes],
    ) -> Result<mpsc::Receiver<Out>, Error> {
        ensure_few(digests.len())?;
        let digests = digests.iter().map(|digest| checked(digest)).collect::<Result<Vec<_>, _>>()?;
        let open = allowance.map(Allowance::open_download).transpose()?;
        let own = allowance.map(Allowance::downloads);
        let (out, answers) = mpsc::channel(ANSWERS);
        let (blobs, turns) = (self.rooms.of(&caller.namespace), self.downloads.of(caller.role));
        tokio::spawn(async move {
            let _open = open;
            let all = async |out| send_in_turn(own, turns, blobs, digests, out).await;
            // Whoever has gone needs no turn.
            tokio::select! {
                () = out.closed() => {}
                () = all(out.clone()) => {}
            }
        });
        Ok(answers)
    }
}

/// Sends blobs when it is their turn, first among those of the same caller. The caller's part is given back once all is taken:
/// until then it is held in memory. The thread is not kept for readers who take nothing.
async fn send_in_turn(
    own: Option<Arc<Semaphore>>,
    turns: Arc<Semaphore>,
    blobs: Arc<dyn BlobStore>,
    digests: Vec<Hash>,
    out: mpsc::Sender<Out>,
) {
    let _own = match own {
        Some(own) => own.acquire_owned().await.ok(),
        None => None,
    };
    let Ok(turn) = turns.acquire_owned().await else { return };
    let sender = out.clone();
    let sent = blocking("sending blobs", move || {
        let _turn = turn;
        send_all(&*blobs, &digests, &sender)
    });
    if let Err(error) = sent.await {
        // The reader may have gone.
        let _ = out.send(Err(error)).await;
    }
    let _ = out.reserve_many(ANSWERS).await;
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
    let sending = out.send_timeout(Ok(v1::GetResponse { step: Some(step) }), limits::DOWNLOAD_SILENCE);
    Handle::current().block_on(sending).map_err(|unsent| match unsent {
        SendTimeoutError::Timeout(_) => {
            Error::busy(format!("nothing of this download was taken for {} s", limits::DOWNLOAD_SILENCE.as_secs()))
        }
        SendTimeoutError::Closed(_) => Error::internal("the reader has gone"),
    })
}
