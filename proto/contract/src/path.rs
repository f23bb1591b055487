//! The paths that an image's server answers at.

/// `POST`: one request.
pub const REQUEST: &str = "/";

/// `GET`: 2xx once the server is ready, and anything else before; a server that does not know the path (404) is ready.
pub const HEALTH: &str = "/healthz";
