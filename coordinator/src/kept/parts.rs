//! The parts of items that gather: which they are, what they are called together, and what did not come through.

use std::{ops::Range, sync::Arc};

use longshore_core::{ItemKey, Source, StageKind, StageSpec};
use longshore_proto::v1::{BlobListRef, FailureClass, Missing, MissingInput, NamedBlob, WhyMissing};
use longshore_store::Reader;
use prost::Message;

use super::{
    error::CatalogError,
    gaps::{Gap, Gaps},
    groups::Groups,
    inputs::Inputs,
    keyed::Keyed,
    lineage, lists, outcomes, outputs,
    submission::Submission,
};

/// Bytes of what is told of missing inputs, beside one more.
const MISSING_BYTES: usize = 64 << 10;

/// Where the parts of a job's items are read from.
pub struct Parts<'a> {
    pub reader: Arc<dyn Reader>,
    pub submission: Arc<Submission>,
    /// The job's inputs, and how many there are.
    pub inputs: (Inputs, u64),
    pub lists: &'a lists::Lists,
    pub groups: &'a Groups,
    pub stages: Vec<StageSpec>,
}

impl Parts<'_> {
    /// The outputs that an item gathers, in order of lineage, as lists kept as blobs, and what did not come through.
    pub fn of(&mut self, item: &ItemKey, source: Source) -> Result<(Vec<BlobListRef>, Missing), CatalogError> {
        let before = item.stage.saturating_sub(1);
        let root = lineage::root_stage(&self.stages, before);
        let roots = self.roots(item, source, root)?;
        let submission = Arc::clone(&self.submission);
        let stages = self.stages.clone();
        let from = outputs::Source {
            reader: Arc::clone(&self.reader),
            messages: submission.room(),
            job: item.job,
            stages: &stages,
        };
        let (lists, gaps) = from.lists(before, roots, |number| self.origin(root, number))?;
        Ok((lists, self.missing(item, root, &gaps)?))
    }

    /// All outputs that the item would gather, one by one, and what did not come through.
    pub fn each<E: From<CatalogError>>(
        &mut self,
        item: &ItemKey,
        take: impl FnMut(NamedBlob) -> Result<(), E>,
    ) -> Result<Missing, E> {
        let before = item.stage.saturating_sub(1);
        let root = lineage::root_stage(&self.stages, before);
        let roots = self.roots(item, Source::Everything, root)?;
        let submission = Arc::clone(&self.submission);
        let stages = self.stages.clone();
        let from = outputs::Source {
            reader: Arc::clone(&self.reader),
            messages: submission.room(),
            job: item.job,
            stages: &stages,
        };
        let gaps = from.each(before, roots, |number| self.origin(root, number), take)?;
        Ok(self.missing(item, root, &gaps)?)
    }

    fn roots(&self, item: &ItemKey, source: Source, root: u16) -> Result<Vec<Range<u64>>, CatalogError> {
        let there = units(&self.stages, self.inputs.1, root);
        if source == Source::Everything {
            return Ok(std::iter::once(0..there).collect());
        }
        let own = self.groups.units(&*self.reader, item, &self.stages)?;
        Ok(own.into_iter().map(|run| run.start..run.end.min(there)).collect())
    }

    /// The path of the input that a root is; nothing for an item that has gathered several.
    fn origin(&mut self, root: u16, number: u64) -> Result<String, CatalogError> {
        if root > 0 {
            return Ok(String::new());
        }
        Ok(self.inputs.0.get(self.lists, number)?.path)
    }

    /// What an item that gathers a group is called: the group's key, where that may be a path.
    pub fn group_path(&mut self, item: &ItemKey) -> Result<String, CatalogError> {
        let stage = self.submission.stages().get(usize::from(item.stage));
        let name = stage.map_or(String::new(), |stage| stage.name.clone());
        let Some(keyed) = stage.and_then(|stage| Keyed::of(stage).ok().flatten()) else {
            return Ok(numbered(&name, item.index));
        };
        let first = self.groups.first_input(&*self.reader, item)?;
        let first = first.ok_or(CatalogError::NoInput { stage: item.stage, index: item.index })?;
        let key = keyed.key(&self.inputs.0.get(self.lists, first)?.path);
        Ok(path_of(key, &name, item.index))
    }

    fn missing(&mut self, item: &ItemKey, root: u16, gaps: &Gaps) -> Result<Missing, CatalogError> {
        let mut missing = Missing { count: gaps.count, first: Vec::new() };
        let mut bytes = 0;
        for gap in &gaps.first {
            let told = self.tell(item, root, gap)?;
            bytes += told.encoded_len();
            missing.first.push(told);
            if bytes > MISSING_BYTES {
                break;
            }
        }
        Ok(missing)
    }

    fn tell(&mut self, item: &ItemKey, root: u16, gap: &Gap) -> Result<MissingInput, CatalogError> {
        let path = match root {
            0 => self.origin(root, gap.root)?,
            stage => self.group_path(&ItemKey { stage, index: gap.root, ..*item })?,
        };
        let stage = self.submission.stages().get(usize::from(gap.stage));
        let stage = stage.map_or(String::new(), |stage| stage.name.clone());
        let mut told = MissingInput { path, stage, ..MissingInput::default() };
        if gap.filtered {
            told.set_why(WhyMissing::Filtered);
            return Ok(told);
        }
        let ended = ItemKey { job: item.job, stage: gap.stage, index: gap.index };
        if let Some(failure) = outcomes::failure(&*self.reader, &ended)? {
            told.set_why(WhyMissing::Failed);
            // Of one that the coordinator has given up there are no words.
            let said = outputs::outcome(failure.detail.into())?.failure.unwrap_or_default();
            told.code = said.code;
            told.set_class(if failure.given_up.is_some() { FailureClass::SlotLost } else { said.class() });
        }
        Ok(told)
    }
}

/// How many items the stage has whose items lineages of a job begin with, if all of them are there.
fn units(stages: &[StageSpec], inputs: u64, root: u16) -> u64 {
    let before = stages.iter().take(usize::from(root) + 1);
    before.fold(inputs, |units, stage| match stage.kind {
        StageKind::Map => units,
        StageKind::Gather { .. } => 1,
        StageKind::Groups { groups, .. } => groups,
        StageKind::Ranges { width, .. } => units.div_ceil(width.max(1)),
    })
}

/// What a group is called that has that key, if it may be a path.
pub fn path_of(key: Option<String>, stage: &str, number: u64) -> String {
    key.filter(|key| longshore_proto::path::check(key).is_ok()).unwrap_or_else(|| numbered(stage, number))
}

fn numbered(stage: &str, number: u64) -> String {
    format!("{stage}/{number:06}")
}

#[cfg(test)]
mod tests {
    use longshore_core::Require;

    use super::*;

    #[test]
    fn the_units_of_a_stage_follow_from_the_kinds_before_it() {
        let require = Require::All;
        let kinds = [
            StageKind::Map,
            StageKind::Ranges { require, width: 3 },
            StageKind::Map,
            StageKind::Groups { require, groups: 2 },
            StageKind::Gather { require },
        ];
        let stages: Vec<_> = kinds.into_iter().map(|kind| StageSpec { kind, ..StageSpec::default() }).collect();
        assert_eq!([0, 1, 3, 4].map(|root| units(&stages, 10, root)), [10, 4, 2, 1]);
    }

    #[test]
    fn a_key_that_is_no_path_is_called_by_its_number() {
        assert_eq!(path_of(Some("a/b".to_owned()), "dirs", 3), "a/b");
        assert_eq!(path_of(Some("../b".to_owned()), "dirs", 3), "dirs/000003");
        assert_eq!(path_of(None, "dirs", 3), "dirs/000003");
    }
}
