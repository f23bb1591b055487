//! This machine's engine.

use std::time::Instant;

use longshore_worker::runtime::{
    Runtime as _,
    docker::{DockerOptions, DockerRuntime, EngineInfo, list},
};
use uuid::Uuid;

use super::check::{Check, bad, doubtful, good};
use crate::serve::without_isolation;

/// The oldest runc of each branch whose known escapes are mended (CVE-2025-31133, -52565, -52881); later branches are.
const RUNC: [[u64; 3]; 2] = [[1, 2, 8], [1, 3, 3]];

/// Checks of the engine: what it says of itself, and whether it runs a container as all are started.
pub async fn look() -> Vec<Check> {
    let dir = match tempfile::tempdir() {
        Ok(dir) => dir,
        Err(error) => return vec![bad("temporary files", error.to_string(), "check the space in $TMPDIR")],
    };
    // Nothing else is started under this id.
    let options = DockerOptions::new(Uuid::new_v4(), dir.path().join("shim"));
    match DockerRuntime::connect(options).await {
        Ok(runtime) => {
            let mut checks = of_engine(&runtime.info());
            checks.extend(trial(&runtime, &dir.path().join("trial")).await);
            checks
        }
        Err(error) => {
            let advice = format!(
                "start it (`systemctl start docker`), or work without isolation: `longshore up {}`",
                without_isolation()
            );
            vec![bad("docker", error.to_string(), &advice)]
        }
    }
}

async fn trial(runtime: &DockerRuntime, dir: &std::path::Path) -> Vec<Check> {
    let begun = Instant::now();
    let container = match runtime.probe(dir).await {
        Ok(_) => {
            good("containers", format!("one was started, run and removed in {:.1} s", begun.elapsed().as_secs_f64()))
        }
        Err(error) => {
            let advice = "a worker here takes no work until this is mended; the engine's own log says more";
            bad("containers", error.cause().to_owned(), advice)
        }
    };
    let runs = match runtime.keeps_runs_apart() {
        true => good("runs", "each is a user of its own".to_owned()),
        false => doubtful(
            "runs",
            "all of a container are the same user: one at a time, and containers for one job",
            "as root, with an engine of root, a worker runs more at once, and keeps containers warm for all jobs",
        ),
    };
    vec![container, runs]
}

fn of_engine(info: &EngineInfo) -> Vec<Check> {
    let engine = format!(
        "{} {}, API {}, {}, storage {}, at {}",
        info.product, info.version, info.api_version, info.architecture, info.storage_driver, info.socket
    );
    let mut checks = vec![good("docker", engine)];
    if info.product == "Docker Engine" || !info.runc.is_empty() {
        checks.push(runc(&info.runc));
    }
    checks.push(match info.unenforced.is_empty() {
        true => good("limits", "memory, swap, processes and processors are bounded".to_owned()),
        false => doubtful(
            "limits",
            &format!("no bound on {}", list(&info.unenforced)),
            "take work of those only whom you trust with the machine, or give the engine control groups of version 2",
        ),
    });
    if info.rootless {
        checks.push(doubtful(
            "rootless",
            "the engine runs as an ordinary user",
            "see docs/engines.md for what it lacks",
        ));
    }
    checks.push(match info.seccomp {
        true => good("system calls", "filtered by seccomp".to_owned()),
        false => doubtful("system calls", "not filtered", "enable seccomp in the engine: containers may be hostile"),
    });
    checks.push(match info.cgroup_version {
        2 => good("cgroups", "version 2".to_owned()),
        version => doubtful("cgroups", &format!("version {version}"), "version 2 accounts for memory more exactly"),
    });
    let complaints = info.warnings.iter();
    checks.extend(complaints.map(|warning| doubtful("docker says", warning, "see the engine's documentation")));
    checks
}

fn runc(version: &str) -> Check {
    let numbers: Vec<u64> = version.split(['.', '-', '+', '~']).map_while(|part| part.parse().ok()).collect();
    if numbers.is_empty() {
        return doubtful("runc", "its version is not told", "make sure that it is 1.2.8, 1.3.3 or newer");
    }
    let branch = RUNC.iter().find(|oldest| numbers.get(..2) == Some(&oldest[..2]));
    let mended = match branch {
        Some(oldest) => numbers.as_slice() >= oldest.as_slice(),
        None => numbers.as_slice() > RUNC[1].as_slice(),
    };
    if mended {
        return good("runc", format!("version {version}"));
    }
    let advice = "upgrade to 1.2.8, 1.3.3 or newer before running images of strangers: older ones can be escaped from";
    doubtful("runc", &format!("version {version}"), advice)
}
