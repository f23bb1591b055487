//! Which user a container runs as.

use std::sync::atomic::{AtomicU32, Ordering};

use uuid::Uuid;

use crate::runtime::StartError;

/// First of the users we give to containers whose image names none, when the worker is root. No account has them: the
/// range is one that systemd's list of user numbers (UIDS-GIDS) leaves unused, above what user namespaces are given.
const FIRST_UID: u32 = 2_000_000_000;

/// How many there are. Each sandbox takes the next, so what one leaves behind is not another's.
const UIDS: u32 = 1 << 16;

/// The same where the engine maps users into a range of its own (`userns-remap`), usually 65,536 wide.
const FIRST_UID_REMAPPED: u32 = 20_000;
const UIDS_REMAPPED: u32 = 40_000;

/// How the users inside relate to those outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Mapping {
    /// They are the same.
    Same,
    /// The engine maps them (`userns-remap`).
    Remapped,
    /// The engine runs as the worker's user, whom the inside knows as root.
    Rootless,
}

/// Gives users to containers.
pub(super) struct Identities {
    own: (u32, u32),
    mapping: Mapping,
    allow_root: bool,
    next: AtomicU32,
}

impl Identities {
    /// For a worker that runs as the user and group `own`.
    pub(super) fn new(worker: Uuid, own: (u32, u32), mapping: Mapping, allow_root: bool) -> Self {
        // Workers on one machine begin at different places.
        let first = u32::from(u16::from_be_bytes([worker.as_bytes()[0], worker.as_bytes()[1]]));
        Self { own, mapping, allow_root, next: AtomicU32::new(first) }
    }

    /// The user for one container, as the engine takes it: the specification's, or else the image's, or else one
    /// without any rights.
    pub(super) fn choose(&self, wanted: &str, of_image: &str) -> Result<String, StartError> {
        if !wanted.is_empty() {
            return self.check(wanted).map(str::to_owned);
        }
        // An image that wants to be root is not asked: most only never said otherwise.
        if !of_image.is_empty() && !is_root(of_image) {
            return Ok(of_image.to_owned());
        }
        Ok(self.unprivileged())
    }

    fn check<'a>(&self, wanted: &'a str) -> Result<&'a str, StartError> {
        if !is_well_formed(wanted) {
            return Err(StartError::Refused(format!(
                "user {wanted:?} is not of the form name[:group] or uid[:gid], each at most 64 letters, digits, '_', '.', '-'"
            )));
        }
        if is_root(wanted) && !self.allow_root {
            return Err(StartError::Refused(format!(
                "user {wanted:?} is root, which this worker does not allow; its operator can: `longshore worker --allow-root`"
            )));
        }
        Ok(wanted)
    }

    fn unprivileged(&self) -> String {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let uid = match (self.mapping, self.own) {
            // It has the worker's rights outside, no more, and so the worker can read what it writes.
            (Mapping::Rootless, _) => 0,
            (Mapping::Remapped, (0, _)) => FIRST_UID_REMAPPED + number % UIDS_REMAPPED,
            (Mapping::Same, (0, _)) => FIRST_UID + number % UIDS,
            // A worker that is not root must be able to read and remove what the container writes.
            (_, (uid, gid)) => return format!("{uid}:{gid}"),
        };
        format!("{uid}:{uid}")
    }
}

/// Whether the engine would run this as user 0. It reads numbers as signed decimals, so `00` and `+0` count too. A name
/// that the image's own list gives the number 0 is not seen here; such a root has no capabilities either.
fn is_root(user: &str) -> bool {
    let name = user.split(':').next().unwrap_or_default();
    name == "root" || name.parse::<i64>() == Ok(0)
}

fn is_well_formed(user: &str) -> bool {
    let word = |text: &str| {
        (1..=64).contains(&text.len())
            && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'.' | b'-'))
    };
    match user.split_once(':') {
        Some((name, group)) => word(name) && word(group),
        None => word(user),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn identities(own: (u32, u32), mapping: Mapping, allow_root: bool) -> Identities {
        Identities::new(Uuid::nil(), own, mapping, allow_root)
    }

    #[test]
    fn the_specification_wins_over_the_image() {
        let root = identities((0, 0), Mapping::Same, false);
        assert_eq!(root.choose("1000:50", "app").unwrap(), "1000:50");
        assert_eq!(root.choose("", "app").unwrap(), "app");
    }

    #[test]
    fn nobody_is_root_unless_the_operator_says_so() {
        let strict = identities((0, 0), Mapping::Same, false);
        for user in ["root", "0", "0:0", "00", "root:staff", "-0"] {
            assert!(matches!(strict.choose(user, ""), Err(StartError::Refused(_))), "{user}");
            assert!(strict.choose("", user).unwrap().starts_with("2000000"), "{user}");
        }
        assert_eq!(identities((0, 0), Mapping::Same, true).choose("root", "").unwrap(), "root");
    }

    #[test]
    fn each_container_of_a_root_worker_has_a_user_of_its_own() {
        let root = identities((0, 0), Mapping::Same, false);
        assert_eq!(root.choose("", "").unwrap(), "2000000000:2000000000");
        assert_eq!(root.choose("", "").unwrap(), "2000000001:2000000001");
    }

    #[test]
    fn a_worker_that_is_not_root_can_read_what_its_containers_write() {
        assert_eq!(identities((1000, 100), Mapping::Same, false).choose("", "").unwrap(), "1000:100");
        assert_eq!(identities((1000, 100), Mapping::Rootless, false).choose("", "").unwrap(), "0:0");
        assert_eq!(identities((0, 0), Mapping::Remapped, false).choose("", "").unwrap(), "20000:20000");
    }

    #[test]
    fn odd_users_are_refused() {
        let root = identities((0, 0), Mapping::Same, true);
        for user in [":", "a:", ":b", "a b", "a:b:c", "a\n", &"x".repeat(65)] {
            assert!(root.choose(user, "").is_err(), "{user:?}");
        }
    }
}
