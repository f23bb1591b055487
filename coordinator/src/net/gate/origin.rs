//! Keeps web pages of strangers away: a page can make a browser post to 127.0.0.1, also by a name it has rebound.

use std::net::IpAddr;

use http::{HeaderMap, HeaderName, Uri, header, uri::Authority};
use longshore_trust::{Cluster, SNI};

/// A browser says where a page comes from and which host it believes to talk to; both have to be this machine.
pub fn is_foreign(headers: &HeaderMap, uri: &Uri) -> bool {
    let host = host(headers, uri);
    let local = host.is_some_and(is_loopback);
    !local || is_of_another_page(headers, "http://", host)
}

/// By which names a coordinator is called from other machines. Any other may be anybody's.
#[derive(Debug, Clone, Default)]
pub struct Hosts {
    /// In small letters.
    names: Vec<String>,
    addresses: Vec<IpAddr>,
}

impl Hosts {
    /// The cluster's own names, the addresses that are listened on, and the names it was told.
    pub fn new(cluster: Cluster, listened: impl IntoIterator<Item = IpAddr>, told: &[String]) -> Self {
        let own = [SNI.to_owned(), cluster.host()];
        let told = told.iter().map(|name| name.trim_end_matches('.').to_ascii_lowercase());
        let addresses = listened.into_iter().filter(|ip| !ip.is_unspecified()).collect();
        Self { names: own.into_iter().chain(told).collect(), addresses }
    }

    /// Whether a request by TLS, which arrived at this address, is of a page or for a host that are not ours.
    pub fn is_foreign(&self, headers: &HeaderMap, uri: &Uri, arrived: Option<IpAddr>) -> bool {
        let host = host(headers, uri);
        let ours = host.is_some_and(|host| self.are_ours(without_port(host), arrived));
        !ours || is_of_another_page(headers, "https://", host)
    }

    fn are_ours(&self, name: &str, arrived: Option<IpAddr>) -> bool {
        match address(name) {
            Some(ip) => arrived.map(|arrived| arrived.to_canonical()) == Some(ip) || self.addresses.contains(&ip),
            None => self.names.iter().any(|ours| ours.eq_ignore_ascii_case(name.trim_end_matches('.'))),
        }
    }
}

fn text(headers: &HeaderMap, name: HeaderName) -> Option<&str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

fn host<'a>(headers: &'a HeaderMap, uri: &'a Uri) -> Option<&'a str> {
    text(headers, header::HOST).or_else(|| uri.authority().map(Authority::as_str))
}

fn is_of_another_page(headers: &HeaderMap, scheme: &str, host: Option<&str>) -> bool {
    text(headers, header::ORIGIN).is_some_and(|origin| origin.strip_prefix(scheme) != host)
}

/// Whether a Host header names this machine's loopback: by address, or as `localhost`. Any other name may be anybody's.
fn is_loopback(host: &str) -> bool {
    let name = without_port(host);
    name == "localhost" || address(name).is_some_and(|address| address.is_loopback())
}

fn without_port(host: &str) -> &str {
    match host.rsplit_once(':') {
        Some((name, port)) if port.bytes().all(|byte| byte.is_ascii_digit()) => name,
        _ => host,
    }
}

fn address(name: &str) -> Option<IpAddr> {
    let ip: IpAddr = name.trim_start_matches('[').trim_end_matches(']').parse().ok()?;
    Some(ip.to_canonical())
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

    #[test]
    fn by_tls_a_coordinator_is_called_by_its_own_names_and_addresses_alone() {
        let cluster = Cluster::new();
        let told = ["Longshore.Example.org".to_owned()];
        let hosts = Hosts::new(cluster, ["192.0.2.1", "0.0.0.0"].map(|ip| ip.parse().unwrap()), &told);
        let arrived = Some("198.51.100.7".parse().unwrap());
        let foreign = |host: &str, origin: Option<&str>| {
            let mut headers = HeaderMap::new();
            headers.insert(header::HOST, host.parse().unwrap());
            if let Some(origin) = origin {
                headers.insert(header::ORIGIN, origin.parse().unwrap());
            }
            hosts.is_foreign(&headers, &Uri::from_static("/"), arrived)
        };
        let own = cluster.host();
        for ours in [SNI, &own, "longshore.example.org:7077", "LONGSHORE.example.org.", "192.0.2.1:1", "198.51.100.7"] {
            assert!(!foreign(ours, None), "{ours}");
            assert!(!foreign(ours, Some(&format!("https://{ours}"))), "{ours}");
            for page in ["null", "https://example.org", &format!("http://{ours}")] {
                assert!(foreign(ours, Some(page)), "{page}");
            }
        }
        for host in ["localhost:7077", "127.0.0.1", "[::1]", "example.org", "0.0.0.0", "203.0.113.9", "", "::"] {
            assert!(foreign(host, None), "{host}");
        }
        assert!(hosts.is_foreign(&HeaderMap::new(), &Uri::from_static("/"), arrived), "no host at all");
        assert!(!hosts.is_foreign(&HeaderMap::new(), &Uri::from_static("https://192.0.2.1/"), None));
    }
}
