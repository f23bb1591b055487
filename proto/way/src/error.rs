//! Why a coordinator cannot be reached, and the next thing to do.

use std::{io, sync::Arc};

use longshore_local::LocalWayError;
use longshore_trust::Trouble;

use crate::credentials::Unpinned;

/// Why a coordinator cannot be reached. Nothing was sent.
#[derive(Debug, Clone, thiserror::Error)]
pub enum WayError {
    /// On this machine.
    #[error(transparent)]
    Local(#[from] LocalWayError),
    /// Nobody is there.
    #[error("nobody answers at {address}")]
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
    /// It is reached by TLS, and could be anybody.
    #[error("{address} is reached by TLS, and it cannot be told whether it is the coordinator that is meant")]
    Unpinned {
        /// The address.
        address: String,
        /// What is missing.
        source: Unpinned,
    },
    /// It is not the one that is meant, or the two do not understand each other.
    #[error("no secure connection to {address}")]
    Trouble {
        /// The address.
        address: String,
        /// Why.
        source: Trouble,
    },
}

impl WayError {
    /// The one that stands among the causes of an error, if a way is why.
    #[must_use]
    pub fn among(error: &(dyn std::error::Error + 'static)) -> Option<Self> {
        match error.downcast_ref::<Self>() {
            Some(found) => Some(found.clone()),
            None => error.source().and_then(Self::among),
        }
    }

    /// Whether we may not come in or do not want to, as opposed to nobody being there. Clocks get right again, and so does
    /// somebody who hangs up: that may be waited for.
    #[must_use]
    pub fn is_refusal(&self) -> bool {
        match self {
            Self::Local(error) => error.is_refusal(),
            Self::Nobody { .. } | Self::Unresolved { .. } => false,
            Self::Trouble { source, .. } => {
                !matches!(source, Trouble::HungUp | Trouble::ClockAhead { .. } | Trouble::ClockBehind { .. })
            }
            Self::Unpinned { .. } => true,
        }
    }

    /// The next thing to do, where there is one.
    #[must_use]
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Local(error) => error.hint(),
            Self::Nobody { .. } => Some(
                "is it up, and does it listen on an address of its network? `longshore coordinator --listen HOST:PORT`"
                    .to_owned(),
            ),
            Self::Unresolved { .. } => None,
            Self::Unpinned { address, .. } => Some(format!(
                "a token says which coordinator is meant: `longshore login {address}`, or name its file with --token-file"
            )),
            Self::Trouble { source, .. } => of_trouble(source).map(str::to_owned),
        }
    }
}

fn of_trouble(trouble: &Trouble) -> Option<&'static str> {
    Some(match trouble {
        Trouble::AnotherCoordinator { .. } | Trouble::NotOfCluster { .. } => {
            "if the coordinator was set up anew, ask for a new token; if not, find out who answers there"
        }
        Trouble::NoCluster | Trouble::PlainText | Trouble::OlderTls => {
            "is this the coordinator's address? it says at its start where it listens with TLS (https://…)"
        }
        Trouble::ClockBehind { .. } | Trouble::ClockAhead { .. } => {
            "set the clocks of both machines, by NTP for example"
        }
        Trouble::HungUp => "is something in between that ends connections, such as a firewall?",
        Trouble::Refused(_) => "join again: `longshore worker --join HOST:PORT --token-file FILE` with a new token",
        Trouble::Other(_) => return None,
    })
}
