//! What a stage needs of a worker, out of its specification.

use std::sync::Arc;

use longshore_core::{Constraint, Needs, User};
use longshore_proto::v1::{Container, Stage};

use crate::limits;

/// What the attempts of a stage need.
///
/// # Errors
/// In words for whoever wrote it.
pub fn of_stage(stage: &Stage) -> Result<Option<Arc<Needs>>, String> {
    let Some(container) = stage.container.as_ref() else { return Ok(None) };
    let output_bytes = stage.max_output_bytes.max(stage.max_total_output_bytes);
    Ok(Needs { output_bytes, ..of_container(container)? }.shared())
}

fn of_container(container: &Container) -> Result<Needs, String> {
    let most = limits::NEEDED;
    if container.resources.len() > most || container.constraints.len() > most {
        return Err(format!("a container names at most {most} resources and {most} constraints"));
    }
    let mut constraints = Vec::with_capacity(container.constraints.len());
    for text in &container.constraints {
        let begin: String = text.chars().take(80).collect();
        let constraint: Constraint =
            text.parse().map_err(|why| format!("constraint {begin:?} cannot be one: {why}"))?;
        constraints.push(constraint);
    }
    constraints.sort_unstable();
    constraints.dedup();
    for (name, count) in &container.resources {
        if !matches!(name.parse(), Ok(Constraint::Has(_))) {
            let begin: String = name.chars().take(80).collect();
            return Err(format!("resource {begin:?}: letters, digits, '-', '_', '.' and '/' only, at most 63"));
        }
        if *count == 0 {
            return Err(format!("resource {name:?}: 0 of it are needed; leave it out"));
        }
    }
    Ok(Needs {
        cpu_milli: container.cpu_milli,
        memory_bytes: container.memory_bytes,
        pids: container.pids_limit,
        tmp_bytes: container.tmp_bytes,
        shm_bytes: container.shm_bytes,
        output_bytes: 0,
        resources: container.resources.iter().map(|(name, count)| (name.clone(), *count)).collect(),
        constraints,
        network: if container.network == "none" { String::new() } else { container.network.clone() },
        user: user(&container.user),
        workdir: !container.workdir.is_empty(),
    })
}

fn user(wanted: &str) -> User {
    match wanted.split(':').next().unwrap_or_default() {
        "" => User::Any,
        "root" => User::Root,
        number if number.parse() == Ok(0_u32) => User::Root,
        _ => User::Named,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(container: Container) -> Result<Option<Arc<Needs>>, String> {
        of_stage(&Stage { container: Some(container), ..Stage::default() })
    }

    #[test]
    fn what_says_nothing_needs_nothing() {
        assert_eq!(of(Container { network: "none".to_owned(), ..Container::default() }), Ok(None));
    }

    #[test]
    fn what_is_needed_is_what_was_written_in_one_order() {
        let constraints = vec!["zone!=b".to_owned(), "gpu".to_owned(), "gpu".to_owned()];
        let resources = [("gpu".to_owned(), 2)].into_iter().collect();
        let user = "0:0".to_owned();
        let needs = of(Container { constraints, resources, user, ..Container::default() }).unwrap().unwrap();
        let shown: Vec<String> = needs.constraints.iter().map(Constraint::to_string).collect();
        assert_eq!((shown.join(" "), needs.resources["gpu"], needs.user), ("zone!=b gpu".to_owned(), 2, User::Root));
    }

    #[test]
    fn what_cannot_be_needed_is_refused_by_name() {
        for (constraint, resource, named) in [
            ("disk>3", ("gpu", 1), "constraint \"disk>3\""),
            ("gpu", ("gpu", 0), "resource \"gpu\": 0"),
            ("gpu", ("a=b", 1), "resource \"a=b\""),
        ] {
            let resources = [(resource.0.to_owned(), resource.1)].into_iter().collect();
            let constraints = vec![constraint.to_owned()];
            let why = of(Container { constraints, resources, ..Container::default() }).unwrap_err();
            assert!(why.starts_with(named), "{why}");
        }
        let constraints = (0..=limits::NEEDED).map(|number| format!("l{number}")).collect();
        assert!(of(Container { constraints, ..Container::default() }).is_err());
    }
}
