//! What the outputs of a job will be called, as far as its specification says so.

use longshore_client::{
    aims::Names,
    v1::{Interface, JobSpec, Stage, StageKind},
};

/// What leaves a choice of names to a command: the word and the variable of the directory of outputs.
const CHOICES: [&str; 2] = ["{outdir}", "LONGSHORE_OUTDIR"];

/// The names of a job's outputs.
pub fn of_outputs(spec: &JobSpec) -> Names {
    let gather = spec.stages.iter().rposition(|stage| stage.kind() == StageKind::Gather);
    let of_outputs = spec.stages.iter().rposition(|stage| stage.kind() == StageKind::GatherOutputs);
    if of_outputs > gather {
        // They are called by keys that nobody knows yet.
        return Names::Unknown;
    }
    if !spec.stages[gather.unwrap_or(0)..].iter().all(leaves_one) {
        return Names::Unknown;
    }
    match gather {
        // Its item has the stage's name, which stays with what comes of it. Several items would have several.
        Some(at) => Names::One(spec.stages[at].name.clone()),
        None => Names::OfItems,
    }
}

/// Whether each item leaves one output, called as the item is.
fn leaves_one(stage: &Stage) -> bool {
    let Some(container) = &stage.container else { return false };
    if container.interface() == Interface::Http {
        return true;
    }
    let words = || container.command.iter().chain(&container.entrypoint);
    let values = container.env.iter().map(|var| &var.value);
    // Without words the command is the image's, of which nothing is known here.
    let is_known = words().next().is_some();
    is_known && !words().chain(values).any(|text| CHOICES.iter().any(|choice| text.contains(choice)))
}

#[cfg(test)]
mod tests {
    use longshore_client::v1::Container;

    use super::*;

    fn stage(name: &str, kind: StageKind, command: &[&str]) -> Stage {
        let command = command.iter().map(|word| (*word).to_owned()).collect();
        let container = Some(Container { command, ..Container::default() });
        Stage { name: name.to_owned(), kind: kind.into(), container, ..Stage::default() }
    }

    #[test]
    fn outputs_are_called_as_items_unless_a_command_may_choose() {
        let plain = stage("a", StageKind::Map, &["tr", "a", "b"]);
        let choosing = stage("b", StageKind::Map, &["split", "{in}", "{outdir}/"]);
        let total = stage("total", StageKind::Gather, &["wc"]);
        let image = stage("c", StageKind::Map, &[]);
        let of = |stages: &[&Stage]| {
            of_outputs(&JobSpec { stages: stages.iter().map(|stage| (*stage).clone()).collect(), ..JobSpec::default() })
        };
        assert_eq!(of(&[&plain, &plain]), Names::OfItems);
        for stages in [&[&choosing][..], &[&choosing, &plain], &[&image], &[&plain, &choosing]] {
            assert_eq!(of(stages), Names::Unknown);
        }
        assert_eq!(of(&[&choosing, &total]), Names::One("total".to_owned()));
        assert_eq!(of(&[&plain, &total, &plain]), Names::One("total".to_owned()));
        assert_eq!(of(&[&plain, &total, &choosing]), Names::Unknown);
    }
}
