//! Messages with descriptors between processes of one machine: what goes through the door that `Blobs.Door` names.

use std::{
    fs::{self, Permissions},
    io::{self, IoSlice, IoSliceMut},
    mem::MaybeUninit,
    os::{
        fd::{AsFd, BorrowedFd, OwnedFd},
        unix::fs::PermissionsExt,
    },
    path::{Path, PathBuf},
    time::Duration,
};

use prost::Message;
use rustix::{
    io::retry_on_intr,
    net::{
        AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
        SendAncillaryMessage, SendFlags, Shutdown, SocketAddrUnix, SocketFlags, SocketType, accept_with, bind, connect,
        listen, recvmsg, sendmsg, shutdown, socket_with,
        sockopt::{Timeout, set_socket_timeout},
    },
};

use crate::{runtime_dir::short_path, user::User};

/// Largest packet in bytes: a digest and a sentence.
const PACKET_BYTES: usize = 4 * 1024;

/// Connections that wait to be accepted.
const BACKLOG: i32 = 64;

/// Longest wait to be let in.
const CONNECTING: Duration = Duration::from_secs(2);

/// A socket that is listened on.
#[derive(Debug)]
pub struct Listener {
    fd: OwnedFd,
    path: PathBuf,
}

impl Listener {
    /// Listens at `path`, where nothing is yet, for our own user and root alone.
    ///
    /// # Errors
    /// When it cannot be made there.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = socket()?;
        let (_dir, short) = short_path(path)?;
        bind(&fd, &SocketAddrUnix::new(&short)?)?;
        fs::set_permissions(short, Permissions::from_mode(0o600))?;
        listen(&fd, BACKLOG)?;
        Ok(Self { fd, path: path.to_owned() })
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The next connection; waits for it.
    ///
    /// # Errors
    /// When the listener was closed, or there are too many descriptors.
    pub fn accept(&self) -> io::Result<Connection> {
        Ok(Connection(retry_on_intr(|| accept_with(&self.fd, SocketFlags::CLOEXEC))?))
    }

    /// Lets whoever waits in [`Listener::accept`] go.
    pub fn close(&self) {
        // Nothing can be done about a socket that cannot be shut.
        let _ = shutdown(&self.fd, Shutdown::Both);
    }
}

/// One end of a connection. Calls wait.
#[derive(Debug)]
pub struct Connection(OwnedFd);

impl Connection {
    /// To the coordinator that listens at `path`.
    ///
    /// # Errors
    /// When nobody does, or neither we nor root: then nothing is sent.
    pub fn open(path: &Path) -> io::Result<Self> {
        let fd = socket()?;
        // Where too many wait to be let in, nobody else waits for long.
        set_socket_timeout(&fd, Timeout::Send, Some(CONNECTING))?;
        let (_dir, short) = short_path(path)?;
        retry_on_intr(|| connect(&fd, &SocketAddrUnix::new(&short)?))?;
        match User::at_other_end_of(&fd) {
            Some(user) if user == User::ROOT || Some(user) == User::me() => Ok(Self(fd)),
            _ => Err(io::ErrorKind::PermissionDenied.into()),
        }
    }

    /// Whether the other end is a process of the user we run as.
    #[must_use]
    pub fn is_same_user(&self) -> bool {
        User::at_other_end_of(&self.0).is_some_and(|user| Some(user) == User::me())
    }

    /// From now on waits at most so long for a packet.
    ///
    /// # Errors
    /// None that are known.
    pub fn patience(&self, longest: Duration) -> io::Result<()> {
        Ok(set_socket_timeout(&self.0, Timeout::Recv, Some(longest))?)
    }

    /// Sends a message, with a descriptor if there is one.
    ///
    /// # Errors
    /// When the other end is gone.
    pub fn send(&self, message: &impl Message, descriptor: Option<BorrowedFd<'_>>) -> io::Result<()> {
        // With its length, so that no packet is empty: that is how the end looks.
        let bytes = message.encode_length_delimited_to_vec();
        let descriptors = descriptor.as_slice();
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        retry_on_intr(|| {
            let mut control = SendAncillaryBuffer::new(&mut space);
            if !descriptors.is_empty() {
                control.push(SendAncillaryMessage::ScmRights(descriptors));
            }
            sendmsg(&self.0, &[IoSlice::new(&bytes)], &mut control, SendFlags::NOSIGNAL)
        })?;
        Ok(())
    }

    /// The next message and the descriptor that came with it.
    ///
    /// # Errors
    /// When the other end is gone, or what it sent makes no sense.
    pub fn receive<T: Message + Default>(&self) -> io::Result<(T, Option<OwnedFd>)> {
        let mut buffer = [0; PACKET_BYTES];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut control = RecvAncillaryBuffer::new(&mut space);
        let received = retry_on_intr(|| {
            recvmsg(&self.0, &mut [IoSliceMut::new(&mut buffer)], &mut control, RecvFlags::CMSG_CLOEXEC)
        })?;
        let mut descriptor = None;
        for message in control.drain() {
            if let RecvAncillaryMessage::ScmRights(mut descriptors) = message {
                descriptor = descriptors.next();
            }
        }
        if received.flags.intersects(ReturnFlags::TRUNC | ReturnFlags::CTRUNC) {
            return Err(io::ErrorKind::InvalidData.into());
        }
        match &buffer[..received.bytes] {
            [] => Err(io::ErrorKind::UnexpectedEof.into()),
            packet => Ok((T::decode_length_delimited(packet).map_err(|_| io::ErrorKind::InvalidData)?, descriptor)),
        }
    }
}

impl AsFd for Connection {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

fn socket() -> io::Result<OwnedFd> {
    Ok(socket_with(AddressFamily::UNIX, SocketType::SEQPACKET, SocketFlags::CLOEXEC, None)?)
}
