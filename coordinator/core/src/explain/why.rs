//! What an explanation is made of.

use crate::{
    fit::{Full, Lack},
    ids::{JobId, WorkerId},
    jobs::Cut,
    record::JobRecord,
};

/// Why what of a job does not run does not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Explanation {
    /// The job, as kept.
    pub record: JobRecord,
    /// Items that run, as far as is known.
    pub running: u64,
    /// Everything else that has not ended, in groups: what has to be mended first comes first. At most 64.
    pub why: Vec<Why>,
    /// Groups that are not told.
    pub left_out: u64,
}

/// Items that do not run, all for the same reason.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Why {
    /// Of this stage; `None`: of all of them.
    pub stage: Option<u16>,
    /// How many there are by now; of a gather's that is not known yet, its groups.
    pub items: u64,
    /// The position of one of them in its stage, where one was found among few.
    pub example: Option<u64>,
    /// The reason.
    pub reason: Reason,
    /// Where it depends on workers: what is in the way of each of those that are here, those nearest to taking any first. At most 8.
    pub workers: Vec<Hindered>,
}

/// Why items do not run. Times are unix milliseconds, stages are counted from 0.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reason {
    /// The job has ended.
    Ended,
    /// It is going to, and gives out nothing more.
    Cut(Cut),
    /// The job is paused.
    Paused,
    /// The job is to run after others.
    After(Vec<JobId>),
    /// Workers that were here before the coordinator's start are waited for.
    Reunion {
        /// Until then.
        until_ms: u64,
    },
    /// No worker is here that may be given work of this namespace.
    NoWorkers,
    /// What it needs no worker that is here has.
    NoneFits,
    /// Those that could run it cannot be reached.
    NoneReached,
    /// Those that could run it take nothing, for a reason of theirs.
    NoneAble,
    /// Those that could run it are drained.
    AllDraining,
    /// Those that could run it cannot get its image.
    NoImage {
        /// The first is tried again then.
        until_ms: u64,
    },
    /// Those that could run it are kept for items that are to run alone.
    AllKept,
    /// Those that could run it have no room for it beside what they run.
    NoRoom,
    /// All slots of those that could run it are taken.
    NoSlots,
    /// The same, and the next that is free is for jobs of a higher priority.
    Priority {
        /// One of them, if it is of the same namespace.
        job: Option<JobId>,
        /// Its priority.
        priority: i32,
    },
    /// The same, and the next that is free is for jobs that have fewer.
    Turn {
        /// How many such jobs were found.
        jobs: u64,
    },
    /// As many of the stage are under way as may be.
    MaxParallel {
        /// So many.
        most: u32,
    },
    /// Nothing but its turn: it is being given out.
    Nothing,
    /// Workers have gone down under them again and again: each waits for one that runs nothing else.
    Alone,
    /// They wait a while for others than those on whom they failed.
    Elsewhere {
        /// The first waits for anybody then.
        until_ms: u64,
    },
    /// They have failed, and wait for their next try.
    Pause {
        /// The first of them is tried then.
        first_ms: u64,
        /// The last of them then.
        last_ms: u64,
    },
    /// So many have failed and wait for their next try that no others are begun.
    Crowded {
        /// So many.
        pausing: u64,
    },
    /// The first items of the stage have to succeed before others are begun.
    Canary {
        /// So many.
        first: u32,
    },
    /// A retry has not come to them.
    PutBack,
    /// They were given to workers, and wait there behind others.
    Ahead,
    /// What they are made of is not there.
    Stage {
        /// Of this stage not all items have ended.
        stage: u16,
        /// So many have not, as far as they are there.
        left: u64,
    },
    /// Too much of what they gather has failed.
    Short,
}

/// Workers that something hinders alike.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hindered {
    /// What.
    pub by: Hurdle,
    /// How many workers.
    pub count: u64,
    /// Slots of all of them.
    pub slots: u64,
    /// Some of them, with their names: at most 3.
    pub some: Vec<(WorkerId, String)>,
}

/// What is in the way of a worker: the first of these. The further down, the nearer it is to taking an item.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hurdle {
    /// It could never run it.
    Lack(Lack),
    /// It cannot be reached.
    Away,
    /// It takes nothing, for a reason of its own.
    Unable,
    /// It is drained.
    Draining,
    /// It could not get the image.
    NoImage {
        /// It is left out until then, unix milliseconds.
        until_ms: u64,
    },
    /// It is kept for an item that is to run alone there.
    Kept,
    /// They have failed there.
    Failed,
    /// It has no room for them beside what it runs.
    Room(Full),
    /// Its slots are taken.
    Slots,
    /// Nothing.
    Nothing,
}

impl Hurdle {
    /// How near the worker is to taking an item.
    pub(crate) fn nearness(&self) -> u8 {
        match self {
            Self::Lack(_) => 0,
            Self::Away => 1,
            Self::Unable => 2,
            Self::Draining => 3,
            Self::NoImage { .. } => 4,
            Self::Kept => 5,
            Self::Failed => 6,
            Self::Room(_) => 7,
            Self::Slots => 8,
            Self::Nothing => 9,
        }
    }
}

impl Reason {
    /// What has to be mended first comes first.
    pub(crate) fn rank(&self) -> u8 {
        match self {
            Self::Ended | Self::Cut(_) | Self::Paused | Self::After(_) | Self::Reunion { .. } => 0,
            Self::NoWorkers => 1,
            Self::NoneFits => 2,
            Self::NoImage { .. } => 3,
            Self::NoneAble => 4,
            Self::NoneReached => 5,
            Self::AllDraining => 6,
            Self::Crowded { .. } => 7,
            Self::Canary { .. } => 8,
            Self::Alone | Self::AllKept => 9,
            Self::NoRoom => 10,
            Self::Priority { .. } => 11,
            Self::Turn { .. } => 12,
            Self::NoSlots => 13,
            Self::MaxParallel { .. } => 14,
            Self::Elsewhere { .. } => 15,
            Self::Pause { .. } => 16,
            Self::PutBack => 17,
            Self::Nothing => 18,
            Self::Ahead => 19,
            Self::Short => 20,
            Self::Stage { .. } => 21,
        }
    }
}
