//! Putting blobs: small ones packed, large ones in chunks, files among them read again and compared with their digest.
//!
//! Files are read on a blocking thread that fills a short queue; the call drains it. So memory stays within a few messages
//! whatever the size of the inputs.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
    sync::Arc,
};

use bytes::Bytes;
use longshore_proto::{
    CHUNK_BYTES, Digest, SMALL_BLOB_BYTES,
    v1::{BlobStart, PutRequest, SmallBlob, SmallBlobs, put_request::Step},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;

use super::{error::UploadError, progress::Tracker, read::Hashed};
use crate::{Client, door::Door, inputs::Source};

/// Bytes of small blobs in one message, names included; well below the largest message.
const PACK_BYTES: usize = 2 * 1024 * 1024;

/// What a small blob takes in a message besides its bytes.
const SMALL_OVERHEAD_BYTES: usize = 64;

/// Messages read ahead.
const QUEUE: usize = 4;

/// A blob to put.
#[derive(Debug, Clone)]
pub(super) struct Putting {
    pub digest: Digest,
    size: u64,
    source: Source,
}

impl Putting {
    /// Bytes at hand are believed to be the digest's.
    pub fn new(hashed: Hashed, source: Source) -> Putting {
        Putting { digest: hashed.digest, size: hashed.size, source }
    }

    /// Bytes held in memory.
    pub fn held_bytes(&self) -> u64 {
        if matches!(self.source, Source::Bytes(_)) { self.size } else { 0 }
    }

    /// Bytes that are read when they are put.
    pub fn file_bytes(&self) -> u64 {
        self.size - self.held_bytes()
    }

    fn changed(&self) -> UploadError {
        UploadError::Changed { shown: self.source.shown() }
    }
}

/// Puts all of `blobs`; durable when it returns.
pub(super) async fn put(client: &Client, blobs: Vec<Putting>, tracker: &Arc<Tracker>) -> Result<(), UploadError> {
    if blobs.is_empty() {
        return Ok(());
    }
    let (queue, requests) = mpsc::channel(QUEUE);
    let door = if blobs.iter().any(|blob| blob.file_bytes() > 0) { client.door().await } else { None };
    let mut reader = Reader { queue, door, pack: Vec::new(), pack_bytes: 0, tracker: tracker.clone() };
    let reading = tokio::task::spawn_blocking(move || reader.send_all(&blobs));
    let answer = client.blobs_rpc().put(ReceiverStream::new(requests)).await;
    match reading.await.map_err(|_| UploadError::Stopped)? {
        // An input that cannot be read is why the call failed, if it did.
        Err(Stop::Input(error)) => return Err(error),
        // The call ended first, and knows why.
        Err(Stop::CallEnded) | Ok(()) => {}
    }
    answer.map_err(|s| client.failed("upload inputs", s))?;
    Ok(())
}

enum Stop {
    CallEnded,
    Input(UploadError),
}

struct Reader {
    queue: mpsc::Sender<PutRequest>,
    /// Files need not be read where their descriptors can be handed over.
    door: Option<Door>,
    pack: Vec<SmallBlob>,
    pack_bytes: usize,
    tracker: Arc<Tracker>,
}

impl Reader {
    fn send_all(&mut self, blobs: &[Putting]) -> Result<(), Stop> {
        for blob in blobs {
            match &blob.source {
                Source::Bytes(bytes) if bytes.len() <= SMALL_BLOB_BYTES => self.pack(blob.digest, bytes.clone())?,
                _ => self.stream(blob)?,
            }
        }
        self.flush()
    }

    fn pack(&mut self, digest: Digest, data: Bytes) -> Result<(), Stop> {
        self.pack_bytes += data.len() + SMALL_OVERHEAD_BYTES;
        self.pack.push(SmallBlob { digest: digest.to_wire(), data });
        match self.pack_bytes >= PACK_BYTES {
            true => self.flush(),
            false => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Stop> {
        if self.pack.is_empty() {
            return Ok(());
        }
        let blobs = std::mem::take(&mut self.pack);
        let bytes: usize = blobs.iter().map(|blob| blob.data.len()).sum();
        self.pack_bytes = 0;
        self.send(Step::Small(SmallBlobs { blobs }), bytes)
    }

    fn stream(&mut self, blob: &Putting) -> Result<(), Stop> {
        // Small blobs gathered so far go first, so that none waits for a large one.
        self.flush()?;
        if let (Source::File(path), Some(door)) = (&blob.source, &self.door) {
            let file = File::open(path).map_err(|error| Stop::Input(UploadError::read(&blob.source, error)))?;
            if door.put(&file, blob.digest, blob.size) {
                self.tracker.sent(blob.size);
                return Ok(());
            }
            self.door = None;
        }
        let start = BlobStart { digest: blob.digest.to_wire(), size: blob.size };
        self.send(Step::Start(start), 0)?;
        match &blob.source {
            Source::Bytes(bytes) => bytes
                .chunks(CHUNK_BYTES)
                .try_for_each(|chunk| self.send(Step::Data(bytes.slice_ref(chunk)), chunk.len())),
            Source::File(path) => self.stream_file(blob, path),
        }
    }

    fn stream_file(&mut self, blob: &Putting, path: &Path) -> Result<(), Stop> {
        let mut hasher = blake3::Hasher::new();
        let failed = |error| Stop::Input(UploadError::read(&blob.source, error));
        // One byte more than expected would show that the file grew.
        let mut file = File::open(path).map_err(failed)?.take(blob.size + 1);
        while let Some(chunk) = read_chunk(&mut file).map_err(failed)? {
            hasher.update(&chunk);
            if hasher.count() > blob.size {
                return Err(Stop::Input(blob.changed()));
            }
            let bytes = chunk.len();
            self.send(Step::Data(chunk), bytes)?;
        }
        match Digest::from(hasher.finalize()) == blob.digest {
            true => Ok(()),
            false => Err(Stop::Input(blob.changed())),
        }
    }

    fn send(&self, step: Step, bytes: usize) -> Result<(), Stop> {
        let sent = self.queue.blocking_send(PutRequest { step: Some(step) });
        sent.map_err(|_| Stop::CallEnded)?;
        self.tracker.sent(bytes as u64);
        Ok(())
    }
}

/// The next full chunk, or what is left; `None` at the end.
fn read_chunk(file: &mut impl Read) -> io::Result<Option<Bytes>> {
    let mut chunk = Vec::with_capacity(CHUNK_BYTES);
    file.by_ref().take(CHUNK_BYTES as u64).read_to_end(&mut chunk)?;
    Ok((!chunk.is_empty()).then(|| chunk.into()))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// What `reader` sends for `blobs`, and how it ended.
    fn sent(blobs: Vec<Putting>) -> (Vec<Step>, Result<(), Stop>) {
        let (queue, mut requests) = mpsc::channel(10_000);
        let tracker = Arc::new(Tracker::new(0, Arc::new(|_| {})));
        let mut reader = Reader { queue, door: None, pack: Vec::new(), pack_bytes: 0, tracker };
        let end = reader.send_all(&blobs);
        drop(reader);
        let steps = std::iter::from_fn(|| requests.blocking_recv()).filter_map(|request| request.step);
        (steps.collect(), end)
    }

    fn of_bytes(bytes: &[u8], source: Source) -> Putting {
        let (digest, size) = (Digest::of(bytes), bytes.len() as u64);
        Putting::new(Hashed { digest, size, executable: false }, source)
    }

    fn small(byte: u8, size: usize) -> Putting {
        let bytes = vec![byte; size];
        of_bytes(&bytes, Source::Bytes(bytes.clone().into()))
    }

    #[test]
    fn small_blobs_share_messages_up_to_the_pack_size() {
        let blobs = (0..100).map(|i| small(i, SMALL_BLOB_BYTES)).collect();
        let (steps, end) = sent(blobs);
        assert!(end.is_ok());
        let packed: Vec<usize> = steps
            .iter()
            .map(|step| match step {
                Step::Small(small) => small.blobs.len(),
                other => panic!("{other:?}"),
            })
            .collect();
        assert_eq!(packed, [32, 32, 32, 4]);
    }

    #[test]
    fn a_large_file_goes_in_chunks_after_its_announcement() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let bytes = vec![7; CHUNK_BYTES * 2 + 1];
        fs::write(file.path(), &bytes).unwrap();
        let (steps, end) = sent(vec![of_bytes(&bytes, Source::File(file.path().to_owned()))]);
        assert!(end.is_ok());
        assert!(matches!(&steps[0], Step::Start(start) if start.size == bytes.len() as u64));
        let sizes: Vec<usize> =
            steps[1..].iter().map(|step| if let Step::Data(d) = step { d.len() } else { 0 }).collect();
        assert_eq!(sizes, [CHUNK_BYTES, CHUNK_BYTES, 1]);
    }

    #[test]
    fn a_file_that_changed_since_it_was_hashed_is_refused() {
        for (before, after) in [(100_000, 100_001), (100_000, 99_999), (100_000, 10)] {
            let file = tempfile::NamedTempFile::new().unwrap();
            fs::write(file.path(), vec![1; after]).unwrap();
            let (_, end) = sent(vec![of_bytes(&vec![1; before], Source::File(file.path().to_owned()))]);
            assert!(matches!(end, Err(Stop::Input(UploadError::Changed { .. }))), "{before} {after}");
        }
    }
}
