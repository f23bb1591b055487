//! What kind of engine this is: for `doctor`, and for what we ask of it.

use std::collections::HashMap;

use bollard::models::{SystemInfo, SystemVersion};

use super::{
    engine::{Engine, EngineError, LOOK},
    identity::Mapping,
};

/// Facts about an engine. What it does not tell is empty.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EngineInfo {
    /// Where it listens.
    pub socket: String,
    /// Version of the engine, such as "20.10.24".
    pub version: String,
    /// Version of its interface that we agreed on, such as "1.41".
    pub api_version: String,
    /// 1 or 2; 0 when it does not tell.
    pub cgroup_version: u8,
    /// How it stores images, such as "overlay2".
    pub storage_driver: String,
    /// The machine, as the kernel calls it, such as "x86_64".
    pub architecture: String,
    /// The kernel's version.
    pub kernel: String,
    /// Version of runc, such as "1.1.5".
    pub runc: String,
    /// It runs without root's rights.
    pub rootless: bool,
    /// It maps users into a range of their own (`userns-remap`).
    pub remaps_users: bool,
    /// It filters system calls.
    pub seccomp: bool,
    /// What it complains of itself.
    pub warnings: Vec<String>,
}

impl EngineInfo {
    /// Asks an engine.
    pub(super) async fn ask(engine: &Engine) -> Result<Self, EngineError> {
        let version = engine.within(LOOK, engine.docker().version()).await?;
        let info = engine.within(LOOK, engine.docker().info()).await?;
        Ok(Self::read(engine, version, info))
    }

    fn read(engine: &Engine, version: SystemVersion, info: SystemInfo) -> Self {
        let security = info.security_options.unwrap_or_default();
        let has = |name: &str| security.iter().any(|option| option.split(',').any(|part| part == name));
        Self {
            socket: engine.socket().into(),
            runc: runc_version(&version),
            version: version.version.unwrap_or_default(),
            api_version: engine.docker().client_version().to_string(),
            cgroup_version: info.cgroup_version.and_then(|text| text.to_string().parse().ok()).unwrap_or_default(),
            storage_driver: info.driver.unwrap_or_default(),
            architecture: info.architecture.unwrap_or_default(),
            kernel: info.kernel_version.unwrap_or_default(),
            rootless: has("name=rootless"),
            remaps_users: has("name=userns"),
            seccomp: has("name=seccomp"),
            warnings: info.warnings.unwrap_or_default(),
        }
    }

    pub(super) fn mapping(&self) -> Mapping {
        match (self.rootless, self.remaps_users) {
            (true, _) => Mapping::Rootless,
            (false, true) => Mapping::Remapped,
            (false, false) => Mapping::Same,
        }
    }
}

fn runc_version(version: &SystemVersion) -> String {
    let components = version.components.iter().flatten();
    let versions: HashMap<_, _> = components.map(|part| (part.name.as_str(), part.version.as_str())).collect();
    versions.get("runc").copied().unwrap_or_default().to_owned()
}
