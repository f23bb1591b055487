//! Which users containers and their runs are.
//!
//! The shim is user 0 with three capabilities, runs are others with none (`runtime/users`). Where an image or a specification
//! insists on a user, and where the worker could not give files to others, all runs of a container are the same one.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex, PoisonError},
};

use longshore_shim::User;
use uuid::Uuid;

use crate::runtime::{
    StartError,
    users::{Block, RunUser, Users},
};

/// The user ids that runs are given, when the worker is root. No account has them: systemd's list of user numbers
/// (UIDS-GIDS) leaves the range from 1,879,048,192 to 2,147,483,647 unused, above what user namespaces are given.
const SAME: Range = Range { first: 0x7000_0000, size: 0x1_0000, blocks: 0x1000 };

/// The same where the engine maps users into a range of its own (`userns-remap`), usually 65,536 wide.
const REMAPPED: Range = Range { first: 10_000, size: 1_000, blocks: 50 };

/// Blocks of user ids.
#[derive(Debug, Clone, Copy)]
struct Range {
    first: u32,
    /// Users of a block: so many runs a sandbox can have.
    size: u32,
    blocks: u32,
}

/// How the users inside relate to those outside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Mapping {
    /// They are the same.
    Same,
    /// The engine maps them (`userns-remap`): 0 inside is this one outside.
    Remapped(u32),
    /// The engine runs as the worker's user, whom the inside knows as root.
    Rootless,
}

/// Gives users to containers.
pub(super) struct Identities {
    own: (u32, u32),
    mapping: Mapping,
    allow_root: bool,
    blocks: Arc<Mutex<Blocks>>,
}

/// Whose runs a container's are to be.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Wanted {
    /// Each run's own.
    Own,
    /// The shim's own, which is the worker's outside.
    Shim,
    /// This one's.
    Number(User),
    /// Whoever the image calls so; the shim finds out.
    Named(String),
}

impl Identities {
    /// For a worker that runs as the user and group `own`.
    pub(super) fn new(worker: Uuid, own: (u32, u32), mapping: Mapping, allow_root: bool) -> Self {
        let range = if matches!(mapping, Mapping::Remapped(_)) { REMAPPED } else { SAME };
        // Workers on one machine begin at different places.
        let next = u32::from(u16::from_be_bytes([worker.as_bytes()[0], worker.as_bytes()[1]])) % range.blocks;
        let blocks = Arc::new(Mutex::new(Blocks { range, next, taken: HashSet::new() }));
        Self { own, mapping, allow_root, blocks }
    }

    /// Whether every run of an image that names no user is somebody of its own; otherwise runs are kept apart in time, and
    /// containers are for one job.
    pub(super) fn are_own(&self) -> bool {
        matches!((self.mapping, self.own), (Mapping::Same | Mapping::Remapped(_), (0, _)))
    }

    /// Whom runs are to be: the specification's user, or else the image's, or else nobody in particular.
    pub(super) fn wanted(&self, wanted: &str, of_image: &str) -> Result<Wanted, StartError> {
        if !wanted.is_empty() {
            self.check(wanted)?;
            return Ok(Wanted::Named(wanted.to_owned()));
        }
        match (self.mapping, self.own) {
            // Nobody else's files could be read by the worker.
            (Mapping::Rootless, _) => Ok(Wanted::Shim),
            (Mapping::Remapped(_), (1.., _)) => Err(StartError::Refused(
                "the engine maps users (userns-remap), so only a worker that runs as root can read what containers write; run \
                 `longshore worker` as root"
                    .to_owned(),
            )),
            // Only as itself do it and its runs have files in common.
            (Mapping::Same, (uid @ 1.., gid)) => Ok(Wanted::Number(User { uid, gid, groups: Vec::new() })),
            // An image that wants to be root is not asked: most only never said otherwise.
            (_, (0, _)) if !of_image.is_empty() && !is_root(of_image) => Ok(Wanted::Named(of_image.to_owned())),
            (_, (0, _)) => Ok(Wanted::Own),
        }
    }

    /// The users of a container's runs. `found` is who a named user is.
    pub(super) fn users(&self, wanted: &Wanted, found: Option<User>, spec_user: &str) -> Result<Users, StartError> {
        match (wanted, found) {
            // The same user, without its capabilities.
            (Wanted::Shim, _) => {
                let inside = Some(User { uid: 0, gid: 0, groups: Vec::new() });
                Ok(Users::One(RunUser { inside, owner: None }))
            }
            (Wanted::Number(user), _) => Ok(self.one(user.clone())),
            (Wanted::Own, _) => self.block(),
            (Wanted::Named(_), Some(user)) if user.uid != 0 => Ok(self.one(user)),
            // Root by another name is asked for as little as root is.
            (Wanted::Named(_), Some(_)) if spec_user.is_empty() && self.own.0 == 0 => self.block(),
            (Wanted::Named(_), Some(user)) if self.allow_root => Ok(self.one(user)),
            (Wanted::Named(name), Some(_)) => Err(refuse_root(name)),
            (Wanted::Named(name), None) => Err(StartError::Refused(format!("user {name:?} is not known to the image"))),
        }
    }

    fn one(&self, user: User) -> Users {
        let owner = match self.mapping {
            Mapping::Same if self.own.0 == 0 => Some((user.uid, user.gid)),
            Mapping::Remapped(base) if self.own.0 == 0 => Some((base + user.uid, base + user.gid)),
            _ => None,
        };
        Users::One(RunUser { inside: Some(user), owner })
    }

    fn block(&self) -> Result<Users, StartError> {
        let offset = if let Mapping::Remapped(base) = self.mapping { base } else { 0 };
        let mut blocks = self.blocks.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(number) = blocks.take() else {
            return Err(StartError::Engine("all blocks of user ids are in use by containers".to_owned()));
        };
        let Range { first, size, .. } = blocks.range;
        let all = Arc::clone(&self.blocks);
        let free = move || {
            all.lock().unwrap_or_else(PoisonError::into_inner).taken.remove(&number);
        };
        Ok(Users::Own(Block::new(first + number * size, size, offset, Box::new(free))))
    }

    /// Whether a container's user may be another than whoever the worker gives it.
    pub(super) fn may_be_named(&self) -> bool {
        !matches!(self.mapping, Mapping::Rootless)
    }

    fn check(&self, wanted: &str) -> Result<(), StartError> {
        if !is_well_formed(wanted) {
            return Err(StartError::Refused(format!(
                "user {wanted:?} is not of the form name[:group] or uid[:gid], each at most 64 letters, digits, '_', '.', '-'"
            )));
        }
        if is_root(wanted) && !self.allow_root {
            return Err(refuse_root(wanted));
        }
        if matches!(self.mapping, Mapping::Rootless) && !is_root(wanted) {
            return Err(StartError::Refused(format!(
                "user {wanted:?} cannot be had on a rootless engine: the worker could not read what it writes; leave it out, \
                 then runs have the rights of the worker's own user"
            )));
        }
        if self.own.0 != 0 && self.mapping == Mapping::Same && !is_root(wanted) && !self.is_own(wanted) {
            return Err(StartError::Refused(format!(
                "user {wanted:?} cannot be had of a worker that does not run as root: it could not read what that user writes; \
                 leave it out, then runs are user {}",
                self.own.0
            )));
        }
        Ok(())
    }

    fn is_own(&self, wanted: &str) -> bool {
        wanted.split(':').next().and_then(|user| user.parse().ok()) == Some(self.own.0)
    }
}

/// Which blocks are in use.
struct Blocks {
    range: Range,
    next: u32,
    taken: HashSet<u32>,
}

impl Blocks {
    /// One that nobody uses; those freed last come last.
    fn take(&mut self) -> Option<u32> {
        let blocks = self.range.blocks;
        let free = (0..blocks).map(|ahead| (self.next + ahead) % blocks).find(|number| !self.taken.contains(number))?;
        self.next = (free + 1) % blocks;
        self.taken.insert(free);
        Some(free)
    }
}

fn refuse_root(user: &str) -> StartError {
    StartError::Refused(format!(
        "user {user:?} is root, which this worker does not allow; its operator can: `longshore worker --allow-root`"
    ))
}

/// Whether this says by itself that it is user 0. The engine reads numbers as signed decimals, so `00` and `+0` count too.
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

    fn user(uid: u32, gid: u32) -> User {
        User { uid, gid, groups: Vec::new() }
    }

    fn named(name: &str) -> Wanted {
        Wanted::Named(name.to_owned())
    }

    fn owner(users: &Users) -> Option<(u32, u32)> {
        users.next().unwrap().owner
    }

    #[test]
    fn the_specification_wins_over_the_image() {
        let root = identities((0, 0), Mapping::Same, false);
        assert_eq!(root.wanted("1000:50", "app").unwrap(), named("1000:50"));
        assert_eq!(root.wanted("", "app").unwrap(), named("app"));
    }

    #[test]
    fn nobody_is_root_unless_the_operator_says_so() {
        let strict = identities((0, 0), Mapping::Same, false);
        for name in ["root", "0", "0:0", "00", "root:staff", "-0"] {
            assert!(matches!(strict.wanted(name, ""), Err(StartError::Refused(_))), "{name}");
            assert_eq!(strict.wanted("", name).unwrap(), Wanted::Own, "{name}");
        }
        let lax = identities((0, 0), Mapping::Same, true);
        let wanted = lax.wanted("root", "").unwrap();
        assert!(lax.users(&wanted, Some(user(0, 0)), "root").unwrap().are_one());
    }

    #[test]
    fn root_by_another_name_is_root() {
        let strict = identities((0, 0), Mapping::Same, false);
        let of_spec = strict.users(&named("app"), Some(user(0, 0)), "app");
        assert!(matches!(of_spec, Err(StartError::Refused(why)) if why.contains("--allow-root")));
        let of_image = strict.users(&named("app"), Some(user(0, 0)), "").unwrap();
        assert!(owner(&of_image).unwrap().0 >= SAME.first, "an image's is given a user like any");
    }

    #[test]
    fn each_container_of_a_root_worker_has_users_of_its_own() {
        let root = identities((0, 0), Mapping::Same, false);
        let (first, second) = (root.users(&Wanted::Own, None, ""), root.users(&Wanted::Own, None, ""));
        let (first, second) = (first.unwrap(), second.unwrap());
        assert_eq!(owner(&first), Some((SAME.first, SAME.first)));
        assert_eq!(owner(&first), Some((SAME.first + 1, SAME.first + 1)));
        assert_eq!(owner(&second), Some((SAME.first + SAME.size, SAME.first + SAME.size)));
    }

    #[test]
    fn a_block_is_given_again_only_when_it_is_free_and_last_of_all() {
        let mapped = identities((0, 0), Mapping::Remapped(100_000), false);
        let take = || mapped.users(&Wanted::Own, None, "");
        let first = take().unwrap();
        assert_eq!(owner(&first), Some((110_000, 110_000)));
        let others: Vec<_> = (1..REMAPPED.blocks).map(|_| take().unwrap()).collect();
        assert!(matches!(take(), Err(StartError::Engine(_))));
        drop(first);
        assert_eq!(owner(&take().unwrap()), Some((110_000, 110_000)));
        drop(others);
    }

    #[test]
    fn a_worker_that_is_not_root_can_read_what_its_containers_write() {
        let plain = identities((1000, 100), Mapping::Same, false);
        for of_image in ["", "app", "root"] {
            assert_eq!(plain.wanted("", of_image).unwrap(), Wanted::Number(user(1000, 100)));
        }
        assert_eq!(owner(&plain.users(&Wanted::Number(user(1000, 100)), None, "").unwrap()), None);
        assert!(!plain.are_own());
        assert!(matches!(plain.wanted("2000", ""), Err(StartError::Refused(_))));
        let rootless = identities((1000, 100), Mapping::Rootless, false);
        assert_eq!(rootless.wanted("", "app").unwrap(), Wanted::Shim);
        let mapped = identities((1000, 100), Mapping::Remapped(100_000), false);
        assert!(matches!(mapped.wanted("", ""), Err(StartError::Refused(_))));
    }

    #[test]
    fn odd_users_are_refused() {
        let root = identities((0, 0), Mapping::Same, true);
        for user in [":", "a:", ":b", "a b", "a:b:c", "a\n", &"x".repeat(65)] {
            assert!(root.wanted(user, "").is_err(), "{user:?}");
        }
    }
}
