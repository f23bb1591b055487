//! Groups by keys of outputs: found once everything before has ended, in one go.
//!
//! A stage that gathers by keys of outputs is kept as two. The first gathers everything into one item, whose outputs are the groups: the
//! coordinator makes them itself, of names alone. The second has an item for each of those, and a worker is given the parts that it
//! names. So what closes it, what it may do without, and what a retry withdraws are those of any gather.

use std::collections::HashMap;

use longshore_core::ItemKey;
use longshore_proto::v1::{BlobList, GroupParts, NamedBlob, OfOutputs, Stage, Unmatched};
use prost::Message;

use super::{
    error::{self, CatalogError},
    keyed::Keyed,
    messages::Messages,
    outputs::Lists,
    parts::{self, Parts},
};
use crate::limits;

/// What a group is called in errors.
const GROUP: &str = "the parts of a group";

/// Entries that are held at once, of all groups.
const HELD: usize = 200_000;

/// Missing inputs that are told, in all groups together.
const TOLD: usize = 100_000;

/// Why outputs make no groups.
#[derive(Debug, thiserror::Error)]
pub enum GroupsError {
    /// One has no key.
    #[error("output {path:?}, of input {origin:?}, has no key; `unmatched: skip` leaves such outputs out")]
    Unmatched { path: String, origin: String },
    /// There are too many keys.
    #[error("the outputs have more than {most} keys, the most there can be; choose a coarser one", most = limits::OUTPUTS)]
    TooMany,
    /// The stage does not say how.
    #[error("the stage says nothing of keys")]
    NoKeys,
    /// What is kept cannot be read.
    #[error(transparent)]
    Kept(#[from] CatalogError),
}

/// What the stage is to a gather by keys of outputs.
pub fn of_outputs(stage: &Stage) -> OfOutputs {
    stage.gather.as_ref().map_or(OfOutputs::Unspecified, |gather| gather.of_outputs())
}

/// A group that is being put together.
struct Open<'a> {
    path: String,
    lists: Lists<'a>,
}

/// Makes the groups of everything that the item gathers, as files whose names are the keys, in order of their first parts.
pub fn find(parts: &mut Parts<'_>, item: &ItemKey) -> Result<BlobList, GroupsError> {
    let submission = std::sync::Arc::clone(&parts.submission);
    let room: &Messages = submission.room();
    let stage = submission.stages().get(usize::from(item.stage)).ok_or(GroupsError::NoKeys)?;
    let keyed = Keyed::of(stage).ok().flatten().ok_or(GroupsError::NoKeys)?;
    let skips = stage.gather.as_ref().is_some_and(|gather| gather.unmatched() == Unmatched::Skip);
    let name = stage.name.strip_suffix(SUFFIX).unwrap_or(&stage.name);
    let (mut numbers, mut groups) = (HashMap::new(), Vec::<Open<'_>>::new());
    let mut held = 0;
    let mut missing = parts.each(item, |part: NamedBlob| {
        let Some(key) = keyed.key(&part.path) else {
            let NamedBlob { path, origin, .. } = part;
            return if skips { Ok(()) } else { Err(GroupsError::Unmatched { path, origin }) };
        };
        let number = match numbers.get(&key) {
            Some(number) => *number,
            None if groups.len() == limits::OUTPUTS => return Err(GroupsError::TooMany),
            None => {
                let number = groups.len();
                numbers.insert(key.clone(), number);
                let path = parts::path_of(Some(key), name, number as u64);
                let lists = Lists { messages: room, full: Vec::new(), open: BlobList::default() };
                groups.push(Open { path, lists });
                number
            }
        };
        groups[number].lists.add(part)?;
        held += 1;
        if held == HELD {
            held = 0;
            groups.iter_mut().filter(|group| !group.lists.open.blobs.is_empty()).try_for_each(|it| it.lists.close())?;
        }
        Ok(())
    })?;
    // Each group tells it.
    missing.first.truncate(TOLD / groups.len().max(1) + 1);
    let mut found = BlobList::default();
    for Open { path, lists } in groups {
        let group = GroupParts { lists: lists.finish()?, missing: (missing.count > 0).then(|| missing.clone()) };
        let digest = room.put(&group).map_err(CatalogError::from)?.to_wire();
        found.blobs.push(NamedBlob { path, digest, size: group.encoded_len() as u64, ..NamedBlob::default() });
    }
    Ok(found)
}

/// What the name of the stage that finds groups ends in.
pub const SUFFIX: &str = ".groups";

/// The parts of a group that was found.
pub fn read(room: &Messages, group: &NamedBlob) -> Result<GroupParts, CatalogError> {
    room.get(error::digest(&group.digest, GROUP)?, GROUP)
}
