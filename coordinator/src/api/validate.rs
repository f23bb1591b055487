//! What clients may ask for: specifications and names, checked before anything is made of them.

use std::{collections::HashSet, time::Duration};

use longshore_contract::{Word, env};
use longshore_core::{JobId, JobSpec, ServicePlan, StageSpec};
use longshore_proto::{
    bounds::{FIELDS, LOSSES, OUTPUTS},
    field,
    path::check_workdir,
    secret,
    v1::{self, Container, Interface, Require, StageKind, require::Rule, secret_use::As},
};
use longshore_root::Require as Rule_;
use prost::Message;

pub use self::invalid::Invalid;
use self::invalid::{Checked, ensure};
use super::needs;
use crate::limits;

mod cuts;
mod faults;
mod growth;
mod invalid;
mod services;

/// A relative path of plain components.
pub fn path(path: &str) -> Checked {
    longshore_proto::path::check(path).map_err(|why| {
        let shown: String = path.chars().take(80).collect();
        Invalid(format!("path {shown:?} is not a relative path of plain components: {why}"))
    })
}

/// First pause before another try, where a stage says nothing of it, milliseconds.
pub const BACKOFF_MS: u64 = 1_000;

/// Longest pause, likewise.
pub const MAX_BACKOFF_MS: u64 = 300_000;

/// A job: what the core needs of it.
pub fn job(spec: &v1::JobSpec) -> Checked<JobSpec> {
    ensure(spec.name.chars().count() <= limits::NAME_CHARS, || {
        format!("the job's name has more than {} characters", limits::NAME_CHARS)
    })?;
    // Containers are told it, and may make a file's name of it.
    let odd = |c: char| c.is_control() || matches!(c, '/' | '\\');
    ensure(!spec.name.contains(odd) && !spec.name.starts_with(['.', '-']), || {
        format!("the job's name {:?} has slashes or control characters, or begins with '.' or '-'", spec.name)
    })?;
    ensure((1..=limits::STAGES).contains(&spec.stages.len()), || {
        format!("a job has 1 to {} stages, not {}", limits::STAGES, spec.stages.len())
    })?;
    let first_gathers = spec.stages.first().is_some_and(gather::gathers);
    ensure(!first_gathers, || "the first stage takes the inputs one by one; it cannot gather".to_owned())?;
    let mut stages = Vec::with_capacity(spec.stages.len());
    for (at, stage) in spec.stages.iter().enumerate() {
        ensure(at == 0 || stage.fields.is_empty(), || {
            format!("stage {:?}: only the first stage has items with fields", stage.name)
        })?;
        let twice = spec.stages[..at].iter().any(|other| other.name == stage.name);
        ensure(!twice, || format!("two stages are named {:?}", stage.name))?;
        stages.push(self::stage(stage).map_err(|Invalid(why)| Invalid(format!("stage {:?}: {why}", stage.name)))?);
    }
    gather::order(&spec.stages)?;
    priority(spec.priority)?;
    ensure(spec.after.len() + spec.after_any.len() <= limits::AFTER, || {
        format!(
            "a job is to run after {} others at most, not {}",
            limits::AFTER,
            spec.after.len() + spec.after_any.len()
        )
    })?;
    let ids = |ids: &[String]| ids.iter().map(|id| whole_id(id)).collect::<Checked<Vec<JobId>>>();
    let (after, after_any) = (ids(&spec.after)?, ids(&spec.after_any)?);
    let halt = spec.halt.as_ref().map(cuts::halt).transpose().map_err(Invalid)?;
    let (name, priority) = (spec.name.clone(), spec.priority);
    let (deadline_ms, queue_timeout_ms) = (spec.deadline_ms, spec.queue_timeout_ms);
    Ok(JobSpec { name, stages, priority, after, after_any, halt, deadline_ms, queue_timeout_ms })
}

/// A priority that a job may have.
pub fn priority(priority: i32) -> Checked {
    ensure((-limits::PRIORITY..=limits::PRIORITY).contains(&priority), || {
        format!(
            "priority {priority} is out of range: it is {} to {}, and 0 unless set",
            -limits::PRIORITY,
            limits::PRIORITY
        )
    })
}

/// The job of this id. Beginnings mean another job tomorrow, and what is submitted has to mean the same when it is repeated.
fn whole_id(id: &str) -> Checked<JobId> {
    let ids = JobId::starting_with(id).filter(|ids| ids.start() == ids.end());
    let shown = || id.chars().take(80).collect::<String>();
    ids.map(|ids| *ids.start())
        .ok_or_else(|| Invalid(format!("{:?} is not the whole id of a job to run after", shown())))
}

mod gather;

fn stage(stage: &v1::Stage) -> Checked<StageSpec> {
    let name_char = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    ensure(
        (1..=limits::NAME_CHARS).contains(&stage.name.len())
            && stage.name.chars().all(name_char)
            && !stage.name.starts_with('.'),
        || "a stage's name is made of letters, digits, '-', '_' and '.', and does not begin with '.'".to_owned(),
    )?;
    container(stage.container.as_ref())?;
    ensure(stage.gather.is_none() || gather::gathers(stage), || {
        "gather is of stages that gather alone: kind is to be GATHER".to_owned()
    })?;
    let kind = match stage.kind() {
        StageKind::Unspecified | StageKind::Map => longshore_core::StageKind::Map,
        StageKind::Gather | StageKind::GatherOutputs => gather::kind(stage)?,
    };
    let http = stage.container.as_ref().is_some_and(|container| container.interface() == Interface::Http);
    let fresh = stage.isolation() == v1::Isolation::Container;
    ensure(!(http && fresh), || {
        "interface http needs a container that stays up; it cannot have isolation container".to_owned()
    })?;
    parts(stage)?;
    ensure(stage.fields.len() <= FIELDS && stage.fields.iter().all(|name| field::is_name(name)), || {
        format!("fields are at most {FIELDS} names of letters, digits, '_' and '-'")
    })?;
    ensure(!http || stage.fields.is_empty(), || {
        "fields are for commands; interface http is sent its items".to_owned()
    })?;
    let writable = stage.container.as_ref().is_some_and(|container| container.writable_root);
    ensure(!(writable && !http && stage.isolation() == v1::Isolation::Slot), || {
        "read_only: false gives each item a container of its own; it cannot have isolation slot".to_owned()
    })?;
    ensure(stage.max_output_files as usize <= OUTPUTS, || {
        format!("max_output_files is at most {OUTPUTS}, not {}", stage.max_output_files)
    })?;
    ensure(stage.stop_grace_ms <= limits::STOP_GRACE_MS, || {
        format!("stop_grace is at most an hour, not {} s", stage.stop_grace_ms / 1_000)
    })?;
    let retry = stage.retry.clone().unwrap_or_default();
    ensure(retry.losses <= LOSSES, || format!("retry.losses is at most {LOSSES}, not {}", retry.losses))?;
    let needs = needs::of_stage(stage).map_err(Invalid)?;
    let growth = growth::of(retry.memory.as_ref(), needs.as_deref()).map_err(Invalid)?;
    let or = |value: u64, default: u64| if value == 0 { default } else { value };
    Ok(StageSpec {
        kind,
        attempts: retry.attempts.max(1),
        backoff_ms: or(retry.backoff_ms, BACKOFF_MS),
        max_backoff_ms: or(retry.max_backoff_ms, MAX_BACKOFF_MS),
        max_parallel: stage.max_parallel,
        losses: if retry.losses == 0 { limits::LOSSES } else { retry.losses },
        policy: faults::policy(&retry, &stage.filter).map_err(Invalid)?,
        canary: cuts::canary(stage.canary).map_err(Invalid)?,
        breaker: cuts::breaker(stage.breaker()),
        needs,
        growth,
    })
}

/// How a gather stage is given its parts.
fn parts(stage: &v1::Stage) -> Checked {
    if stage.parts() != v1::PartsAs::Stdin {
        return Ok(());
    }
    ensure(gather::gathers(stage), || "only a gather stage has parts: parts: stdin".to_owned())?;
    let Some(container) = &stage.container else { return Ok(()) };
    ensure(container.interface() != Interface::Http, || {
        "parts: stdin is for commands; interface http is sent its parts as one body".to_owned()
    })?;
    let vars = container.env.iter().map(|var| &var.value);
    let named = [Word::In.text(), env::INPUT, env::WORK_ITEM_FILE];
    let mut texts = container.command.iter().chain(&container.entrypoint).chain(vars);
    let places = texts.find_map(|text| named.into_iter().find(|name| text.contains(name)));
    ensure(places.is_none(), || {
        let name = places.unwrap_or_default();
        format!("with parts: stdin there is no directory of parts, and so no {name}; the command reads standard input")
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
    secrets(container)?;
    if !container.pull_secret.is_empty() {
        secret::check(&container.pull_secret).map_err(|bad| Invalid(bad.to_string()))?;
    }
    let memory = container.memory_bytes;
    ensure(memory == 0 || memory >= 6 << 20, || {
        format!("memory {memory} is less than 6 MiB, the least a container can have")
    })?;
    let milli = container.cpu_milli;
    ensure(milli == 0 || milli >= 10, || {
        format!("cpus 0.{milli:03} is less than 0.01, the least a container can have")
    })?;
    ensure(container.workdir.is_empty() || check_workdir(&container.workdir).is_ok(), || {
        let shown: String = container.workdir.chars().take(80).collect();
        let why = check_workdir(&container.workdir).err().map(|why| why.to_string()).unwrap_or_default();
        format!("workdir {shown:?} cannot be one: {why}")
    })?;
    ensure(u16::try_from(container.port).is_ok(), || format!("port {} is above 65535", container.port))?;
    if container.interface() == Interface::Http { server(container) } else { Ok(()) }
}

/// Calls with interface files are fresh processes in one container: what one writes over the image, the next would run.
fn writable_of_a_service(container: Option<&Container>) -> Checked {
    let refused =
        container.is_some_and(|container| container.writable_root && container.interface() != Interface::Http);
    ensure(!refused, || {
        "read_only: false needs interface http here: calls with interface files share a container, and one could change \
         what the next runs"
            .to_owned()
    })
}

/// What a container's processes are given of secrets. Whether these are there is seen later.
fn secrets(container: &Container) -> Checked {
    let most = limits::SECRETS_OF_CONTAINER;
    ensure(container.secrets.len() <= most, || {
        format!("a container has at most {most} secrets, not {}", container.secrets.len())
    })?;
    let mut taken: HashSet<(bool, &str)> = container.env.iter().map(|var| (true, var.name.as_str())).collect();
    for used in &container.secrets {
        secret::check(&used.name).map_err(|bad| Invalid(bad.to_string()))?;
        let name = &used.name;
        let target = match used.r#as.as_ref() {
            Some(As::Env(variable)) => {
                let starts = variable.starts_with(|c: char| c.is_ascii_alphabetic() || c == '_');
                let plain = variable.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
                ensure(starts && plain && variable.len() <= limits::SECRET_VARIABLE_BYTES, || {
                    let shown: String = variable.chars().take(limits::NAME_CHARS).collect();
                    format!("secret {name:?}: {shown:?} is not the name of an environment variable")
                })?;
                ensure(!env::is_reserved(variable), || {
                    format!("secret {name:?}: the environment variable {variable} is set by Longshore itself")
                })?;
                (true, variable.as_str())
            }
            Some(As::File(file)) => {
                secret::check(file)
                    .map_err(|_| Invalid(format!("secret {name:?}: {file:?} is not the name of a file")))?;
                (false, file.as_str())
            }
            None => return Err(Invalid(format!("secret {name:?}: neither a variable nor a file is named"))),
        };
        ensure(taken.insert(target), || {
            let kind = if target.0 { "environment variable" } else { "file" };
            format!("secret {name:?}: there is another {kind} {}", target.1)
        })?;
    }
    Ok(())
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
    writable_of_a_service(leaf.container.as_ref()).map_err(|Invalid(why)| Invalid(format!("leaf: {why}")))?;
    let replicas = leaf.replicas.max(1);
    services::weights(&leaf.weights, leaf.shards)?;
    let merges = match &spec.merge {
        None => 0,
        Some(v1::MergeSpec { builtin: Some(builtin), container, replicas: 0, concurrency: 0, stream: false }) => {
            ensure(container.is_none(), || "merge: a built-in one has no container".to_owned())?;
            services::builtin(builtin)?;
            0
        }
        Some(merge) => {
            ensure(merge.builtin.is_none(), || {
                "merge: a built-in one has no replicas, no concurrency and no stream".to_owned()
            })?;
            services::streamed(merge)?;
            container(merge.container.as_ref()).map_err(|Invalid(why)| Invalid(format!("merge: {why}")))?;
            writable_of_a_service(merge.container.as_ref()).map_err(|Invalid(why)| Invalid(format!("merge: {why}")))?;
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
    let deadline = Duration::from_millis(spec.request.as_ref().map_or(0, |request| request.deadline_ms));
    ensure(deadline <= limits::QUERY_DEADLINE, || {
        let (most, asked) = (limits::QUERY_DEADLINE, deadline);
        format!(
            "request: a query has at most {}, not {}",
            humantime::format_duration(most),
            humantime::format_duration(asked)
        )
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
    use longshore_proto::v1::{EnvVar, LeafSpec, SecretUse, Stage};

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

    #[test]
    fn a_writable_image_is_for_one_item_or_for_one_server() {
        let writable = Container { image: "any".to_owned(), writable_root: true, ..Container::default() };
        let isolated = |isolation: v1::Isolation, container: &Container| {
            let (name, container) = ("one".to_owned(), Some(container.clone()));
            stage(&Stage { name, container, isolation: isolation.into(), ..Stage::default() })
        };
        isolated(v1::Isolation::Unspecified, &writable).unwrap();
        isolated(v1::Isolation::Container, &writable).unwrap();
        let Invalid(why) = isolated(v1::Isolation::Slot, &writable).unwrap_err();
        assert!(why.contains("read_only: false") && why.contains("isolation slot"), "{why}");
        let Invalid(why) = service_of(writable.clone()).unwrap_err();
        assert!(why.starts_with("leaf: read_only: false needs interface http"), "{why}");
        let server = Container { interface: Interface::Http.into(), ..writable };
        isolated(v1::Isolation::Slot, &server).unwrap();
        service_of(server).unwrap();
    }

    #[test]
    fn an_item_bears_so_many_losses_and_no_more() {
        let bearing = |losses: u32| {
            let container = Container { image: "any".to_owned(), ..Container::default() };
            let retry = v1::Retry { losses, ..v1::Retry::default() };
            let name = "one".to_owned();
            stage(&Stage { name, container: Some(container), retry: Some(retry), ..Stage::default() })
        };
        assert_eq!(bearing(0).unwrap().losses, limits::LOSSES);
        assert_eq!(bearing(1000).unwrap().losses, 1000);
        let Invalid(why) = bearing(1001).unwrap_err();
        assert!(why.contains("at most 1000, not 1001"), "{why}");
    }

    #[test]
    fn a_working_directory_leads_nowhere_else() {
        let at =
            |workdir: &str| Container { image: "any".to_owned(), workdir: workdir.to_owned(), ..Container::default() };
        stage_of(at("/work")).unwrap();
        let Invalid(why) = stage_of(at("/proc/self/fd/8")).unwrap_err();
        assert!(why.contains("workdir") && why.contains("/proc"), "{why}");
    }

    #[test]
    fn what_no_engine_can_give_is_refused_before_it_is_tried() {
        let of = |cpu_milli| Container { image: "any".to_owned(), cpu_milli, ..Container::default() };
        for milli in [0, 10] {
            stage_of(of(milli)).unwrap();
        }
        let Invalid(why) = stage_of(of(9)).unwrap_err();
        assert!(why.ends_with("cpus 0.009 is less than 0.01, the least a container can have"), "{why}");
    }

    fn stage_of(container: Container) -> Checked<StageSpec> {
        stage(&Stage { name: "ask".to_owned(), container: Some(container), ..Stage::default() })
    }

    #[test]
    fn fields_are_names_for_the_command_of_the_first_stage() {
        let with = |fields: &[&str], interface: Interface| Stage {
            name: fields.len().to_string(),
            container: Some(Container { interface: interface.into(), ..server_of("{url}", "") }),
            fields: fields.iter().map(|name| (*name).to_owned()).collect(),
            ..Stage::default()
        };
        stage(&with(&["url", "n-1"], Interface::Files)).unwrap();
        for (fields, interface) in
            [(&["a b"][..], Interface::Files), (&["x"; 65], Interface::Files), (&["x"], Interface::Http)]
        {
            assert!(stage(&with(fields, interface)).is_err(), "{fields:?}");
        }
        let stages = vec![with(&[], Interface::Files), with(&["url"], Interface::Files)];
        let Invalid(why) = job(&v1::JobSpec { stages, ..v1::JobSpec::default() }).unwrap_err();
        assert!(why.contains("only the first stage"), "{why}");
    }

    #[test]
    fn parts_come_as_standard_input_to_a_gathering_command_that_names_no_directory() {
        let gather = |kind: StageKind, command: &str, interface: Interface| {
            let container = Container {
                image: "any".to_owned(),
                command: vec!["sh".to_owned(), "-c".to_owned(), command.to_owned()],
                interface: interface.into(),
                ..Container::default()
            };
            let parts = v1::PartsAs::Stdin.into();
            stage(&Stage {
                name: "all".to_owned(),
                kind: kind.into(),
                container: Some(container),
                parts,
                ..Stage::default()
            })
        };
        gather(StageKind::Gather, "sort; cat {manifest}", Interface::Files).unwrap();
        for (kind, command, interface, why) in [
            (StageKind::Map, "sort", Interface::Files, "only a gather stage"),
            (StageKind::Gather, "cat {in}/*", Interface::Files, "no {in}"),
            (StageKind::Gather, "cat $LONGSHORE_INPUT/*", Interface::Files, "no LONGSHORE_INPUT"),
            (StageKind::Gather, "serve", Interface::Http, "one body"),
        ] {
            let Invalid(said) = gather(kind, command, interface).unwrap_err();
            assert!(said.contains(why), "{said}");
        }
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
    fn what_a_secret_is_given_as_is_there_once_and_nobody_elses() {
        let used = |name: &str, target: As| SecretUse { name: name.to_owned(), r#as: Some(target) };
        let env = |name: &str, variable: &str| used(name, As::Env(variable.to_owned()));
        let file = |name: &str, file: &str| used(name, As::File(file.to_owned()));
        let check = |secrets: Vec<SecretUse>| {
            let container = Container { secrets, interface: Interface::Files.into(), ..server_of("", "") };
            stage_of(container.clone()).map(drop).and_then(|()| service_of(container).map(drop))
        };
        check(vec![env("db", "DB"), file("db", "DB"), env("db", "_again2"), file("tls.key", "tls.key")]).unwrap();
        for (secrets, why) in [
            (vec![env("../db", "DB")], "not the name of a secret"),
            (vec![used("db", As::Env("D-B".to_owned()))], "not the name of an environment variable"),
            (vec![env("db", "")], "not the name of an environment variable"),
            (vec![env("db", "LONGSHORE_JOB")], "set by Longshore itself"),
            (vec![env("db", "WHERE")], "another environment variable WHERE"),
            (vec![env("db", "A"), env("other", "A")], "another environment variable A"),
            (vec![file("db", "../key")], "not the name of a file"),
            (vec![file("db", "key"), file("tls", "key")], "another file key"),
            (vec![SecretUse { name: "db".to_owned(), r#as: None }], "neither a variable nor a file"),
            ((0..33).map(|at| env("db", &format!("A{at}"))).collect(), "at most 32 secrets"),
        ] {
            let Invalid(told) = check(secrets).unwrap_err();
            assert!(told.contains(why), "{told}");
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
