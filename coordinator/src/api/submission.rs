//! A submission, checked before the core hears of it: everything it names is there, and makes sense.

use longshore_core::{JobSpec, Meaning, Run, StageKind};
use longshore_proto::{Digest, digest::NoDigest, v1};

use super::{files, groups::Grouping, meaning, tree, validate};
use crate::{
    error::Error,
    kept::{messages::Messages, records},
    limits,
};

/// A submission that was checked and is kept.
pub struct Checked {
    pub key: String,
    pub spec: JobSpec,
    pub inputs: u64,
    /// Which groups its inputs are of, for each stage that gathers by groups.
    pub groups: Vec<(u16, Vec<Run>)>,
    pub detail: Digest,
    pub meaning: Meaning,
    /// Names of all its stages, levels of trees too.
    pub stages: Vec<String>,
}

/// Everything a submission names is in the room of whoever submits it, and makes sense.
pub fn check(room: &Messages, submission: &v1::SubmitRequest) -> Result<Checked, Error> {
    if submission.idempotency_key.len() > limits::KEY_BYTES {
        return Err(Error::invalid(format!("an idempotency key has at most {} bytes", limits::KEY_BYTES)));
    }
    let asked = submission.spec.as_ref().ok_or_else(|| Error::invalid("no specification is given"))?;
    let mut spec = validate::job(asked)?;
    for stage in &asked.stages {
        files::check_sent(room, stage.container.as_ref(), &format!("stage {:?}", stage.name))?;
    }
    let mut grouping = Grouping::of(asked)?;
    let (inputs, told) = check_inputs(room, submission, &mut grouping)?;
    let meaning = told.of(asked);
    let groups = grouping.finish(&mut spec)?;
    let mut kept = submission.clone();
    if let Some(wanted) = &mut kept.spec {
        tree::grow(wanted, &mut spec, inputs)?;
    }
    // A level of a tree moves what comes behind it.
    let keyed = (0_u16..).zip(&spec.stages).filter(|(_, stage)| matches!(stage.kind, StageKind::Groups { .. }));
    let groups = keyed.map(|(at, _)| at).zip(groups).collect();
    let bytes = records::spec_bytes(spec.clone());
    if bytes > limits::STAGES_BYTES {
        let most = limits::STAGES_BYTES;
        let why = "fewer stages, or fewer rules about failures in them";
        return Err(Error::invalid(format!(
            "the stages take {bytes} bytes of the job's record, which has {most}: {why}"
        )));
    }
    let detail = room.put(&kept)?;
    let stages = kept.spec.iter().flat_map(|spec| &spec.stages).map(|stage| stage.name.clone()).collect();
    Ok(Checked { key: submission.idempotency_key.clone(), spec, inputs, groups, detail, meaning, stages })
}

fn check_inputs(
    room: &Messages,
    submission: &v1::SubmitRequest,
    grouping: &mut Grouping,
) -> Result<(u64, meaning::Inputs), Error> {
    let mut inputs = 0_u64;
    for list in &submission.inputs {
        if list.count == 0 || list.count > limits::LIST_ENTRIES {
            return Err(Error::invalid(format!("a list of inputs has 1 to {} entries", limits::LIST_ENTRIES)));
        }
        inputs += list.count;
        if inputs > limits::ITEMS {
            return Err(Error::invalid(format!("a job has at most {} items", limits::ITEMS)));
        }
    }
    if inputs == 0 {
        return Err(Error::invalid("the job has no inputs"));
    }
    let (mut names, mut told) = (Vec::new(), meaning::Inputs::new());
    for list in &submission.inputs {
        for entry in read_list(room, list)? {
            check_input(room, &entry)?;
            names.push(name_of(&entry.path));
            told.add(&entry);
            grouping.add(&entry.path)?;
        }
    }
    ensure_unique(room, submission, names)?;
    Ok((inputs, told))
}

fn read_list(room: &Messages, list: &v1::BlobListRef) -> Result<Vec<v1::NamedBlob>, Error> {
    let digest = Digest::try_from(&list.digest)
        .map_err(|error: NoDigest| Error::invalid(format!("a list of inputs is not named by its digest: {error}")))?;
    let size = room.size(digest);
    if size.is_none_or(|size| size > limits::LIST_BYTES) {
        return Err(Error::not_now("a list of inputs was not uploaded, or is too large"));
    }
    let entries = room.list(digest)?.blobs;
    if entries.len() as u64 != list.count {
        let (has, told) = (entries.len(), list.count);
        return Err(Error::invalid(format!("a list of inputs has {has} entries, not {told}")));
    }
    Ok(entries)
}

/// Sixteen bytes that stand for a path, however long it is: millions of paths are compared.
type Name = [u8; 16];

fn name_of(path: &str) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(&blake3::hash(path.as_bytes()).as_bytes()[..16]);
    name
}

/// No two inputs have the same path.
fn ensure_unique(room: &Messages, submission: &v1::SubmitRequest, mut names: Vec<Name>) -> Result<(), Error> {
    names.sort_unstable();
    let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]) else {
        return Ok(());
    };
    drop(names);
    for list in &submission.inputs {
        if let Some(entry) = read_list(room, list)?.iter().find(|entry| name_of(&entry.path) == twice) {
            return Err(Error::invalid(format!("two inputs have the path {:?}", entry.path)));
        }
    }
    Err(Error::internal("the lists of inputs have changed"))
}

fn check_input(room: &Messages, entry: &v1::NamedBlob) -> Result<(), Error> {
    validate::path(&entry.path)?;
    let named = Digest::try_from(&entry.digest).ok().filter(|_| entry.inline.is_none());
    let digest = named.ok_or_else(|| Error::invalid(format!("input {:?} is not named by its digest", entry.path)))?;
    match room.size(digest) {
        Some(size) if size == entry.size => Ok(()),
        Some(size) => Err(Error::invalid(format!("input {:?} has {size} bytes, not {}", entry.path, entry.size))),
        None => Err(Error::not_now(format!("input {:?} was not uploaded", entry.path))),
    }
}
