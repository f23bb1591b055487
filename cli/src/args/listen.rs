//! Where a coordinator listens, as typed.

use std::{fmt, net::SocketAddr, str::FromStr};

/// An address to listen on, and how: on loopback without TLS unless it is asked for, on any other always with it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListenAt {
    /// Where.
    pub address: SocketAddr,
    /// Whether TLS is spoken there.
    pub secure: bool,
}

impl ListenAt {
    /// On this machine alone, without TLS.
    pub fn loopback(port: u16) -> Self {
        Self { address: SocketAddr::from(([127, 0, 0, 1], port)), secure: false }
    }
}

/// A text that is no such address.
#[derive(Debug, thiserror::Error)]
#[error("write ADDR:PORT, such as 127.0.0.1:7077 or 0.0.0.0:7077 (or tls://ADDR:PORT)")]
pub struct NoListenAt;

impl FromStr for ListenAt {
    type Err = NoListenAt;

    fn from_str(text: &str) -> Result<Self, NoListenAt> {
        let (asked, rest) = match text.strip_prefix("tls://") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let address: SocketAddr = rest.parse().map_err(|_| NoListenAt)?;
        Ok(Self { address, secure: asked || !address.ip().to_canonical().is_loopback() })
    }
}

impl fmt::Display for ListenAt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.secure { write!(f, "tls://{}", self.address) } else { self.address.fmt(f) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn without_tls_there_is_loopback_alone() {
        for (text, secure) in [
            ("127.0.0.1:7077", false),
            ("[::1]:0", false),
            ("[::ffff:127.0.0.1]:1", false),
            ("tls://127.0.0.1:0", true),
            ("0.0.0.0:7077", true),
            ("192.0.2.1:7077", true),
            ("[::]:7077", true),
            ("tls://192.0.2.1:7077", true),
        ] {
            assert_eq!(text.parse::<ListenAt>().unwrap().secure, secure, "{text}");
        }
        for bad in ["", "localhost:7077", "http://127.0.0.1:1", "plain://192.0.2.1:7077", "192.0.2.1"] {
            assert!(bad.parse::<ListenAt>().is_err(), "{bad}");
        }
    }
}
