//! The container fields that stages, leaves and merges have in common.

use std::collections::BTreeMap;

use longshore_client::{
    sent,
    v1::{self, EnvVar, NamedBlob},
};
use serde::Deserialize;
use serde_saphyr::Spanned;

use super::{SpecError, SpecText, files::Files, name::VariableName};

/// How a container is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize, clap::ValueEnum)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "lowercase")]
pub enum Interface {
    /// The command is run once per input as a fresh process.
    Files,
    /// A server that stays up: POST / with the input answers the output.
    Http,
}

impl Interface {
    /// As the wire has it.
    pub fn wire(interface: Option<Interface>) -> i32 {
        match interface {
            None => v1::Interface::Unspecified.into(),
            Some(Interface::Files) => v1::Interface::Files.into(),
            Some(Interface::Http) => v1::Interface::Http.into(),
        }
    }
}

/// Environment variables by name.
pub type Env = BTreeMap<VariableName, String>;

/// What stands for text in a spec: YAML's numbers and truths are taken by their spelling, so that `PORT: 8080` and
/// `[sleep, 1]` need no quotes. Only the schemas name it.
#[cfg(test)]
#[derive(schemars::JsonSchema)]
#[serde(untagged)]
#[allow(dead_code)]
pub enum Scalar {
    Text(String),
    Number(f64),
    Truth(bool),
}

/// As the wire has them, in order of name.
pub fn env_wire(env: &Env) -> Vec<EnvVar> {
    let var = |(name, value): (&VariableName, &String)| EnvVar { name: name.0.clone(), value: value.clone() };
    env.iter().map(var).collect()
}

/// What is sent along, read.
pub fn read_files(spec: &SpecText, files: Option<&Spanned<Files>>) -> Result<Vec<NamedBlob>, SpecError> {
    let Some(files) = files else { return Ok(Vec::new()) };
    sent::read(&files.value.0, &spec.base).map_err(|error| {
        let why = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
        SpecError::new(spec, Some(files.referenced), format!("{error}{why}"))
    })
}

/// Defines a struct of a spec with its own fields and those of a container. (`serde(flatten)` would do, but gives up
/// refusing unknown fields and saying where in the file a value stands.)
macro_rules! with_container {
    ($(#[$meta:meta])* pub struct $name:ident { $($own:tt)* }) => {
        $(#[$meta])*
        #[derive(Debug, Clone, serde::Deserialize)]
        #[cfg_attr(test, derive(schemars::JsonSchema))]
        #[serde(deny_unknown_fields)]
        pub struct $name {
            $($own)*
            /// Image reference as the worker's Docker Engine knows it.
            pub image: $crate::spec::name::Image,
            /// Arguments after the image's entry point, with placeholders such as {in} and {out}. Unset: the image's own.
            #[serde(default)]
            #[cfg_attr(test, schemars(with = "Vec<crate::spec::container::Scalar>"))]
            pub command: Vec<String>,
            /// Replaces the image's entry point.
            #[serde(default)]
            #[cfg_attr(test, schemars(with = "Vec<crate::spec::container::Scalar>"))]
            pub entrypoint: Vec<String>,
            /// Environment variables.
            #[serde(default)]
            #[cfg_attr(test, schemars(with = "std::collections::BTreeMap<String, crate::spec::container::Scalar>"))]
            pub env: $crate::spec::container::Env,
            /// Small files that are sent along, read-only at {files}: a list of paths, or names with paths; relative to the spec.
            #[cfg_attr(test, schemars(with = "Option<crate::spec::files::FilesSchema>"))]
            files: Option<serde_saphyr::Spanned<$crate::spec::files::Files>>,
            /// Secrets that its processes are given.
            #[serde(default)]
            pub secrets: Vec<$crate::spec::secret::SecretFile>,
            /// Secret that the image's registry is shown: `user:password`, or a config.json of Docker's.
            pub pull_secret: Option<$crate::spec::name::SecretName>,
            /// How the container is spoken to; unset means files.
            pub interface: Option<$crate::spec::container::Interface>,
            /// TCP port its server listens on (interface http); unset means 8080.
            pub port: Option<$crate::spec::quantity::Count<65_535>>,
            /// User as `docker run --user` takes it.
            pub user: Option<String>,
            /// Network, as the worker's operator allows it; unset means none.
            pub network: Option<String>,
            /// Resources of the worker that it takes while it runs, as their operator counts them: `gpu: 1`.
            #[serde(default)]
            pub resources: std::collections::BTreeMap<String, u64>,
            /// What the worker's labels have to be: `disk=ssd`, `zone!=b`, or `gpu` for one that is there.
            #[serde(default)]
            pub constraints: Vec<String>,
            /// CPUs it may use; unset means a slot's share of the worker's machine.
            pub cpus: Option<$crate::spec::quantity::MilliCpus>,
            /// Memory it may use, swap included; unset means a slot's share of the worker's machine, at least 512MiB.
            pub memory: Option<$crate::spec::quantity::ByteSize>,
            /// Most processes and threads; unset means 4096.
            pub pids_limit: Option<$crate::spec::quantity::Count<{ u32::MAX }>>,
            /// Size of /dev/shm, which counts against the memory; unset means 64MiB.
            pub shm_size: Option<$crate::spec::quantity::ByteSize>,
            /// Temporary space on the disk: /tmp, scratch and the image's volumes together; unset means 10GiB.
            pub tmp_size: Option<$crate::spec::quantity::ByteSize>,
            /// Where processes begin; unset means the image's WORKDIR, or a private place that can be written.
            pub workdir: Option<$crate::spec::name::Workdir>,
            /// False: the image's files can be written, in a private layer that goes with the container.
            pub read_only: Option<bool>,
        }

        impl $name {
            /// The container, as the wire has it, with the bytes of what is sent along.
            fn container(
                &self,
                spec: &$crate::spec::SpecText,
            ) -> Result<longshore_client::v1::Container, $crate::spec::SpecError> {
                Ok(longshore_client::v1::Container {
                    image: self.image.0.clone(),
                    command: self.command.clone(),
                    entrypoint: self.entrypoint.clone(),
                    env: $crate::spec::container::env_wire(&self.env),
                    interface: $crate::spec::container::Interface::wire(self.interface),
                    port: self.port.map_or(0, |port| port.0),
                    user: self.user.clone().unwrap_or_default(),
                    network: self.network.clone().unwrap_or_default(),
                    resources: self.resources.clone().into_iter().collect(),
                    constraints: self.constraints.clone(),
                    cpu_milli: self.cpus.map_or(0, |cpus| cpus.0),
                    memory_bytes: self.memory.map_or(0, |memory| memory.0),
                    workdir: self.workdir.as_ref().map(|dir| dir.0.clone()).unwrap_or_default(),
                    pids_limit: self.pids_limit.map_or(0, |most| most.0),
                    tmp_bytes: self.tmp_size.map_or(0, |size| size.0),
                    shm_bytes: self.shm_size.map_or(0, |size| size.0),
                    writable_root: self.read_only == Some(false),
                    files: $crate::spec::container::read_files(spec, self.files.as_ref())?,
                    secrets: $crate::spec::secret::wire(&self.secrets),
                    pull_secret: self.pull_secret.as_ref().map(|name| name.0.clone()).unwrap_or_default(),
                })
            }
        }
    };
}

pub(super) use with_container;
