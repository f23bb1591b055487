//! What a worker lacks for some work, in words for whoever wants to run it.

use super::{
    constraint::Constraint,
    needs::{Needs, User},
    offer::Offer,
};

/// Something a worker lacks, so that it could never run the work.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Lack {
    /// Less may be asked for there.
    #[error("{} {} is more than the {} that it allows", .bound.key(), .bound.shown(*.asked), .bound.shown(*.allowed))]
    Bound {
        /// Of what.
        bound: Bound,
        /// How much is needed.
        asked: u64,
        /// How much there may be.
        allowed: u64,
    },
    /// It has too few of a resource.
    #[error("it has {has} of the resource {name:?}, and {asked} are needed")]
    Resource {
        /// Which.
        name: String,
        /// How many are needed.
        asked: u64,
        /// How many it has in all.
        has: u64,
    },
    /// A label is not as it should be.
    #[error("{}", label(.constraint, .has.as_deref()))]
    Constraint {
        /// How it should be.
        constraint: Constraint,
        /// What its value is, if it is there.
        has: Option<String>,
    },
    /// Its operator does not allow the network.
    #[error("its operator does not allow the network {0:?}")]
    Network(String),
    /// Its operator does not allow root.
    #[error("its operator does not allow work to run as root")]
    Root,
    /// It runs everything as one user.
    #[error("it cannot run work as a user that is named")]
    Users,
    /// It has no images.
    #[error("it has no images, so no directory of one to begin in")]
    Workdir,
}

/// What an operator bounds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Bound {
    /// Thousandths of a CPU.
    Cpus,
    /// Bytes.
    Memory,
    /// Processes and threads.
    Pids,
    /// Bytes of temporary space.
    Tmp,
    /// Bytes of `/dev/shm`.
    Shm,
    /// Bytes of outputs.
    Output,
}

impl Bound {
    /// As specifications call it.
    #[must_use]
    pub fn key(self) -> &'static str {
        match self {
            Self::Cpus => "cpus",
            Self::Memory => "memory",
            Self::Pids => "pids_limit",
            Self::Tmp => "tmp_size",
            Self::Shm => "shm_size",
            Self::Output => "max_total_output",
        }
    }

    /// The flag of a worker that allows more.
    fn flag(self) -> &'static str {
        match self {
            Self::Cpus => "--max-cpus",
            Self::Memory => "--max-memory",
            Self::Pids => "--max-pids",
            Self::Tmp => "--max-tmp-size",
            Self::Shm => "--max-shm-size",
            Self::Output => "--max-total-output",
        }
    }

    fn shown(self, amount: u64) -> String {
        match self {
            Self::Cpus => cpus(amount),
            Self::Pids => amount.to_string(),
            Self::Memory | Self::Tmp | Self::Shm | Self::Output => bytes(amount),
        }
    }
}

impl Lack {
    /// What an operator of the worker would say to mend it.
    #[must_use]
    pub fn remedy(&self) -> String {
        match self {
            Self::Bound { bound, asked, .. } => {
                format!("longshore worker {} {}", bound.flag(), bound.shown(*asked).replace(' ', ""))
            }
            Self::Resource { name, asked, .. } => format!("longshore worker --resource {name}={asked}"),
            Self::Constraint { constraint: Constraint::Is(label, value), .. } => {
                format!("longshore worker --label {label}={value}")
            }
            Self::Constraint { constraint: Constraint::Has(label), .. } => format!("longshore worker --label {label}="),
            Self::Network(name) => format!("longshore worker --allow-network {name}"),
            Self::Root => "longshore worker --allow-root".to_owned(),
            Self::Users | Self::Workdir => "longshore worker --runtime docker".to_owned(),
            Self::Constraint { .. } => "longshore worker ls --format wide".to_owned(),
        }
    }
}

/// Everything that a worker which offers that lacks for work that needs this.
pub(super) fn all(needs: &Needs, offer: &Offer) -> impl Iterator<Item = Lack> {
    let ceilings = &offer.ceilings;
    let cpus = offer.cpu_milli.min(ceilings.cpu_milli);
    let memory = offer.memory_bytes.min(ceilings.memory_bytes);
    let bounds = [
        (Bound::Cpus, needs.cpu_milli.into(), cpus.into()),
        (Bound::Memory, needs.memory_bytes, memory),
        (Bound::Pids, needs.pids.into(), ceilings.pids.into()),
        (Bound::Tmp, needs.tmp_bytes, ceilings.tmp_bytes),
        (Bound::Shm, needs.shm_bytes, ceilings.shm_bytes),
        (Bound::Output, needs.output_bytes, ceilings.output_bytes),
    ];
    let bounds = bounds.into_iter().filter(|(_, asked, allowed)| asked > allowed);
    let bounds = bounds.map(|(bound, asked, allowed)| Lack::Bound { bound, asked, allowed });
    let resources = needs.resources.iter().filter_map(|(name, asked)| {
        let has = offer.resources.get(name).copied().unwrap_or_default();
        (*asked > has).then(|| Lack::Resource { name: name.clone(), asked: *asked, has })
    });
    let unmet = needs.constraints.iter().filter(|constraint| !constraint.is_met(&offer.labels));
    let labels = unmet.map(|constraint| Lack::Constraint {
        constraint: constraint.clone(),
        has: offer.labels.get(constraint.label()).cloned(),
    });
    let is_allowed = |name: &String| offer.networks.as_ref().is_none_or(|allowed| allowed.contains(name));
    let network =
        (!needs.network.is_empty() && !is_allowed(&needs.network)).then(|| Lack::Network(needs.network.clone()));
    let user = match needs.user {
        User::Any => None,
        User::Named | User::Root if !offer.users => Some(Lack::Users),
        User::Root if !offer.root => Some(Lack::Root),
        User::Named | User::Root => None,
    };
    let workdir = (needs.workdir && !offer.workdir).then_some(Lack::Workdir);
    // What people choose first: they know their labels and networks better than a machine's size.
    labels.chain(resources).chain(network).chain(user).chain(workdir).chain(bounds)
}

fn label(constraint: &Constraint, has: Option<&str>) -> String {
    let label = constraint.label();
    match has {
        Some("") => format!("its label {label:?} is empty, and {constraint} is needed"),
        Some(value) => format!("its label {label:?} is {value:?}, and {constraint} is needed"),
        None => format!("it has no label {label:?}, and {constraint} is needed"),
    }
}

/// Thousandths as people write CPUs.
pub(super) fn cpus(milli: u64) -> String {
    match (milli / 1_000, milli % 1_000) {
        (whole, 0) => whole.to_string(),
        (whole, rest) => format!("{whole}.{}", format!("{rest:03}").trim_end_matches('0')),
    }
}

/// Bytes in the largest unit in which they are whole, or nearly.
pub(super) fn bytes(bytes: u64) -> String {
    let units = [(1_u64 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
    let Some((unit, name)) = units.into_iter().find(|(unit, _)| bytes >= *unit) else {
        return format!("{bytes} bytes");
    };
    let tenths = u128::from(bytes) * 10 / u128::from(unit);
    match (tenths / 10, tenths % 10) {
        (whole, 0) => format!("{whole} {name}"),
        (whole, tenth) => format!("{whole}.{tenth} {name}"),
    }
}
