//! Compiles the messages that are kept, without a system `protoc`. They are no part of what goes over the wire, so they are
//! compiled here, where nobody else sees them.

use std::error::Error;

/// All `.proto` files are in one place, to be read together.
const PROTOS: &str = "../proto/proto";

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed={PROTOS}/longshore/kept");
    let descriptors = protox::compile(["longshore/kept/v1/records.proto"], [PROTOS])?;
    // The same record is the same bytes: maps are in order.
    let mut config = prost_build::Config::new();
    config.bytes([".longshore.kept.v1"]).btree_map([".longshore.kept.v1"]).compile_fds(descriptors)?;
    Ok(())
}
