//! Builds the examples' programs, of which the echo is the server to measure.

#[path = "../worker/build/static_program.rs"]
mod static_program;

use static_program::StaticProgram;

fn main() {
    println!("cargo:rerun-if-changed=../worker/build/static_program.rs");
    StaticProgram {
        package: "longshore-examples",
        binary: "longshore-demo",
        directory: "../examples",
        workspace: "..",
    }
    .build();
    println!("cargo:rerun-if-changed=../merger-sdk/src");
}
