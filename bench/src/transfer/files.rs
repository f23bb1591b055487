//! The files that are carried, and the command that makes new ones of them.

use std::{
    fs::{self, File},
    io::Write,
    path::Path,
};

use anyhow::{Context, Result};

/// A set of files.
#[derive(Debug, Clone, Copy)]
pub struct Files {
    /// How many.
    pub items: usize,
    /// Bytes of each.
    pub bytes: usize,
}

/// The command that makes a new output of an input: all but its first byte, so that no store has it already.
pub const SHIFT: [&str; 6] = ["dd", "bs=1M", "status=none", "iflag=skip_bytes", "skip=1", "if={in}"];

/// Makes files of which no two are the same, nor the same as in another run.
pub fn make(dir: &Path, files: Files) -> Result<()> {
    fs::create_dir(dir).with_context(|| format!("cannot make {}", dir.display()))?;
    // Numbers that do not repeat within a file, so that nothing on the way can make them smaller.
    let mut state = u64::from(std::process::id()) << 32 | 1;
    let mut contents: Vec<u8> = Vec::with_capacity(files.bytes);
    while contents.len() < files.bytes {
        // Marsaglia, "Xorshift RNGs" (2003).
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        contents.extend(state.to_le_bytes());
    }
    let run = tempfile::NamedTempFile::new()?.path().display().to_string();
    for item in 0..files.items {
        let stamp = format!("{run} {item} ");
        // The first byte is dropped by the command that makes outputs.
        contents[1..=stamp.len()].copy_from_slice(stamp.as_bytes());
        File::create(dir.join(format!("{item:06}")))?.write_all(&contents[..files.bytes])?;
    }
    rustix::fs::sync();
    Ok(())
}
