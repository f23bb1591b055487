//! The secret that lets in whoever does not come by the socket.

use std::{
    fmt,
    fs::File,
    io::{self, Read},
    os::unix::fs::MetadataExt,
    path::{Path, PathBuf},
};

use http::HeaderValue;
use rand::Rng;

use crate::user::User;

/// What every token begins with, so that one that has leaked is recognised.
const PREFIX: &str = "lsl_";

/// Random bytes in a token.
const SECRET_BYTES: usize = 32;

/// More than any token file holds, in bytes.
const FILE_BYTES: u64 = 4_096;

/// A bearer token (RFC 6750, section 2.1). Never shown.
#[derive(Clone)]
pub struct Token(String);

/// Why a text is not a token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("cannot read the token file")]
    Io(#[from] io::Error),
    /// It has characters that no token has.
    #[error("this is no token: it has {0}")]
    Malformed(&'static str),
}

impl Token {
    /// A new one.
    #[must_use]
    pub fn new() -> Self {
        let mut secret = [0; SECRET_BYTES];
        rand::rng().fill_bytes(&mut secret);
        let hex = blake3::Hash::from_bytes(secret).to_hex();
        Self(format!("{PREFIX}{hex}"))
    }

    /// From a text, without the blanks around it.
    ///
    /// # Errors
    /// When it cannot be a token.
    pub fn parse(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.is_empty() {
            return Err(TokenError::Malformed("nothing in it"));
        }
        if !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(TokenError::Malformed("blanks or characters outside ASCII in it"));
        }
        Ok(Self(text.to_owned()))
    }

    /// From a file.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn read(path: &Path) -> Result<Self, TokenError> {
        Self::from_file(File::open(path)?)
    }

    fn from_file(file: File) -> Result<Self, TokenError> {
        let mut text = String::new();
        file.take(FILE_BYTES).read_to_string(&mut text)?;
        Self::parse(&text)
    }

    /// The text itself, to be kept where only its owner reads it.
    #[must_use]
    pub fn secret(&self) -> &str {
        &self.0
    }

    /// Value of the header `authorization`; marked so that nothing prints it.
    ///
    /// # Panics
    /// Never: tokens are printable ASCII.
    #[must_use]
    pub fn header(&self) -> HeaderValue {
        let mut value =
            HeaderValue::try_from(format!("Bearer {}", self.0)).expect("a token has printable ASCII characters only");
        value.set_sensitive(true);
        value
    }

    /// What a server compares presented tokens with: it need not keep the token.
    #[must_use]
    pub fn digest(&self) -> TokenDigest {
        TokenDigest(blake3::hash(self.0.as_bytes()))
    }
}

impl Default for Token {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(…)")
    }
}

/// Where a token comes from.
#[derive(Debug, Clone)]
pub enum TokenSource {
    /// It was given itself.
    Text(Token),
    /// A file. It is read for each request: a coordinator has a new token at each start.
    File(PathBuf),
}

impl TokenSource {
    /// The file, to be read again and again; what can be read only once, such as a pipe, is read now.
    ///
    /// # Errors
    /// When it cannot be read.
    pub fn file(path: &Path) -> Result<Self, TokenError> {
        match path.metadata()?.is_file() {
            true => Ok(Self::File(path.to_owned())),
            false => Token::read(path).map(Self::Text),
        }
    }

    /// The token as it is now, and the user whose file it is: who names it has said whom they expect.
    ///
    /// # Errors
    /// When it cannot be read or holds something else.
    pub fn read(&self) -> Result<(Token, Option<User>), TokenError> {
        match self {
            Self::Text(token) => Ok((token.clone(), None)),
            Self::File(path) => {
                let file = File::open(path)?;
                let owner = User::of(file.metadata()?.uid());
                Ok((Token::from_file(file)?, owner))
            }
        }
    }
}

/// A token's digest: enough to recognise it, useless to whoever reads it. 256 random bits need no slow hash.
#[derive(Debug, Clone, Copy)]
pub struct TokenDigest(blake3::Hash);

impl TokenDigest {
    /// Whether a value of the header `authorization` presents the token. Takes the same time however much of it is right.
    #[must_use]
    pub fn admits(&self, header: &HeaderValue) -> bool {
        let (scheme, token) = match header.as_bytes().split_at_checked(7) {
            Some(parts) => parts,
            None => return false,
        };
        // The comparison of blake3's hashes takes constant time.
        scheme.eq_ignore_ascii_case(b"bearer ") && blake3::hash(token.trim_ascii()) == self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_admits_itself_and_nothing_else() {
        let (token, other) = (Token::new(), Token::new());
        let digest = token.digest();
        assert!(digest.admits(&token.header()));
        assert!(digest.admits(&HeaderValue::try_from(format!("bearer {}", token.secret())).unwrap()));
        assert!(!digest.admits(&other.header()));
        let cut = &token.secret()[..token.secret().len() - 1];
        for wrong in
            ["", "Bearer", "Bearer ", token.secret(), &format!("Basic {}", token.secret()), &format!("Bearer {cut}")]
        {
            assert!(!digest.admits(&HeaderValue::try_from(wrong).unwrap()), "{wrong}");
        }
    }

    #[test]
    fn a_token_is_never_shown() {
        let token = Token::new();
        for shown in [format!("{token:?}"), format!("{:?}", token.header()), format!("{:?}", token.digest())] {
            assert!(!shown.contains(&token.secret()[PREFIX.len()..]), "{shown}");
        }
    }

    #[test]
    fn what_cannot_be_a_token_is_refused_without_being_shown() {
        for bad in ["", "  \n", "two words", "umläut"] {
            let refused = Token::parse(bad).unwrap_err().to_string();
            assert!(refused.starts_with("this is no token") && !refused.contains("umläut"), "{refused}");
        }
        assert_eq!(Token::parse(" x\n").unwrap().secret(), "x");
    }
}
