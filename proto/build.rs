//! Compiles the `.proto` files without a system `protoc`.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: [&str; 6] = ["agent", "blobs", "container", "jobs", "members", "services"];

fn main() -> Result<(), Box<dyn Error>> {
    println!("cargo:rerun-if-changed=proto");
    let files = FILES.map(|name| format!("longshore/v1/{name}.proto"));
    let descriptors = protox::compile(files, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("longshore.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure().bytes(".longshore.v1").compile_fds(descriptors)?;
    Ok(())
}
