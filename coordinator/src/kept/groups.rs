//! Which inputs, or items of the stage that gathered before, are of a group: read once for the groups that are given out one after
//! another.

use std::{ops::Range, sync::Arc};

use longshore_core::{ItemKey, JobId, Record, Run, StageKind, StageSpec};
use longshore_store::Reader;

use super::{
    convert::decode,
    error::LoadError,
    flow,
    keys::{FLOW, item_of, stage_prefix},
    lineage,
};

/// Stages whose groups are at hand: each may have as many as [`crate::limits::GROUP_RUNS`] runs.
const STAGES: usize = 4;

/// Entries read at a time.
const PAGE: usize = 1_000;

/// Inputs of each group, in order.
type Inputs = Vec<Vec<Range<u64>>>;

/// The groups asked for last.
pub struct Groups {
    known: quick_cache::sync::Cache<(JobId, u16), Arc<Inputs>>,
}

impl Default for Groups {
    fn default() -> Self {
        Self { known: quick_cache::sync::Cache::new(STAGES) }
    }
}

impl Groups {
    /// The units (see the core) that the item of a stage that gathers by groups or ranges is made of.
    pub fn units(
        &self,
        reader: &dyn Reader,
        item: &ItemKey,
        stages: &[StageSpec],
    ) -> Result<Vec<Range<u64>>, LoadError> {
        match stages.get(usize::from(item.stage)).map(|stage| stage.kind) {
            Some(StageKind::Ranges { width, .. }) => {
                let first = item.index.saturating_mul(width);
                return Ok(std::iter::once(first..first.saturating_add(width)).collect());
            }
            Some(StageKind::Groups { .. }) => {}
            _ => return Ok(vec![lineage::ALL]),
        }
        let inputs = self.inputs(reader, item.job, item.stage)?;
        let own = usize::try_from(item.index).ok().and_then(|group| inputs.get(group)).cloned().unwrap_or_default();
        let root = lineage::root_stage(stages, item.stage.saturating_sub(1));
        if root == 0 {
            return Ok(own);
        }
        // Those groups of the stage before whose first input is one of these.
        let before = self.inputs(reader, item.job, root)?;
        let is_own = |input: u64| {
            let at = own.partition_point(|run| run.end <= input);
            own.get(at).is_some_and(|run| run.contains(&input))
        };
        let firsts = (0..).zip(before.iter()).filter_map(|(group, runs)| Some((group, runs.first()?.start)));
        Ok(firsts.filter(|(_, first)| is_own(*first)).map(|(group, _)| group..group + 1).collect())
    }

    /// The first input of the item's group.
    pub fn first_input(&self, reader: &dyn Reader, item: &ItemKey) -> Result<Option<u64>, LoadError> {
        let inputs = self.inputs(reader, item.job, item.stage)?;
        let group = usize::try_from(item.index).ok().and_then(|group| inputs.get(group));
        Ok(group.and_then(|runs| Some(runs.first()?.start)))
    }

    fn inputs(&self, reader: &dyn Reader, job: JobId, stage: u16) -> Result<Arc<Inputs>, LoadError> {
        self.known.get_or_insert_with(&(job, stage), || read(reader, job, stage).map(Arc::new))
    }
}

fn read(reader: &dyn Reader, job: JobId, stage: u16) -> Result<Inputs, LoadError> {
    let mut inputs = Inputs::new();
    let prefix = stage_prefix(FLOW, job, stage);
    let mut after: Option<Vec<u8>> = None;
    loop {
        let page = reader.scan(&prefix, after.as_deref(), PAGE)?;
        let Some((last, _)) = page.last() else { return Ok(inputs) };
        after = Some(last.clone());
        for (key, value) in page {
            let found = flow::from_kept(item_of(&key)?, decode(&key, value)?);
            let Record::Groups(groups) = found.map_err(|why| LoadError::malformed(&key, why))? else { continue };
            let mut first = groups.first;
            for Run { inputs: count, group } in groups.runs {
                let next = first.saturating_add(count);
                if let Some(group) = group.and_then(|group| usize::try_from(group).ok()) {
                    if inputs.len() <= group {
                        inputs.resize_with(group + 1, Vec::new);
                    }
                    inputs[group].push(first..next);
                }
                first = next;
            }
        }
    }
}
