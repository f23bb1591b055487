//! Asking again when the coordinator is away for a moment.
//!
//! Only for calls that are harmless twice. A coordinator that restarts is back within seconds, so a handful of growing
//! pauses (about thirteen seconds in all) covers it; longer absences are the caller's to hear about.

use std::{future::Future, time::Duration};

/// Pauses in milliseconds before the second and each further try.
const PAUSES_MS: [u64; 6] = [100, 300, 800, 2_000, 4_000, 6_000];

/// An error that may pass by itself.
pub(crate) trait Transient {
    /// Whether asking again, unchanged, is reasonable.
    fn is_transient(&self) -> bool;
}

impl Transient for crate::CallError {
    fn is_transient(&self) -> bool {
        crate::CallError::is_transient(self)
    }
}

/// Calls until it succeeds, fails for good, or the pauses are used up.
pub(crate) async fn again<T, E, F>(mut call: impl FnMut() -> F) -> Result<T, E>
where
    F: Future<Output = Result<T, E>>,
    E: Transient,
{
    for pause in pauses() {
        match call().await {
            Err(error) if error.is_transient() => tokio::time::sleep(pause).await,
            done => return done,
        }
    }
    call().await
}

/// The pauses between tries, in order.
pub(crate) fn pauses() -> impl Iterator<Item = Duration> {
    PAUSES_MS.into_iter().map(Duration::from_millis)
}
