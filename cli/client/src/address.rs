//! How a connection to a coordinator is set up.

use std::time::Duration;

use tonic::transport::Endpoint;

/// Where a coordinator listens unless told otherwise.
pub const DEFAULT_ADDRESS: &str = "http://127.0.0.1:7077";

/// How long to wait for a connection before saying that nobody answers.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A watch may be silent for hours, so the connection itself is probed: a dead peer is noticed within the sum of the two.
const KEEP_ALIVE_INTERVAL: Duration = Duration::from_secs(5);
const KEEP_ALIVE_TIMEOUT: Duration = Duration::from_secs(15);

/// Flow-control windows large enough to keep a fast link full while blobs stream.
const STREAM_WINDOW_BYTES: u32 = 4 * 1024 * 1024;
const CONNECTION_WINDOW_BYTES: u32 = 8 * 1024 * 1024;

/// Sets up a connection on which large blobs stream and watches are silent.
pub(crate) fn set_up(endpoint: Endpoint) -> Endpoint {
    endpoint
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE_INTERVAL)
        .keep_alive_timeout(KEEP_ALIVE_TIMEOUT)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
}
