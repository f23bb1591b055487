//! `longshore-shim probe FILE`: the program of the worker's own trial run, for which an image needs nothing inside.
//!
//! It copies its input to the file, as an item's program would, and says what bounds it is under.

use std::{env, ffi::OsStr, fs, io};

/// The word that asks for it.
const WORD: &str = "probe";

/// Where the kernel says what a control group may have: the name it is told by, in version 2, in version 1.
const BOUNDS: [(&str, &str, &str); 4] = [
    ("memory", "memory.max", "memory/memory.limit_in_bytes"),
    ("swap", "memory.swap.max", "memory/memory.memsw.limit_in_bytes"),
    ("processes", "pids.max", "pids/pids.max"),
    ("processors", "cpu.max", "cpu/cpu.cfs_quota_us"),
];

/// The file that was named, if this is what the process was started for.
pub fn asked() -> Option<std::ffi::OsString> {
    let mut arguments = env::args_os().skip(1);
    (arguments.next()? == WORD).then(|| arguments.next()).flatten()
}

/// Does it.
pub fn run(file: &OsStr) -> io::Result<()> {
    let input = io::read_to_string(io::stdin())?;
    fs::write(file, input)?;
    for (name, new, old) in BOUNDS {
        // One that is not shown is not told either.
        let shown = [new, old].into_iter().find_map(|place| fs::read_to_string(format!("/sys/fs/cgroup/{place}")).ok());
        if let Some(first) = shown.as_deref().and_then(|text| text.split_ascii_whitespace().next()) {
            println!("{name} {first}");
        }
    }
    Ok(())
}
