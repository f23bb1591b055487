//! Bounds that both ends of the wire must know: who makes a message keeps them, who takes it checks them.
//!
//! What only the coordinator has to know is in its `limits.rs`.

/// Length in bytes of a blob's digest (BLAKE3).
pub const DIGEST_BYTES: usize = 32;

/// Blobs up to this size (bytes) travel inside other messages and live in packs; larger ones are streamed.
pub const SMALL_BLOB_BYTES: usize = 64 * 1024;

/// Payload bytes of one chunk of a streamed blob, query or answer.
pub const CHUNK_BYTES: usize = 256 * 1024;

/// Largest gRPC message either side accepts, in bytes.
pub const MAX_MESSAGE_BYTES: usize = 4 * 1024 * 1024;

/// Bytes of the path of an item, an output or a file of a shard, below its root: `PATH_MAX` is 4,096, and clients and
/// workers put their own directories before it.
pub const PATH_BYTES: usize = 1_024;

/// Bytes of a path's component: `NAME_MAX` of every file system in use.
pub const COMPONENT_BYTES: usize = 255;

/// Characters of names of jobs, stages and services: those of a DNS label.
pub const NAME_CHARS: usize = 63;

/// Characters of the name of a namespace: those of a DNS label.
pub const NAMESPACE_CHARS: usize = 63;

/// Bytes of an idempotency key.
pub const KEY_BYTES: usize = 128;

/// Bytes of a reason given for a cancellation: part of the job's record.
pub const REASON_BYTES: usize = 256;

/// Entries of one list of inputs: a list is decoded as a whole when one of its items is dispatched.
pub const LIST_ENTRIES: u64 = 4_096;

/// Outputs of one item: they are named in one message.
pub const OUTPUTS: usize = 10_000;

/// Most losses of containers and workers that a stage can let an item bear.
pub const LOSSES: u32 = 1_000;

/// Fields of items that one command names: as many as anybody types.
pub const FIELDS: usize = 64;

/// Files that are sent along with a container: scripts and settings. What is larger or more is an image, or data.
pub const FILES: usize = 64;

/// Bytes of one of them.
pub const FILE_BYTES: u64 = 1 << 20;

/// Bytes of all of a container together: they are written anew for each container that is started.
pub const FILES_BYTES: u64 = 4 << 20;

/// Shards of a service: the fan-out of one query.
pub const SHARDS: u32 = 1_024;

/// Replicas of a shard, or of a service's merge.
pub const REPLICAS: u32 = 64;

/// Bytes of a query: one gRPC message.
pub const QUERY_BYTES: usize = 3 << 20;

/// Slots of one worker.
pub const SLOTS: u32 = 4_096;

/// Labels of a worker: they are part of its token's record.
pub const LABELS: usize = 32;

/// Bytes of a label's name, and of its value.
pub const LABEL_BYTES: usize = 63;

/// Bytes of all labels of a worker together, names and values: a record has at most 4 KiB.
pub const LABELS_BYTES: usize = 2_048;

/// Bytes of a secret's value: as much as a small blob, and more than any key or certificate.
pub const SECRET_BYTES: usize = 64 * 1024;

/// Secrets of one container.
pub const SECRETS_OF_CONTAINER: usize = 32;

/// Bytes of all values that one container is given: they go to the shim in one frame, beside its command.
pub const SECRETS_OF_CONTAINER_BYTES: usize = 96 * 1024;
