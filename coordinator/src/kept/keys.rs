//! The keys under which everything is kept, and back.
//!
//! | key | value |
//! |---|---|
//! | `a` token | `Token` |
//! | `d` worker | `Drain` |
//! | `c` | `Cluster`: whose authority this is, see [`super::cluster`] |
//! | `f` job stage index | `Outcome` of an item that failed |
//! | `g` job stage number | `Flow`: groups of inputs, or items that are none any more |
//! | `j` job | `Job` |
//! | `k` job | `Tombstone` |
//! | `l` whose digest | `LargeBlob`: a file that must be there, see [`super::inventory`] |
//! | `m` worker | `Member` |
//! | `o` job stage index | `Bundle` of successes, the first of which is this item's, see [`super::outcomes`] |
//! | `i` job stage | `Image` |
//! | `p` whose number | `Pack`: a file that must be there |
//! | `s` whose name | `Service` |
//! | `t` job stage index | `Trouble` |
//! | `v` | the format of all this: 4 bytes |
//! | `w` worker | `Worker` |
//! | `x` whose name | `Secret` |
//! | `y` whose name number | a part of a secret's sealed bytes |
//!
//! Messages are those of `longshore.kept.v1`. Ids are 16 bytes. Numbers are big-endian, so that entries of one job and stage
//! stand together, in order. `whose` is the namespace and `/`, which is in no name; nothing for the default one, as before there
//! were others. A program of before does not understand a key with it, and so does not open what it would mix up.

use longshore_core::{ItemKey, JobId, Namespace, SecretName, ServiceName, TokenId, WorkerId};

use super::{
    convert::namespace_from_kept,
    error::{LoadError, Malformed},
};

/// Key of the epoch in formats 1 and 2. Now the store keeps it itself.
pub const EPOCH: &[u8] = b"e";

/// Key of the format.
pub const FORMAT_KEY: &[u8] = b"v";

/// Key of the cluster.
pub const CLUSTER: &[u8] = b"c";

/// First byte of a job's key.
pub const JOB: u8 = b'j';

/// First byte of the key of a bundle of successes.
pub const BUNDLE: u8 = b'o';

/// First byte of a failure's key.
pub const FAILURE: u8 = b'f';

/// First byte of the key of what flows into stages that gather.
pub const FLOW: u8 = b'g';

/// First byte of the key of a stage's image.
pub const IMAGE: u8 = b'i';

/// First byte of a trouble's key.
pub const TROUBLE: u8 = b't';

/// First byte of the key of a large blob's file.
pub const LARGE_BLOB: u8 = b'l';

/// First byte of the key of a pack of small blobs.
pub const PACK: u8 = b'p';

/// First byte of a service's key.
pub const SERVICE: u8 = b's';

/// Between a namespace and what is named in it: in no name of either.
const BEHIND_NAMESPACE: u8 = b'/';

/// First byte of a worker's key.
pub const WORKER: u8 = b'w';

/// First byte of the key of a removed job's tombstone.
pub const TOMBSTONE: u8 = b'k';

/// First byte of the key of a worker's drain.
pub const DRAIN: u8 = b'd';

/// First byte of a token's key.
pub const TOKEN: u8 = b'a';

/// First byte of a member's key.
pub const MEMBER: u8 = b'm';

/// First byte of a secret's key.
pub const SECRET: u8 = b'x';

/// First byte of the key of a part of a secret's sealed bytes.
pub const SECRET_PART: u8 = b'y';

/// The key of an item's entry.
pub fn item_key(kind: u8, item: &ItemKey) -> Vec<u8> {
    let mut key = stage_prefix(kind, item.job, item.stage);
    key.extend_from_slice(&item.index.to_be_bytes());
    key
}

/// What the keys of all entries of a stage begin with.
pub fn stage_prefix(kind: u8, job: JobId, stage: u16) -> Vec<u8> {
    let mut key = Vec::with_capacity(27);
    key.push(kind);
    key.extend_from_slice(&job.0);
    key.extend_from_slice(&stage.to_be_bytes());
    key
}

/// The key of a job.
pub fn job_key(id: JobId) -> Vec<u8> {
    [&[JOB], id.0.as_slice()].concat()
}

/// The key of a removed job's tombstone.
pub fn tombstone_key(id: JobId) -> Vec<u8> {
    [&[TOMBSTONE], id.0.as_slice()].concat()
}

/// The key of a worker's drain.
pub fn drain_key(id: WorkerId) -> Vec<u8> {
    [&[DRAIN], id.0.as_slice()].concat()
}

/// The key of a service.
pub fn service_key(name: &ServiceName) -> Vec<u8> {
    key_of(SERVICE, &name.namespace, name.name.as_bytes())
}

/// The key of a secret.
pub fn secret_key(name: &SecretName) -> Vec<u8> {
    key_of(SECRET, &name.namespace, name.name.as_bytes())
}

/// The key of a part of a secret's sealed bytes.
pub fn secret_part_key(name: &SecretName, part: u16) -> Vec<u8> {
    [key_of(SECRET_PART, &name.namespace, name.name.as_bytes()), part.to_be_bytes().to_vec()].concat()
}

/// The key of something that a namespace has one of for each name.
pub fn key_of(kind: u8, namespace: &Namespace, name: &[u8]) -> Vec<u8> {
    if namespace.is_default() {
        return [&[kind], name].concat();
    }
    [&[kind], namespace.name().as_bytes(), &[BEHIND_NAMESPACE], name].concat()
}

/// Whose a thing is, whose key has this before its name, and the first byte of all.
pub fn namespace_before(key: &[u8], name_at: usize) -> Result<Namespace, LoadError> {
    let Some(whose) = key.get(1..name_at).filter(|whose| !whose.is_empty()) else {
        return Ok(Namespace::default());
    };
    let name = whose.strip_suffix(&[BEHIND_NAMESPACE]).and_then(|name| std::str::from_utf8(name).ok());
    let named = namespace_from_kept(name.filter(|name| !name.is_empty()).ok_or_else(|| unreadable(key))?);
    named.map_err(|why| LoadError::malformed(key, why))
}

/// The key of a worker.
pub fn worker_key(id: WorkerId) -> Vec<u8> {
    [&[WORKER], id.0.as_slice()].concat()
}

/// The key of a token.
pub fn token_key(id: TokenId) -> Vec<u8> {
    [&[TOKEN], id.0.as_slice()].concat()
}

/// The key of a member.
pub fn member_key(id: WorkerId) -> Vec<u8> {
    [&[MEMBER], id.0.as_slice()].concat()
}

/// The item that a key names.
pub fn item_of(key: &[u8]) -> Result<ItemKey, LoadError> {
    let split = || {
        let (job, rest) = key.get(1..)?.split_first_chunk()?;
        let (stage, index) = rest.split_first_chunk()?;
        let (job, stage) = (JobId(*job), u16::from_be_bytes(*stage));
        Some(ItemKey { job, stage, index: u64::from_be_bytes(index.try_into().ok()?) })
    };
    split().ok_or_else(|| unreadable(key))
}

/// The stage of a job that a key names.
pub fn stage_of(key: &[u8]) -> Result<(JobId, u16), LoadError> {
    let split = || {
        let (job, stage) = key.get(1..)?.split_first_chunk()?;
        Some((JobId(*job), u16::from_be_bytes(stage.try_into().ok()?)))
    };
    split().ok_or_else(|| unreadable(key))
}

/// The job that a key names.
pub fn job_of(key: &[u8]) -> Result<JobId, LoadError> {
    sixteen(key).map(JobId)
}

/// The worker, or the member, that a key names.
pub fn worker_of(key: &[u8]) -> Result<WorkerId, LoadError> {
    sixteen(key).map(WorkerId)
}

/// The token that a key names.
pub fn token_of(key: &[u8]) -> Result<TokenId, LoadError> {
    key.get(1..).and_then(|id| id.try_into().ok()).map(TokenId).ok_or_else(|| unreadable(key))
}

/// The service that a key names.
pub fn service_of(key: &[u8]) -> Result<ServiceName, LoadError> {
    let (namespace, name) = name_of(key)?;
    Ok(ServiceName { namespace, name })
}

/// The secret that a key names.
pub fn secret_of(key: &[u8]) -> Result<SecretName, LoadError> {
    let (namespace, name) = name_of(key)?;
    Ok(SecretName { namespace, name })
}

fn name_of(key: &[u8]) -> Result<(Namespace, String), LoadError> {
    let name_at = key.iter().rposition(|byte| *byte == BEHIND_NAMESPACE).map_or(1, |at| at + 1);
    let namespace = namespace_before(key, name_at)?;
    let name = key.get(name_at..).and_then(|name| std::str::from_utf8(name).ok());
    Ok((namespace, name.ok_or_else(|| unreadable(key))?.to_owned()))
}

fn sixteen(key: &[u8]) -> Result<[u8; 16], LoadError> {
    key.get(1..).and_then(|id| id.try_into().ok()).ok_or_else(|| unreadable(key))
}

fn unreadable(key: &[u8]) -> LoadError {
    LoadError::malformed(key, Malformed::Key)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ITEM: ItemKey = ItemKey { job: JobId([7; 16]), stage: 258, index: 0x0102_0304_0506_0708 };

    #[test]
    fn what_a_key_was_made_of_is_read_from_it() {
        let (job, worker) = (JobId([1; 16]), WorkerId([2; 16]));
        assert_eq!(item_of(&item_key(FAILURE, &ITEM)).unwrap(), ITEM);
        assert_eq!(job_of(&job_key(job)).unwrap(), job);
        assert_eq!(job_of(&tombstone_key(job)).unwrap(), job);
        assert_eq!(worker_of(&drain_key(worker)).unwrap(), worker);
        assert_eq!(stage_of(&stage_prefix(IMAGE, job, 258)).unwrap(), (job, 258));
        assert_eq!(worker_of(&worker_key(worker)).unwrap(), worker);
        assert_eq!(worker_of(&member_key(worker)).unwrap(), worker);
        assert_eq!(token_of(&token_key(TokenId([3; 5]))).unwrap(), TokenId([3; 5]));
        let search = ServiceName::in_default("search");
        assert_eq!(service_key(&search), b"ssearch", "as ever");
        let others = ServiceName { namespace: Namespace::named("vision"), ..search.clone() };
        assert_eq!(service_key(&others), b"svision/search");
        for name in [search, others] {
            assert_eq!(service_of(&service_key(&name)).unwrap(), name);
        }
        let secret = SecretName { namespace: Namespace::named("vision"), name: "db.key".to_owned() };
        assert_eq!(secret_of(&secret_key(&secret)).unwrap(), secret);
        assert_eq!(secret_part_key(&secret, 258), b"yvision/db.key\x01\x02");
    }

    #[test]
    fn keys_of_a_stage_stand_together_in_order_of_their_items() {
        let key = |stage, index| item_key(TROUBLE, &ItemKey { stage, index, ..ITEM });
        let mut keys = vec![key(1, 256), key(0, 3), key(1, 1), key(256, 0), key(1, 255), key(0, 300)];
        keys.sort();
        let wanted = [(0, 3), (0, 300), (1, 1), (1, 255), (1, 256), (256, 0)];
        assert_eq!(keys, wanted.map(|(stage, index)| key(stage, index)));
        let of_stage = stage_prefix(TROUBLE, ITEM.job, 1);
        assert_eq!(keys.iter().filter(|key| key.starts_with(&of_stage)).count(), 3);
    }

    #[test]
    fn a_key_that_names_nothing_is_said_to_be_wrong() {
        let key = item_key(FAILURE, &ITEM);
        assert!(item_of(&key[..20]).is_err() && item_of(b"f").is_err() && item_of(b"").is_err());
        assert!(stage_of(&key).is_err() && stage_of(b"i").is_err());
        assert!(job_of(&key).is_err() && worker_of(&key[..16]).is_err());
        assert!(token_of(b"a1234").is_err() && token_of(&key).is_err());
        let error = service_of(b"s\xff").unwrap_err();
        assert!(error.to_string().contains(r"s\xff"), "{error}");
        for key in [&b"s/search"[..], b"s../../etc/search", b"sVision/search", b"s\xff/search"] {
            assert!(service_of(key).is_err(), "{}", key.escape_ascii());
        }
    }
}
