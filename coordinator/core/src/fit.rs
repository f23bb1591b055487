//! What work needs, what a worker offers, and the one predicate that says whether the two go together.
//!
//! Dispatch and submission ask here and nowhere else. What could never be is told apart
//! from what has no room now: the first is looked at once for each kind of worker, the second whenever something is given out.

mod constraint;
mod growth;
mod lack;
mod needs;
mod offer;
mod usage;

pub use self::{
    constraint::{Constraint, NoConstraint},
    growth::Growth,
    lack::{Bound, Lack},
    needs::{Needs, User},
    offer::{Ceilings, Offer},
    usage::{Full, Usage},
};

/// Why work cannot be given to a worker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Misfit {
    /// It never could, as long as the worker is as it is.
    #[error(transparent)]
    Never(#[from] Lack),
    /// There is no room for it now.
    #[error(transparent)]
    NotNow(#[from] Full),
}

/// Whether a worker that offers that, has so many slots and so much under way can be given work that needs this.
///
/// # Errors
/// The first thing that is in the way.
pub fn fit(needs: Option<&Needs>, offer: &Offer, slots: u32, usage: &Usage) -> Result<(), Misfit> {
    could(needs, offer)?;
    Ok(has_room(needs, offer, slots, usage)?)
}

/// Whether a worker that offers that could ever run work that needs this.
///
/// # Errors
/// The first thing that it lacks.
pub fn could(needs: Option<&Needs>, offer: &Offer) -> Result<(), Lack> {
    needs.and_then(|needs| lack::all(needs, offer).next()).map_or(Ok(()), Err)
}

/// How many things such a worker lacks for work that needs this: the nearest one lacks the fewest.
#[must_use]
pub fn distance(needs: Option<&Needs>, offer: &Offer) -> usize {
    needs.map_or(0, |needs| lack::all(needs, offer).count())
}

/// Whether there is room for work that needs this, beside what is under way. For what is counted, exactly: nothing is given
/// ahead. For everything else how deep a slot's queue may be decides, which is the caller's to know.
///
/// # Errors
/// What is full.
pub fn has_room(needs: Option<&Needs>, offer: &Offer, slots: u32, usage: &Usage) -> Result<(), Full> {
    match needs.filter(|needs| offer.counts(needs, slots)) {
        Some(needs) => usage.has_room(needs, offer, slots),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests;
