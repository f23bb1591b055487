//! The container fields that stages, leaves and merges have in common.

use std::collections::BTreeMap;

use longshore_client::v1::{self, EnvVar};
use serde::Deserialize;

use super::name::VariableName;

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
            /// How the container is spoken to; unset means files.
            pub interface: Option<$crate::spec::container::Interface>,
            /// TCP port its server listens on (interface http); unset means 8080.
            pub port: Option<$crate::spec::quantity::Count<65_535>>,
            /// User as `docker run --user` takes it.
            pub user: Option<String>,
            /// Network, as the worker's operator allows it; unset means none.
            pub network: Option<String>,
            /// CPUs it may use; unset means no limit.
            pub cpus: Option<$crate::spec::quantity::MilliCpus>,
            /// Memory it may use, swap included; unset means no limit.
            pub memory: Option<$crate::spec::quantity::ByteSize>,
        }

        impl $name {
            /// The container, as the wire has it.
            fn container(&self) -> longshore_client::v1::Container {
                longshore_client::v1::Container {
                    image: self.image.0.clone(),
                    command: self.command.clone(),
                    entrypoint: self.entrypoint.clone(),
                    env: $crate::spec::container::env_wire(&self.env),
                    interface: $crate::spec::container::Interface::wire(self.interface),
                    port: self.port.map_or(0, |port| port.0),
                    user: self.user.clone().unwrap_or_default(),
                    network: self.network.clone().unwrap_or_default(),
                    cpu_milli: self.cpus.map_or(0, |cpus| cpus.0),
                    memory_bytes: self.memory.map_or(0, |memory| memory.0),
                }
            }
        }
    };
}

pub(super) use with_container;
