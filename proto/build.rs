//! Compiles the `.proto` files without a system `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

/// Messages with values that nobody is to see in a log: `hidden.rs` says what is shown instead.
const HIDDEN: [&str; 2] = [".longshore.v1.PutSecretRequest", ".longshore.v1.SecretValue"];

const FILES: [&str; 7] = ["agent", "blobs", "container", "jobs", "members", "secrets", "services"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = FILES.map(|name| format!("longshore/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("longshore.bin"), descriptors.encode_to_vec())?;
    let mut config = prost_build::Config::new();
    config.bytes([".longshore.v1"]).skip_debug(HIDDEN);
    tonic_prost_build::configure().compile_fds_with_config(descriptors, config)?;
    Ok(())
}
