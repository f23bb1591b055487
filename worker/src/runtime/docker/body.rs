//! What a container is made of: the request to the engine, with all it must not be able to do.
//!
//! A specification cannot express host paths, capabilities, devices or host namespaces, so nothing here passes such
//! things on; what it can loosen, the operator must have allowed.

use std::{
    collections::{BTreeMap, HashMap},
    fs,
    path::PathBuf,
};

use bollard::models::{
    ContainerCreateBody, HealthConfig, HostConfig, HostConfigCgroupnsModeEnum, ImageConfig, Mount, MountBindOptions,
    MountBindOptionsPropagationEnum, MountType, ResourcesUlimits, RestartPolicy, RestartPolicyNameEnum,
};
use longshore_proto::namespace;
use longshore_shim::{CONTAINER_ENV, INPUTS_ENV, SCRATCH_ENV, SECRETS_ENV, SOCKET_ENV};
use rustix::process::{Resource, getrlimit};

use uuid::Uuid;

use super::{
    etc_hosts,
    info::EngineInfo,
    limits::Limit,
    log,
    options::DockerOptions,
    places::{INSIDE_SCRATCH, Places},
};
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
pub(super) const INSIDE_FILES: &str = "/longshore/files";

/// Where files of secrets are: in memory, and among what is emptied between runs.
pub(super) const INSIDE_SECRETS: &str = "/dev/shm/.longshore-secrets";
pub(super) const INSIDE_SOCKET: &str = "/longshore/scratch/longshore.sock";
pub(super) const INSIDE_SHIM: &str = "/longshore/shim";
const INSIDE_CONTROL: &str = "/longshore/control";

/// What runs are called, where the image calls them nothing.
const USER: &str = "longshore";

/// The shim's capabilities. Runs have none.
const RIGHTS: [&str; 3] = ["SETUID", "SETGID", "KILL"];

/// Processes and size of `/dev/shm` where a specification leaves them to us.
const PIDS: u32 = 4_096;
const SHM_BYTES: u64 = 64 << 20;

/// Everything that goes into a container.
pub(super) struct Plan<'a> {
    pub(super) spec: &'a SandboxSpec,
    pub(super) layout: &'a Layout,
    pub(super) places: &'a Places,
    /// The directories of the places on the disk, in their order.
    pub(super) temporary: &'a [PathBuf],
    pub(super) options: &'a DockerOptions,
    /// What the engine has.
    pub(super) engine: &'a EngineInfo,
    /// The image's own words.
    pub(super) image: &'a ImageConfig,
    /// The shim's file on the host.
    pub(super) shim: &'a str,
    /// The file with the names of the loopback, on the host.
    pub(super) hosts: &'a str,
    /// What tells this life of the worker from another.
    pub(super) life: String,
}

impl Plan<'_> {
    /// The request, or why there is none.
    pub(super) fn body(self) -> Result<ContainerCreateBody, StartError> {
        Ok(ContainerCreateBody {
            image: Some(self.spec.image.id.clone()),
            entrypoint: Some(vec![INSIDE_SHIM.into()]),
            env: Some(self.environment()),
            labels: Some(labels(self.spec, self.options.worker, &self.life)),
            host_config: Some(self.host_config()?),
            working_dir: Some(self.places.workdir.clone()),
            network_disabled: self.is_left_alone().then_some(true),
            // The shim's, not those of runs (`runtime/users`).
            user: Some("0:0".into()),
            // The image's own check would be run by the engine, beside the shim and its bounds.
            healthcheck: Some(HealthConfig { test: Some(vec!["NONE".into()]), ..HealthConfig::default() }),
            // Podman waits for it before it removes by force; the shim ends by word of its worker alone.
            stop_timeout: Some(if self.engine.is_podman() { 0 } else { 10 }),
            tty: Some(false),
            open_stdin: Some(false),
            ..ContainerCreateBody::default()
        })
    }

    /// The specification's variables and ours; the engine adds the image's that are not named here. Each name once,
    /// since with two of a name programs differ in which they see.
    fn environment(&self) -> Vec<String> {
        let of_image = self.image.env.iter().flatten();
        let set_by_image = |name: &str| of_image.clone().any(|pair| pair.split('=').next() == Some(name));
        let mut variables = BTreeMap::new();
        // Runs have no name in the image's lists, and some programs ask for one.
        let usual = [("HOME", INSIDE_SCRATCH), ("TMPDIR", INSIDE_SCRATCH), ("USER", USER), ("LOGNAME", USER)];
        for (name, value) in usual.into_iter().filter(|(name, _)| !set_by_image(name)) {
            variables.insert(name, value.to_owned());
        }
        for variable in &self.spec.container.env {
            variables.insert(&variable.name, variable.value.clone());
        }
        variables.insert(SOCKET_ENV, format!("{INSIDE_CONTROL}/{SOCKET_NAME}"));
        variables.insert(INPUTS_ENV, INSIDE_IN.to_owned());
        variables.insert(CONTAINER_ENV, "1".to_owned());
        variables.insert(SCRATCH_ENV, self.places.emptied().collect::<Vec<_>>().join(":"));
        variables.insert(SECRETS_ENV, INSIDE_SECRETS.to_owned());
        variables.into_iter().map(|(name, value)| format!("{name}={value}")).collect()
    }

    fn host_config(&self) -> Result<HostConfig, StartError> {
        let container = &self.spec.container;
        // What an engine cannot bound it refuses to be asked for, or complains about each time.
        let bound = |limit, value: Option<i64>| value.filter(|_| self.engine.enforces(limit));
        let memory = (container.memory_bytes > 0).then(|| clamp(container.memory_bytes));
        let processors = (container.cpu_milli > 0).then(|| i64::from(container.cpu_milli) * 1_000_000);
        Ok(HostConfig {
            // No rights, but for the shim to start runs as others and to end them.
            cap_drop: Some(vec!["ALL".into()]),
            cap_add: Some(RIGHTS.map(str::to_owned).to_vec()),
            security_opt: Some(vec!["no-new-privileges:true".into()]),
            privileged: Some(false),
            readonly_rootfs: Some(!container.writable_root),
            // No neighbours.
            sysctls: self.has_no_network().then(|| {
                // What a run has closed would keep the next from listening there for a minute.
                HashMap::from([("net.ipv4.tcp_max_tw_buckets".to_owned(), "0".to_owned())])
            }),
            network_mode: Some(self.network()?),
            ipc_mode: Some("private".into()),
            cgroupns_mode: Some(HostConfigCgroupnsModeEnum::PRIVATE),
            publish_all_ports: Some(false),
            // No more than its share. The same limit with swap means: no swap.
            memory: bound(Limit::Memory, memory),
            memory_swap: bound(Limit::Swap, memory),
            nano_cpus: bound(Limit::Processors, processors),
            pids_limit: bound(Limit::Processes, Some(or(container.pids_limit, PIDS).into())),
            ulimits: Some(self.limits()),
            shm_size: Some(clamp(self.shm_bytes())),
            tmpfs: Some(self.tmpfs()),
            mounts: Some(self.mounts()),
            oom_score_adj: Some(500),
            // No life of its own: the worker starts and removes it.
            restart_policy: Some(RestartPolicy { name: Some(RestartPolicyNameEnum::NO), maximum_retry_count: None }),
            auto_remove: Some(false),
            log_config: Some(log::config(&self.engine.log_drivers)),
            ..HostConfig::default()
        })
    }

    fn has_no_network(&self) -> bool {
        matches!(self.spec.container.network.as_str(), "" | "none")
    }

    /// Whether the engine has nothing to do with its network: the kernel's own loopback is there all the same. Podman knows no such
    /// thing; and what root writes to `/etc/hosts`, where it may, is the engine's file.
    fn is_left_alone(&self) -> bool {
        self.has_no_network() && !self.engine.is_podman() && !self.spec.container.writable_root
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
        // Outputs and temporary files alike: which of the two it was is seen by whoever watches the run.
        let largest = clamp(self.spec.max_output_bytes.max(self.spec.container.tmp_bytes));
        let open_files = self.options.open_files.into();
        // Left out, engines put one of their own choice, which may be more than they can give.
        let processes = most_processes();
        vec![
            limit("nofile", open_files, open_files),
            limit("nproc", processes, processes),
            limit("core", 0, 0),
            limit("fsize", largest, largest),
        ]
    }

    /// `/dev/shm` as Docker's own, but that files in it may be run.
    fn tmpfs(&self) -> HashMap<String, String> {
        let options = format!("rw,nosuid,nodev,exec,mode=1777,size={}", self.shm_bytes());
        let mut all = HashMap::from([("/dev/shm".to_owned(), options)]);
        if self.engine.is_podman() && !self.spec.container.writable_root {
            // With a read-only root it makes these writable, without a bound and for all runs alike, unless they are asked for.
            for place in
                ["/run", "/var/tmp"].into_iter().filter(|place| !self.places.on_disk.iter().any(|ours| ours == place))
            {
                all.insert(place.to_owned(), "ro,nosuid,nodev,noexec,size=4096".to_owned());
            }
        }
        all
    }

    fn shm_bytes(&self) -> u64 {
        or(self.spec.container.shm_bytes, SHM_BYTES)
    }

    fn mounts(&self) -> Vec<Mount> {
        let path = |path: &std::path::Path| path.display().to_string();
        let mut mounts = vec![
            bind(self.shim, INSIDE_SHIM, Access::Read),
            bind(&path(&self.layout.control), INSIDE_CONTROL, Access::Read),
            bind(&path(&self.layout.inputs), INSIDE_IN, Access::Read),
            bind(&path(&self.layout.outputs), INSIDE_OUT, Access::Write),
        ];
        if self.is_left_alone() {
            mounts.push(bind(self.hosts, etc_hosts::INSIDE, Access::Read));
        }
        for (inside, outside) in self.places.on_disk.iter().zip(self.temporary) {
            mounts.push(bind(&path(outside), inside, Access::Write));
        }
        if let Some(data) = &self.spec.data {
            mounts.push(bind(&path(data), INSIDE_DATA, Access::Read));
        }
        if let Some(files) = &self.spec.files {
            mounts.push(bind(&path(files), INSIDE_FILES, Access::Read));
        }
        mounts
    }
}

/// What everything we make on an engine is known by.
pub(super) fn labels(spec: &SandboxSpec, worker: Uuid, life: &str) -> HashMap<String, String> {
    let namespace = if spec.namespace.is_empty() { namespace::DEFAULT } else { &spec.namespace };
    [
        (LABEL, "sandbox"),
        (LABEL_WORKER, &worker.to_string()),
        (LABEL_LIFE, life),
        ("longshore.role", spec.role),
        ("longshore.owner", &spec.owner),
        ("longshore.namespace", namespace),
    ]
    .map(|(key, value)| (key.to_owned(), value.to_owned()))
    .into()
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

/// As many processes as a user may have here at most: engines that are not almighty can give no more, and Podman bounds itself
/// to the kernel's highest number of a process. All processes of a user share this bound, so it is not where a container is
/// bounded: that is its control group.
fn most_processes() -> i64 {
    let highest = fs::read_to_string("/proc/sys/kernel/pid_max").ok().and_then(|text| text.trim().parse().ok());
    let ours = getrlimit(Resource::Nproc).maximum;
    highest.into_iter().chain(ours).min().map_or(-1, clamp)
}

/// The engine's numbers are signed; more than they hold is as good as no limit.
fn clamp(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(-1)
}

/// What was asked for, or else this.
fn or<N: Default + PartialEq>(asked: N, default: N) -> N {
    if asked == N::default() { default } else { asked }
}
