//! The way to a coordinator of this machine, from its address alone: by the socket of which it has left word, or by TCP with a token.
//!
//! Nothing is sent to anybody but the user we expect: ourselves at the socket, ourselves or root behind a port.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use rustix::process::geteuid;
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpStream, UnixStream, lookup_host},
    time::sleep,
};

use crate::{
    listener,
    runtime_dir::RuntimeDir,
    token::{TokenError, TokenSource},
    user::User,
    word::Word,
};

/// How often, and after which pause, a socket is tried that lets nobody in for the moment.
const TRIES: usize = 250;
const TRY_AGAIN: Duration = Duration::from_millis(20);

/// How often word is looked for again where something of ours listens.
const WORD_TRIES: u32 = 25;

/// Why a coordinator cannot be reached.
#[derive(Debug, Clone, thiserror::Error)]
pub enum LocalWayError {
    /// Nobody is there.
    #[error("nobody listens at {address}")]
    Nobody {
        /// Where.
        address: String,
        /// What the system said.
        source: Arc<io::Error>,
    },
    /// Its name leads nowhere.
    #[error("the name in {address} cannot be resolved")]
    Unresolved {
        /// The address.
        address: String,
        /// Why.
        source: Arc<io::Error>,
    },
    /// It is on another machine.
    #[error("{address} is not on this machine, and it cannot be told whether it is the coordinator that is meant")]
    NotLoopback {
        /// The address.
        address: String,
    },
    /// Somebody else listens there, and no token is given.
    #[error("{address} is served by {}, and you are {}", who(*.owner), who(*.me))]
    NotYours {
        /// Where.
        address: String,
        /// Number of the user who listens.
        owner: u32,
        /// Ours.
        me: u32,
    },
    /// We listen there ourselves, but there is no word of a coordinator.
    #[error("something of yours listens at {address}, but no coordinator has left word of itself")]
    NoWord {
        /// Where.
        address: String,
    },
    /// Another user listens where a token would have been shown.
    #[error("{} listens at {address}, who may be anybody: nothing was sent", who(*.owner))]
    Impostor {
        /// Where.
        address: String,
        /// Number of the user who listens.
        owner: u32,
    },
    /// There is no token to show.
    #[error("there is no token to be shown")]
    Token {
        /// Why.
        source: Arc<TokenError>,
    },
    /// The system does not say who listens.
    #[error("it cannot be told who listens at {address}: nothing was sent")]
    Unknown {
        /// Where.
        address: String,
        /// Why, where there is a reason.
        source: Arc<io::Error>,
    },
}

impl LocalWayError {
    /// Whether we may not come in, as opposed to nobody being there.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        !matches!(self, Self::Nobody { .. } | Self::Unresolved { .. })
    }

    /// The next thing to do, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        let hint = match self {
            Self::NotLoopback { address } => {
                return Some(format!(
                    "a token says which coordinator is meant: `longshore login {address}`, or name its file with --token-file"
                ));
            }
            Self::NotYours { .. } => {
                "run this as the user who started it, or name a file of theirs that holds the coordinator's token with \
                 --token-file"
            }
            Self::NoWord { .. } => {
                "if it comes from another machine or network namespace, name the coordinator's token file with --token-file; \
                 if it was started with another XDG_RUNTIME_DIR or LONGSHORE_RUNTIME_DIR, set that here too"
            }
            Self::Impostor { .. } => {
                "find out who listens there; if it is meant, name a token file that belongs to that user with --token-file"
            }
            Self::Token { .. } => "--token-file names the file, LONGSHORE_TOKEN holds a token itself",
            Self::Nobody { .. } | Self::Unresolved { .. } | Self::Unknown { .. } => return None,
        };
        Some(hint.to_owned())
    }
}

fn who(number: u32) -> String {
    User::of(number).map_or_else(|| format!("user {number}"), |user| user.to_string())
}

/// How to get to one coordinator. It is found anew for each connection: after a restart it may have another socket.
#[derive(Debug, Clone)]
pub struct LocalWay {
    address: String,
    host: String,
    port: u16,
    token: Option<TokenSource>,
}

impl LocalWay {
    /// To the coordinator at this host and port. With a token by TCP; without one by the socket.
    #[must_use]
    pub fn to(host: &str, port: u16, token: Option<TokenSource>) -> Self {
        let address = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
        Self { address, host: host.to_owned(), port, token }
    }

    /// Whether it leads to the port: then a tunnel may lead on, to another machine.
    #[must_use]
    pub fn is_by_port(&self) -> bool {
        self.token.is_some()
    }

    /// Where the token comes from, if one was given.
    #[must_use]
    pub fn token(&self) -> Option<&TokenSource> {
        self.token.as_ref()
    }

    /// Connects, and makes sure who is at the other end.
    ///
    /// # Errors
    /// When nobody is there, or somebody else; when the token cannot be read.
    pub async fn connect(&self) -> Result<LocalStream, LocalWayError> {
        let addresses = self.loopback().await?;
        if let Some(source) = &self.token {
            let (_, owner) = source.read().map_err(|cause| LocalWayError::Token { source: cause.into() })?;
            return self.by_port(&addresses, owner).await;
        }
        let mut tries = WORD_TRIES;
        loop {
            for dir in RuntimeDir::all() {
                for address in &addresses {
                    if let Some(stream) = self.by_socket(&dir, *address).await? {
                        return Ok(LocalStream::Unix(stream));
                    }
                }
            }
            match self.without_word(&addresses).await {
                // It listens and is about to leave word.
                LocalWayError::NoWord { .. } if tries > 0 => sleep(TRY_AGAIN).await,
                error => return Err(error),
            }
            tries -= 1;
        }
    }

    /// The word that a coordinator of ours has left for the address, if there is one. It may be of the dead.
    pub async fn word(&self) -> Option<Word> {
        let addresses = self.loopback().await.ok()?;
        RuntimeDir::all().find_map(|dir| addresses.iter().find_map(|address| word_in(&dir, *address)))
    }

    /// Every address on loopback that the name stands for.
    async fn loopback(&self) -> Result<Vec<SocketAddr>, LocalWayError> {
        let at = |ip: IpAddr| SocketAddr::new(ip, self.port);
        let addresses: Vec<_> = match self.host.parse::<IpAddr>() {
            Ok(ip) => vec![at(ip)],
            Err(_) if self.host.eq_ignore_ascii_case("localhost") => {
                vec![at(Ipv4Addr::LOCALHOST.into()), at(Ipv6Addr::LOCALHOST.into())]
            }
            Err(_) => {
                let found = lookup_host((self.host.as_str(), self.port)).await;
                found
                    .map_err(|source| LocalWayError::Unresolved {
                        address: self.address.clone(),
                        source: source.into(),
                    })?
                    .collect()
            }
        };
        match addresses.iter().all(|address| address.ip().to_canonical().is_loopback()) {
            true => Ok(addresses),
            false => Err(LocalWayError::NotLoopback { address: self.address.clone() }),
        }
    }

    /// To the socket of which there is word in this directory; nothing where there is none, or it is of the dead.
    async fn by_socket(&self, dir: &RuntimeDir, address: SocketAddr) -> Result<Option<UnixStream>, LocalWayError> {
        if word_in(dir, address).is_none() {
            return Ok(None);
        }
        let path = dir.short(Word::socket(address));
        for _ in 0..TRIES {
            match UnixStream::connect(&path).await {
                Ok(stream) => return self.expect(dir.owner(), &stream).map(|()| Some(stream)),
                // Too many wait to be let in.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(TRY_AGAIN).await,
                Err(_) => return Ok(None),
            }
        }
        let source = io::Error::new(io::ErrorKind::TimedOut, "too many wait to be let in");
        Err(LocalWayError::Nobody { address: self.address.clone(), source: source.into() })
    }

    fn expect(&self, owner: User, stream: &UnixStream) -> Result<(), LocalWayError> {
        match User::at_other_end_of(stream) {
            Some(user) if user == owner => Ok(()),
            Some(user) => Err(LocalWayError::Impostor { address: self.address.clone(), owner: user.number() }),
            None => Err(LocalWayError::Unknown { address: self.address.clone(), source: nobody_seen().into() }),
        }
    }

    /// By TCP, to a listener of ours, of root's, or of the user whose token file was named.
    async fn by_port(&self, addresses: &[SocketAddr], named: Option<User>) -> Result<LocalStream, LocalWayError> {
        let stream = TcpStream::connect(addresses).await;
        let stream =
            stream.map_err(|source| LocalWayError::Nobody { address: self.address.clone(), source: source.into() })?;
        let unknown =
            |source: io::Error| LocalWayError::Unknown { address: self.address.clone(), source: source.into() };
        let to = stream.peer_addr().map_err(unknown)?;
        let owners = listener::users(to).map_err(unknown)?;
        let expected = [User::me(), Some(User::ROOT), named];
        let trusted = |owner: &u32| User::of(*owner).is_some_and(|owner| expected.contains(&Some(owner)));
        match owners.iter().find(|owner| !trusted(owner)) {
            Some(owner) => Err(LocalWayError::Impostor { address: self.address.clone(), owner: *owner }),
            None if owners.is_empty() => Err(unknown(nobody_seen())),
            None => {
                // Without this, small messages wait for acknowledgements: 40 ms each.
                stream.set_nodelay(true).map_err(unknown)?;
                Ok(LocalStream::Tcp(stream))
            }
        }
    }

    /// Why there is no word: nobody may be there, or somebody else.
    async fn without_word(&self, addresses: &[SocketAddr]) -> LocalWayError {
        let address = self.address.clone();
        let stream = match TcpStream::connect(addresses).await {
            Ok(stream) => stream,
            Err(source) => return LocalWayError::Nobody { address, source: source.into() },
        };
        let owners = stream.peer_addr().and_then(listener::users);
        let me = geteuid().as_raw();
        let is_me = |owner: &u32| User::of(*owner).is_some_and(|owner| Some(owner) == User::me());
        match owners {
            Ok(owners) if owners.iter().any(is_me) => LocalWayError::NoWord { address },
            Ok(owners) if !owners.is_empty() => LocalWayError::NotYours { address, owner: owners[0], me },
            Ok(_) => LocalWayError::Unknown { address, source: nobody_seen().into() },
            Err(source) => LocalWayError::Unknown { address, source: source.into() },
        }
    }
}

fn word_in(dir: &RuntimeDir, address: SocketAddr) -> Option<Word> {
    serde_json::from_str(&dir.read(&Word::file(address))?).ok()
}

/// A listener in another network namespace, perhaps, whose user is not to be seen here.
fn nobody_seen() -> io::Error {
    io::Error::other("no listener of this network namespace is there")
}

/// A connection of either kind.
#[derive(Debug)]
pub enum LocalStream {
    /// By the socket.
    Unix(UnixStream),
    /// By TCP.
    Tcp(TcpStream),
}

impl AsyncRead for LocalStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_read(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_read(cx, buf),
        }
    }
}

impl AsyncWrite for LocalStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write(cx, buf),
            Self::Tcp(stream) => Pin::new(stream).poll_write(cx, buf),
        }
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
            Self::Tcp(stream) => Pin::new(stream).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_flush(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(stream) => Pin::new(stream).poll_shutdown(cx),
            Self::Tcp(stream) => Pin::new(stream).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::Token;

    fn to(address: &str, token: Option<TokenSource>) -> LocalWay {
        let (host, port) = address.rsplit_once(':').unwrap();
        LocalWay::to(host.trim_matches(['[', ']']), port.parse().unwrap(), token)
    }

    #[tokio::test]
    async fn nothing_is_sent_to_another_machine() {
        for elsewhere in ["192.0.2.1:7077", "[2001:db8::1]:7077", "0.0.0.0:7077"] {
            for token in [None, Some(TokenSource::Text(Token::new()))] {
                let refused = to(elsewhere, token).connect().await.unwrap_err();
                assert!(matches!(refused, LocalWayError::NotLoopback { .. }), "{refused}");
            }
        }
    }

    #[tokio::test]
    async fn a_listener_of_another_user_is_shown_no_token() {
        if !geteuid().is_root() {
            eprintln!("skipped, as only root can act as another user");
            return;
        }
        // As root we may make a listener whose owner is another, without being that user.
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        std::os::unix::fs::fchown(&listener, Some(12_345), None).unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let shown = to(&address, Some(TokenSource::Text(Token::new()))).connect().await.unwrap_err();
        assert!(matches!(shown, LocalWayError::Impostor { owner: 12_345, .. }), "{shown}");
        // Whoever names a token file of that user's has said whom they expect.
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "theirs").unwrap();
        std::os::unix::fs::chown(&file, Some(12_345), None).unwrap();
        let named = to(&address, Some(TokenSource::File(file))).connect().await;
        assert!(matches!(named, Ok(LocalStream::Tcp(_))), "{named:?}");
        let asked = to(&address, None).connect().await.unwrap_err();
        assert!(matches!(asked, LocalWayError::NotYours { owner: 12_345, .. }), "{asked}");
    }
}
