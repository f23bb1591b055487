//! Logs of the program itself, on standard error.

use tracing_subscriber::EnvFilter;

/// Starts logging. `LONGSHORE_LOG` chooses what is logged (`debug`, `longshore_worker=trace`, …); `level` holds unless set.
pub fn start(level: &str) {
    let filter = EnvFilter::try_from_env("LONGSHORE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // Fails only when logging was started before, and then it goes on as it was.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .try_init();
}
