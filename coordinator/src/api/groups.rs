//! Groups of inputs, found while the inputs of a submission are read.

use std::collections::HashMap;

use longshore_core::{JobSpec, Run, StageKind};
use longshore_proto::v1;

use crate::{error::Error, kept::keyed::Keyed, limits};

/// Sixteen bytes that stand for a key, however long it is.
type Key = [u8; 16];

/// The groups of all stages that gather by keys.
pub struct Grouping {
    stages: Vec<Stage>,
    runs: u64,
}

struct Stage {
    name: String,
    keyed: Keyed,
    skips: bool,
    groups: HashMap<Key, u64>,
    runs: Vec<Run>,
    /// The group, here, of each group of the stage before that gathers by keys.
    of_before: Vec<Option<u64>>,
}

impl Grouping {
    pub fn of(spec: &v1::JobSpec) -> Result<Self, Error> {
        let mut stages = Vec::new();
        for stage in &spec.stages {
            if stage.kind() == v1::StageKind::GatherOutputs {
                continue;
            }
            let Some(keyed) = Keyed::of(stage).map_err(Error::invalid)? else { continue };
            let unmatched = stage.gather.as_ref().map_or(0, |gather| gather.unmatched);
            let skips = unmatched == i32::from(v1::Unmatched::Skip);
            let (name, groups, runs) = (stage.name.clone(), HashMap::new(), Vec::new());
            stages.push(Stage { name, keyed, skips, groups, runs, of_before: Vec::new() });
        }
        Ok(Self { stages, runs: 0 })
    }

    /// The next input.
    pub fn add(&mut self, path: &str) -> Result<(), Error> {
        let mut before: Option<u64> = None;
        for (at, stage) in self.stages.iter_mut().enumerate() {
            let key = stage.keyed.key(path);
            if key.is_none() && !stage.skips {
                return Err(Error::invalid(format!(
                    "stage {:?}: input {path:?} has no key; unmatched: skip leaves such inputs out",
                    stage.name
                )));
            }
            let number = stage.groups.len() as u64;
            let group = key.as_ref().map(|key| *stage.groups.entry(short(key)).or_insert(number));
            if at > 0
                && let Some(before) = before.and_then(|before| usize::try_from(before).ok())
            {
                match stage.of_before.get(before) {
                    None => stage.of_before.push(group),
                    Some(known) if *known == group => {}
                    Some(_) => {
                        return Err(Error::invalid(format!(
                            "stage {:?}: input {path:?} is of another group than others that were gathered with it before; the \
                             keys of a later gather must be the same for all inputs of a group of an earlier one",
                            stage.name
                        )));
                    }
                }
            }
            match stage.runs.last_mut() {
                Some(run) if run.group == group => run.inputs += 1,
                _ => {
                    stage.runs.push(Run { inputs: 1, group });
                    self.runs += 1;
                }
            }
            if self.runs > limits::GROUP_RUNS {
                return Err(Error::invalid(format!(
                    "stage {:?}: neighbouring inputs are of other groups more than {} times; order the inputs so that those of a \
                     group follow each other, for instance by sorting their list by key",
                    stage.name,
                    limits::GROUP_RUNS
                )));
            }
            before = group;
        }
        Ok(())
    }

    /// Says in the specification how many groups there are; answers the runs of each such stage.
    pub fn finish(self, spec: &mut JobSpec) -> Result<Vec<Vec<Run>>, Error> {
        if let Some(empty) = self.stages.iter().find(|stage| stage.groups.is_empty()) {
            return Err(Error::invalid(format!(
                "stage {:?}: no input has a key, so that it would gather nothing; keys are made of whole paths as `--dry-run` shows them",
                empty.name
            )));
        }
        let mut found = self.stages.into_iter();
        let mut runs = Vec::new();
        for stage in &mut spec.stages {
            if let StageKind::Groups { groups, .. } = &mut stage.kind
                && let Some(of) = found.next()
            {
                *groups = of.groups.len() as u64;
                runs.push(of.runs);
            }
        }
        Ok(runs)
    }
}

fn short(key: &str) -> Key {
    let mut short = Key::default();
    short.copy_from_slice(&blake3::hash(key.as_bytes()).as_bytes()[..16]);
    short
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grouping(stages: &[(&str, v1::Unmatched)]) -> Grouping {
        let stage = |(at, (by, unmatched)): (usize, &(&str, v1::Unmatched))| v1::Stage {
            name: format!("by-{at}"),
            gather: Some(v1::Gather {
                by: (*by).to_owned(),
                unmatched: i32::from(*unmatched),
                ..v1::Gather::default()
            }),
            ..v1::Stage::default()
        };
        let stages = stages.iter().enumerate().map(stage).collect();
        Grouping::of(&v1::JobSpec { stages, ..v1::JobSpec::default() }).unwrap()
    }

    #[test]
    fn groups_are_numbered_by_their_first_input_and_neighbours_share_a_run() {
        let mut grouping = grouping(&[("{dir}", v1::Unmatched::Fail)]);
        for path in ["b/1", "b/2", "a/1", "b/3"] {
            grouping.add(path).unwrap();
        }
        let kind = StageKind::Groups { require: longshore_core::Require::All, groups: 0 };
        let stage = longshore_core::StageSpec { kind, ..longshore_core::StageSpec::default() };
        let mut spec = JobSpec { stages: vec![stage], ..JobSpec::default() };
        let runs = grouping.finish(&mut spec).unwrap();
        let run = |inputs, group| Run { inputs, group: Some(group) };
        assert_eq!(runs, [vec![run(2, 0), run(1, 1), run(1, 0)]]);
        assert!(matches!(spec.stages[0].kind, StageKind::Groups { groups: 2, .. }));
    }

    #[test]
    fn an_input_without_a_key_is_named_or_left_out() {
        let refused = grouping(&[("{ext}", v1::Unmatched::Fail)]).add("a/README").unwrap_err();
        assert!(refused.to_string().contains("a/README"), "{refused}");
        let mut skipping = grouping(&[("{ext}", v1::Unmatched::Skip)]);
        skipping.add("a/README").unwrap();
        let refused = skipping.finish(&mut JobSpec::default()).unwrap_err();
        assert!(refused.to_string().contains("no input has a key"), "{refused}");
    }

    #[test]
    fn what_was_gathered_together_cannot_be_told_apart_later() {
        let mut nested = grouping(&[("{dir}", v1::Unmatched::Fail), ("{part:1}", v1::Unmatched::Fail)]);
        for path in ["a/x/1", "a/y/1", "b/x/1", "a/x/2"] {
            nested.add(path).unwrap();
        }
        let mut crossed = grouping(&[("{part:1}", v1::Unmatched::Fail), ("{name}", v1::Unmatched::Fail)]);
        crossed.add("a/1").unwrap();
        let refused = crossed.add("a/2").unwrap_err();
        assert!(refused.to_string().contains("of another group"), "{refused}");
    }
}
