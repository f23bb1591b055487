//! Addresses of coordinators, as people type them.

use std::{fmt, net::IpAddr};

/// A text that is not the address of a coordinator.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{address}` is not the address of a coordinator: {reason}")]
pub struct AddressError {
    /// As given.
    pub address: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

/// What is said by an address of how to speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Speech {
    /// Without TLS, on this machine.
    Plain,
    /// TLS.
    Secure,
    /// Whichever leads there: what the name stands for is not known yet.
    Either,
}

/// A host, a port, and how to speak there.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    pub host: String,
    pub port: u16,
    pub speech: Speech,
}

impl Address {
    /// `HOST:PORT`, `http://HOST:PORT` on this machine, or `https://HOST:PORT`.
    pub fn parse(address: &str) -> Result<Self, AddressError> {
        let bad = |reason| AddressError { address: address.to_owned(), reason };
        let (scheme, authority) = match address.split_once("://") {
            Some((scheme @ ("http" | "https"), rest)) => (Some(scheme), rest.trim_end_matches('/')),
            Some(_) => return Err(bad("only http:// and https:// are spoken here")),
            None => (None, address),
        };
        let uri = authority.parse::<http::uri::Authority>().map_err(|_| bad("write HOST:PORT"))?;
        let host = uri.host().trim_start_matches('[').trim_end_matches(']');
        let port = uri
            .port_u16()
            .filter(|_| !host.is_empty() && !authority.contains('@'))
            .ok_or_else(|| bad("write HOST:PORT"))?;
        let speech = match scheme {
            Some("http") => Speech::Plain,
            Some(_) => Speech::Secure,
            None => speech(host),
        };
        Ok(Self { host: host.to_owned(), port, speech })
    }

    /// As it has to be typed where TLS is meant.
    pub fn typed(&self) -> String {
        match speech(&self.host) {
            Speech::Plain => format!("https://{self}"),
            Speech::Secure | Speech::Either => self.to_string(),
        }
    }
}

fn speech(host: &str) -> Speech {
    match host.parse::<IpAddr>() {
        Ok(ip) if ip.to_canonical().is_loopback() => Speech::Plain,
        Ok(_) => Speech::Secure,
        Err(_) if host.eq_ignore_ascii_case("localhost") => Speech::Plain,
        Err(_) => Speech::Either,
    }
}

/// `HOST:PORT`.
impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(f, "[{}]:{}", self.host, self.port),
            false => write!(f, "{}:{}", self.host, self.port),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_and_says_how_to_speak() {
        for (text, speech, shown) in [
            ("127.0.0.1:7077", Speech::Plain, "127.0.0.1:7077"),
            ("localhost:7077", Speech::Plain, "localhost:7077"),
            ("[::1]:7077", Speech::Plain, "[::1]:7077"),
            ("http://host:7077/", Speech::Plain, "host:7077"),
            ("host:7077", Speech::Either, "host:7077"),
            ("192.0.2.1:7077", Speech::Secure, "192.0.2.1:7077"),
            ("0.0.0.0:7077", Speech::Secure, "0.0.0.0:7077"),
            ("[2001:db8::1]:7077", Speech::Secure, "[2001:db8::1]:7077"),
            ("https://127.0.0.1:7077", Speech::Secure, "127.0.0.1:7077"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!((address.speech, address.to_string().as_str()), (speech, shown), "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for bad in ["", "localhost", "https://localhost", "ftp://x:1", "a b:1", "http://:7077", "me@host:1"] {
            let error = Address::parse(bad).expect_err(bad).to_string();
            assert!(error.contains(bad), "{error}");
        }
    }
}
