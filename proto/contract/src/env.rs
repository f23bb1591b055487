//! The variables that an image finds in its environment.
//!
//! A process of interface `files` finds those of its run; a server of interface `http` finds those that stay the same
//! for as long as it is up, and hears the rest with each request ([`header`](crate::header)).

/// What the names of our variables begin with: a container's own may not.
pub const PREFIX: &str = "LONGSHORE_";

/// The input: a file, or the directory of all parts.
pub const INPUT: &str = "LONGSHORE_INPUT";

/// The input under the name of the paper's own example (Burns & Oppenheimer, section 5.2).
pub const WORK_ITEM_FILE: &str = "WORK_ITEM_FILE";

/// Where to leave the output: a file.
pub const OUTPUT: &str = "LONGSHORE_OUTPUT";

/// The directory in which every file is an output.
pub const OUTDIR: &str = "LONGSHORE_OUTDIR";

/// The item's name.
pub const NAME: &str = "LONGSHORE_NAME";

/// The item's number in its stage, from 0; for a leaf its shard.
pub const INDEX: &str = "LONGSHORE_INDEX";

/// Which try this is, from 1.
pub const ATTEMPT: &str = "LONGSHORE_ATTEMPT";

/// The job's or service's name.
pub const JOB: &str = "LONGSHORE_JOB";

/// The shard of a leaf, from 0.
pub const SHARD: &str = "LONGSHORE_SHARD";

/// How many shards a service has.
pub const SHARDS: &str = "LONGSHORE_SHARDS";

/// The directory with a shard's data.
pub const DATA: &str = "LONGSHORE_DATA";

/// The file that describes the parts.
pub const MANIFEST: &str = "LONGSHORE_MANIFEST";

/// The directory with the files that were sent along.
pub const FILES: &str = "LONGSHORE_FILES";

/// The directory with the secrets that are given as files.
pub const SECRETS: &str = "LONGSHORE_SECRETS";

/// Where a server listens: a unix socket, which it makes. Preferred to [`PORT`].
pub const SOCKET: &str = "LONGSHORE_SOCKET";

/// Where a server listens that does not listen on the socket: a TCP port of the loopback address.
pub const PORT: &str = "PORT";

/// Whether the variable is one that Longshore sets whatever the container's role, so that no container may have its own.
///
/// [`PORT`] is not among them: a container of interface `files` may have one.
#[must_use]
pub fn is_reserved(name: &str) -> bool {
    name.starts_with(PREFIX) || name == WORK_ITEM_FILE
}
