//! Gathers that become several stages: trees, which may be done in levels, and those by keys of outputs, whose groups are found
//! first.

use longshore_core::{Breaker, JobSpec, Require, StageKind};
use longshore_proto::v1;

use crate::{error::Error, kept::grouped::SUFFIX, limits};

/// Puts the levels of each tree before its last stage, in what is kept of the submission and in what the core is told.
pub fn grow(wanted: &mut v1::JobSpec, spec: &mut JobSpec, inputs: u64) -> Result<(), Error> {
    let (mut stages, mut specs) = (Vec::new(), Vec::new());
    let mut units = inputs;
    for (mut stage, mut core) in wanted.stages.drain(..).zip(spec.stages.drain(..)) {
        if stage.kind() == v1::StageKind::GatherOutputs {
            let (before, kind) = find_groups(&mut stage, &mut core, inputs)?;
            stages.push(before);
            specs.push(kind);
            units = 1;
        }
        if let StageKind::Groups { groups, .. } = core.kind {
            units = groups;
        }
        let fan_in = u64::from(stage.gather.as_ref().map_or(0, |gather| gather.fan_in));
        if let StageKind::Gather { require } = core.kind {
            ensure_enough(&stage, require, inputs)?;
            let level_require = if require.is_partial() { Require::Any } else { Require::All };
            let mut level = 0_u32;
            while fan_in > 1 && units > fan_in {
                units = units.div_ceil(fan_in);
                level += 1;
                if units > limits::GROUP_RUNS {
                    return Err(Error::invalid(format!(
                        "stage {:?}: fan_in {fan_in} makes {units} merges of {inputs} inputs, and a level has at most {}: choose a \
                         larger one",
                        stage.name,
                        limits::GROUP_RUNS
                    )));
                }
                let mut below = stage.clone();
                below.name = format!("{}.{level}", stage.name);
                if let Some(gather) = &mut below.gather {
                    gather.level = level;
                }
                stages.push(below);
                let kind = StageKind::Ranges { require: level_require, width: fan_in };
                specs.push(longshore_core::StageSpec { kind, ..core.clone() });
            }
            units = 1;
            core.kind = StageKind::Gather { require };
        }
        stages.push(stage);
        specs.push(core);
    }
    (wanted.stages, spec.stages) = (stages, specs);
    if wanted.stages.len() > limits::STAGES {
        return Err(Error::invalid(format!(
            "with the levels of its trees the job has {} stages, and {} is the most: choose a larger fan_in",
            wanted.stages.len(),
            limits::STAGES
        )));
    }
    for (at, stage) in wanted.stages.iter().enumerate() {
        if stage.name.len() > limits::NAME_CHARS {
            return Err(Error::invalid(format!(
                "stage {:?}, which one that gathers was made of, has too long a name",
                stage.name
            )));
        }
        if wanted.stages[..at].iter().any(|other| other.name == stage.name) {
            return Err(Error::invalid(format!(
                "two stages are named {:?}, one of them made of one that gathers",
                stage.name
            )));
        }
    }
    Ok(())
}

/// No rule asks for more inputs than there are.
fn ensure_enough(stage: &v1::Stage, require: Require, inputs: u64) -> Result<(), Error> {
    match require {
        Require::Count(count) if count > inputs => Err(Error::invalid(format!(
            "stage {:?}: require: a count of {count}, but the job has {inputs} inputs",
            stage.name
        ))),
        _ => Ok(()),
    }
}

/// The stage before one that gathers by keys of outputs: it gathers everything, and its outputs are the groups. The other maps over
/// them.
fn find_groups(
    stage: &mut v1::Stage,
    core: &mut longshore_core::StageSpec,
    inputs: u64,
) -> Result<(v1::Stage, longshore_core::StageSpec), Error> {
    let StageKind::Gather { require } = core.kind else {
        return Err(Error::internal("keys of outputs are of a stage that gathers"));
    };
    ensure_enough(stage, require, inputs)?;
    stage.set_kind(v1::StageKind::Gather);
    let mut gather = stage.gather.take().unwrap_or_default();
    gather.set_of_outputs(v1::OfOutputs::Finds);
    let finds = v1::Stage {
        name: format!("{}{SUFFIX}", stage.name),
        kind: v1::StageKind::Gather.into(),
        gather: Some(gather.clone()),
        ..v1::Stage::default()
    };
    gather.set_of_outputs(v1::OfOutputs::Gathers);
    stage.gather = Some(gather);
    core.kind = StageKind::Map;
    let kind = StageKind::Gather { require };
    Ok((finds, longshore_core::StageSpec { kind, breaker: Breaker::Off, ..longshore_core::StageSpec::default() }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn grown(inputs: u64, fan_in: u32, require: Require) -> Result<(Vec<String>, Vec<StageKind>), Error> {
        let gather = v1::Gather { fan_in, ..v1::Gather::default() };
        let stage = |name: &str, gather| v1::Stage { name: name.to_owned(), gather, ..v1::Stage::default() };
        let mut wanted =
            v1::JobSpec { stages: vec![stage("one", None), stage("total", Some(gather))], ..v1::JobSpec::default() };
        let core = |kind| longshore_core::StageSpec { kind, ..longshore_core::StageSpec::default() };
        let mut spec =
            JobSpec { stages: vec![core(StageKind::Map), core(StageKind::Gather { require })], ..JobSpec::default() };
        grow(&mut wanted, &mut spec, inputs)?;
        let names = wanted.stages.into_iter().map(|stage| stage.name).collect();
        Ok((names, spec.stages.into_iter().map(|stage| stage.kind).collect()))
    }

    #[test]
    fn a_tree_has_as_many_levels_as_its_inputs_need() {
        let names = |inputs, fan_in| grown(inputs, fan_in, Require::All).unwrap().0;
        assert_eq!(names(16, 4), ["one", "total.1", "total"]);
        assert_eq!(names(17, 4), ["one", "total.1", "total.2", "total"]);
        assert_eq!(names(4, 4), ["one", "total"]);
        assert_eq!(names(1_000_000, 0), ["one", "total"]);
    }

    #[test]
    fn levels_take_what_there_is_where_the_last_one_has_a_rule() {
        let (_, kinds) = grown(16, 4, Require::Count(9)).unwrap();
        assert_eq!(kinds[1], StageKind::Ranges { require: Require::Any, width: 4 });
        assert_eq!(kinds[2], StageKind::Gather { require: Require::Count(9) });
    }

    #[test]
    fn groups_of_outputs_are_found_by_a_stage_before() {
        let require = Require::Count(2);
        let gather = v1::Gather { by: "{stem}".to_owned(), ..v1::Gather::default() };
        let mut stage = v1::Stage { name: "words".to_owned(), gather: Some(gather), ..v1::Stage::default() };
        stage.set_kind(v1::StageKind::GatherOutputs);
        let map = v1::Stage { name: "one".to_owned(), ..v1::Stage::default() };
        let mut wanted = v1::JobSpec { stages: vec![map, stage], ..v1::JobSpec::default() };
        let core = |kind| longshore_core::StageSpec { kind, attempts: 3, ..longshore_core::StageSpec::default() };
        let stages = vec![core(StageKind::Map), core(StageKind::Gather { require })];
        let mut spec = JobSpec { stages, ..JobSpec::default() };
        grow(&mut wanted, &mut spec, 2).unwrap();
        let kinds: Vec<_> = spec.stages.iter().map(|stage| (stage.kind, stage.attempts)).collect();
        assert_eq!(kinds, [(StageKind::Map, 3), (StageKind::Gather { require }, 1), (StageKind::Map, 3)]);
        let found: Vec<_> = wanted.stages.iter().map(|stage| (stage.name.as_str(), stage.kind())).collect();
        let gathers = v1::StageKind::Gather;
        assert_eq!(found, [("one", v1::StageKind::Unspecified), ("words.groups", gathers), ("words", gathers)]);
    }

    #[test]
    fn what_cannot_be_is_refused_with_advice() {
        let refused = grown(100_000_000, 2, Require::All).unwrap_err().to_string();
        assert!(refused.contains("choose a larger one"), "{refused}");
        let refused = grown(3, 0, Require::Count(4)).unwrap_err().to_string();
        assert!(refused.contains("a count of 4, but the job has 3 inputs"), "{refused}");
    }
}
