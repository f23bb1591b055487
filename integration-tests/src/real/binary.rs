//! The `longshore` binary under test.

use std::{
    env,
    path::{Path, PathBuf},
    sync::OnceLock,
};

use escargot::CargoBuild;

/// Where the binary is. It is built at the first call, with the profile of the tests; Cargo's own locks keep test
/// processes that run at once from building it twice.
///
/// # Panics
/// When it cannot be built.
pub fn longshore() -> &'static Path {
    static BINARY: OnceLock<PathBuf> = OnceLock::new();
    BINARY.get_or_init(|| match env::var_os("LONGSHORE_BIN") {
        Some(path) => path.into(),
        None => build(),
    })
}

/// A program of another package is in no `CARGO_BIN_EXE_…`, so Cargo is asked for it.
fn build() -> PathBuf {
    let build = CargoBuild::new()
        .manifest_path(concat!(env!("CARGO_MANIFEST_DIR"), "/../Cargo.toml"))
        .package("longshore")
        .bin("longshore");
    let build = if cfg!(debug_assertions) { build } else { build.release() };
    let built = build.run().unwrap_or_else(|error| panic!("longshore cannot be built: {error}"));
    built.path().to_owned()
}
