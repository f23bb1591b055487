//! The socket between a worker and one shim: the worker listens, the shim dials, frames are packets.

use std::{
    fmt,
    io::{self, IoSlice},
    os::fd::{AsFd, AsRawFd, OwnedFd},
    path::{Path, PathBuf},
    sync::Arc,
};

use futures_util::future::BoxFuture;
use longshore_shim::{FrameError, FromShim, MAX_FRAME_BYTES, ToShim, VERSION};
use rustix::{
    fs::{AtFlags, CWD, Mode, OFlags, chmodat, openat, unlinkat},
    net::{AddressFamily, SocketType, sockopt},
    process::Pid,
};
use tokio::sync::Mutex;
use tokio_seqpacket::{
    UnixSeqpacket, UnixSeqpacketListener,
    ancillary::{AncillaryMessageReader, AncillaryMessageWriter, OwnedAncillaryMessage},
};

use super::{Shim, ShimLost};

/// Name of the socket in its directory.
pub(super) const SOCKET_NAME: &str = "shim.sock";

/// Why a shim could not be met.
#[derive(Debug, thiserror::Error)]
pub(super) enum MeetError {
    /// The socket cannot be made or accepted from.
    #[error("the shim's socket in {directory}: {cause}")]
    Socket { directory: String, cause: io::Error },
    /// It hung up before it said hello, or said something else.
    #[error("the shim did not say hello: {0}")]
    NoHello(String),
    /// Worker and shim are of different builds.
    #[error("the shim speaks version {0} of the frames, this worker {VERSION}")]
    Version(u16),
}

/// Longest path in a socket's address; the structure holds a zero byte besides.
const LONGEST_ADDRESS: usize = 107;

/// An open directory whose sockets can be addressed however long its path is.
pub(super) struct ReachableDirectory {
    /// Its path.
    pub(super) path: PathBuf,
    descriptor: OwnedFd,
}

impl ReachableDirectory {
    /// Opens a directory.
    pub(super) fn open(path: &Path) -> io::Result<Self> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let descriptor = openat(CWD, path, flags, Mode::empty())?;
        Ok(Self { path: path.into(), descriptor })
    }

    /// An address of a socket in it, for processes of the same user as ours. Where the path is too long, it leads
    /// through our descriptor, and so only as long as that is open.
    pub(super) fn address_of(&self, name: &str) -> String {
        let plain = self.path.join(name).display().to_string();
        if plain.len() <= LONGEST_ADDRESS {
            return plain;
        }
        format!("/proc/{}/fd/{}/{name}", std::process::id(), self.descriptor.as_raw_fd())
    }
}

/// A socket that waits for one shim.
pub(super) struct ShimListener {
    listener: UnixSeqpacketListener,
    directory: ReachableDirectory,
}

impl ShimListener {
    /// Listens at [`SOCKET_NAME`] in `directory`. Whoever reaches the directory may dial: the shim runs as another
    /// user. So the directory must lie below one that nobody but us may enter.
    pub(super) fn bind(directory: &Path) -> Result<Self, MeetError> {
        let name = directory.display().to_string();
        Self::bind_beneath(directory).map_err(|cause| MeetError::Socket { directory: name, cause })
    }

    fn bind_beneath(directory: &Path) -> io::Result<Self> {
        let directory = ReachableDirectory::open(directory)?;
        let listener = UnixSeqpacketListener::bind_with_backlog(directory.address_of(SOCKET_NAME), 1)?;
        chmodat(&directory.descriptor, SOCKET_NAME, Mode::from_raw_mode(0o666), AtFlags::empty())?;
        Ok(Self { listener, directory })
    }

    /// The socket's address, for a shim that sees our files and runs as our user.
    pub(super) fn address(&self) -> String {
        self.directory.address_of(SOCKET_NAME)
    }

    /// Waits for the shim to dial and say hello. The listener is gone afterwards: nobody can dial a second time.
    pub(super) async fn meet(mut self) -> Result<ShimLink, MeetError> {
        let socket = self
            .listener
            .accept()
            .await
            .map_err(|cause| MeetError::Socket { directory: self.directory.path.display().to_string(), cause })?;
        drop(self);
        let link = ShimLink::new(socket);
        match link.receive_frame().await {
            Ok((FromShim::Hello { version: VERSION }, _)) => Ok(link),
            Ok((FromShim::Hello { version }, _)) => Err(MeetError::Version(version)),
            Ok((_, _)) => Err(MeetError::NoHello("it said something else".into())),
            Err(lost) => Err(MeetError::NoHello(lost.reason)),
        }
    }
}

impl Drop for ShimListener {
    fn drop(&mut self) {
        // A socket file without a listener refuses connections, so one that stays does no harm.
        let _ = unlinkat(&self.directory.descriptor, SOCKET_NAME, AtFlags::empty());
    }
}

/// The conversation with one shim.
pub(super) struct ShimLink {
    socket: UnixSeqpacket,
    /// One frame; also what keeps a second receiver waiting.
    buffer: Mutex<Vec<u8>>,
}

/// Room for the control message of one descriptor.
const ANCILLARY_BYTES: usize = 24;

/// A control message, aligned as the kernel's header wants it. The kernel closes descriptors that do not fit.
#[repr(align(8))]
struct Ancillary([u8; ANCILLARY_BYTES]);

impl ShimLink {
    /// The process that dialled, by its number here; nothing where it has none, as for a worker in a container of its own.
    pub(super) fn process(&self) -> Option<Pid> {
        self.socket.peer_cred().ok()?.pid().and_then(Pid::from_raw)
    }

    fn new(socket: UnixSeqpacket) -> Self {
        // A packet must fit the send buffer as a whole, and an operator may have lowered the default. Where it cannot
        // be raised, a large frame fails to be sent with an error that says so.
        let _ = sockopt::set_socket_send_buffer_size(socket.as_fd(), MAX_FRAME_BYTES + 16 * 1024);
        Self { socket, buffer: Mutex::new(vec![0; MAX_FRAME_BYTES]) }
    }

    /// Ends the conversation from our side; the shim takes it for the order to end everything.
    pub(super) fn hang_up(&self) {
        // It fails only when the other side has hung up already.
        let _ = self.socket.shutdown(std::net::Shutdown::Both);
    }

    async fn send_frame(&self, frame: &ToShim, attached: Option<&OwnedFd>) -> Result<(), ShimLost> {
        let bytes = longshore_shim::encode(frame).map_err(|cause| match cause {
            FrameError::TooLarge { .. } => lost(format_args!("a frame was not sent: {cause}")),
            FrameError::Malformed(_) => lost("a frame cannot be encoded"),
        })?;
        let Some(attached) = attached else {
            self.socket.send(&bytes).await.map_err(lost)?;
            return Ok(());
        };
        let mut space = Ancillary([0; ANCILLARY_BYTES]);
        let mut control = AncillaryMessageWriter::new(&mut space.0);
        control.add_fds([attached]).map_err(|_| lost("a descriptor does not fit its frame"))?;
        self.socket.send_vectored_with_ancillary(&[IoSlice::new(&bytes)], &mut control).await.map_err(lost)?;
        Ok(())
    }

    async fn receive_frame(&self) -> Result<(FromShim, Option<OwnedFd>), ShimLost> {
        let mut buffer = self.buffer.lock().await;
        let mut control = Ancillary([0; ANCILLARY_BYTES]);
        let (info, ancillary) = self.socket.recv_with_ancillary(&mut buffer, &mut control.0).await.map_err(lost)?;
        let descriptor = first_descriptor(ancillary);
        if info.bytes_read() == 0 {
            return Err(lost("it hung up"));
        }
        if info.truncated() {
            return Err(lost(format_args!("it sent a frame of more than {MAX_FRAME_BYTES} bytes")));
        }
        let frame = longshore_shim::decode(&buffer[..info.bytes_read()]).map_err(lost)?;
        match (&frame, descriptor) {
            (FromShim::Connected { .. }, Some(socket)) if is_stream_socket(&socket) => Ok((frame, Some(socket))),
            (FromShim::Connected { .. }, _) => Err(lost("it answered a connect without a stream socket")),
            // Descriptors nobody asked for are closed.
            (_, _) => Ok((frame, None)),
        }
    }
}

impl Shim for Arc<ShimLink> {
    fn send_with<'a>(
        &'a self,
        frame: &'a ToShim,
        attached: Option<&'a OwnedFd>,
    ) -> BoxFuture<'a, Result<(), ShimLost>> {
        Box::pin(self.send_frame(frame, attached))
    }

    fn receive(&self) -> BoxFuture<'_, Result<(FromShim, Option<OwnedFd>), ShimLost>> {
        Box::pin(self.receive_frame())
    }
}

fn lost(reason: impl fmt::Display) -> ShimLost {
    ShimLost { reason: reason.to_string() }
}

fn first_descriptor(ancillary: AncillaryMessageReader<'_>) -> Option<OwnedFd> {
    let mut descriptors = ancillary.into_messages().filter_map(|message| match message {
        OwnedAncillaryMessage::FileDescriptors(descriptors) => Some(descriptors),
        _ => None,
    });
    descriptors.next()?.next()
}

/// What comes out of a container is hostile: a descriptor that claims to be a connection must be one, not a file, a
/// device or a datagram socket.
fn is_stream_socket(descriptor: &OwnedFd) -> bool {
    sockopt::socket_type(descriptor).is_ok_and(|kind| kind == SocketType::STREAM)
        && sockopt::socket_domain(descriptor)
            .is_ok_and(|domain| [AddressFamily::UNIX, AddressFamily::INET, AddressFamily::INET6].contains(&domain))
}

#[cfg(test)]
mod tests {
    use longshore_shim::encode;

    use super::*;

    async fn dial(directory: &Path) -> UnixSeqpacket {
        let directory = ReachableDirectory::open(directory).unwrap();
        UnixSeqpacket::connect(directory.address_of(SOCKET_NAME)).await.unwrap()
    }

    async fn met(directory: &Path) -> (UnixSeqpacket, Arc<ShimLink>) {
        let listener = ShimListener::bind(directory).unwrap();
        let shim = dial(directory).await;
        shim.send(&encode(&FromShim::Hello { version: VERSION }).unwrap()).await.unwrap();
        (shim, Arc::new(listener.meet().await.unwrap()))
    }

    #[tokio::test]
    async fn a_path_longer_than_a_socket_address_is_no_obstacle() {
        let base = tempfile::tempdir().unwrap();
        let deep = base.path().join("a".repeat(120)).join("b".repeat(120));
        std::fs::create_dir_all(&deep).unwrap();
        let (shim, link) = met(&deep).await;
        link.send(&ToShim::Exit).await.unwrap();
        let mut bytes = [0; 64];
        let read = shim.recv(&mut bytes).await.unwrap().bytes_read();
        assert_eq!(longshore_shim::decode::<ToShim>(&bytes[..read]).unwrap(), ToShim::Exit);
    }

    #[tokio::test]
    async fn nobody_can_dial_a_second_time() {
        let base = tempfile::tempdir().unwrap();
        let (_shim, _link) = met(base.path()).await;
        assert_eq!(std::fs::read_dir(base.path()).unwrap().count(), 0);
    }

    #[tokio::test]
    async fn a_shim_of_another_version_is_refused() {
        let base = tempfile::tempdir().unwrap();
        let listener = ShimListener::bind(base.path()).unwrap();
        let shim = dial(base.path()).await;
        shim.send(&encode(&FromShim::Hello { version: VERSION + 1 }).unwrap()).await.unwrap();
        assert!(matches!(listener.meet().await, Err(MeetError::Version(version)) if version == VERSION + 1));
    }

    #[tokio::test]
    async fn a_frame_of_the_largest_size_passes() {
        let base = tempfile::tempdir().unwrap();
        let (shim, link) = met(base.path()).await;
        let log = longshore_shim::Log { head: vec![7; MAX_FRAME_BYTES - 100], ..Default::default() };
        let end = longshore_shim::End::Exited(0);
        let stderr = longshore_shim::Log::default();
        let frame = FromShim::ServerEnded { end, stdout: log, stderr, memory_kills: 0 };
        shim.send(&encode(&frame).unwrap()).await.unwrap();
        assert_eq!(link.receive().await.unwrap().0, frame);
    }

    #[tokio::test]
    async fn hostile_packets_end_the_conversation() {
        let base = tempfile::tempdir().unwrap();
        for hostile in [vec![0xff; 40], vec![0; MAX_FRAME_BYTES + 1]] {
            let (shim, link) = met(base.path()).await;
            shim.send(&hostile).await.unwrap();
            assert!(link.receive().await.is_err());
        }
    }

    async fn send_with(shim: &UnixSeqpacket, frame: &FromShim, descriptor: impl AsFd) {
        let mut buffer = Ancillary([0; ANCILLARY_BYTES]);
        let mut control = AncillaryMessageWriter::new(&mut buffer.0);
        control.add_fds([descriptor.as_fd()]).unwrap();
        let bytes = encode(frame).unwrap();
        shim.send_vectored_with_ancillary(&[IoSlice::new(&bytes)], &mut control).await.unwrap();
    }

    #[tokio::test]
    async fn a_connection_is_passed_on_and_anything_else_is_not() {
        let base = tempfile::tempdir().unwrap();
        let (shim, link) = met(base.path()).await;
        let (ours, _theirs) = std::os::unix::net::UnixStream::pair().unwrap();
        send_with(&shim, &FromShim::Connected { id: 1 }, &ours).await;
        assert!(link.receive().await.unwrap().1.is_some());
        send_with(&shim, &FromShim::Hello { version: 1 }, &ours).await;
        assert!(link.receive().await.unwrap().1.is_none());
        let file = std::fs::File::open("/dev/null").unwrap();
        send_with(&shim, &FromShim::Connected { id: 2 }, &file).await;
        assert!(link.receive().await.is_err());
    }

    #[tokio::test]
    async fn hanging_up_is_noticed() {
        let base = tempfile::tempdir().unwrap();
        let (shim, link) = met(base.path()).await;
        drop(shim);
        assert_eq!(link.receive().await.unwrap_err().reason, "it hung up");
    }
}
