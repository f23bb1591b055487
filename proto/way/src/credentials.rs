//! What is shown to a coordinator, and by what it is recognised.

use std::fmt;

use http::HeaderValue;
use longshore_local::{Token as LocalToken, TokenSource};
use longshore_trust::{Pin, SharedIdentity, Token, TokenError, TokenKind, Trusted};

/// What somebody has who calls.
#[derive(Debug, Clone, Default)]
pub enum Credentials {
    /// Nothing: one comes as the user one is.
    #[default]
    User,
    /// A token, of this machine's coordinator or of a person.
    Token(TokenSource),
    /// A pin alone: one is about to join, and shows what one has in the request.
    Pin(Pin),
    /// The key of a member.
    Member(SharedIdentity),
}

impl From<Option<TokenSource>> for Credentials {
    fn from(token: Option<TokenSource>) -> Self {
        token.map_or(Self::User, Self::Token)
    }
}

/// What they are worth on another machine.
#[derive(Clone)]
pub struct Pinned {
    /// By what the coordinator is recognised.
    pub trusted: Trusted,
    /// What is shown with each request.
    pub header: Option<HeaderValue>,
}

impl fmt::Debug for Pinned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pinned({:?})", self.trusted)
    }
}

/// Why they are worth nothing there.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Unpinned {
    /// There are none.
    #[error("there is nothing by which to recognise it")]
    Nothing,
    /// The token says nothing of whom to trust.
    #[error(transparent)]
    Token(#[from] TokenError),
    /// It cannot be read.
    #[error("the token cannot be read")]
    Unread(#[source] std::sync::Arc<longshore_local::TokenError>),
}

impl Credentials {
    /// What they are worth on another machine. A token is read now, and once: it is not another after each start there.
    pub fn pinned(&self) -> Result<Pinned, Unpinned> {
        match self {
            Self::User => Err(Unpinned::Nothing),
            Self::Pin(pin) => Ok(Pinned { trusted: Trusted::Pin(*pin), header: None }),
            Self::Member(identity) => Ok(Pinned { trusted: Trusted::Identity(identity.clone()), header: None }),
            Self::Token(source) => {
                let (token, _) = source.read().map_err(|error| Unpinned::Unread(error.into()))?;
                pinned(&token)
            }
        }
    }

    /// The token for a coordinator of this machine.
    pub fn local(&self) -> Option<&TokenSource> {
        match self {
            Self::Token(source) => Some(source),
            _ => None,
        }
    }
}

fn pinned(token: &LocalToken) -> Result<Pinned, Unpinned> {
    let person = Token::parse_as(TokenKind::Person, token.secret())?;
    Ok(Pinned { trusted: Trusted::Pin(person.pin()), header: Some(token.header()) })
}
