//! Flags that describe a container. What Docker has is spelled as Docker spells it.

use clap::Args;
use longshore_client::v1::{Container, EnvVar};

use crate::{
    failure::Failure,
    spec::{
        container::Interface,
        name::VariableName,
        quantity::{ByteSize, Count, MilliCpus},
    },
};

/// Flags that describe a container.
#[derive(Debug, Default, Args)]
#[group(id = "container")]
#[command(next_help_heading = "Container options")]
pub struct ContainerArgs {
    /// Set an environment variable; without a value it is taken from this shell
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    pub env: Vec<String>,
    /// CPUs an attempt may use, such as 1.5
    #[arg(long, value_name = "N")]
    pub cpus: Option<MilliCpus>,
    /// Memory an attempt may use, such as 512m
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Network of the container, as the worker's operator allows it; none unless set
    #[arg(long, value_name = "NET")]
    pub network: Option<String>,
    /// User in the container, as `docker run --user` takes it
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Replace the image's entry point
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// How the container is spoken to
    #[arg(long, value_enum)]
    pub interface: Option<Interface>,
    /// TCP port its server listens on (--interface http)
    #[arg(long, value_name = "PORT")]
    pub port: Option<Count<65_535>>,
}

impl ContainerArgs {
    /// The container that runs `image` with `command`.
    pub fn container(&self, image: String, command: Vec<String>) -> Result<Container, Failure> {
        Ok(Container {
            image,
            command,
            entrypoint: self.entrypoint.iter().cloned().collect(),
            env: self.env.iter().map(|text| env_var(text)).collect::<Result<_, _>>()?,
            interface: Interface::wire(self.interface),
            port: self.port.map_or(0, |port| port.0),
            user: self.user.clone().unwrap_or_default(),
            network: self.network.clone().unwrap_or_default(),
            cpu_milli: self.cpus.map_or(0, |cpus| cpus.0),
            memory_bytes: self.memory.map_or(0, |memory| memory.0),
        })
    }
}

fn env_var(text: &str) -> Result<EnvVar, Failure> {
    let (name, value) = match text.split_once('=') {
        Some((name, value)) => (name, value.to_owned()),
        None => (text, from_shell(text)?),
    };
    let name: VariableName = name.parse().map_err(Failure::usage)?;
    Ok(EnvVar { name: name.0, value })
}

fn from_shell(name: &str) -> Result<String, Failure> {
    let missing = |_| Failure::usage(format!("--env {name}: this shell has no such variable")).hint("write NAME=VALUE");
    std::env::var(name).map_err(missing)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_variable_has_a_name_and_may_have_any_value() {
        let var = env_var("A=b=c").unwrap();
        assert_eq!((var.name.as_str(), var.value.as_str()), ("A", "b=c"));
        assert_eq!(env_var("A=").unwrap().value, "");
        assert!(env_var("=x").is_err());
        assert!(env_var("NO_SUCH_VARIABLE_HERE").is_err());
    }
}
