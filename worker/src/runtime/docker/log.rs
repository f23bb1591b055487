//! Where the engine keeps what the shim itself says.
//!
//! Users' logs go through the shim. This one is for the shim's own last words, which must outlive the container's end, and is
//! bounded, because a process may find a way to write there.

use bollard::models::HostConfigLogConfig;

/// The drivers we know how to bound, the dearest first, with their options.
const KNOWN: [(&str, &[(&str, &str)]); 4] = [
    ("local", &[("max-size", "256k"), ("max-file", "1"), ("compress", "false")]),
    ("json-file", &[("max-size", "256k"), ("max-file", "1")]),
    // Podman's.
    ("k8s-file", &[("max-size", "256k")]),
    // Nothing is kept, and so nobody learns why a shim ended; better than what grows.
    ("none", &[]),
];

/// The best of an engine's drivers. One that tells of none is asked for the first: no Docker Engine is without it.
pub(super) fn config(drivers: &[String]) -> HostConfigLogConfig {
    let has = |name: &str| drivers.iter().any(|driver| driver == name);
    let best =
        KNOWN.iter().find(|(name, _)| has(name)).unwrap_or(if drivers.is_empty() { &KNOWN[0] } else { &KNOWN[3] });
    let options = best.1.iter().map(|&(key, value)| (key.to_owned(), value.to_owned()));
    HostConfigLogConfig { typ: Some(best.0.into()), config: Some(options.collect()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chosen(drivers: &[&str]) -> String {
        let drivers: Vec<_> = drivers.iter().map(|&driver| driver.to_owned()).collect();
        config(&drivers).typ.unwrap()
    }

    #[test]
    fn the_best_driver_that_the_engine_has_is_asked_for() {
        assert_eq!(chosen(&["awslogs", "json-file", "local", "syslog"]), "local");
        assert_eq!(chosen(&["json-file", "syslog"]), "json-file");
        assert_eq!(chosen(&["k8s-file", "none", "passthrough", "journald"]), "k8s-file");
        assert_eq!(chosen(&["journald"]), "none");
        assert_eq!(chosen(&[]), "local");
    }
}
