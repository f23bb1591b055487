//! Which group each input is of: runs of neighbouring inputs.

/// Neighbouring inputs of one group.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Run {
    /// How many; at least 1.
    pub inputs: u64,
    /// Their group; `None` for inputs that are in none.
    pub group: Option<u64>,
}

/// No group. There are never so many groups.
const NONE: u32 = u32::MAX;

/// The groups of all inputs. It takes 8 bytes for each run and 4 for each group.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Keys {
    /// Where runs begin, and which group they are of.
    runs: Vec<(u32, u32)>,
    /// The first input of each group.
    firsts: Vec<u32>,
    /// Records they were kept in.
    pub records: u64,
}

impl Keys {
    /// The run that begins with that input. Runs come in order; groups are numbered by their first input.
    pub fn push(&mut self, first: u64, group: Option<u64>) {
        let number = |number: u64| u32::try_from(number).unwrap_or(NONE);
        let group = group.map_or(NONE, number);
        if group != NONE && self.firsts.len() == group as usize {
            self.firsts.push(number(first));
        }
        self.runs.push((number(first), group));
    }

    /// The group of an input, if it is in one.
    pub fn group_of(&self, input: u64) -> Option<u64> {
        let after = self.runs.partition_point(|(first, _)| u64::from(*first) <= input);
        let (_, group) = self.runs.get(after.checked_sub(1)?)?;
        (*group != NONE).then_some(u64::from(*group))
    }

    /// The first input of a group.
    pub fn first_of(&self, group: u64) -> Option<u64> {
        self.firsts.get(usize::try_from(group).ok()?).copied().map(u64::from)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_input_is_in_the_group_of_its_run() {
        let mut keys = Keys::default();
        for (first, group) in [(0, Some(0)), (3, None), (4, Some(1)), (6, Some(0))] {
            keys.push(first, group);
        }
        let found: Vec<_> = (0..8).map(|input| keys.group_of(input)).collect();
        assert_eq!(found, [Some(0), Some(0), Some(0), None, Some(1), Some(1), Some(0), Some(0)]);
        assert_eq!((keys.first_of(0), keys.first_of(1), keys.first_of(2)), (Some(0), Some(4), None));
    }
}
