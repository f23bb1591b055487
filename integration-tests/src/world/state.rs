//! The state of the world: everything that is in it.

use longshore_core::Now;

use super::{
    agenda::Agenda, client::Client, coordinator::Coordinator, coverage::Coverage, dice::Dice, disk::Disk, fault::Fuse,
    net::Net, oracle::Oracle, profile::Profile, sabotage::Sabotage, script, trail::Trail, worker::Worker,
};

/// The world.
#[derive(Debug)]
pub struct World {
    pub(super) seed: u64,
    pub(super) profile: Profile,
    pub(super) sabotage: Sabotage,
    pub(super) now_ms: u64,
    /// What the wall clock is off by.
    pub(super) wall_ms: u64,
    pub(super) dice: Dice,
    pub(super) agenda: Agenda,
    pub(super) disk: Disk,
    pub(super) coordinator: Option<Coordinator>,
    pub(super) fuse: Option<Fuse>,
    pub(super) net: Net,
    pub(super) workers: Vec<Worker>,
    pub(super) clients: Vec<Client>,
    pub(super) made_jobs: u64,
    pub(super) made_requests: u64,
    pub(super) made_tokens: u8,
    pub(super) oracle: Oracle,
    pub(super) coverage: Coverage,
    pub(super) trail: Trail,
    pub(super) events: u64,
    /// When anything last got nearer to its end.
    pub(super) progress_ms: u64,
    pub(super) done: bool,
}

impl World {
    /// A world in which nothing has happened.
    #[must_use]
    pub fn new(seed: u64, sabotage: Sabotage, trail: Trail) -> Self {
        let profile = Profile::of(seed);
        let mut dice = Dice::of(&[seed, 3]);
        let mut worker =
            |number| Worker { is_old: dice.chance(profile.old), ..Worker::new(number, dice.between(1, 4)) };
        let workers = (0..profile.workers).map(&mut worker).collect();
        let mut clients: Vec<_> =
            (0..profile.clients).map(|number| Client::new(script::namespace(number), profile.wishes)).collect();
        // The last one cares for tokens and members alone.
        clients.push(Client::new(script::namespace(profile.clients), 4 * profile.wishes));
        Self {
            seed,
            sabotage,
            now_ms: 0,
            wall_ms: 1_700_000_000_000,
            dice,
            agenda: Agenda::default(),
            disk: Disk::default(),
            coordinator: None,
            fuse: None,
            net: Net::default(),
            workers,
            clients,
            made_jobs: 0,
            made_requests: 0,
            made_tokens: 0,
            oracle: Oracle::new(profile.settings),
            coverage: Coverage::default(),
            trail,
            events: 0,
            progress_ms: 0,
            done: false,
            profile,
        }
    }

    /// What has happened.
    #[must_use]
    pub fn coverage(&self) -> &Coverage {
        &self.coverage
    }

    /// How many events there were, and how long it took in the world's own time.
    #[must_use]
    pub fn length(&self) -> (u64, u64) {
        (self.events, self.now_ms)
    }

    /// The last events.
    #[must_use]
    pub fn trail(&self) -> &Trail {
        &self.trail
    }

    /// Whether things still go wrong.
    pub(super) fn faults_are_on(&self) -> bool {
        self.now_ms < self.profile.heal_ms
    }

    /// Notes what happens, for whoever has to understand it.
    pub(super) fn say(&mut self, line: impl FnOnce() -> String) {
        self.trail.say(self.now_ms, line);
    }

    /// The time as a coordinator's life sees it: its steady clock begins anywhere.
    pub(super) fn time(&self, offset_ms: u64) -> Now {
        Now { steady_ms: self.now_ms + offset_ms, wall_ms: self.wall_ms + self.now_ms }
    }
}
