//! The wall and the steady clock.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use longshore_core::Now;

/// The wall and the steady clock, as the core counts both.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started: Instant,
}

impl Clock {
    /// A clock that starts now.
    pub fn start() -> Self {
        Self { started: Instant::now() }
    }

    /// The time.
    pub fn now(&self) -> Now {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Now { steady_ms: milliseconds(self.started.elapsed()), wall_ms: milliseconds(wall) }
    }

    /// When the steady clock shows this.
    pub fn at(&self, steady_ms: u64) -> Instant {
        // Where that is beyond what the machine can count, it is as good as never.
        let far = self.started + Duration::from_secs(u64::from(u32::MAX));
        self.started.checked_add(Duration::from_millis(steady_ms)).unwrap_or(far)
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
