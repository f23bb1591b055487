//! Whom the runs of a sandbox run as, and what that means for using the sandbox again.

use std::sync::atomic::{AtomicU32, Ordering};

use longshore_shim::User;

/// Whom the runs of one sandbox run as.
#[derive(Debug)]
pub enum Users {
    /// All as the worker's own user, which nothing is kept apart from: plain processes.
    Worker,
    /// All as the same one: there is one run at a time, whose directories are nobody's before and after, and a sandbox for
    /// each job, or where that user is the shim's for each run.
    One(RunUser),
    /// Each as one that no other run of the machine's ever is: what is a run's belongs to it.
    Own(Block),
}

/// Whom a run runs as.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RunUser {
    /// Inside; nothing is the shim's own user.
    pub inside: Option<User>,
    /// User and group outside, who are to own its directories; nothing where they are the worker's.
    pub owner: Option<(u32, u32)>,
}

impl Users {
    /// The user of the next run; nothing when all of a block were used: then the sandbox is of no more use.
    #[must_use]
    pub fn next(&self) -> Option<RunUser> {
        match self {
            Self::Worker => Some(RunUser::default()),
            Self::One(user) => Some(user.clone()),
            Self::Own(block) => block.next(),
        }
    }

    /// Whether there is a user for another run.
    #[must_use]
    pub fn are_left(&self) -> bool {
        !matches!(self, Self::Own(block) if block.is_spent())
    }

    /// Whether runs are the shim's own user: then each needs a sandbox of its own, as it could change the shim for the next.
    #[must_use]
    pub fn are_the_shims(&self) -> bool {
        matches!(self, Self::One(user) if user.inside.as_ref().is_none_or(|inside| inside.uid == 0))
    }

    /// Whether runs are the worker's own user outside: then they own whatever it makes for them, too.
    #[must_use]
    pub fn are_the_workers(&self) -> bool {
        matches!(self, Self::One(user) if user.owner.is_none())
    }

    /// Whether runs have to be kept apart in time, as their users do not.
    #[must_use]
    pub fn are_one(&self) -> bool {
        matches!(self, Self::One(_))
    }
}

/// Users that one sandbox has to itself.
pub struct Block {
    first: u32,
    count: u32,
    /// What is added outside.
    offset: u32,
    used: AtomicU32,
    /// Called when the block is free again.
    free: Box<dyn Fn() + Send + Sync>,
}

impl Block {
    /// So many users from `first` on, who are `offset` more outside. `free` is called when nobody uses the block any more.
    #[must_use]
    pub fn new(first: u32, count: u32, offset: u32, free: Box<dyn Fn() + Send + Sync>) -> Self {
        Self { first, count, offset, used: AtomicU32::new(0), free }
    }

    fn next(&self) -> Option<RunUser> {
        let more = |used: u32| (used < self.count).then_some(used + 1);
        let used = self.used.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        let inside = self.first + used;
        let outside = inside + self.offset;
        let user = User { uid: inside, gid: inside, groups: Vec::new() };
        Some(RunUser { inside: Some(user), owner: Some((outside, outside)) })
    }

    fn is_spent(&self) -> bool {
        self.used.load(Ordering::Relaxed) >= self.count
    }
}

impl Drop for Block {
    fn drop(&mut self) {
        (self.free)();
    }
}

impl std::fmt::Debug for Block {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Block").field("first", &self.first).field("count", &self.count).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_run_of_a_block_is_somebody_else_until_it_is_spent() {
        let users = Users::Own(Block::new(100, 2, 1_000, Box::new(|| {})));
        let seen = [users.next(), users.next()].map(|user| {
            let user = user.unwrap();
            (user.inside.unwrap().uid, user.owner.unwrap())
        });
        assert_eq!(seen, [(100, (1_100, 1_100)), (101, (1_101, 1_101))]);
        assert!(!users.are_left());
        assert_eq!(users.next(), None);
    }
}
