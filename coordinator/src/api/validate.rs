//! What clients may ask for: specifications and names, checked before anything is made of them.

use longshore_contract::{Word, env};
use longshore_core::{JobSpec, ServicePlan, StageSpec};
use longshore_proto::v1::{self, Container, Interface, Require, StageKind, require::Rule};
use longshore_root::Require as Rule_;
use prost::Message;

use crate::limits;

/// What is wrong with a request, in words for the one who wrote it.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Invalid(pub String);

type Checked<T = ()> = Result<T, Invalid>;

fn ensure(holds: bool, message: impl FnOnce() -> String) -> Checked {
    if holds { Ok(()) } else { Err(Invalid(message())) }
}

/// A relative path of plain components.
pub fn path(path: &str) -> Checked {
    longshore_proto::path::check(path).map_err(|why| {
        let shown: String = path.chars().take(80).collect();
        Invalid(format!("path {shown:?} is not a relative path of plain components: {why}"))
    })
}

/// A job: what the core needs of it.
pub fn job(spec: &v1::JobSpec) -> Checked<JobSpec> {
    ensure(spec.name.chars().count() <= limits::NAME_CHARS, || {
        format!("the job's name has more than {} characters", limits::NAME_CHARS)
    })?;
    ensure(!spec.name.chars().any(char::is_control), || {
        format!("the job's name {:?} has control characters", spec.name)
    })?;
    ensure((1..=limits::STAGES).contains(&spec.stages.len()), || {
        format!("a job has 1 to {} stages, not {}", limits::STAGES, spec.stages.len())
    })?;
    let first_gathers = spec.stages.first().is_some_and(|stage| stage.kind() == StageKind::Gather);
    ensure(!first_gathers, || "the first stage takes the inputs one by one; it cannot gather".to_owned())?;
    let mut stages = Vec::with_capacity(spec.stages.len());
    for (at, stage) in spec.stages.iter().enumerate() {
        let twice = spec.stages[..at].iter().any(|other| other.name == stage.name);
        ensure(!twice, || format!("two stages are named {:?}", stage.name))?;
        stages.push(self::stage(stage).map_err(|Invalid(why)| Invalid(format!("stage {:?}: {why}", stage.name)))?);
    }
    Ok(JobSpec { stages, priority: spec.priority })
}

fn stage(stage: &v1::Stage) -> Checked<StageSpec> {
    let name_char = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure(
        (1..=limits::NAME_CHARS).contains(&stage.name.len())
            && stage.name.chars().all(name_char)
            && !stage.name.starts_with('.'),
        || "a stage's name is made of letters, digits, '-', '_' and '.', and does not begin with '.'".to_owned(),
    )?;
    container(stage.container.as_ref())?;
    let kind = match stage.kind() {
        StageKind::Unspecified | StageKind::Map => longshore_core::StageKind::Map,
        StageKind::Gather => longshore_core::StageKind::Gather,
    };
    let http = stage.container.as_ref().is_some_and(|container| container.interface() == Interface::Http);
    let fresh = stage.isolation() == v1::Isolation::Container;
    ensure(!(http && fresh), || {
        "interface http needs a container that stays up; it cannot have isolation container".to_owned()
    })?;
    let retry = stage.retry.unwrap_or_default();
    let or = |value: u64, default: u64| if value == 0 { default } else { value };
    Ok(StageSpec {
        kind,
        attempts: retry.attempts.max(1),
        backoff_ms: or(retry.backoff_ms, 1_000),
        max_backoff_ms: or(retry.max_backoff_ms, 300_000),
        max_parallel: stage.max_parallel,
    })
}

fn container(container: Option<&Container>) -> Checked {
    let container = container.ok_or_else(|| Invalid("no container is given".to_owned()))?;
    let image_char = |c: char| c.is_ascii_alphanumeric() || "-_./:@".contains(c);
    ensure((1..=512).contains(&container.image.len()) && container.image.chars().all(image_char), || {
        format!("image {:?} is not an image reference", container.image.chars().take(80).collect::<String>())
    })?;
    let words = container.command.iter().chain(&container.entrypoint).map(String::as_str);
    let vars = container.env.iter().flat_map(|var| [var.name.as_str(), var.value.as_str()]);
    let bytes: usize = words.clone().chain(vars.clone()).map(|word| word.len() + 1).sum();
    ensure(bytes <= limits::COMMAND_BYTES, || {
        format!("command and environment have {bytes} bytes, more than {}", limits::COMMAND_BYTES)
    })?;
    ensure(!words.chain(vars).any(|word| word.contains('\0')), || "command or environment contains a NUL".to_owned())?;
    for var in &container.env {
        let named = !var.name.is_empty() && !var.name.contains('=');
        ensure(named, || format!("{:?} is not the name of an environment variable", var.name))?;
        ensure(!env::is_reserved(&var.name), || {
            format!("the environment variable {} is set by Longshore itself", var.name)
        })?;
    }
    let memory = container.memory_bytes;
    ensure(memory == 0 || memory >= 6 << 20, || {
        format!("memory {memory} is less than 6 MiB, the least a container can have")
    })?;
    ensure(u16::try_from(container.port).is_ok(), || format!("port {} is above 65535", container.port))?;
    if container.interface() == Interface::Http { server(container) } else { Ok(()) }
}

/// A server is started once for many requests: its command cannot say what is something else for each.
fn server(container: &Container) -> Checked {
    let words = container.entrypoint.iter().chain(&container.command);
    let mut texts = words.chain(container.env.iter().map(|var| &var.value));
    let refused =
        texts.find_map(|text| Word::first_of_a_request(text)).and_then(|word| Some((word, word.of_a_request()?)));
    refused.map_or(Ok(()), |(word, place)| {
        let word = word.text();
        Err(Invalid(format!(
            "interface http: {word} is something else for every request, and a server is started once for many; it finds \
             that in {place}, so take {word} out of its command and environment"
        )))
    })
}

/// A name that a service may have.
pub fn service_name(name: &str) -> Checked {
    let name_char = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    let is_one =
        (1..=limits::NAME_CHARS).contains(&name.len()) && name.chars().all(name_char) && !name.starts_with('-');
    ensure(is_one, || {
        // What is not one may be of any length.
        let begin: String = name.chars().take(limits::NAME_CHARS + 1).collect();
        format!("service name {begin:?}: lower-case letters, digits and '-' only, at most 63")
    })
}

/// A service: what the core needs of it.
pub fn service(spec: &v1::ServiceSpec) -> Checked<ServicePlan> {
    service_name(&spec.name)?;
    let leaf = spec.leaf.as_ref().ok_or_else(|| Invalid("no leaf is given".to_owned()))?;
    container(leaf.container.as_ref()).map_err(|Invalid(why)| Invalid(format!("leaf: {why}")))?;
    ensure((1..=limits::SHARDS).contains(&leaf.shards), || {
        format!("leaf: shards is 1 to {}, not {}", limits::SHARDS, leaf.shards)
    })?;
    ensure(leaf.data.is_empty() || leaf.data.len() == leaf.shards as usize, || {
        format!("leaf: {} lists of data for {} shards", leaf.data.len(), leaf.shards)
    })?;
    let replicas = leaf.replicas.max(1);
    let merges = match &spec.merge {
        None => 0,
        Some(merge) => {
            container(merge.container.as_ref()).map_err(|Invalid(why)| Invalid(format!("merge: {why}")))?;
            merge.replicas.max(1)
        }
    };
    ensure(replicas <= limits::REPLICAS && merges <= limits::REPLICAS, || {
        format!("replicas is at most {}", limits::REPLICAS)
    })?;
    let merge_concurrency = spec.merge.as_ref().map_or(0, |merge| merge.concurrency);
    let concurrency = leaf.concurrency.max(merge_concurrency);
    ensure(concurrency <= limits::CONCURRENCY, || {
        format!("concurrency is at most {}, not {concurrency}", limits::CONCURRENCY)
    })?;
    let all = leaf.shards * replicas + merges;
    ensure(all <= limits::SERVICE_REPLICAS, || {
        format!("a service has at most {} replicas in all, not {all}", limits::SERVICE_REPLICAS)
    })?;
    let container_bytes = leaf.container.as_ref().map_or(0, Message::encoded_len);
    let bytes = container_bytes * (leaf.shards * replicas) as usize;
    ensure(bytes <= limits::SERVICE_BYTES, || {
        format!("leaf: its container takes {bytes} bytes over all replicas, more than {}", limits::SERVICE_BYTES)
    })?;
    if let Some(rule) = spec.request.as_ref().and_then(|request| request.require.as_ref()) {
        require(rule, leaf.shards)?;
    }
    Ok(ServicePlan { shards: leaf.shards, replicas, merges })
}

/// A rule of completeness.
pub fn require(rule: &Require, shards: u32) -> Checked<Rule_> {
    match rule.rule {
        None | Some(Rule::All(_)) => Ok(Rule_::All),
        Some(Rule::Fraction(share)) if share > 0.0 && share <= 1.0 => Ok(Rule_::Fraction(share)),
        Some(Rule::Fraction(share)) => {
            Err(Invalid(format!("require: a fraction is above 0 and at most 1, not {share}")))
        }
        Some(Rule::Count(count)) if (1..=shards).contains(&count) => Ok(Rule_::Count(count)),
        Some(Rule::Count(count)) => Err(Invalid(format!("require: {count} parts of a service with {shards} shards"))),
        Some(Rule::Deadline(_)) => Ok(Rule_::Deadline),
    }
}

#[cfg(test)]
mod tests {
    use longshore_proto::v1::{EnvVar, LeafSpec, Stage};

    use super::*;

    fn server_of(command: &str, variable: &str) -> Container {
        Container {
            image: "any".to_owned(),
            command: vec!["serve".to_owned(), command.to_owned()],
            env: vec![EnvVar { name: "WHERE".to_owned(), value: variable.to_owned() }],
            interface: Interface::Http.into(),
            ..Container::default()
        }
    }

    fn stage_of(container: Container) -> Checked<StageSpec> {
        stage(&Stage { name: "ask".to_owned(), container: Some(container), ..Stage::default() })
    }

    fn service_of(container: Container) -> Checked<ServicePlan> {
        let leaf = LeafSpec { container: Some(container), shards: 1, ..LeafSpec::default() };
        service(&v1::ServiceSpec { name: "find".to_owned(), leaf: Some(leaf), ..v1::ServiceSpec::default() })
    }

    #[test]
    fn a_server_may_be_told_what_stays_the_same_and_nothing_else() {
        for (command, variable) in [("{job} {shard}/{shards}", "{data}"), ("{ in } {}", "$ {IN}"), ("", "")] {
            stage_of(server_of(command, variable)).unwrap();
            service_of(server_of(command, variable)).unwrap();
        }
        for (command, variable, named, place) in [
            ("{in}", "", "{in}", "the body of each request"),
            ("", "--of={stem}", "{stem}", "the header longshore-name"),
            ("-{manifest}", "", "{manifest}", "the headers of each part"),
        ] {
            let Invalid(of_stage) = stage_of(server_of(command, variable)).unwrap_err();
            assert!(of_stage.starts_with(&format!("interface http: {named} is something else")), "{of_stage}");
            assert!(of_stage.contains(place), "{of_stage}");
            let Invalid(of_service) = service_of(server_of(command, variable)).unwrap_err();
            assert_eq!(of_service, format!("leaf: {of_stage}"));
        }
    }

    #[test]
    fn a_process_may_be_told_everything() {
        let everything = Word::ALL.map(Word::text).concat();
        let container = Container { interface: Interface::Files.into(), ..server_of(&everything, &everything) };
        stage_of(container.clone()).unwrap();
        service_of(container).unwrap();
    }
}
