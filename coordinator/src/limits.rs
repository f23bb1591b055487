//! Every bound the coordinator puts on what it is sent, each with its reason.

use std::{ops::RangeInclusive, time::Duration};

/// Bounds that clients and workers know too.
pub use longshore_proto::bounds::{
    FILE_BYTES, FILES, FILES_BYTES, KEY_BYTES, LABEL_BYTES, LABELS, LABELS_BYTES, LIST_ENTRIES, NAME_CHARS,
    NAMESPACE_CHARS, OUTPUTS, QUERY_BYTES, REASON_BYTES, REPLICAS, SECRET_BYTES, SECRETS_OF_CONTAINER,
    SECRETS_OF_CONTAINER_BYTES, SHARDS, SLOTS,
};

/// Most characters of what a worker says that keeps it from work. More is cut off: it is for people, and in every list of workers.
pub const TROUBLE_CHARS: usize = 512;

/// Most notes of a worker on how it runs things.
pub const NOTES: usize = 16;

/// Most characters of each.
pub const NOTE_CHARS: usize = 200;

/// Stages of one job: each is scanned when a job's views are made.
pub const STAGES: usize = 64;

/// Longest time between SIGTERM and SIGKILL, milliseconds: a slot is taken as long.
pub const STOP_GRACE_MS: u32 = 3_600_000;

/// Jobs after which one may be to run: with its record, of which a store's value has 4 KiB, each is kept.
pub const AFTER: usize = 8;

/// A priority, and its negative: what is further apart says no more.
pub const PRIORITY: i32 = 1_000;

/// Items of one job: indices stay exact everywhere, and the ledger takes one byte per item.
pub const ITEMS: u64 = 100_000_000;

/// Parts of a gather that are given as files: a directory takes so many in seconds, and programs that list it bear it. More come as
/// standard input.
pub const PART_FILES: u64 = 100_000;

/// Runs of neighbouring inputs of the same group, over all stages of a job: each takes some bytes of memory and of the batch that the
/// job is kept in. As many ranges of a tree, which take memory alone.
pub const GROUP_RUNS: u64 = 1_000_000;

/// Bytes of one encoded list: entries with the longest paths still fit.
pub const LIST_BYTES: u64 = 8 << 20;

/// Bytes of the list of a shard's files: read as a whole by coordinator and worker.
pub const DATA_LIST_BYTES: u64 = 64 << 20;

/// Bytes of command, entry point and environment together: half a frame to the shim, since placeholders expand.
pub const COMMAND_BYTES: usize = 96 * 1024;

/// Bytes of an outcome kept inside its record; longer lists of outputs go to a blob. A store's value has at most 4 KiB.
pub const RECORD_DETAIL_BYTES: usize = 3_072;

/// Containers and workers that may go away under an item where its stage says nothing of it: what happens by chance seldom happens
/// three times to the same item.
pub const LOSSES: u32 = 3;

/// Bytes that the stages of a job may take of its record. A store's value has at most 4 KiB; ids, a reason and times are there too.
pub const STAGES_BYTES: usize = 3_136;

/// Items of a stage that go before all others: more of them are no canary, and meanwhile nothing else is begun.
pub const CANARY: u32 = 1_000;

/// By how much memory may be multiplied after an attempt that met its limit, in hundredths: less would hardly ever be enough, more
/// is past any machine at once.
pub const GROWTH: RangeInclusive<u32> = 110..=10_000;

/// Rules about failures of one stage, of each kind: more are a mistake.
pub const FAULT_RULES: usize = 32;

/// Bytes of the end of standard error kept inside a record; the whole log is a blob beside it.
pub const STDERR_TAIL_BYTES: usize = 1_024;

/// Digests asked for in one message.
pub const DIGESTS: usize = 16_384;

/// Bytes of one part or answer: held in memory while a query runs.
pub const ANSWER_BYTES: usize = longshore_contract::bounds::ANSWER_BYTES as usize;

/// Bytes of all parts of one query together: a merge is sent no more.
pub const PARTS_BYTES: u64 = longshore_contract::bounds::PARTS_BYTES;

/// What one shard may count in a share of a service: all of a service together are exact in any language's numbers.
pub const WEIGHT: u64 = 1 << 32;

/// Items of a merge that keeps the best: they are held in memory, from each shard.
pub const TOP_ITEMS: u32 = 10_000;

/// Bytes of the path of a field in JSON.
pub const FIELD_BYTES: usize = 256;

/// How long the next piece of an answer may take to be read: whoever does not read does not hold a query's place and memory.
pub const ANSWER_SILENCE: Duration = Duration::from_secs(60);

/// Bytes a second that an answer is read with beyond that: who takes a piece a minute does not hold the rest for hours.
pub const ANSWER_PACE: u64 = 64 << 10;

/// Bytes of a large answer over HTTP: a smaller one is sent in one, its bytes copied together.
pub const SMALL_ANSWER_BYTES: u64 = 16 << 10;

/// Least memory for the bytes of all queries: one may have half of it.
pub const LEAST_QUERY_MEMORY: u64 = 256 << 20;

/// The part of the machine's memory for them, where nobody says how much.
pub const QUERY_MEMORY_SHARE: u64 = 8;

/// Longest deadline of a query.
pub const QUERY_DEADLINE: Duration = Duration::from_secs(3_600);

/// Requests waiting for their answer at once, workers' links aside: each may hold a message. Streams wait no more once they
/// have begun. So many of admins, so many of everybody else who has a token, so many of members: neither can shut out another.
pub const REQUESTS: usize = 1_024;

/// Of those, as many as one token may have: four have to come together to take all, and as many queries as may be under way fit.
pub const REQUESTS_OF_TOKEN: usize = 256;

/// Of those, as many as one member may have: the streams of its connection, so that whoever has one connection is never shed.
pub const REQUESTS_OF_MEMBER: usize = STREAMS as usize;

/// Workers joining at once, and as many renewing their certificates: each costs a signature and a commit. Their requests are read
/// whole before they count, so that whoever sends slowly holds nothing that others need.
pub const JOINS: usize = 64;

/// Time for the whole body of such a request, and then for its turn: a message as small as that comes at once.
pub const JOIN_TIME: Duration = Duration::from_secs(5);

/// Bytes of such a request: names, a secret and a signing request. Each connection of a stranger may hold one.
pub const JOIN_BYTES: usize = 16 << 10;

/// Downloads at once, of admins and this machine's workers, of everybody else who has a token, and of members: each has a thread,
/// of the 512 that wait for disks, for as long as its reader takes; more wait for their turn.
pub const DOWNLOADS: usize = 128;

/// Of those, as many as one token or member may have.
pub const DOWNLOADS_OF_ONE: usize = 32;

/// Downloads of one token or member that are open, with those that wait for their turn: each holds the digests it asked for.
pub const OPEN_DOWNLOADS_OF_ONE: usize = 2 * STREAMS as usize;

/// Time a download waits for its reader to take the next piece, which has a mebibyte at most: 18 KB/s are quick enough.
pub const DOWNLOAD_SILENCE: Duration = Duration::from_secs(60);

/// Queries under way at once, of all services: each holds its parts in memory. One service has half of those that are left.
pub const QUERIES: usize = 256;

/// Queries of one service that wait for their turn: with those that are under way, fewer than one token may have, so that
/// whoever asks a service that is full can still ask another.
pub const QUERIES_WAITING: usize = 64;

/// Longest time a query waits for its turn, and the share of its deadline: after that there would be too little of it left.
pub const QUERY_WAIT: Duration = Duration::from_secs(2);
/// See [`QUERY_WAIT`].
pub const QUERY_WAIT_SHARE: u32 = 4;

/// Connections open at once, through each port and each socket: strangers who fill a port do not shut another, nor the
/// socket. Never more than half of the descriptors this process may have, all together.
pub const CONNECTIONS: usize = 4_096;

/// Of those, what one token or one member may have, and never more than a quarter of what there may be: an asker behind a
/// gateway has one for each question under way, and nobody takes them all.
pub const CONNECTIONS_OF_ONE: usize = QUERIES;

/// How long a connection may take to end after somebody who was known on it is known no more: what is under way says why, and
/// whatever is not taken until then is dropped.
pub const LEAVING: Duration = Duration::from_secs(1);

/// Connections through which descriptors are handed over at once: each has a thread.
pub const DOOR_CONNECTIONS: usize = 64;

/// Time such a connection may be silent: it is made anew when it is needed.
pub const DOOR_SILENCE: Duration = Duration::from_secs(30);

/// Tickets for the door that were given out and not used.
pub const DOOR_TICKETS: usize = 1_024;

/// Time a ticket is good for: whoever asks for one is about to use it.
pub const DOOR_TICKET_TIME: Duration = Duration::from_secs(30);

/// Streams of one HTTP/2 connection.
pub const STREAMS: u32 = 512;

/// Streams of one HTTP/2 connection that were begun and given up before anybody looked at them: some waves of all that may be open.
/// Each holds its headers until then.
pub const RESETS: usize = 8 * STREAMS as usize;

/// Bytes of one HTTP/2 frame: uploads are made of them, and each is held whole.
pub const FRAME_BYTES: u32 = 256 << 10;

/// Bytes of the headers of a request.
pub const HEADER_BYTES: u32 = 16 * 1024;

/// Bytes of an HTTP/1.1 request that are held until its headers are whole: more than they may be, so that whoever sends a
/// little too much is told so.
pub const HEADER_BUFFER_BYTES: usize = 64 * 1024;

/// Time a client has to send the headers of a request, and to show who it is.
pub const HEADER_TIME: Duration = Duration::from_secs(10);

/// Time between two pieces of a request's body. Streams of workers may be silent for longer: they have leases.
pub const BODY_SILENCE: Duration = Duration::from_secs(30);

/// Time for the body of a query, beyond which it has to come with [`QUERY_BODY_PACE`].
pub const QUERY_BODY_GRACE: Duration = Duration::from_secs(30);

/// Bytes a second that the body of a query comes with at least: a slow line brings 3 MiB in three and a half minutes.
pub const QUERY_BODY_PACE: u64 = 16 << 10;

/// Free bytes below which new work is refused, so that running work can still be committed.
pub const FREE_BYTES: u64 = 128 << 20;

/// Free bytes below which even outputs of accepted work have to wait: the store needs room to commit.
pub const FREE_FOR_OUTPUTS_BYTES: u64 = 48 << 20;

/// Bytes of an upload between two looks at the room that is left.
pub const ROOM_LOOK_BYTES: u64 = 8 << 20;

/// Containers a replica of interface files may have, or requests a server is given at once.
pub const CONCURRENCY: u32 = 256;

/// Replicas of a whole service: they are placed together, and told to a worker in one message.
pub const SERVICE_REPLICAS: u32 = 4_096;

/// Bytes of the containers of all replicas of a service, as they are told to a worker in one message.
pub const SERVICE_BYTES: usize = 4 << 20;

/// How often watchers are told of changes at most.
pub const WATCH_PACE: Duration = Duration::from_millis(100);

/// How often jobs that changed are looked at for what happened to them, at most.
pub const OBSERVE_PACE: Duration = Duration::from_millis(200);

/// Jobs whose newest events are in memory: those of which nobody asks and to which nothing happens go first.
pub const DIARIES: usize = 1_024;

/// Events of a job that are in memory, at some hundred bytes each: what is older is no news.
pub const EVENTS: usize = 256;

/// Of those, failed attempts: a flood of them pushes out nothing else.
pub const EVENT_FAILURES: usize = 128;

/// Jobs whose logs are followed at once: each holds the pieces that a slow reader has not taken.
pub const FOLLOWED_JOBS: usize = 64;

/// Pieces of a job's logs that wait for slow readers: 128 KiB each at most.
pub const LOG_PIECES: usize = 64;

/// Paths of items in one request: each item's path is compared with all of them.
pub const ITEM_PATHS: usize = 1_024;

/// Namespaces beside the default one that have blobs: each room of blobs holds descriptors and has directories of its own.
pub const ROOMS: usize = 1_000;

/// Jobs whose namespaces are remembered: those that are given out or looked at about now.
pub const KNOWN_JOBS: usize = 1 << 14;

/// Jobs in one listing, the newest: one message holds them, and nobody reads more.
pub const LISTED_JOBS: usize = 1_000;

/// Tokens at once, expired ones too until they are forgotten: all are in memory, and listed in one message.
pub const TOKENS: usize = 10_000;

/// Members at once, revoked ones too: as many workers as one coordinator is made for, and more.
pub const MEMBERS: usize = 10_000;

/// Namespaces of one token: they are part of its record, and of its members'.
pub const TOKEN_NAMESPACES: usize = 16;

/// Longest life of a token that has an end: dates beyond are mistakes.
pub const TOKEN_TTL: Duration = Duration::from_secs(10 * 366 * 86_400);

/// Ids of tokens in one message.
pub const TOKEN_IDS: usize = 1_000;

/// How long a connection's next answer waits after a wrong token, and the longest it gets by doubling: long enough to make
/// guessing senseless, short enough for whoever has mistyped.
pub const WRONG_TOKEN_PAUSE: (Duration, Duration) = (Duration::from_secs(1), Duration::from_secs(8));

/// Requests of one connection that wait so. More are refused unseen.
pub const WRONG_TOKEN_WAITING: usize = 8;

/// How long a member's certificate is good unless told otherwise. It is made anew long before; a member is shut out by revoking
/// it, not by waiting.
pub const CERTIFICATES_FOR: Duration = Duration::from_secs(30 * 86_400);

/// Bytes of a message about tokens and members: most come from strangers, who may say little.
pub const MEMBERS_MESSAGE_BYTES: usize = 64 << 10;

/// Secrets of one namespace: more are a mistake, as all are listed in one message.
pub const SECRETS: usize = 256;

/// Bytes of all values of one namespace: they are in memory, sealed, and a worker may be told all of them in one message.
pub const SECRETS_BYTES: usize = 1 << 20;

/// Names of secrets of one namespace that there ever were: of those removed the version is kept.
pub const SECRET_NAMES: usize = 4_096;

/// Bytes of the secrets of all replicas that a worker is told in one message, beside their containers.
pub const SECRETS_TOLD_BYTES: usize = 2 << 20;

/// Bytes of the name of a variable that a secret is given as: more than any program reads.
pub const SECRET_VARIABLE_BYTES: usize = 255;

/// Bytes of a message about secrets.
pub const SECRETS_MESSAGE_BYTES: usize = SECRET_BYTES + 4_096;

/// Bytes of a file of the audit, and how many are kept: half a gigabyte of history of each kind.
pub const AUDIT_BYTES: u64 = 64 << 20;
/// See [`AUDIT_BYTES`].
pub const AUDIT_FILES: usize = 8;

/// Bytes of a word in the audit that somebody else has chosen: no name or id is longer, and nobody turns the files over with one
/// long word.
pub const AUDIT_WORD_BYTES: usize = 256;

/// Callers, methods and reasons of denials that are told apart within a second, and reads that are: an hour's flood of them, at
/// half a kilobyte each, is a third of the history that is kept.
pub const AUDIT_TOLD_APART: usize = 100;

/// Lines that wait to be written to the audit: more than requests under way.
pub const AUDIT_WAITING: usize = 4_096;

/// Resources, labels and networks that one worker offers, each: every kind of worker is compared with everything that is needed.
pub const OFFERED: usize = 64;

/// Bytes of the name of one, or of a label's value.
pub const OFFERED_BYTES: usize = 128;

/// Resources, and as many constraints, that a container names: they are kept with its job and compared with every kind of worker.
pub const NEEDED: usize = 16;
