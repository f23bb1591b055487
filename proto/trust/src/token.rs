//! Tokens: what somebody is given to get in. A token says whom to trust as well, so there is nothing else to copy.
//!
//! `LSJ1-<pin>-<id>-<secret>-<check>`, all but the first word in Crockford's base32. `J` joins a worker, `T` is a person's;
//! `1` is the version of all this. The pin (32 bytes) is the authority's; by its id (5 bytes) the coordinator finds what it
//! has kept of it; the secret (20 random bytes) proves that one has it. The check (2 symbols) is over everything before.

mod check;
mod secret;

use std::{fmt, str::FromStr};

use rand::Rng as _;
use zeroize::Zeroizing;

pub use self::secret::SecretDigest;
use self::secret::{SECRET_BYTES, Secret};
use crate::{crockford, pin::Pin};

/// What every token begins with.
const BEGIN: &str = "LS";

/// The version that is written and read here.
const VERSION: u32 = 1;

/// Bytes of an id.
const ID_BYTES: usize = 5;

/// Characters of a whole token: five words and what is between them.
const CHARS: usize =
    4 + crockford::symbols(32) + crockford::symbols(ID_BYTES) + crockford::symbols(SECRET_BYTES) + 2 + 4;

/// What a token is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TokenKind {
    /// To make a worker a member of the cluster.
    Join,
    /// For a person or a program, who shows it with every request.
    Person,
}

impl TokenKind {
    /// What its tokens begin with.
    #[must_use]
    pub const fn prefix(self) -> &'static str {
        match self {
            Self::Join => "LSJ1",
            Self::Person => "LST1",
        }
    }

    fn of_letter(letter: char) -> Option<Self> {
        match letter {
            'J' => Some(Self::Join),
            'T' => Some(Self::Person),
            _ => None,
        }
    }
}

/// For messages.
impl fmt::Display for TokenKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Join => write!(f, "a token to join ({}-…)", self.prefix()),
            Self::Person => write!(f, "a token of a person ({}-…)", self.prefix()),
        }
    }
}

/// Why a text is not the token it should be. Never shows any of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It is something else altogether.
    #[error("this is no token of Longshore's for other machines: those begin with LSJ1- or LST1-")]
    NoToken,
    /// A part is missing, or something follows.
    #[error("the token is {}: it has {chars} characters, and should have {CHARS}", if *chars < CHARS { "cut off" } else { "too long" })]
    Length {
        /// What it has.
        chars: usize,
    },
    /// A character is wrong, or two have changed places.
    #[error("the token has a typing error: its check does not fit")]
    Typo,
    /// It is for something else.
    #[error("this is {found}, and {wanted} is needed here")]
    OtherKind {
        /// What it is.
        found: TokenKind,
        /// What was asked for.
        wanted: TokenKind,
    },
    /// A program newer than this one has made it.
    #[error("the token was made by a newer version of Longshore (tokens of version {version})")]
    Newer {
        /// Its version.
        version: u32,
    },
}

/// By what the coordinator finds what it has kept of a token. It may be shown.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TokenId(pub [u8; ID_BYTES]);

impl fmt::Display for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&crockford::encode(&self.0))
    }
}

impl fmt::Debug for TokenId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TokenId({self})")
    }
}

/// A text that is no id of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("this is no id of a token: one has 8 characters in base32")]
pub struct NoTokenId;

impl FromStr for TokenId {
    type Err = NoTokenId;

    fn from_str(text: &str) -> Result<Self, NoTokenId> {
        crockford::decode(text.trim()).map(Self).ok_or(NoTokenId)
    }
}

/// A whole token, with its secret, which is wiped when it goes and never shown but by [`Token::reveal`].
#[derive(Clone)]
pub struct Token {
    kind: TokenKind,
    pin: Pin,
    id: TokenId,
    secret: Secret,
}

impl Token {
    /// A new one, for whoever trusts the key of this pin.
    #[must_use]
    pub fn new(kind: TokenKind, pin: Pin) -> Self {
        let mut id = [0; ID_BYTES];
        rand::rng().fill_bytes(&mut id);
        Self { kind, pin, id: TokenId(id), secret: Secret::new() }
    }

    /// From a text, in capitals or not, with blanks around it or not.
    ///
    /// # Errors
    /// When it is none, is cut off, has a typing error, or is newer than this program.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        let kind = kind_of(text)?;
        let chars = text.chars().count();
        if chars != CHARS {
            return Err(TokenError::Length { chars });
        }
        let token = Self::read(kind, text).ok_or(TokenError::Typo)?;
        let check = text.rsplit('-').next().unwrap_or_default();
        let fits = check::decode(check) == Some(check::of(&token.unchecked()));
        if fits { Ok(token) } else { Err(TokenError::Typo) }
    }

    /// The same, if it is of this kind.
    ///
    /// # Errors
    /// As [`Token::parse`]; when it is of another kind.
    pub fn parse_as(wanted: TokenKind, text: &str) -> Result<Self, TokenError> {
        let token = Self::parse(text)?;
        if token.kind == wanted { Ok(token) } else { Err(TokenError::OtherKind { found: token.kind, wanted }) }
    }

    /// What is between the hyphens; the check is not looked at.
    fn read(kind: TokenKind, text: &str) -> Option<Self> {
        let mut words = text.split('-').skip(1);
        let mut word = || words.next();
        let (pin, id) = (crockford::decode(word()?)?, crockford::decode(word()?)?);
        let secret = Secret::read(word()?)?;
        // The check, and nothing after it.
        (word().is_some() && word().is_none()).then_some(Self { kind, pin: Pin(pin), id: TokenId(id), secret })
    }

    /// What it is for.
    #[must_use]
    pub fn kind(&self) -> TokenKind {
        self.kind
    }

    /// Whose coordinator it is for.
    #[must_use]
    pub fn pin(&self) -> Pin {
        self.pin
    }

    /// By what the coordinator finds what it has kept of it.
    #[must_use]
    pub fn id(&self) -> TokenId {
        self.id
    }

    /// What the coordinator keeps of the secret.
    #[must_use]
    pub fn secret_digest(&self) -> SecretDigest {
        self.secret.digest()
    }

    /// The secret's bytes, as they are sent to whoever has been recognised by the pin.
    #[must_use]
    pub fn secret(&self) -> &[u8] {
        self.secret.bytes()
    }

    /// All of it as text, to be given to somebody. It is wiped when it goes.
    #[must_use]
    pub fn reveal(&self) -> Zeroizing<String> {
        let mut text = self.unchecked();
        let check = check::of(&text);
        check::append(check, &mut text);
        text
    }

    /// All but the check, with the hyphen before it.
    fn unchecked(&self) -> Zeroizing<String> {
        // As long as it gets, so that nothing is left behind where it was shorter.
        let mut text = Zeroizing::new(String::with_capacity(CHARS));
        text.push_str(self.kind.prefix());
        for word in [&self.pin.0[..], &self.id.0, self.secret.bytes()] {
            text.push('-');
            crockford::append(word, &mut text);
        }
        text.push('-');
        text
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { kind, pin, id, secret: _ } = self;
        write!(f, "Token({}-{}…-{id}-…)", kind.prefix(), pin.short())
    }
}

/// What a text that looks like a token is for: `LS`, a letter, the version.
fn kind_of(text: &str) -> Result<TokenKind, TokenError> {
    let word = text.split('-').next().unwrap_or_default().to_ascii_uppercase();
    let mut rest = word.strip_prefix(BEGIN).ok_or(TokenError::NoToken)?.chars();
    let kind = rest.next().and_then(TokenKind::of_letter).ok_or(TokenError::NoToken)?;
    let version = rest.as_str();
    match version.parse::<u32>() {
        Ok(VERSION) if version == "1" => Ok(kind),
        Ok(newer) if newer > VERSION && version.len() < 4 => Err(TokenError::Newer { version: newer }),
        // Cut off within its first word.
        _ if version.is_empty() => Err(TokenError::Length { chars: text.chars().count() }),
        _ => Err(TokenError::NoToken),
    }
}

#[cfg(test)]
mod tests;
