//! The way to one coordinator, from its address and from what one has to show.

use std::sync::Arc;

use http::HeaderValue;
use longshore_local::{LocalWay, Word};
use longshore_trust::{Clock, SNI, Trouble, config, pki_types::ServerName, rustls::ClientConfig, system_clock};
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use crate::{
    address::{Address, AddressError, Speech},
    credentials::{Credentials, Pinned, Unpinned},
    error::WayError,
    stream::{Secured, Stream, Told},
};

/// What requests call the host on this machine: the coordinator's guard against web pages of strangers lets no other names
/// through.
const LOCAL_HOST: &str = "http://localhost";

/// The same on others, where the name stands for whichever coordinator has been recognised.
const SECURE_HOST: &str = "https://coordinator.longshore.internal";

/// How to get to one coordinator.
#[derive(Debug, Clone)]
pub struct Way(Kind);

#[derive(Debug, Clone)]
enum Kind {
    Local(LocalWay),
    Secure(Secure),
}

/// To another machine.
#[derive(Debug, Clone)]
struct Secure {
    address: Address,
    terms: Result<Terms, Unpinned>,
    told: Told,
}

/// On which terms a connection is made.
#[derive(Debug, Clone)]
struct Terms {
    config: Arc<ClientConfig>,
    header: Option<HeaderValue>,
}

impl Way {
    /// To the coordinator at `HOST:PORT`, `http://HOST:PORT` (on this machine) or `https://HOST:PORT`.
    ///
    /// An address of this machine's loopback leads to the coordinator's socket, or with a token to its port. Any other is
    /// spoken to in TLS; a name may be of either kind, and is of the second if the credentials say whom to trust.
    ///
    /// # Errors
    /// When that is no address.
    pub fn to(address: &str, credentials: impl Into<Credentials>) -> Result<Self, AddressError> {
        Self::by_clock(address, &credentials.into(), system_clock())
    }

    /// The same by a clock of one's choice.
    ///
    /// # Errors
    /// As [`Way::to`].
    pub fn by_clock(address: &str, credentials: &Credentials, clock: Clock) -> Result<Self, AddressError> {
        let address = Address::parse(address)?;
        let pinned = || credentials.pinned();
        let local = || Kind::Local(LocalWay::to(&address.host, address.port, credentials.local().cloned()));
        let secure = |pinned: Result<Pinned, Unpinned>| {
            let terms = pinned.map(|pinned| Terms { config: config(pinned.trusted, clock), header: pinned.header });
            Kind::Secure(Secure { address: address.clone(), terms, told: Told::default() })
        };
        Ok(Self(match address.speech {
            Speech::Plain => local(),
            Speech::Secure => secure(pinned()),
            Speech::Either => match pinned() {
                Ok(pinned) => secure(Ok(pinned)),
                Err(_) => local(),
            },
        }))
    }

    /// Whether the coordinator is on this machine for certain: at the port a tunnel may begin.
    #[must_use]
    pub fn is_here(&self) -> bool {
        matches!(&self.0, Kind::Local(way) if !way.is_by_port())
    }

    /// Whether TLS is spoken.
    #[must_use]
    pub fn is_secure(&self) -> bool {
        matches!(self.0, Kind::Secure(_))
    }

    /// What requests call the host.
    pub(crate) fn host(&self) -> &'static str {
        match &self.0 {
            Kind::Local(_) => LOCAL_HOST,
            Kind::Secure(_) => SECURE_HOST,
        }
    }

    /// What is shown with a request made now.
    pub(crate) fn header(&self) -> Option<HeaderValue> {
        match &self.0 {
            // Each time anew: the coordinator may be another, which shows only when the request is there.
            Kind::Local(way) => way.token().and_then(|source| source.read().ok()).map(|(token, _)| token.header()),
            Kind::Secure(secure) => secure.terms.as_ref().ok()?.header.clone(),
        }
    }

    /// Connects, and makes sure who is at the other end.
    ///
    /// # Errors
    /// When nobody is there, or somebody else.
    pub async fn connect(&self) -> Result<Stream, WayError> {
        match &self.0 {
            Kind::Local(way) => Ok(Stream::local(way.connect().await?)),
            Kind::Secure(secure) => secure.connect().await,
        }
    }

    /// Why the last connection was ended, if the coordinator did not take the certificate that was shown: it says so only when
    /// the connection is in use, and whatever was asked over it has just failed.
    #[must_use]
    pub fn refused(&self) -> Option<WayError> {
        match &self.0 {
            Kind::Local(_) => None,
            Kind::Secure(secure) => {
                let source = secure.told.get()?;
                Some(WayError::Trouble { address: secure.address.to_string(), source })
            }
        }
    }

    /// The word that a coordinator of ours has left for the address, if there is one. It may be of the dead.
    pub async fn word(&self) -> Option<Word> {
        match &self.0 {
            Kind::Local(way) => way.word().await,
            Kind::Secure(_) => None,
        }
    }
}

impl Secure {
    async fn connect(&self) -> Result<Stream, WayError> {
        let address = || self.address.to_string();
        let terms = self.terms.as_ref();
        let terms =
            terms.map_err(|source| WayError::Unpinned { address: self.address.typed(), source: source.clone() })?;
        let Address { host, port, speech: _ } = &self.address;
        let resolved = tokio::net::lookup_host((host.as_str(), *port)).await;
        let resolved: Vec<_> =
            resolved.map_err(|source| WayError::Unresolved { address: address(), source: source.into() })?.collect();
        let nobody = |source: std::io::Error| WayError::Nobody { address: address(), source: source.into() };
        let stream = TcpStream::connect(&*resolved).await.map_err(nobody)?;
        // Without this, small messages wait for acknowledgements: 40 ms each.
        stream.set_nodelay(true).map_err(nobody)?;
        let name = ServerName::try_from(SNI).map_err(|_| nobody(std::io::ErrorKind::InvalidInput.into()))?;
        match TlsConnector::from(Arc::clone(&terms.config)).connect(name, stream).await {
            Ok(stream) => {
                self.told.set(None);
                Ok(Stream::Tls(Box::new(Secured::new(stream, self.told.clone()))))
            }
            Err(error) => Err(match Trouble::of_handshake(&error) {
                Some(source) => WayError::Trouble { address: address(), source },
                None => nobody(error),
            }),
        }
    }
}

#[cfg(test)]
mod tests;
