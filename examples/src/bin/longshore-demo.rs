//! All the examples in one program: `longshore-demo words`, `longshore-demo search-leaf`, …

use std::process::ExitCode;

fn main() -> ExitCode {
    longshore_examples::demo::run(std::env::args_os().skip(1))
}
