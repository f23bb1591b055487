//! What one seed is like: how big its world is, and which faults it has. Each seed has its own few, because a world with
//! every fault at once never gets far enough to show what two of them do together.

use longshore_core::Settings;

use super::{dice::Dice, fault::Fault};

/// The shape of one world.
#[derive(Debug, Clone)]
pub struct Profile {
    /// Terms of the core.
    pub settings: Settings,
    /// Workers.
    pub workers: u64,
    /// Clients.
    pub clients: u64,
    /// What each client does.
    pub wishes: u64,
    /// Faults that happen.
    pub faults: Vec<Fault>,
    /// Average time between faults, milliseconds.
    pub fault_every_ms: u64,
    /// When faults end, milliseconds.
    pub heal_ms: u64,
    /// Slowest message, milliseconds.
    pub net_ms: u64,
    /// Slowest sync, milliseconds.
    pub sync_ms: u64,
    /// Longest run of an item, milliseconds.
    pub run_ms: u64,
    /// Items of a hundred that do not just succeed.
    pub nasty: u64,
    /// Attempts of a hundred that a worker gives back unasked.
    pub returned: u64,
    /// Silence after which an end of a link closes it, milliseconds.
    pub keepalive_ms: u64,
    /// What an older link of a worker still says arrives after the hello on a newer one.
    pub stale: bool,
    /// Workers of a hundred that are of a version without counted heartbeats.
    pub old: u64,
    /// One worker does not outlive the faults.
    pub forsakes: bool,
    /// Some workers may not be given everybody's work.
    pub restricts: bool,
    /// Clients pause, change and remove jobs, drain workers, and want jobs to run after others.
    pub controls: bool,
    /// Outboxes that go into one batch.
    pub page_outboxes: usize,
    /// Ticks beyond those the core asks for, milliseconds; 0 means none.
    pub tick_ms: u64,
}

impl Profile {
    /// The shape a seed has.
    #[must_use]
    pub fn of(seed: u64) -> Self {
        let mut dice = Dice::of(&[seed, 1]);
        let lease_ms = dice.between(1_000, 8_000);
        let settings = Settings {
            lease_ms,
            reunion_ms: dice.between(200, 3_000),
            mishaps: u32::try_from(dice.between(2, 6)).unwrap_or(2),
            mishap_pause_ms: (dice.between(10, 200), 1_000),
            // Of dice of its own, as below.
            slice: Dice::of(&[seed, 7]).between(1, 4),
        };
        let kinds = dice.between(0, 6);
        let faults = (0..kinds).filter_map(|_| dice.pick(Fault::ALL).copied()).collect();
        let workers = dice.between(1, 4);
        Self {
            settings,
            workers,
            stale: dice.chance(50),
            old: *dice.pick(&[0, 0, 30]).unwrap_or(&0),
            forsakes: workers > 1 && dice.chance(30),
            // Of dice of its own, so that what was found by seeds of before is found by them still.
            restricts: Dice::of(&[seed, 5]).chance(50),
            controls: Dice::of(&[seed, 6]).chance(50),
            clients: dice.between(1, 3),
            wishes: dice.between(2, 7),
            faults,
            fault_every_ms: dice.between(200, 3_000),
            heal_ms: dice.between(4_000, 20_000),
            // An answer has to come back, and be told of, well within a lease.
            net_ms: (*dice.pick(&[1, 5, 50, 400]).unwrap_or(&1)).min(lease_ms / 8),
            sync_ms: *dice.pick(&[1, 5, 30, 200]).unwrap_or(&1),
            run_ms: *dice.pick(&[5, 60, 600, 3_000]).unwrap_or(&5),
            nasty: *dice.pick(&[0, 10, 40]).unwrap_or(&0),
            returned: *dice.pick(&[0, 0, 5]).unwrap_or(&0),
            keepalive_ms: dice.between(lease_ms / 2, lease_ms * 2),
            page_outboxes: *dice.pick(&[1, 2, 8, 1_000]).unwrap_or(&1_000),
            tick_ms: *dice.pick(&[0, 100, 400]).unwrap_or(&0),
        }
    }
}
