//! Keeps web pages of strangers away: a page can make a browser post to 127.0.0.1, also by a name it has rebound.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Uri, header, uri::Authority};

/// A browser says where a page comes from and which host it believes to talk to; both have to be this machine.
pub fn is_foreign(headers: &HeaderMap, uri: &Uri) -> bool {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let host = text(header::HOST).or_else(|| uri.authority().map(Authority::as_str));
    let local = host.is_some_and(is_loopback);
    let foreign = text(header::ORIGIN).is_some_and(|origin| origin.strip_prefix("http://") != host);
    !local || foreign
}

/// Whether a Host header names this machine's loopback: by address, or as `localhost`. Any other name may be anybody's.
fn is_loopback(host: &str) -> bool {
    let name = match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    };
    let address = name.trim_start_matches('[').trim_end_matches(']').parse::<IpAddr>();
    name == "localhost" || address.is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn foreign(host: &str, origin: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        headers.insert(header::HOST, host.parse().unwrap());
        if let Some(origin) = origin {
            headers.insert(header::ORIGIN, origin.parse().unwrap());
        }
        is_foreign(&headers, &Uri::from_static("/"))
    }

    #[test]
    fn loopback_by_address_or_as_localhost_is_ours() {
        for ours in ["localhost", "localhost:7077", "127.0.0.1:1", "127.9.9.9", "[::1]:7077"] {
            assert!(!foreign(ours, None), "{ours}");
        }
        assert!(!foreign("localhost:7077", Some("http://localhost:7077")));
    }

    #[test]
    fn any_other_host_or_origin_is_foreign() {
        for host in ["example.org", "localhost.example.org:7077", "10.0.0.1:7077", "0.0.0.0:7077", ""] {
            assert!(foreign(host, None), "{host}");
        }
        for origin in ["http://example.org", "https://localhost:7077", "http://localhost:1", "null"] {
            assert!(foreign("localhost:7077", Some(origin)), "{origin}");
        }
        assert!(is_foreign(&HeaderMap::new(), &Uri::from_static("/")), "no host at all");
    }
}
