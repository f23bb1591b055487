//! What is kept of what stages need, and back: as in [`super::convert`]. Stages that need the same share an entry.

use std::sync::Arc;

use longshore_core::{Constraint, Needs, StageSpec, User};

use super::{error::Malformed, v1};

/// What the stages of a job need, each once, in the order of the first stage that does.
pub fn table(stages: &[StageSpec]) -> Vec<Arc<Needs>> {
    let mut all: Vec<Arc<Needs>> = Vec::new();
    for needs in stages.iter().filter_map(|stage| stage.needs.as_ref()) {
        if !all.contains(needs) {
            all.push(Arc::clone(needs));
        }
    }
    all
}

/// Which of them that is, counted from 1.
pub fn number(needs: Option<&Arc<Needs>>, all: &[Arc<Needs>]) -> u32 {
    let at = needs.and_then(|needs| all.iter().position(|known| known == needs));
    at.and_then(|at| u32::try_from(at + 1).ok()).unwrap_or_default()
}

/// The one of that number.
pub fn numbered(number: u32, all: &[Option<Arc<Needs>>]) -> Result<Option<Arc<Needs>>, Malformed> {
    let Some(at) = number.checked_sub(1) else { return Ok(None) };
    let found = all.get(at as usize);
    found.cloned().ok_or(Malformed::Missing { field: "needs" })
}

pub fn to_kept(needs: &Needs) -> v1::Needs {
    let Needs {
        cpu_milli,
        memory_bytes,
        pids,
        tmp_bytes,
        shm_bytes,
        output_bytes,
        resources,
        constraints,
        network,
        user,
        workdir,
    } = needs.clone();
    let user = match user {
        User::Any => v1::NeededUser::Unspecified,
        User::Named => v1::NeededUser::Named,
        User::Root => v1::NeededUser::Root,
    };
    v1::Needs {
        cpu_milli,
        memory_bytes,
        pids,
        tmp_bytes,
        shm_bytes,
        output_bytes,
        resources: resources.into_iter().collect(),
        constraints: constraints.iter().map(Constraint::to_string).collect(),
        network,
        user: user.into(),
        workdir,
    }
}

pub fn from_kept(needs: v1::Needs) -> Result<Option<Arc<Needs>>, Malformed> {
    let v1::Needs {
        cpu_milli,
        memory_bytes,
        pids,
        tmp_bytes,
        shm_bytes,
        output_bytes,
        resources,
        constraints,
        network,
        user,
        workdir,
    } = needs;
    let user = match v1::NeededUser::try_from(user) {
        Ok(v1::NeededUser::Unspecified) => User::Any,
        Ok(v1::NeededUser::Named) => User::Named,
        Ok(v1::NeededUser::Root) => User::Root,
        Err(_) => return Err(Malformed::Unknown { field: "needed user", value: user }),
    };
    let constraints = constraints.iter().map(|text| text.parse());
    let constraints = constraints.collect::<Result<_, _>>().map_err(|_| Malformed::Missing { field: "constraint" })?;
    let resources = resources.into_iter().collect();
    let needs = Needs {
        cpu_milli,
        memory_bytes,
        pids,
        tmp_bytes,
        shm_bytes,
        output_bytes,
        resources,
        constraints,
        network,
        user,
        workdir,
    };
    Ok(needs.shared())
}
