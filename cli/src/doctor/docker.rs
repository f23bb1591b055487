//! This machine's Docker Engine.

use longshore_worker::runtime::docker::{DockerOptions, DockerRuntime, EngineInfo};
use uuid::Uuid;

use super::check::{Check, bad, doubtful, good};

/// The oldest runc of each branch whose known escapes are mended (CVE-2025-31133, -52565, -52881); later branches are.
const RUNC: [[u64; 3]; 2] = [[1, 2, 8], [1, 3, 3]];

/// Checks of the Docker Engine.
pub async fn look() -> Vec<Check> {
    let dir = match tempfile::tempdir() {
        Ok(dir) => dir,
        Err(error) => return vec![bad("temporary files", error.to_string(), "check the space in $TMPDIR")],
    };
    // Nothing is started under this id.
    let options = DockerOptions::new(Uuid::new_v4(), dir.path().join("shim"));
    match DockerRuntime::connect(options).await {
        Ok(runtime) => of_engine(runtime.info()),
        Err(error) => {
            let advice =
                "start it (`systemctl start docker`), or work without isolation: `longshore up --runtime process`";
            vec![bad("docker", error.to_string(), advice)]
        }
    }
}

fn of_engine(info: &EngineInfo) -> Vec<Check> {
    let engine = format!(
        "version {}, API {}, {}, storage {}, at {}",
        info.version, info.api_version, info.architecture, info.storage_driver, info.socket
    );
    let mut checks = vec![good("docker", engine), runc(&info.runc)];
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
