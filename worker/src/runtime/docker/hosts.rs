//! Hosts of registries that no name server knows: a mistyped one is not asked for minutes.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use crate::runtime::ImageError;

/// Words of an engine that was told so.
const UNKNOWN: &str = "no such host";

/// So often a name server has to say so, and for so long: one that has just started, or a network that is just coming up, says so too.
const TRIES: u32 = 4;
const FOR: Duration = Duration::from_secs(3);

/// Registries that are remembered.
const MOST: usize = 1_000;

/// What is known of the hosts of registries.
#[derive(Debug, Default)]
pub(super) struct Hosts(HashMap<String, Host>);

#[derive(Debug, Clone, Copy)]
enum Host {
    /// Somebody has answered there.
    Reached,
    /// No name server has known it so often, since then.
    Unknown(u32, Instant),
}

impl Hosts {
    /// The registry has answered, or could not.
    pub(super) fn heard<T>(
        &mut self,
        registry: &str,
        now: Instant,
        answer: Result<T, ImageError>,
    ) -> Result<T, ImageError> {
        let error = match answer {
            Ok(answer) => {
                self.remember(registry, Host::Reached);
                return Ok(answer);
            }
            Err(error) => error,
        };
        let ImageError::Unreachable { reference, registry, cause } = error else {
            if matches!(error, ImageError::NotFound { .. } | ImageError::Denied { .. } | ImageError::RateLimited { .. })
            {
                self.remember(registry, Host::Reached);
            }
            return Err(error);
        };
        let host = match self.0.get(&registry) {
            _ if !cause.to_lowercase().contains(UNKNOWN) => None,
            Some(Host::Reached) => None,
            Some(Host::Unknown(tries, since)) => Some((tries + 1, *since)),
            None => Some((1, now)),
        };
        let Some((tries, since)) = host else { return Err(ImageError::Unreachable { reference, registry, cause }) };
        if tries >= TRIES && now.duration_since(since) >= FOR {
            // Whoever mends it, or tries once more, is listened to anew.
            self.0.remove(&registry);
            return Err(ImageError::NoHost { reference, registry, cause });
        }
        self.remember(&registry, Host::Unknown(tries, since));
        Err(ImageError::Unreachable { reference, registry, cause })
    }

    fn remember(&mut self, registry: &str, host: Host) {
        if self.0.len() >= MOST && !self.0.contains_key(registry) {
            self.0.clear();
        }
        self.0.insert(registry.to_owned(), host);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "registri.example.org";

    fn away(cause: &str) -> Result<(), ImageError> {
        let (reference, registry) = (format!("{HOST}/a"), HOST.to_owned());
        Err(ImageError::Unreachable { reference, registry, cause: cause.to_owned() })
    }

    fn after(
        hosts: &mut Hosts,
        began: Instant,
        seconds: u64,
        answer: Result<(), ImageError>,
    ) -> Result<(), ImageError> {
        hosts.heard(HOST, began + Duration::from_secs(seconds), answer)
    }

    const NO: &str = "dial tcp: lookup registri.example.org: no such host";

    #[test]
    fn a_host_that_nobody_knows_for_a_while_is_refused_for_good_and_anew_after_that() {
        let (mut hosts, began) = (Hosts::default(), Instant::now());
        for seconds in [0, 0, 0, 0, 1, 2] {
            assert!(!after(&mut hosts, began, seconds, away(NO)).unwrap_err().is_final());
        }
        let refused = after(&mut hosts, began, 3, away(NO)).unwrap_err();
        assert!(refused.is_final() && refused.to_string().contains(HOST), "{refused}");
        assert!(!after(&mut hosts, began, 4, away(NO)).unwrap_err().is_final());
    }

    #[test]
    fn one_that_is_late_once_is_asked_again() {
        let (mut hosts, began) = (Hosts::default(), Instant::now());
        assert!(!after(&mut hosts, began, 0, away(NO)).unwrap_err().is_final());
        assert!(!after(&mut hosts, began, 60, away(NO)).unwrap_err().is_final());
    }

    #[test]
    fn one_that_was_reached_or_is_only_silent_is_never_taken_for_unknown() {
        let (mut hosts, began) = (Hosts::default(), Instant::now());
        after(&mut hosts, began, 0, Ok(())).unwrap();
        for seconds in 1..20 {
            assert!(!after(&mut hosts, began, seconds, away(NO)).unwrap_err().is_final());
        }
        let mut hosts = Hosts::default();
        for seconds in 1..20 {
            assert!(!after(&mut hosts, began, seconds, away("i/o timeout")).unwrap_err().is_final());
        }
    }

    #[test]
    fn few_hosts_are_remembered() {
        let (mut hosts, now) = (Hosts::default(), Instant::now());
        for number in 0..3 * MOST {
            hosts.heard(&number.to_string(), now, Ok(())).unwrap();
        }
        assert!(hosts.0.len() <= MOST);
    }
}
