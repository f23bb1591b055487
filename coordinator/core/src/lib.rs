//! The pure core of the coordinator.
//!
//! The core is told what happened and when ([`Input`], [`Now`]); it answers with an [`Outbox`]: facts to keep, orders
//! to give, replies to requests, and notices of what changed. It does no IO and knows no clock, task or randomness; its
//! manifest is the proof.
//!
//! **The law.**
//! 1. Only a [`Record`] changes the [`Ledger`]. A record is the new value of one entity, so a plain ordered key-value
//!    map keeps it, and loading is reading.
//! 2. Records are durable before the replies and orders of the same outbox, or of a later one, leave.
//! 3. Loading what was kept gives the same ledger as having lived through it.
//!
//! What is not a record is soft: which worker runs what, pauses before another try, where replicas are. It is rebuilt
//! from what workers report when they connect.
//!
//! **Exactly one commit.** An attempt may run more than once, anywhere. The first valid completion of an item becomes
//! its outcome, in one record; every other one is settled without effect.
//!
//! **The parts.** What the core knows is a few parts with fields of their own: the ledger, the fleet (workers and who holds
//! which attempt), the queues (what can be given out, and whose turn it is), the placement of replicas. Commands are functions
//! over them, one a file in the folder of what they are about; `Core::step` calls one for each input, then gives out what can
//! be given out and places what is to be placed.

mod attempts;
mod chores;
mod core;
mod explain;
mod fault;
mod fit;
mod ids;
mod input;
mod invariants;
mod jobs;
mod ledger;
mod members;
mod outbox;
mod record;
mod schedule;
mod secrets;
mod services;
mod settings;
mod stages;
mod state;
mod tick;
mod view;
mod workers;

pub use crate::{
    attempts::{Losses, LostOn},
    core::Core,
    explain::{Explanation, Hindered, Hurdle, Reason, Why},
    fault::{Blame, Fault, FaultClass, FaultPolicy, FaultRule},
    fit::{
        Bound, Ceilings, Constraint, Full, Growth, Lack, Misfit, Needs, NoConstraint, Offer, Usage, User, could, fit,
        has_room,
    },
    ids::{AttemptId, Digest, Incarnation, ItemKey, JobId, Namespace, Now, RequestId, WorkerId},
    input::{End, Finished, Held, Input, ReplicaPhase, ReplicaStatus},
    invariants::Violation,
    jobs::{
        Breaker, CANDIDATES, Change, Control, Cut, Differs, Going, Halt, HaltAt, Job, JobSpec, JobState, Meaning,
        Meant, Only, Pause, PausedBy, Retried,
    },
    ledger::Ledger,
    members::{
        Applicant, Joining, MemberRecord, MembersInput, TokenId, TokenKind, TokenRecord, TokenRole, TokenTerms,
        TokensOf,
    },
    outbox::{Assignment, Notice, Order, Outbox, Refusal, Reply},
    record::{
        DrainRecord, GivenUp, GroupsRecord, ImageRecord, ItemsGone, JobRecord, OutcomeRecord, Record, ServiceRecord,
        TombstoneRecord, TroubleRecord, WithdrawnRecord, WorkerRecord,
    },
    secrets::{Sealed, SecretName, SecretRecord},
    services::{ReplicaKey, Role, ServiceName, ServicePlan},
    settings::Settings,
    stages::{ItemState, Require, Run, Source, Stage, StageKind, StageSpec},
    view::{AtWork, Gathered, JobView, NoImage, ReplicaView, ServiceView, StageView, WorkerView},
    workers::Clientele,
};
