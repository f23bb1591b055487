//! What a submission means: the same for all the ways in which a client may put the same work.

use longshore_core::Meaning;
use longshore_proto::v1::{self, Interface, Isolation, Links, NamedBlob, OnMemoryKill, StageKind};
use prost::Message;

use crate::{api::validate, limits};

/// The meaning of a specification that was checked, and of its inputs, which are told one by one.
pub struct Inputs(blake3::Hasher);

impl Inputs {
    /// None so far.
    pub fn new() -> Self {
        Self(blake3::Hasher::new())
    }

    /// One more. Where the client has cut its lists means nothing.
    pub fn add(&mut self, input: &NamedBlob) {
        let length = input.path.len() as u64;
        self.0.update(&length.to_be_bytes());
        self.0.update(input.path.as_bytes());
        self.0.update(&input.digest);
        self.0.update(&input.size.to_be_bytes());
        self.0.update(&[input.executable.into()]);
    }

    /// The meaning of a job with these inputs.
    pub fn of(self, spec: &v1::JobSpec) -> Meaning {
        let spec = normal(spec.clone()).encode_to_vec();
        Meaning { spec: *blake3::hash(&spec).as_bytes(), inputs: *self.0.finalize().as_bytes() }
    }
}

/// With every default filled in, so that whoever says it means the same as who leaves it out.
fn normal(mut spec: v1::JobSpec) -> v1::JobSpec {
    for ids in [&mut spec.after, &mut spec.after_any] {
        ids.iter_mut().for_each(|id| id.make_ascii_lowercase());
        ids.sort_unstable();
        ids.dedup();
    }
    for stage in &mut spec.stages {
        normal_stage(stage);
    }
    spec
}

fn normal_stage(stage: &mut v1::Stage) {
    if stage.kind() == StageKind::Unspecified {
        stage.set_kind(StageKind::Map);
    }
    let mut retry = stage.retry.take().unwrap_or_default();
    retry.attempts = retry.attempts.max(1);
    or(&mut retry.backoff_ms, validate::BACKOFF_MS);
    or(&mut retry.max_backoff_ms, validate::MAX_BACKOFF_MS);
    retry.losses = if retry.losses == 0 { limits::LOSSES } else { retry.losses };
    stage.retry = Some(retry);
    let writable = stage.container.as_ref().is_some_and(|container| container.writable_root);
    if stage.isolation() == Isolation::Unspecified {
        stage.set_isolation(if writable { Isolation::Container } else { Isolation::Slot });
    }
    if stage.links() == Links::Unspecified {
        stage.set_links(Links::Follow);
    }
    if stage.oom() == OnMemoryKill::Unspecified {
        stage.set_oom(OnMemoryKill::Fail);
    }
    if stage.stop_grace_ms == 0 {
        stage.stop_grace_ms = 5_000;
    }
    or(&mut stage.max_output_bytes, 1 << 30);
    or(&mut stage.max_total_output_bytes, (16 << 30).max(stage.max_output_bytes));
    if stage.max_output_files == 0 {
        stage.max_output_files = u32::try_from(limits::OUTPUTS).unwrap_or(u32::MAX);
    }
    if let Some(container) = &mut stage.container {
        if container.interface() == Interface::Unspecified {
            container.set_interface(Interface::Files);
        }
        if container.interface() == Interface::Http && container.port == 0 {
            container.port = 8_080;
        }
    }
}

fn or(value: &mut u64, default: u64) {
    if *value == 0 {
        *value = default;
    }
}

#[cfg(test)]
mod tests {
    use longshore_proto::v1::Retry;

    use super::*;

    fn spec() -> v1::JobSpec {
        let container = Some(v1::Container { image: "a".to_owned(), ..v1::Container::default() });
        let stage = v1::Stage { name: "one".to_owned(), container, ..v1::Stage::default() };
        v1::JobSpec { name: "job".to_owned(), stages: vec![stage], ..v1::JobSpec::default() }
    }

    fn input(path: &str, digest: u8) -> NamedBlob {
        NamedBlob { path: path.to_owned(), digest: vec![digest; 32].into(), size: 1, ..NamedBlob::default() }
    }

    fn meaning(spec: &v1::JobSpec, inputs: &[NamedBlob]) -> Meaning {
        let mut all = Inputs::new();
        inputs.iter().for_each(|input| all.add(input));
        all.of(spec)
    }

    #[test]
    fn a_default_that_is_said_means_what_it_means_unsaid() {
        let mut said = spec();
        let stage = &mut said.stages[0];
        stage.set_kind(StageKind::Map);
        stage.retry =
            Some(Retry { attempts: 1, backoff_ms: 1_000, max_backoff_ms: 300_000, losses: 3, ..Retry::default() });
        stage.set_isolation(Isolation::Slot);
        stage.set_links(Links::Follow);
        stage.set_oom(OnMemoryKill::Fail);
        (stage.max_output_bytes, stage.max_total_output_bytes, stage.max_output_files) = (1 << 30, 16 << 30, 10_000);
        stage.container.as_mut().unwrap().set_interface(Interface::Files);
        assert_eq!(meaning(&said, &[]), meaning(&spec(), &[]));
    }

    #[test]
    fn whatever_else_is_different_is_other_work() {
        let one = meaning(&spec(), &[input("a", 1)]);
        for change in [
            |spec: &mut v1::JobSpec| spec.priority = 1,
            |spec: &mut v1::JobSpec| spec.stages[0].timeout_ms = 1,
            |spec: &mut v1::JobSpec| spec.stages[0].container.as_mut().unwrap().command.push("x".to_owned()),
            |spec: &mut v1::JobSpec| spec.stages[0].max_parallel = 1,
            |spec: &mut v1::JobSpec| spec.after.push("x".to_owned()),
        ] {
            let mut other = spec();
            change(&mut other);
            let other = meaning(&other, &[input("a", 1)]);
            assert!(other.spec != one.spec && other.inputs == one.inputs);
        }
    }

    #[test]
    fn path_bytes_and_executability_of_every_input_count_and_their_order() {
        let one = meaning(&spec(), &[input("a", 1), input("b", 2)]);
        let executable = NamedBlob { executable: true, ..input("a", 1) };
        for other in [
            vec![input("a", 1)],
            vec![input("b", 2), input("a", 1)],
            vec![input("a", 3), input("b", 2)],
            vec![input("c", 1), input("b", 2)],
            vec![executable, input("b", 2)],
        ] {
            let other = meaning(&spec(), &other);
            assert!(other.spec == one.spec && other.inputs != one.inputs);
        }
    }
}
