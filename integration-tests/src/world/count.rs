//! How many items a job has and where they stand, counted from its kept outcomes alone: the core's own way of counting
//! is what is being checked, so it is not used here.

use longshore_core::{ItemKey, JobId, StageKind};

use super::{flow::Flow, kept::Kept};

/// The counts of one stage.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Items by now.
    pub items: u64,
    /// Of them succeeded.
    pub succeeded: u64,
    /// Of them failed.
    pub failed: u64,
    /// Of them ended well with nothing in them.
    pub filtered: u64,
}

/// The counts of every stage of a job, in order; empty when there is no such job.
#[must_use]
pub fn stages(kept: &Kept, job: JobId) -> Vec<Count> {
    let mut counts = Vec::new();
    let Some(record) = kept.job(job) else {
        return counts;
    };
    let flow = Flow::of(kept, job);
    for stage in 0..u16::try_from(record.spec.stages.len()).unwrap_or(u16::MAX) {
        let mut count = Count { items: flow.items(stage.into()), ..Count::default() };
        for outcome in kept.outcomes(job, stage) {
            if outcome.filtered {
                count.filtered += 1;
            } else if outcome.success {
                count.succeeded += 1;
            } else {
                count.failed += 1;
            }
        }
        counts.push(count);
    }
    counts
}

/// Whether nothing of the job is left to run.
#[must_use]
pub fn is_spent(counts: &[Count]) -> bool {
    counts.iter().all(|count| count.succeeded + count.filtered + count.failed == count.items)
}

/// Where the children of a success of this item have to begin: behind all there are.
#[must_use]
pub fn next_first_child(kept: &Kept, item: &ItemKey) -> u64 {
    let next = kept.job(item.job).and_then(|job| job.spec.stages.get(usize::from(item.stage) + 1));
    match next.map(|next| next.kind) {
        Some(StageKind::Map) => {
            let successes = kept.outcomes(item.job, item.stage).filter(|outcome| outcome.success);
            let holes = kept.withdrawn(item.job, item.stage + 1);
            successes.map(|outcome| outcome.outputs).sum::<u64>() + holes
        }
        Some(_) | None => 0,
    }
}

/// Which output of which item of the stage before an item of a map stage was made from. An error when it is not exactly
/// one.
///
/// # Errors
/// Says how many there are.
pub fn parent(kept: &Kept, item: &ItemKey) -> Result<(u64, u64), String> {
    let before = item.stage.checked_sub(1).ok_or("a first stage")?;
    let parents: Vec<(u64, u64)> = kept
        .outcomes(item.job, before)
        .filter(|outcome| outcome.success && outcome.first_child <= item.index)
        .filter(|outcome| item.index - outcome.first_child < outcome.outputs)
        .map(|outcome| (outcome.item.index, item.index - outcome.first_child))
        .collect();
    match parents.as_slice() {
        [one] => Ok(*one),
        many => Err(format!("{item:?} comes from {} outputs", many.len())),
    }
}
