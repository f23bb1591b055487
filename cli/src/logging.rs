//! Logs of the program itself, on standard error.

use std::io::{self, IsTerminal};

use tracing_subscriber::EnvFilter;

/// Starts logging. `LONGSHORE_LOG` chooses what is logged (`debug`, `longshore_worker=trace`, …); `level` holds unless set.
pub fn start(level: &str) {
    let mut filter = EnvFilter::try_from_env("LONGSHORE_LOG").unwrap_or_else(|_| EnvFilter::new(level));
    // Below that it writes down headers, and tokens with them.
    if let Ok(no_headers) = "h2=info".parse() {
        filter = filter.add_directive(no_headers);
    }
    // As https://no-color.org has it: set to anything but nothing.
    let plain = std::env::var_os("NO_COLOR").is_some_and(|value| !value.is_empty());
    // Fails only when logging was started before, and then it goes on as it was.
    let _ = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(io::stderr)
        .with_ansi(io::stderr().is_terminal() && !plain)
        .try_init();
}
