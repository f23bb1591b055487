//! What a container is made of: the request to the engine, with all it must not be able to do.
//!
//! A specification cannot express host paths, capabilities, devices or host namespaces, so nothing here passes such
//! things on; what it can loosen, the operator must have allowed.

use std::collections::{BTreeMap, HashMap};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, HostConfigLogConfig, ImageConfig, Mount,
    MountBindOptions, MountBindOptionsPropagationEnum, MountType, ResourcesUlimits, RestartPolicy,
    RestartPolicyNameEnum,
};
use longshore_proto::namespace;
use longshore_shim::{INPUTS_ENV, SCRATCH_ENV, SOCKET_ENV};

use super::options::DockerOptions;
use crate::runtime::{SandboxSpec, StartError, layout::Layout, shim_link::SOCKET_NAME};

/// Label key that everything we start carries.
pub(super) const LABEL: &str = "longshore";
/// Label with the id of the worker.
pub(super) const LABEL_WORKER: &str = "longshore.worker";
/// Label with what tells one life of a worker from the next.
pub(super) const LABEL_LIFE: &str = "longshore.life";

pub(super) const INSIDE_IN: &str = "/longshore/in";
pub(super) const INSIDE_OUT: &str = "/longshore/out";
pub(super) const INSIDE_DATA: &str = "/longshore/data";
/// Ours, beside `/tmp`: an image's own `/tmp` keeps its mode under a tmpfs, which may let nobody but root write.
pub(super) const INSIDE_SCRATCH: &str = "/longshore/scratch";
pub(super) const INSIDE_SOCKET: &str = "/longshore/scratch/longshore.sock";
const INSIDE_SHIM: &str = "/longshore/shim";
const INSIDE_CONTROL: &str = "/longshore/control";

/// Most VOLUMEs an image may have; each becomes a tmpfs.
const MOST_VOLUMES: usize = 16;

/// Everything that goes into a container.
pub(super) struct Plan<'a> {
    pub(super) spec: &'a SandboxSpec,
    pub(super) layout: &'a Layout,
    pub(super) options: &'a DockerOptions,
    /// The image's own words.
    pub(super) image: &'a ImageConfig,
    /// The shim's file on the host.
    pub(super) shim: &'a str,
    /// As the engine takes it.
    pub(super) user: String,
    /// What tells this life of the worker from another.
    pub(super) life: String,
}

impl Plan<'_> {
    /// The request, or why there is none.
    pub(super) fn body(self) -> Result<ContainerCreateBody, StartError> {
        self.check_working_directory()?;
        let scratch = self.scratch_directories()?;
        Ok(ContainerCreateBody {
            image: Some(self.spec.image.id.clone()),
            entrypoint: Some(vec![INSIDE_SHIM.into()]),
            env: Some(self.environment(&scratch)),
            labels: Some(self.labels()),
            host_config: Some(self.host_config(&scratch)?),
            user: Some(self.user),
            // The image's own check would be run by the engine, beside the shim and its bounds.
            healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
            stop_timeout: Some(10),
            tty: Some(false),
            open_stdin: Some(false),
            ..ContainerCreateBody::default()
        })
    }

    /// CVE-2024-21626: a working directory below /proc/self/fd may lead out of the container with an old runc.
    fn check_working_directory(&self) -> Result<(), StartError> {
        let directory = self.image.working_dir.as_deref().unwrap_or_default();
        let hostile = ["/proc", "/sys", "/dev"].iter().any(|bad| is_at_or_below(directory, bad));
        if hostile || directory.split('/').any(|part| part == "..") {
            return Err(self.refuse(&format!("its WORKDIR is {directory:?}")));
        }
        Ok(())
    }

    /// Places that can be written and are emptied between runs. An image's VOLUMEs become such places too: as real
    /// volumes they would grow without a bound, and carry one run's leavings into the next.
    fn scratch_directories(&self) -> Result<Vec<String>, StartError> {
        let volumes = self.image.volumes.iter().flatten();
        let mut directories = vec![INSIDE_SCRATCH.to_owned(), "/tmp".into(), "/dev/shm".into(), "/dev/mqueue".into()];
        for volume in volumes {
            let volume = volume.trim_end_matches('/');
            let plain = volume.starts_with('/') && volume.len() < 256 && !volume.contains([':', ',', '\0']);
            let taken = ["/longshore", "/proc", "/sys", "/dev"].iter().any(|ours| is_at_or_below(volume, ours));
            if !plain || taken || volume.split('/').any(|part| part == "..") {
                return Err(self.refuse(&format!("its VOLUME {volume:?} cannot be given")));
            }
            if !directories.iter().any(|known| known == volume) {
                directories.push(volume.to_owned());
            }
        }
        if directories.len() > 4 + MOST_VOLUMES {
            return Err(self.refuse(&format!("it has more than {MOST_VOLUMES} VOLUMEs")));
        }
        Ok(directories)
    }

    fn refuse(&self, why: &str) -> StartError {
        StartError::Refused(format!("image {} is refused: {why}", self.spec.image.reference))
    }

    /// The specification's variables and ours; the engine adds the image's that are not named here. Each name once,
    /// since with two of a name programs differ in which they see.
    fn environment(&self, scratch: &[String]) -> Vec<String> {
        let of_image = self.image.env.iter().flatten();
        let set_by_image = |name: &str| of_image.clone().any(|pair| pair.split('=').next() == Some(name));
        let mut variables = BTreeMap::new();
        for name in ["HOME", "TMPDIR"].into_iter().filter(|name| !set_by_image(name)) {
            variables.insert(name, INSIDE_SCRATCH.to_owned());
        }
        for variable in &self.spec.container.env {
            variables.insert(&variable.name, variable.value.clone());
        }
        variables.insert(SOCKET_ENV, format!("{INSIDE_CONTROL}/{SOCKET_NAME}"));
        variables.insert(INPUTS_ENV, INSIDE_IN.to_owned());
        variables.insert(SCRATCH_ENV, scratch.join(":"));
        variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn labels(&self) -> HashMap<String, String> {
        let namespace = if self.spec.namespace.is_empty() { namespace::DEFAULT } else { &self.spec.namespace };
        [
            (LABEL, "sandbox"),
            (LABEL_WORKER, &self.options.worker.to_string()),
            (LABEL_LIFE, &self.life),
            ("longshore.role", self.spec.role),
            ("longshore.owner", &self.spec.owner),
            ("longshore.namespace", namespace),
        ]
        .map(|(key, value)| (key.to_owned(), value.to_owned()))
        .into()
    }

    fn host_config(&self, scratch: &[String]) -> Result<HostConfig, StartError> {
        let container = &self.spec.container;
        let memory = (container.memory_bytes > 0).then(|| clamp(container.memory_bytes));
        let processors = (container.cpu_milli > 0).then(|| i64::from(container.cpu_milli) * 1_000_000);
        Ok(HostConfig {
            // No rights.
            cap_drop: Some(vec!["ALL".into()]),
            security_opt: Some(vec!["no-new-privileges:true".into()]),
            privileged: Some(false),
            readonly_rootfs: Some(true),
            // No neighbours.
            network_mode: Some(self.network()?),
            ipc_mode: Some("private".into()),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            publish_all_ports: Some(false),
            // No more than its share. The same limit with swap means: no swap.
            memory,
            memory_swap: memory,
            nano_cpus: processors,
            pids_limit: Some(self.options.processes.into()),
            ulimits: Some(self.limits()),
            shm_size: Some(clamp(self.options.shared_memory_bytes)),
            tmpfs: Some(self.tmpfs(scratch)),
            mounts: Some(self.mounts()),
            oom_score_adj: Some(500),
            // No life of its own: the worker starts and removes it.
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
            auto_remove: Some(false),
            log_config: Some(log_config()),
            ..HostConfig::default()
        })
    }

    fn network(&self) -> Result<String, StartError> {
        match self.spec.container.network.as_str() {
            "" | "none" => Ok("none".into()),
            wanted if self.options.networks.iter().any(|allowed| allowed == wanted) => Ok(wanted.into()),
            wanted => Err(StartError::Refused(format!(
                "network {wanted:?} is not allowed on this worker; its operator can: `longshore worker --allow-network {wanted}`"
            ))),
        }
    }

    fn limits(&self) -> Vec<ResourcesUlimits> {
        let limit =
            |name: &str, soft, hard| ResourcesUlimits { name: Some(name.into()), soft: Some(soft), hard: Some(hard) };
        let largest = clamp(self.spec.max_output_bytes);
        let open_files = self.options.open_files.into();
        vec![limit("nofile", open_files, open_files), limit("core", 0, 0), limit("fsize", largest, largest)]
    }

    fn tmpfs(&self, scratch: &[String]) -> HashMap<String, String> {
        let execution = if self.options.executable_scratch { "exec" } else { "noexec" };
        let options = format!("rw,nosuid,nodev,{execution},mode=1777,size={}", self.options.scratch_bytes);
        let ours = scratch.iter().filter(|directory| !directory.starts_with("/dev/"));
        ours.map(|directory| (directory.clone(), options.clone())).collect()
    }

    fn mounts(&self) -> Vec<Mount> {
        let path = |path: &std::path::Path| path.display().to_string();
        let mut mounts = vec![
            bind(self.shim, INSIDE_SHIM, Access::Read),
            bind(&path(&self.layout.control), INSIDE_CONTROL, Access::Read),
            bind(&path(&self.layout.inputs), INSIDE_IN, Access::Read),
            bind(&path(&self.layout.outputs), INSIDE_OUT, Access::Write),
        ];
        if let Some(data) = &self.spec.data {
            mounts.push(bind(&path(data), INSIDE_DATA, Access::Read));
        }
        mounts
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

fn bind(source: &str, target: &str, access: Access) -> Mount {
    Mount {
        typ: Some(MountType::BIND),
        source: Some(source.into()),
        target: Some(target.into()),
        read_only: Some(access == Access::Read),
        bind_options: Some(MountBindOptions {
            propagation: Some(MountBindOptionsPropagationEnum::PRIVATE),
            // What is mounted below on the host is not shown, and could not be made read-only by older engines.
            non_recursive: Some(true),
            ..MountBindOptions::default()
        }),
        ..Mount::default()
    }
}

/// The users' logs go through the shim. This one is for the shim's own last words, which must outlive the container's
/// end, and bounded, because a process of the same user may find a way to write there.
fn log_config() -> HostConfigLogConfig {
    let config = [("max-size", "256k"), ("max-file", "1"), ("compress", "false")];
    HostConfigLogConfig {
        typ: Some("local".into()),
        config: Some(config.map(|(key, value)| (key.to_owned(), value.to_owned())).into()),
    }
}

fn is_at_or_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// The engine's numbers are signed; more than they hold is as good as no limit.
fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(-1)
}
