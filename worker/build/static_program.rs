//! Builds a program of this workspace as one static file, with a cargo of its own.
//!
//! Containers bring their own C library, or none, so what we put into them must need nothing of theirs. The outer
//! build may be `check`, `clippy`, `test` or any profile; the inner one is always the same release build, in a target
//! directory of its own below the outer one, so the two never wait for each other's lock and all profiles share it.
//!
//! Any `build.rs` of the workspace may take this file in with `#[path]`.

use std::{
    env, fs,
    path::{Path, PathBuf},
    process::Command,
};

/// What to build.
pub struct StaticProgram<'a> {
    /// The package.
    pub package: &'a str,
    /// Its binary.
    pub binary: &'a str,
    /// Directory of the package, relative to the directory of the build script's own.
    pub directory: &'a str,
    /// The workspace's directory, relative likewise.
    pub workspace: &'a str,
}

impl StaticProgram<'_> {
    /// Builds it and answers where it is, in `OUT_DIR`. Panics, with what to do, when that cannot be done: a build
    /// script has no other way to say so.
    pub fn build(&self) -> PathBuf {
        self.rerun_when_changed();
        let target = variable("TARGET");
        assert!(target.contains("-linux-"), "{}: {target} is no Linux target; containers need Linux", self.binary);
        let target_dir = shared_target_dir();
        self.run_cargo(&target, &target_dir);
        let built = target_dir.join(&target).join("release").join(self.binary);
        let wanted = PathBuf::from(variable("OUT_DIR")).join(self.binary);
        fs::copy(&built, &wanted)
            .unwrap_or_else(|cause| panic!("cannot copy {} to {}: {cause}", built.display(), wanted.display()));
        wanted
    }

    fn rerun_when_changed(&self) {
        for path in ["src", "Cargo.toml"] {
            println!("cargo:rerun-if-changed={}/{path}", self.directory);
        }
        println!("cargo:rerun-if-changed={}/Cargo.lock", self.workspace);
        println!("cargo:rerun-if-changed=build.rs");
    }

    fn run_cargo(&self, target: &str, target_dir: &Path) {
        let mut cargo = Command::new(variable("CARGO"));
        cargo
            .args(["build", "--release", "--package", self.package, "--bin", self.binary])
            .args(["--target", target])
            .arg("--target-dir")
            .arg(target_dir);
        clean_environment(&mut cargo);
        cargo
            .env("CARGO_ENCODED_RUSTFLAGS", "-Ctarget-feature=+crt-static")
            // It is carried inside another program: no symbols, no debug information.
            .env("CARGO_PROFILE_RELEASE_DEBUG", "false")
            .env("CARGO_PROFILE_RELEASE_STRIP", "symbols");
        let output = cargo.output().unwrap_or_else(|cause| panic!("{}: cannot run {cargo:?}: {cause}", self.binary));
        assert!(
            output.status.success(),
            "{binary} cannot be built as a static program ({status}):\n{errors}\n\
             Try it by hand: RUSTFLAGS='-C target-feature=+crt-static' cargo build --release -p {package} --bin \
             {binary} --target {target}\n\
             If the linker misses -lc, install the C library's static archive (Debian, Ubuntu: libc6-dev; Fedora: \
             glibc-static).",
            binary = self.binary,
            package = self.package,
            status = output.status,
            errors = String::from_utf8_lossy(&output.stderr),
        );
    }
}

/// Takes out what the outer cargo meant for this build script or for its own compilers (flags, clippy's driver, facts
/// about our package). What people set to reach registries stays, and so does the job server, so that both cargos
/// together keep to one number of jobs.
fn clean_environment(cargo: &mut Command) {
    const WHOLE: [&str; 12] = [
        "CARGO_ENCODED_RUSTFLAGS",
        "RUSTFLAGS",
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_TARGET_DIR",
        "CARGO_BUILD_TARGET_DIR",
        "CARGO_BUILD_BUILD_DIR",
        "RUSTC_WRAPPER",
        "RUSTC_WORKSPACE_WRAPPER",
        "CARGO_BUILD_RUSTC_WRAPPER",
        "CARGO_BUILD_RUSTC_WORKSPACE_WRAPPER",
        "CLIPPY_ARGS",
    ];
    const PREFIXES: [&str; 6] =
        ["CARGO_PKG_", "CARGO_CFG_", "CARGO_FEATURE_", "CARGO_MANIFEST_", "CARGO_PROFILE_", "DEP_"];
    for (name, _) in env::vars_os() {
        let Some(text) = name.to_str() else { continue };
        if WHOLE.contains(&text) || PREFIXES.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(name);
        }
    }
}

/// `static` below the outer target directory: the one cargo has marked with its tag, which is above the profile (and
/// above the target's triple, when there is one).
fn shared_target_dir() -> PathBuf {
    let out_dir = PathBuf::from(variable("OUT_DIR"));
    let outer = out_dir
        .ancestors()
        .find(|directory| directory.join("CACHEDIR.TAG").exists())
        // <target>/<profile>/build/<package>-<hash>/out
        .or_else(|| out_dir.ancestors().nth(4))
        .expect("cargo's OUT_DIR lies below its target directory");
    outer.join("static")
}

fn variable(name: &str) -> String {
    env::var(name).unwrap_or_else(|cause| panic!("cargo sets {name} for build scripts: {cause}"))
}
