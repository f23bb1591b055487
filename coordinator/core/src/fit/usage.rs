//! How much of what a worker offers is in use.

use std::collections::BTreeMap;

use super::{
    lack::{bytes, cpus},
    needs::Needs,
    offer::Offer,
};

/// How full a worker is when all of its slots are taken: loads are in 1/1024 of it.
const FULL: u64 = 1_024;

/// What is under way on a worker.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Usage {
    /// Attempts that take a slot and its share each, those that wait behind others too.
    light: u64,
    /// Attempts that are counted exactly.
    heavy: u64,
    /// What those take.
    cpu_milli: u64,
    memory_bytes: u64,
    resources: BTreeMap<String, u64>,
}

/// What is in use now, so that there is no room.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Full {
    /// Slots.
    #[error("all of its {0} slots are taken")]
    Slots(u32),
    /// CPUs.
    #[error("it has {} of its {} CPUs left, and {} are needed", cpus(*.left), cpus(*.of), cpus(*.asked))]
    Cpus {
        /// Thousandths that are needed.
        asked: u64,
        /// Thousandths that are left.
        left: u64,
        /// Thousandths in all.
        of: u64,
    },
    /// Memory.
    #[error("it has {} of its {} of memory left, and {} are needed", bytes(*.left), bytes(*.of), bytes(*.asked))]
    Memory {
        /// Bytes that are needed.
        asked: u64,
        /// Bytes that are left.
        left: u64,
        /// Bytes in all.
        of: u64,
    },
    /// Another resource.
    #[error("it has {left} of its {of} of the resource {name:?} left, and {asked} are needed")]
    Resource {
        /// Which.
        name: String,
        /// How many are needed.
        asked: u64,
        /// How many are left.
        left: u64,
        /// How many there are in all.
        of: u64,
    },
}

impl Usage {
    /// An attempt that takes a slot begins, or has ended.
    pub fn count_light(&mut self, begins: bool) {
        self.light = if begins { self.light + 1 } else { self.light.saturating_sub(1) };
    }

    /// An attempt that is counted begins, or has ended.
    pub fn count_heavy(&mut self, needs: &Needs, offer: &Offer, slots: u32, begins: bool) {
        let change =
            |sum: &mut u64, by: u64| *sum = if begins { sum.saturating_add(by) } else { sum.saturating_sub(by) };
        change(&mut self.heavy, 1);
        let (cpu, memory) = takes(needs, offer, slots);
        change(&mut self.cpu_milli, cpu);
        change(&mut self.memory_bytes, memory);
        for (name, count) in &needs.resources {
            let sum = self.resources.entry(name.clone()).or_default();
            change(sum, *count);
            if *sum == 0 {
                self.resources.remove(name);
            }
        }
    }

    /// Whether something is counted there: then nothing is given ahead.
    #[must_use]
    pub fn is_counted(&self) -> bool {
        self.heavy > 0
    }

    /// Attempts under way.
    #[must_use]
    pub fn attempts(&self) -> u64 {
        self.light + self.heavy
    }

    /// How full it is, in 1/1024 of its slots, or of what is nearest to its end.
    #[must_use]
    pub fn load(&self, offer: &Offer, slots: u32) -> u64 {
        let slots_load = self.attempts().saturating_mul(FULL) / u64::from(slots.max(1));
        if !self.is_counted() {
            return slots_load;
        }
        let part = |used: u64, of: u64| {
            u64::try_from(u128::from(used) * u128::from(FULL) / u128::from(of.max(1))).unwrap_or(u64::MAX)
        };
        let (cpu, memory) = self.taken(offer, slots);
        slots_load.max(part(cpu, offer.cpu_milli.into())).max(part(memory, offer.memory_bytes))
    }

    /// CPUs and memory that are taken, those of light attempts too.
    fn taken(&self, offer: &Offer, slots: u32) -> (u64, u64) {
        let cpu = self.light.saturating_mul(offer.cpu_share(slots).into()).saturating_add(self.cpu_milli);
        let memory = self.light.saturating_mul(offer.memory_share(slots)).saturating_add(self.memory_bytes);
        (cpu, memory)
    }

    /// Whether an attempt that is counted fits in beside all that is under way.
    pub(super) fn has_room(&self, needs: &Needs, offer: &Offer, slots: u32) -> Result<(), Full> {
        if self.attempts() >= u64::from(slots) {
            return Err(Full::Slots(slots));
        }
        for (name, asked) in &needs.resources {
            let of = offer.resources.get(name).copied().unwrap_or_default();
            let left = of.saturating_sub(self.resources.get(name).copied().unwrap_or_default());
            if *asked > left {
                return Err(Full::Resource { name: name.clone(), asked: *asked, left, of });
            }
        }
        let (cpu, memory) = self.taken(offer, slots);
        let (asked_cpu, asked_memory) = takes(needs, offer, slots);
        let (of_cpu, of_memory) = (u64::from(offer.cpu_milli), offer.memory_bytes);
        let (left_cpu, left_memory) = (of_cpu.saturating_sub(cpu), of_memory.saturating_sub(memory));
        if asked_cpu > left_cpu {
            return Err(Full::Cpus { asked: asked_cpu, left: left_cpu, of: of_cpu });
        }
        if asked_memory > left_memory {
            return Err(Full::Memory { asked: asked_memory, left: left_memory, of: of_memory });
        }
        Ok(())
    }
}

/// What an attempt that is counted takes: a slot's share of what it says nothing of.
fn takes(needs: &Needs, offer: &Offer, slots: u32) -> (u64, u64) {
    let cpu = if needs.cpu_milli == 0 { offer.cpu_share(slots) } else { needs.cpu_milli };
    let memory = if needs.memory_bytes == 0 { offer.memory_share(slots) } else { needs.memory_bytes };
    (cpu.into(), memory)
}
