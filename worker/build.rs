//! Builds the shim, which the worker carries inside.

#[path = "build/static_program.rs"]
mod static_program;

use static_program::StaticProgram;

fn main() {
    println!("cargo:rerun-if-changed=build/static_program.rs");
    StaticProgram { package: "longshore-shim", binary: "longshore-shim", directory: "shim", workspace: ".." }.build();
}
