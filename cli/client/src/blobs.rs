//! Getting blobs: a stream of pieces, each blob compared with its digest as it passes.

use std::collections::VecDeque;

use bytes::Bytes;
use longshore_proto::{
    Digest, SMALL_BLOB_BYTES,
    v1::{BlobStart, GetRequest, GetResponse, SmallBlob, get_response::Step},
};
use tonic::Streaming;

use crate::{CallError, Client, Kind, retry::Transient};

/// Getting blobs failed.
#[derive(Debug, thiserror::Error)]
pub enum BlobError {
    /// The coordinator could not be asked, or does not hold the blob.
    #[error(transparent)]
    Call(#[from] CallError),
    /// The bytes that came are not those of the digest.
    #[error("blob {digest} came damaged")]
    Damaged {
        /// Which.
        digest: Digest,
    },
    /// The stream is not as the contract has it.
    #[error("the coordinator's answer makes no sense: {what}")]
    Garbled {
        /// How.
        what: &'static str,
    },
    /// The blob is larger than the caller wants to hold.
    #[error("blob {digest} is larger than {limit} bytes")]
    TooLarge {
        /// Which.
        digest: Digest,
        /// The caller's limit in bytes.
        limit: u64,
    },
}

impl BlobError {
    /// Whose move it is.
    pub fn kind(&self) -> Kind {
        match self {
            BlobError::Call(error) => error.kind(),
            BlobError::Damaged { .. } | BlobError::Garbled { .. } => Kind::Broken,
            BlobError::TooLarge { .. } => Kind::Refused,
        }
    }
}

impl Transient for BlobError {
    fn is_transient(&self) -> bool {
        matches!(self, BlobError::Call(error) if error.is_transient())
    }

    fn why(&self) -> String {
        std::error::Error::source(self).map_or_else(|| self.to_string(), ToString::to_string)
    }
}

/// A piece of the blobs asked for, which come one after another in the order asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Piece {
    /// A whole small blob, verified.
    Whole(Bytes),
    /// A large blob of so many bytes begins.
    Start(u64),
    /// Its next bytes.
    Data(Bytes),
    /// It is complete and verified.
    End,
}

/// What one message brings.
#[derive(Debug)]
pub(crate) enum Received {
    /// Whole small blobs, which are yet to be compared with their digests by [`verified`].
    Small(Vec<(Digest, Bytes)>),
    /// Of a large one.
    Large(Piece),
}

/// Blobs on their way.
#[derive(Debug)]
pub struct BlobStream {
    client: Client,
    stream: Streaming<GetResponse>,
    check: Check,
    small: VecDeque<(Digest, Bytes)>,
}

impl Client {
    /// Streams blobs in the order asked (at most 16,384 at once).
    pub async fn blobs(&self, digests: Vec<Digest>) -> Result<BlobStream, BlobError> {
        let request = GetRequest { digests: digests.iter().map(|digest| digest.to_wire()).collect() };
        let answer = self.blobs_rpc().get(request).await;
        Ok(BlobStream {
            stream: answer.map_err(|s| self.failed("fetch blobs", s))?.into_inner(),
            client: self.clone(),
            check: Check::new(digests),
            small: VecDeque::new(),
        })
    }

    /// One whole blob of at most `limit` bytes.
    pub async fn blob(&self, digest: Digest, limit: u64) -> Result<Bytes, BlobError> {
        let mut stream = self.blobs(vec![digest]).await?;
        let mut all = Vec::new();
        while let Some(piece) = stream.next().await? {
            match piece {
                Piece::Whole(bytes) => return Ok(bytes),
                Piece::Start(size) if size > limit => {
                    return Err(BlobError::TooLarge { digest, limit });
                }
                Piece::Start(_) => {}
                Piece::Data(bytes) => all.extend_from_slice(&bytes),
                Piece::End => break,
            }
        }
        Ok(all.into())
    }
}

impl BlobStream {
    /// The next piece; `None` once every blob asked for has come.
    pub async fn next(&mut self) -> Result<Option<Piece>, BlobError> {
        loop {
            if let Some((digest, bytes)) = self.small.pop_front() {
                return verified(digest, bytes).map(|bytes| Some(Piece::Whole(bytes)));
            }
            match self.receive().await? {
                Some(Received::Small(small)) => self.small.extend(small),
                Some(Received::Large(piece)) => return Ok(Some(piece)),
                None => return Ok(None),
            }
        }
    }

    /// What comes next, small blobs as many as come together; `None` once every blob asked for has come.
    pub(crate) async fn receive(&mut self) -> Result<Option<Received>, BlobError> {
        loop {
            if let Some(end) = self.check.ended()? {
                return Ok(Some(Received::Large(end)));
            }
            let answer = self.stream.message().await;
            let answer = answer.map_err(|s| self.client.failed("fetch blobs", s))?;
            let received = match answer.map(|answer| answer.step) {
                None => return self.check.finish().map(|()| None),
                Some(Some(Step::Small(small))) => {
                    let small = small.blobs.into_iter().map(|blob| self.check.small(blob));
                    Received::Small(small.collect::<Result<_, _>>()?)
                }
                Some(Some(Step::Start(start))) => Received::Large(self.check.start(&start)?),
                Some(Some(Step::Data(data))) => Received::Large(self.check.data(data)?),
                Some(None) => continue,
            };
            return Ok(Some(received));
        }
    }
}

/// The bytes, if they are the digest's.
pub(crate) fn verified(digest: Digest, bytes: Bytes) -> Result<Bytes, BlobError> {
    if Digest::of(&bytes) == digest { Ok(bytes) } else { Err(BlobError::Damaged { digest }) }
}

/// Compares what comes with what was asked.
#[derive(Debug)]
struct Check {
    asked: std::vec::IntoIter<Digest>,
    open: Option<Open>,
}

#[derive(Debug)]
struct Open {
    digest: Digest,
    left: u64,
    hasher: Box<blake3::Hasher>,
}

impl Check {
    fn new(asked: Vec<Digest>) -> Check {
        Check { asked: asked.into_iter(), open: None }
    }

    fn expect(&mut self, digest: &[u8]) -> Result<Digest, BlobError> {
        let garbled = |what| Err(BlobError::Garbled { what });
        if self.open.is_some() {
            return garbled("a blob began within another");
        }
        match self.asked.next() {
            Some(asked) if asked.as_bytes().as_slice() == digest => Ok(asked),
            Some(_) => garbled("a blob came out of order"),
            None => garbled("more blobs came than were asked for"),
        }
    }

    fn small(&mut self, blob: SmallBlob) -> Result<(Digest, Bytes), BlobError> {
        let digest = self.expect(&blob.digest)?;
        match blob.data.len() <= SMALL_BLOB_BYTES {
            true => Ok((digest, blob.data)),
            false => Err(BlobError::Damaged { digest }),
        }
    }

    fn start(&mut self, start: &BlobStart) -> Result<Piece, BlobError> {
        let digest = self.expect(&start.digest)?;
        self.open = Some(Open { digest, left: start.size, hasher: Box::default() });
        Ok(Piece::Start(start.size))
    }

    fn data(&mut self, data: Bytes) -> Result<Piece, BlobError> {
        let Some(open) = self.open.as_mut() else {
            return Err(BlobError::Garbled { what: "bytes came outside a blob" });
        };
        let left = open.left.checked_sub(data.len() as u64);
        open.left = left.ok_or(BlobError::Damaged { digest: open.digest })?;
        open.hasher.update(&data);
        Ok(Piece::Data(data))
    }

    /// The end of the open blob, if all its bytes have come.
    fn ended(&mut self) -> Result<Option<Piece>, BlobError> {
        match self.open.take_if(|open| open.left == 0) {
            None => Ok(None),
            Some(open) if Digest::from(open.hasher.finalize()) == open.digest => Ok(Some(Piece::End)),
            Some(open) => Err(BlobError::Damaged { digest: open.digest }),
        }
    }

    fn finish(&mut self) -> Result<(), BlobError> {
        match self.open.is_none() && self.asked.len() == 0 {
            true => Ok(()),
            false => Err(BlobError::Garbled { what: "it ended before every blob had come" }),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small(bytes: &'static [u8], named: &[u8]) -> SmallBlob {
        SmallBlob { digest: Digest::of(named).to_wire(), data: Bytes::from_static(bytes) }
    }

    #[test]
    fn blobs_pass_in_the_order_asked() {
        let mut check = Check::new(vec![Digest::of(b"a"), Digest::of(b"bc")]);
        assert_eq!(check.small(small(b"a", b"a")).unwrap(), (Digest::of(b"a"), Bytes::from_static(b"a")));
        let start = BlobStart { digest: Digest::of(b"bc").to_wire(), size: 2 };
        assert_eq!(check.start(&start).unwrap(), Piece::Start(2));
        check.data(Bytes::from_static(b"b")).unwrap();
        assert_eq!(check.ended().unwrap(), None);
        check.data(Bytes::from_static(b"c")).unwrap();
        assert_eq!(check.ended().unwrap(), Some(Piece::End));
        assert!(check.finish().is_ok());
    }

    #[test]
    fn a_damaged_blob_is_named() {
        assert!(matches!(verified(Digest::of(b"a"), Bytes::from_static(b"b")), Err(BlobError::Damaged { .. })));
        let mut check = Check::new(vec![Digest::of(b"ab")]);
        let start = BlobStart { digest: Digest::of(b"ab").to_wire(), size: 2 };
        check.start(&start).unwrap();
        assert!(check.data(Bytes::from_static(b"abc")).is_err());
    }

    #[test]
    fn other_blobs_fewer_or_more_are_refused() {
        let mut check = Check::new(vec![Digest::of(b"a")]);
        assert!(matches!(check.finish(), Err(BlobError::Garbled { .. })));
        assert!(matches!(check.small(small(b"b", b"b")), Err(BlobError::Garbled { .. })));
        assert!(matches!(check.small(small(b"c", b"c")), Err(BlobError::Garbled { .. })));
        assert!(check.data(Bytes::new()).is_err());
    }
}
