//! How much a container and its runs may use: what was asked for, or a share of the machine where nothing was, below the
//! operator's ceilings.
//!
//! Everything is decided here, before a container starts, and from then on these numbers alone are spoken of: to the
//! engine, to whoever watches a run, and in the words of failures. Nothing here looks at the machine but [`Machine::look`].

use longshore_proto::{
    bounds::OUTPUTS,
    v1::{Container, Stage},
};

use crate::contract::{Limits, amount};

/// Least memory a container is given that asked for none, where the machine has it: programs of today need it to start.
const LEAST_MEMORY_BYTES: u64 = 512 << 20;

/// Processes and threads of a container that does not say.
const PIDS: u32 = 4_096;

/// Most that may be asked for unless the operator says otherwise: what a kernel of today gives all processes together.
const MOST_PIDS: u32 = 32_768;

/// Size of `/dev/shm` of a container that does not say, as Docker has it.
const SHM_BYTES: u64 = 64 << 20;

/// Temporary space of a container that does not say.
const TMP_BYTES: u64 = 10 << 30;

/// Largest single output when a stage does not say.
const OUTPUT_BYTES: u64 = 1 << 30;

/// All outputs of an attempt when a stage does not say.
const TOTAL_OUTPUT_BYTES: u64 = 16 << 30;

/// A whole CPU, in thousandths.
const CPU: u32 = 1_000;

/// What there is to divide.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Machine {
    /// Memory, in bytes.
    pub memory_bytes: u64,
    /// CPUs, in thousandths.
    pub cpu_milli: u32,
}

impl Machine {
    /// This machine.
    #[must_use]
    pub fn look() -> Self {
        let told = rustix::system::sysinfo();
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        #[allow(clippy::useless_conversion, reason = "its width depends on the machine")]
        let memory = u64::from(told.totalram).saturating_mul(told.mem_unit.into());
        Self { memory_bytes: memory, cpu_milli: u32::try_from(cores).unwrap_or(u32::MAX).saturating_mul(CPU) }
    }

    /// The share of its memory for queries and answers that travel through a worker, as coordinators have it.
    pub(crate) fn query_memory(self) -> u64 {
        (self.memory_bytes / 8).max(256 << 20)
    }
}

/// The most that the operator lets specifications ask for; `None` is what the field says.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Ceilings {
    /// Memory of a container, in bytes; else the machine's.
    pub memory_bytes: Option<u64>,
    /// CPUs of a container, in thousandths; else the machine's.
    pub cpu_milli: Option<u32>,
    /// Processes and threads of a container; else 32,768.
    pub pids: Option<u32>,
    /// Temporary space, in bytes; else what is asked for.
    pub tmp_bytes: Option<u64>,
    /// Size of `/dev/shm`, in bytes; else what is asked for, as it counts against the memory.
    pub shm_bytes: Option<u64>,
    /// All outputs of an attempt, in bytes; else what is asked for.
    pub total_output_bytes: Option<u64>,
}

/// Grants what is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    machine: Machine,
    slots: u32,
    ceilings: Ceilings,
}

/// What a container has. Every number is a bound; none is 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Granted {
    /// Memory, swap included, in bytes.
    pub memory_bytes: u64,
    /// CPUs, in thousandths.
    pub cpu_milli: u32,
    /// Processes and threads.
    pub pids: u32,
    /// Size of `/dev/shm`, in bytes.
    pub shm_bytes: u64,
    /// Temporary space, all places together, in bytes.
    pub tmp_bytes: u64,
}

/// More was asked for than the operator allows.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{key} {asked} is more than the {allowed} that this worker allows; ask for less, or its operator can allow it: \
     `longshore worker {flag} {wanted}`"
)]
pub(crate) struct Exceeds {
    key: &'static str,
    asked: String,
    allowed: String,
    flag: &'static str,
    wanted: String,
}

impl Policy {
    /// For a worker with so many slots, at least one.
    #[must_use]
    pub fn new(machine: Machine, slots: usize, ceilings: Ceilings) -> Self {
        Self { machine, slots: u32::try_from(slots).unwrap_or(u32::MAX).max(1), ceilings }
    }

    /// The machine, as far as its operator gives it, and the most that containers may ask for.
    #[must_use]
    pub fn offered(&self) -> (Machine, Ceilings) {
        let Ceilings { memory_bytes, cpu_milli, pids, .. } = self.ceilings;
        let Machine { memory_bytes: memory, cpu_milli: cpus } = self.machine;
        let ceilings = Ceilings {
            memory_bytes: Some(memory_bytes.unwrap_or(memory)),
            cpu_milli: Some(cpu_milli.unwrap_or(cpus)),
            pids: Some(pids.unwrap_or(MOST_PIDS)),
            ..self.ceilings
        };
        (self.machine, ceilings)
    }

    /// What a container is given.
    ///
    /// # Errors
    /// When it asks for more than the operator allows: the words say of what, how much, and which flag allows it.
    pub(crate) fn container(&self, asked: &Container) -> Result<Granted, Exceeds> {
        let Ceilings { memory_bytes, cpu_milli, pids, tmp_bytes, shm_bytes, .. } = self.ceilings;
        let memory = memory_bytes.unwrap_or(self.machine.memory_bytes);
        let cpus = cpu_milli.unwrap_or(self.machine.cpu_milli);
        Ok(Granted {
            memory_bytes: bytes("memory", "--max-memory", asked.memory_bytes, self.memory_share(), Some(memory))?,
            cpu_milli: within("cpus", "--max-cpus", asked.cpu_milli, self.cpu_share(), Some(cpus), amount::cpus)?,
            pids: within(
                "pids_limit",
                "--max-pids",
                asked.pids_limit,
                PIDS,
                Some(pids.unwrap_or(MOST_PIDS)),
                |number| number.to_string(),
            )?,
            shm_bytes: bytes("shm_size", "--max-shm-size", asked.shm_bytes, SHM_BYTES, shm_bytes)?,
            tmp_bytes: bytes("tmp_size", "--max-tmp-size", asked.tmp_bytes, TMP_BYTES, tmp_bytes)?,
        })
    }

    /// What an attempt of a stage may leave.
    ///
    /// # Errors
    /// As [`Policy::container`].
    pub(crate) fn outputs(&self, stage: &Stage) -> Result<Limits, Exceeds> {
        const FLAG: &str = "--max-total-output";
        let most = self.ceilings.total_output_bytes;
        let file_bytes = bytes("max_output", FLAG, stage.max_output_bytes, OUTPUT_BYTES, most)?;
        // Whoever asks for one large output has room for it.
        let total = TOTAL_OUTPUT_BYTES.max(file_bytes);
        let total_bytes = bytes("max_total_output", FLAG, stage.max_total_output_bytes, total, most)?;
        let files = match stage.max_output_files {
            0 => OUTPUTS,
            files => OUTPUTS.min(files as usize),
        };
        Ok(Limits { file_bytes, total_bytes, files })
    }

    /// A slot's share, in whole MiB so that it is told in few digits.
    fn memory_share(&self) -> u64 {
        let share = self.machine.memory_bytes / u64::from(self.slots);
        (share >> 20 << 20).max(LEAST_MEMORY_BYTES).min(self.machine.memory_bytes)
    }

    /// A slot's share. At least a whole CPU: a smaller quota would have a process that begins wait for most of a tenth of
    /// a second, also while the machine is idle; among slots that are all at work the kernel divides evenly.
    fn cpu_share(&self) -> u32 {
        (self.machine.cpu_milli / self.slots).max(CPU).min(self.machine.cpu_milli)
    }
}

impl Granted {
    /// A container that asks for exactly this.
    pub(crate) fn written_into(&self, container: Container) -> Container {
        let Self { memory_bytes, cpu_milli, pids, shm_bytes, tmp_bytes } = *self;
        Container { memory_bytes, cpu_milli, pids_limit: pids, shm_bytes, tmp_bytes, ..container }
    }
}

fn bytes(
    key: &'static str,
    flag: &'static str,
    asked: u64,
    default: u64,
    ceiling: Option<u64>,
) -> Result<u64, Exceeds> {
    within(key, flag, asked, default, ceiling, amount::bytes)
}

/// What was asked for, or the default, which no ceiling refuses: it gives way.
fn within<N: Copy + Ord + Default + ToString>(
    key: &'static str,
    flag: &'static str,
    asked: N,
    default: N,
    ceiling: Option<N>,
    shown: impl Fn(N) -> String,
) -> Result<N, Exceeds> {
    let most = ceiling.unwrap_or(if asked > default { asked } else { default });
    if asked == N::default() {
        return Ok(default.min(most));
    }
    if asked <= most {
        return Ok(asked);
    }
    let wanted = shown(asked).replace(' ', "");
    Err(Exceeds { key, asked: shown(asked), allowed: shown(most), flag, wanted })
}

#[cfg(test)]
mod tests {
    use super::*;

    const MACHINE: Machine = Machine { memory_bytes: 16 << 30, cpu_milli: 8_000 };

    fn policy(slots: usize, ceilings: Ceilings) -> Policy {
        Policy::new(MACHINE, slots, ceilings)
    }

    #[test]
    fn whoever_asks_for_nothing_has_a_slots_share_and_the_defaults() {
        let granted = policy(4, Ceilings::default()).container(&Container::default()).unwrap();
        let expected =
            Granted { memory_bytes: 4 << 30, cpu_milli: 2_000, pids: 4_096, shm_bytes: 64 << 20, tmp_bytes: 10 << 30 };
        assert_eq!(granted, expected);
    }

    #[test]
    fn a_share_is_at_least_what_programs_need_and_never_more_than_there_is() {
        let crowded = policy(1_000, Ceilings::default()).container(&Container::default()).unwrap();
        assert_eq!((crowded.memory_bytes, crowded.cpu_milli), (512 << 20, 1_000));
        let small = Machine { memory_bytes: 256 << 20, cpu_milli: 1_000 };
        let small = Policy::new(small, 4, Ceilings::default()).container(&Container::default()).unwrap();
        assert_eq!(small.memory_bytes, 256 << 20);
    }

    #[test]
    fn what_is_asked_for_is_given_up_to_the_ceiling_and_refused_above_with_the_flag() {
        let asked = Container { memory_bytes: 6 << 30, cpu_milli: 2_500, pids_limit: 5_000, ..Container::default() };
        let granted = policy(8, Ceilings::default()).container(&asked).unwrap();
        assert_eq!((granted.memory_bytes, granted.cpu_milli, granted.pids), (6 << 30, 2_500, 5_000));
        let strict = Ceilings { memory_bytes: Some(1 << 30), tmp_bytes: Some(1 << 30), ..Ceilings::default() };
        let refused = policy(8, strict).container(&asked).unwrap_err().to_string();
        assert_eq!(
            refused,
            "memory 6 GiB is more than the 1 GiB that this worker allows; ask for less, or its operator can allow it: \
             `longshore worker --max-memory 6GiB`"
        );
        for (asked, named) in [
            (Container { cpu_milli: 8_001, ..Container::default() }, "cpus 8.001 is more than the 8 "),
            (Container { pids_limit: 40_000, ..Container::default() }, "--max-pids 40000"),
            (Container { tmp_bytes: 2 << 30, ..Container::default() }, "tmp_size 2 GiB is more than the 1 GiB"),
            (Container { memory_bytes: 17 << 30, ..Container::default() }, "--max-memory 17GiB"),
        ] {
            let refused = policy(8, Ceilings { memory_bytes: None, ..strict }).container(&asked).unwrap_err();
            assert!(refused.to_string().contains(named), "{refused}");
        }
    }

    #[test]
    fn a_default_gives_way_to_a_ceiling() {
        let strict = Ceilings {
            memory_bytes: Some(256 << 20),
            cpu_milli: Some(500),
            pids: Some(100),
            tmp_bytes: Some(1 << 30),
            shm_bytes: Some(1 << 20),
            total_output_bytes: Some(1 << 20),
        };
        let policy = policy(1, strict);
        let granted = policy.container(&Container::default()).unwrap();
        let expected =
            Granted { memory_bytes: 256 << 20, cpu_milli: 500, pids: 100, shm_bytes: 1 << 20, tmp_bytes: 1 << 30 };
        assert_eq!(granted, expected);
        let outputs = policy.outputs(&Stage::default()).unwrap();
        assert_eq!(outputs, Limits { file_bytes: 1 << 20, total_bytes: 1 << 20, files: OUTPUTS });
    }

    #[test]
    fn whoever_asks_for_one_large_output_has_room_for_it_in_all() {
        let policy = policy(1, Ceilings { total_output_bytes: Some(100 << 30), ..Ceilings::default() });
        let large = Stage { max_output_bytes: 20 << 30, max_output_files: 3, ..Stage::default() };
        assert_eq!(policy.outputs(&large).unwrap(), Limits { file_bytes: 20 << 30, total_bytes: 20 << 30, files: 3 });
        let too_large = Stage { max_total_output_bytes: 200 << 30, ..large };
        let refused = policy.outputs(&too_large).unwrap_err().to_string();
        assert!(refused.contains("max_total_output 200 GiB") && refused.contains("--max-total-output 200GiB"));
    }
}
