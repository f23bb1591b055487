//! The connection to the worker.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use longshore_shim::{FrameError, FromShim, MAX_FRAME_BYTES, ToShim, decode, encode};
use rustix::io::{Errno, retry_on_intr};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, connect, recvmsg, send, sendmsg,
    socket_with,
};

/// Frames to and from the worker.
pub struct Socket {
    fd: OwnedFd,
    buffer: Vec<u8>,
}

/// Why the conversation is over.
pub enum Lost {
    /// The worker is gone.
    Closed,
    /// The system refuses.
    System(Errno),
    /// The worker said something that makes no sense.
    Malformed,
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Closed => write!(f, "the worker hung up"),
            Self::System(errno) => write!(f, "the connection to the worker failed: {errno}"),
            Self::Malformed => write!(f, "the worker sent something malformed"),
        }
    }
}

impl From<Errno> for Lost {
    fn from(errno: Errno) -> Self {
        match errno {
            Errno::PIPE | Errno::CONNRESET => Self::Closed,
            other => Self::System(other),
        }
    }
}

impl From<FrameError> for Lost {
    fn from(_: FrameError) -> Self {
        Self::Malformed
    }
}

impl Socket {
    /// Dials the worker.
    ///
    /// # Errors
    /// When nobody listens at `path`.
    pub fn dial(path: &std::ffi::OsStr) -> Result<Self, Lost> {
        let address = SocketAddrUnix::new(path)?;
        let fd = socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?;
        retry_on_intr(|| connect(&fd, &address))?;
        Ok(Self { fd, buffer: vec![0; MAX_FRAME_BYTES] })
    }

    /// What to poll for reading.
    pub fn fd(&self) -> BorrowedFd<'_> {
        self.fd.as_fd()
    }

    /// The next frame and the descriptor that travelled with it, if it is there.
    ///
    /// # Errors
    /// When the worker is gone or its frame is malformed.
    pub fn receive(&mut self) -> Result<Option<(ToShim, Option<OwnedFd>)>, Lost> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let mut bytes = [IoSliceMut::new(&mut self.buffer)];
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let received = match recvmsg(&self.fd, &mut bytes, &mut control, flags) {
            Ok(received) => received,
            Err(Errno::AGAIN | Errno::INTR) => return Ok(None),
            Err(errno) => return Err(errno.into()),
        };
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(Lost::Malformed);
        }
        let attached = control.drain().find_map(|message| match message {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        match &self.buffer[..received.bytes] {
            [] => Err(Lost::Closed),
            frame => Ok(Some((decode(frame)?, attached))),
        }
    }

    /// Sends a frame. Waits when the worker is slow: it always reads.
    ///
    /// # Errors
    /// When the worker is gone.
    pub fn send(&self, frame: &FromShim) -> Result<(), Lost> {
        let bytes = encode(frame)?;
        retry_on_intr(|| send(&self.fd, &bytes, SendFlags::NOSIGNAL))?;
        Ok(())
    }

    /// Sends a frame with a descriptor attached.
    ///
    /// # Errors
    /// When the worker is gone.
    pub fn send_with(&self, frame: &FromShim, attached: BorrowedFd<'_>) -> Result<(), Lost> {
        let bytes = encode(frame)?;
        let attached = [attached];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        retry_on_intr(|| {
            let mut control = SendAncillaryBuffer::new(&mut space);
            control.push(SendAncillaryMessage::ScmRights(&attached));
            sendmsg(&self.fd, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }
}
