//! The address of a coordinator, and how a connection to it is set up.

use std::time::Duration;

use http::Uri;
use tonic::transport::Endpoint;

use crate::CallError;

/// Where a coordinator listens unless told otherwise.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:7077";

/// How long to wait for a connection before saying that nobody answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A watch may be silent for hours, so the connection itself is probed: a dead peer is noticed within the sum of the two.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(20);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(20);

/// Flow-control windows large enough to keep a fast link full while blobs stream.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// The end point for `address`, which may be `HOST:PORT` or `http://HOST:PORT`.
pub(crate) fn endpoint(address: &str) -> Result<Endpoint, CallError> {
    let uri = parse(address)?;
    Ok(Endpoint::from(uri)
        .tcp_nodelay(true)
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES))
}

fn parse(address: &str) -> Result<Uri, CallError> {
    let bad = |reason: &str| CallError::BadAddress { address: address.to_owned(), reason: reason.to_owned() };
    let full = match address.split_once("://") {
        Some(("http", _)) => address.to_owned(),
        Some(_) => return Err(bad("only http:// is spoken here")),
        None => format!("http://{address}"),
    };
    let uri: Uri = full.parse().map_err(|_| bad("write HOST:PORT"))?;
    if uri.host().is_none_or(str::is_empty) || uri.port_u16().is_none() {
        return Err(bad("write HOST:PORT"));
    }
    Ok(uri)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port_with_or_without_scheme() {
        for good in ["127.0.0.1:7077", "http://localhost:7077", "[::1]:7077"] {
            assert!(parse(good).is_ok(), "{good}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for bad in ["", "localhost", "https://localhost:1", "ftp://x:1", "a b:1", "http://:7077"] {
            let error = parse(bad).expect_err(bad).to_string();
            assert!(error.contains(bad), "{error}");
        }
    }
}
