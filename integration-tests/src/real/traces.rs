//! What servers may have left behind: containers and processes that carry their workers' marks.

use std::{fs, path::Path};

use rustix::process::{Pid, Signal, kill_process};
use walkdir::WalkDir;

use super::docker::Engine;

/// The variable that processes of the process runtime inherit; its value begins with the worker's id.
const MARK: &str = "LONGSHORE_SANDBOX";

/// The ids of all workers whose data is below `dir`.
pub(super) fn workers_below(dir: &Path) -> Vec<String> {
    let files = WalkDir::new(dir).max_depth(4).into_iter().filter_map(Result::ok);
    let ids = files.filter(|entry| entry.file_name() == "worker-id");
    ids.filter_map(|entry| fs::read_to_string(entry.path()).ok()).filter(|id| id.len() == 36).collect()
}

/// Processes of a worker, each with its number and command line.
pub(super) fn processes_of(worker: &str) -> Vec<(i32, String)> {
    let wanted = format!("{MARK}={worker}:");
    let numbers = fs::read_dir("/proc").unwrap().filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    let ours = numbers.filter(|number: &i32| {
        let environment = fs::read(format!("/proc/{number}/environ")).unwrap_or_default();
        environment.split(|&byte| byte == 0).any(|variable| variable.starts_with(wanted.as_bytes()))
    });
    ours.map(|number| (number, command_line(number))).collect()
}

fn command_line(number: i32) -> String {
    let words = fs::read(format!("/proc/{number}/cmdline")).unwrap_or_default();
    String::from_utf8_lossy(&words).replace('\0', " ")
}

/// Ends all of it.
pub(super) fn end(worker: &str, engine: Option<&Engine>) {
    for (number, _) in processes_of(worker) {
        if let Some(pid) = Pid::from_raw(number) {
            let _ = kill_process(pid, Signal::KILL);
        }
    }
    if let Some(engine) = engine {
        for container in engine.containers_of(worker) {
            engine.remove(&container.id);
        }
    }
}
