//! The headers of requests to an image's server, of the parts in them, and of answers to queries over HTTP.
//!
//! Names are in lower case, as HTTP/2 wants them and HTTP/1.1 allows.

/// How long the answer is waited for, in milliseconds from when the request was sent. Absent: as long as it takes.
pub const TIMEOUT_MS: &str = "longshore-timeout-ms";

/// Of a request to a leaf or merge: how many shards the service has. Of a request to a gather stage: how many parts there
/// are. A merge may get fewer parts than that, where the service takes partial answers.
pub const SHARDS: &str = "longshore-shards";

/// The item's number in its stage, from 0; for a leaf its shard. Of a part: its place among the parts, from 0.
pub const INDEX: &str = "longshore-index";

/// Which try this is, from 1.
pub const ATTEMPT: &str = "longshore-attempt";

/// The item's name; of a part the path it has come from. UTF-8, as it is; one that no header can carry is left out.
pub const NAME: &str = "longshore-name";

/// The job's or service's name.
pub const JOB: &str = "longshore-job";

/// Of a part: the shard it is the answer of, from 0; for a gather stage its place among the parts.
pub const SHARD: &str = "longshore-shard";

/// Of an answer to a query: how complete it is, `answered/shards`. Of a leaf's or merge's answer: the same, in whatever it counts;
/// one with fewer than all, or with status 206, is partial.
pub const COVERAGE: &str = "longshore-coverage";

/// Of an answer to a query: the share of the service that is in it, by the weights of its shards, from 0 to 1.
pub const COVERED: &str = "longshore-covered";

/// Of an answer to a query: the missing shards, each with its reason. Of a leaf's or merge's partial answer: what is missing, in
/// words.
pub const MISSING: &str = "longshore-missing";

/// Of a request to a merge: its parts come as leaves answer, so it may be answered before all are there. Absent: all are there.
pub const STREAMED: &str = "longshore-streamed";

/// Of an answer of a merge to such a request: how many of the parts it has read, in the order in which they came. Absent: all.
pub const PARTS: &str = "longshore-parts";
