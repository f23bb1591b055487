//! Order by lineage: what came from an earlier input comes first, at every stage.
//!
//! Items of a map stage after another are numbered when the items they come from are committed, so these numbers differ from one
//! run to the next. What people and gather stages see goes by descent instead: by the item of the *root stage* (the nearest stage
//! at or before this one that is no map over another: the job's first, or a gather), then by which of its outputs it came from,
//! then by which of theirs. An outcome says where its outputs begin among the items of the next stage, so nothing more is kept.
//!
//! A walk looks only at what descends from the roots it was given. It reads blocks of neighbours, and keeps the last ones of all
//! its stages at hand, within a bound: neighbours that were committed together cost one look-up.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use longshore_core::{ItemKey, JobId, StageSpec};
use longshore_store::Reader;

use super::{
    cache::{self, Cache, HasSize},
    error::LoadError,
    gaps::{Gap, Gaps},
    outcomes::{self, BLOCK},
};

/// Bytes of blocks at hand, of all stages of a walk together: those between the earliest and the latest that some thousand slots
/// have committed out of order.
const BYTES: usize = 8 << 20;

/// Bytes of a block whose details are not kept.
const USUAL_BYTES: usize = 8 << 10;

/// All roots there are.
pub const ALL: Range<u64> = 0..u64::MAX;

/// An item, and where it comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Descendant {
    /// Its index in its stage.
    pub index: u64,
    /// The item of the stage before, and which of its outputs it is; nothing for a root.
    pub parent: Option<(u64, u64)>,
}

/// Items, one after the other.
pub type Descendants = Box<dyn Iterator<Item = Result<Descendant, LoadError>> + Send>;

/// The stage whose items the lineage of stage `at` begins with.
pub fn root_stage(stages: &[StageSpec], at: u16) -> u16 {
    let is_root = |at: &u16| stages.get(usize::from(*at)).is_none_or(|stage| stage.kind.gathers());
    (1..=at).rev().find(is_root).unwrap_or(0)
}

/// The successes of a stage that descend from roots in these ranges, in order of lineage, with their details. Ends after the first
/// error.
pub fn successes(
    reader: Arc<dyn Reader>,
    (job, stages): (JobId, &[StageSpec]),
    at: u16,
    roots: Vec<Range<u64>>,
) -> Successes {
    Successes { walk: Walk::new(reader, job, (root_stage(stages, at), at), roots), is_over: false }
}

/// See [`successes`].
pub struct Successes {
    walk: Walk,
    is_over: bool,
}

impl Successes {
    /// The root that the last one descends from.
    pub fn root(&self) -> u64 {
        self.walk.root
    }

    /// What was not there so far, of roots in ranges that have an end.
    pub fn gaps(self) -> Gaps {
        self.walk.gaps
    }
}

impl Iterator for Successes {
    type Item = Result<(u64, Bytes), LoadError>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.is_over {
            return None;
        }
        let found = self.walk.next(self.walk.levels.len() - 1).transpose();
        self.is_over = !matches!(found, Some(Ok(_)));
        found.map(|found| found.map(|success| (success.index, success.detail)))
    }
}

/// The items of a stage that descend from roots in these ranges, in order of lineage, whatever became of them: of the root stage
/// itself each number of the ranges. Ends after the first error.
pub fn items(
    reader: Arc<dyn Reader>,
    (job, stages): (JobId, &[StageSpec]),
    at: u16,
    roots: Vec<Range<u64>>,
) -> Descendants {
    let root = root_stage(stages, at);
    let Some(before) = at.checked_sub(1).filter(|before| *before >= root) else {
        return Box::new(roots.into_iter().flatten().map(|index| Ok(Descendant { index, parent: None })));
    };
    let mut walk = Some(Walk::new(reader, job, (root, before), roots));
    let mut children = None;
    Box::new(std::iter::from_fn(move || {
        loop {
            let (parent, first, left) = match &mut children {
                Some((parent, first, left)) if !Range::is_empty(left) => (*parent, *first, left),
                _ => {
                    let parent = until_end(&mut walk, |walk| walk.next(walk.levels.len() - 1))?;
                    match parent {
                        Ok(parent) => children = Some((parent.index, parent.children.start, parent.children)),
                        Err(error) => return Some(Err(error)),
                    }
                    continue;
                }
            };
            let index = left.next()?;
            return Some(Ok(Descendant { index, parent: Some((parent, index - first)) }));
        }
    }))
}

/// The next of a walk, which is over after its end and after an error.
fn until_end<T>(
    walk: &mut Option<Walk>,
    next: impl FnOnce(&mut Walk) -> Result<Option<T>, LoadError>,
) -> Option<Result<T, LoadError>> {
    let found = next(walk.as_mut()?).transpose();
    if !matches!(found, Some(Ok(_))) {
        *walk = None;
    }
    found
}

/// An item that succeeded.
#[derive(Debug, Clone)]
struct Success {
    index: u64,
    /// What its outputs are at the next stage, if that maps over them.
    children: Range<u64>,
    /// There was nothing in it.
    filtered: bool,
    /// Empty where nobody asks for it.
    detail: Bytes,
}

/// The successes of one block, in order.
struct Block(Vec<Success>);

impl HasSize for Block {
    fn size_bytes(&self) -> usize {
        self.0.iter().map(|success| size_of::<Success>() + success.detail.len()).sum()
    }
}

/// One stage of a walk.
struct Level {
    stage: u16,
    /// Whose turn it is.
    todo: Range<u64>,
    /// The block that was looked at last.
    last: Option<(u64, Arc<Block>)>,
}

struct Walk {
    reader: Arc<dyn Reader>,
    job: JobId,
    roots: std::vec::IntoIter<Range<u64>>,
    levels: Vec<Level>,
    blocks: Cache<(u16, u64), Block>,
    /// The root that is being walked down from.
    root: u64,
    gaps: Gaps,
}

impl Walk {
    fn new(reader: Arc<dyn Reader>, job: JobId, (root, target): (u16, u16), roots: Vec<Range<u64>>) -> Self {
        let level = |stage| Level { stage, todo: 0..0, last: None };
        let levels = (root..=target).map(level).collect();
        let (blocks, gaps) = (cache::of_bytes(BYTES, USUAL_BYTES), Gaps::default());
        Self { reader, job, roots: roots.into_iter(), levels, blocks, root: 0, gaps }
    }

    /// These have not succeeded.
    fn skip(&mut self, depth: usize, items: Range<u64>) {
        let stage = self.levels[depth].stage;
        match depth {
            0 => self.gaps.add_roots(stage, items),
            _ if items.is_empty() => {}
            _ => self.gaps.add(Gap { root: self.root, stage, index: items.start, filtered: false }),
        }
    }

    /// The next success at this depth.
    fn next(&mut self, depth: usize) -> Result<Option<Success>, LoadError> {
        loop {
            if let Some(success) = self.next_here(depth)? {
                return Ok(Some(success));
            }
            let todo = match depth.checked_sub(1) {
                Some(above) => self.next(above)?.map(|parent| parent.children),
                None => self.roots.next(),
            };
            match todo {
                Some(todo) => self.levels[depth].todo = todo,
                None => return Ok(None),
            }
        }
    }

    /// The next success among those whose turn it is.
    fn next_here(&mut self, depth: usize) -> Result<Option<Success>, LoadError> {
        while !self.levels[depth].todo.is_empty() {
            let Range { start: from, end } = self.levels[depth].todo;
            let number = from / BLOCK;
            let block = self.block(depth, number)?;
            let at = block.0.partition_point(|success| success.index < from);
            let found = block.0.get(at).filter(|success| success.index < end);
            let mut next = match (found, block.0.get(at)) {
                (Some(success), _) => success.index,
                (None, Some(_)) => end,
                (None, None) => (number + 1).saturating_mul(BLOCK).min(end),
            };
            // Where nothing has succeeded for long, nothing is read for long.
            if block.0.is_empty() && next < end {
                let first = outcomes::next(&*self.reader, self.job, self.levels[depth].stage, next)?;
                next = first.map_or(end, |item| (item.index / BLOCK * BLOCK).clamp(next, end));
            }
            self.skip(depth, from..next);
            self.levels[depth].todo.start = next;
            if let Some(success) = found {
                self.levels[depth].todo.start = success.index + 1;
                if depth == 0 {
                    self.root = success.index;
                }
                if success.filtered {
                    let stage = self.levels[depth].stage;
                    self.gaps.add(Gap { root: self.root, stage, index: success.index, filtered: true });
                }
                return Ok(Some(success.clone()));
            }
        }
        Ok(None)
    }

    fn block(&mut self, depth: usize, number: u64) -> Result<Arc<Block>, LoadError> {
        let is_target = depth + 1 == self.levels.len();
        let level = &mut self.levels[depth];
        if let Some((last, block)) = &level.last
            && *last == number
        {
            return Ok(Arc::clone(block));
        }
        let block = self.blocks.get_or_insert_with(&(level.stage, number), || {
            let item = ItemKey { job: self.job, stage: level.stage, index: number * BLOCK };
            let found = outcomes::whole_block(&*self.reader, &item)?.into_iter().map(|(index, success)| {
                let children = success.first_child..success.first_child.saturating_add(success.outputs);
                let detail = if is_target { success.detail } else { Bytes::new() };
                Success { index, children, filtered: success.filtered, detail }
            });
            Ok::<_, LoadError>(Arc::new(Block(found.collect())))
        })?;
        level.last = Some((number, Arc::clone(&block)));
        Ok(block)
    }
}

#[cfg(test)]
mod tests;
