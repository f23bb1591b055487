//! Flags that describe a container. What Docker has is spelled as Docker spells it.

use std::{collections::HashMap, path::Path};

use clap::Args;
use longshore_client::{
    sent::{self, SentFile},
    v1::{Container, EnvVar, NamedBlob},
};

use crate::{
    failure::Failure,
    spec::{
        container::Interface,
        name::{SecretName, VariableName, Workdir},
        quantity::{ByteSize, Count, MilliCpus},
        resource::Resource,
        secret::{self, SecretFile},
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
    /// Give its processes a secret, see `longshore secret put`: as a variable, as a file in {secrets}, or both; may be repeated
    #[arg(long, value_name = "NAME[,env=VAR][,file=FILE]")]
    pub secret: Vec<SecretFile>,
    /// Secret that the image's registry is shown, see `longshore secret put`: user:password, or Docker's config.json
    #[arg(long, value_name = "NAME")]
    pub pull_secret: Option<SecretName>,
    /// CPUs an attempt may use, such as 1.5; a slot's share of the worker's machine unless set
    #[arg(long, value_name = "N")]
    pub cpus: Option<MilliCpus>,
    /// Memory an attempt may use, such as 512m; a slot's share of the worker's machine unless set
    #[arg(short, long, value_name = "SIZE")]
    pub memory: Option<ByteSize>,
    /// Most processes and threads; 4096 unless set
    #[arg(long, value_name = "N")]
    pub pids_limit: Option<Count<{ u32::MAX }>>,
    /// Size of /dev/shm, part of the memory; 64m unless set
    #[arg(long, value_name = "SIZE")]
    pub shm_size: Option<ByteSize>,
    /// Temporary space on the disk: /tmp, scratch and the image's volumes together; 10g unless set
    #[arg(long, value_name = "SIZE")]
    pub tmp_size: Option<ByteSize>,
    /// Where processes begin; the image's WORKDIR unless set, or a private place that can be written where it has none
    #[arg(short, long, value_name = "DIR")]
    pub workdir: Option<Workdir>,
    /// With =false the image's files can be written, in a private layer: a new container for each item
    #[arg(long, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true")]
    pub read_only: Option<bool>,
    /// Network of the container, as the worker's operator allows it; none unless set
    #[arg(long, value_name = "NET")]
    pub network: Option<String>,
    /// Resource of the worker that an attempt takes while it runs, as its operator counts it; may be repeated
    #[arg(long, value_name = "NAME=N")]
    pub resource: Vec<Resource>,
    /// What the worker's labels have to be: disk=ssd, zone!=b, or gpu for one that is there; may be repeated
    #[arg(long, value_name = "LABEL[=VALUE]")]
    pub constraint: Vec<String>,
    /// User in the container, as `docker run --user` takes it
    #[arg(short, long, value_name = "USER")]
    pub user: Option<String>,
    /// Replace the image's entry point
    #[arg(long, value_name = "PROGRAM")]
    pub entrypoint: Option<String>,
    /// Send a small file along, read-only at {files}/NAME; NAME is PATH unless set
    #[arg(long, value_name = "PATH[:NAME]")]
    pub send: Vec<String>,
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
            workdir: self.workdir.as_ref().map(|dir| dir.0.clone()).unwrap_or_default(),
            pids_limit: self.pids_limit.map_or(0, |most| most.0),
            tmp_bytes: self.tmp_size.map_or(0, |size| size.0),
            shm_bytes: self.shm_size.map_or(0, |size| size.0),
            writable_root: self.read_only == Some(false),
            files: read_files(&self.send)?,
            resources: resources(&self.resource)?,
            constraints: self.constraint.clone(),
            secrets: secret::wire(&self.secret),
            pull_secret: self.pull_secret.as_ref().map(|name| name.0.clone()).unwrap_or_default(),
        })
    }
}

fn resources(given: &[Resource]) -> Result<HashMap<String, u64>, Failure> {
    let all: HashMap<String, u64> = given.iter().map(|resource| (resource.name.clone(), resource.count)).collect();
    if all.len() < given.len() {
        return Err(Failure::usage("--resource: a resource is there twice").hint("write NAME=N once, with their sum"));
    }
    Ok(all)
}

fn read_files(words: &[String]) -> Result<Vec<NamedBlob>, Failure> {
    let files: Vec<SentFile> = words.iter().map(|word| sent_file(word)).collect();
    sent::read(&files, Path::new("")).map_err(|error| {
        let why = std::error::Error::source(&error).map_or(String::new(), |why| format!(": {why}"));
        Failure::usage(format!("--send: {error}{why}"))
    })
}

/// `scripts/run.py:run.py`; what is there under the whole name is meant by that.
fn sent_file(word: &str) -> SentFile {
    match word.rsplit_once(':').filter(|(from, name)| !from.is_empty() && !name.is_empty()) {
        Some((from, name)) if !Path::new(word).exists() => SentFile { from: from.into(), name: Some(name.to_owned()) },
        _ => SentFile { from: word.into(), name: None },
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
