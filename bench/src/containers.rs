//! Containers: started for a comparison, or looked at from outside through their control groups.

use std::{fs, path::PathBuf, process::Command, time::Duration};

use anyhow::{Context, Result, bail};

/// A container that runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Container {
    /// Its id.
    pub id: String,
    /// Its process 1, as the host sees it.
    pub pid: u32,
}

impl Container {
    /// The running containers with a label.
    pub fn labelled(label: &str) -> Result<Vec<Self>> {
        let ids = docker(&["ps", "-q", "--no-trunc", "--filter", &format!("label={label}")])?;
        let mut all: Vec<Self> = ids.split_whitespace().filter_map(|id| Self::of(id).ok()).collect();
        all.sort_by(|a, b| a.id.cmp(&b.id));
        Ok(all)
    }

    fn of(id: &str) -> Result<Self> {
        let pid = docker(&["inspect", "-f", "{{.State.Pid}}", id])?;
        Ok(Self { id: id.to_owned(), pid: pid.trim().parse()? })
    }

    /// Processor time of everything that ever ran in it, from its control group.
    pub fn cpu(&self) -> Result<Duration> {
        let groups = fs::read_to_string(format!("/proc/{}/cgroup", self.pid))?;
        let path_of = |wanted: &str| {
            let mut lines = groups.lines().filter_map(|line| line.split_once(':')?.1.split_once(':'));
            lines.find(|(controllers, _)| controllers.split(',').any(|it| it == wanted)).map(|(_, path)| path)
        };
        let root = PathBuf::from("/sys/fs/cgroup");
        // Version 1, or else the one nameless hierarchy of version 2.
        if let Some(path) = path_of("cpuacct") {
            let file = root.join("cpuacct").join(path.trim_start_matches('/')).join("cpuacct.usage");
            let nanos = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            return Ok(Duration::from_nanos(nanos.trim().parse()?));
        }
        let path = path_of("").context("the container is in no control group")?;
        let file = root.join(path.trim_start_matches('/')).join("cpu.stat");
        let text = fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
        let micros = text.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Ok(Duration::from_micros(micros.context("no usage_usec in cpu.stat")?.trim().parse()?))
    }
}

/// A container of ours, removed when this is dropped.
#[derive(Debug)]
pub struct Kept {
    /// The container.
    pub container: Container,
}

impl Kept {
    /// Starts one without a network: `docker run` with these arguments, which name the image and what it runs.
    pub fn start(arguments: &[&str]) -> Result<Self> {
        let common = ["run", "-d", "--rm", "--network", "none", "--label", "longshore=bench"];
        let id = docker(&[&common, arguments].concat())?;
        Ok(Self { container: Container::of(id.trim())? })
    }

    /// Runs a script in it; how long that took by the clock inside, in 1/100 s, so without the start of `docker exec`.
    pub fn timed(&self, script: &str) -> Result<Duration> {
        let script = format!("cat /proc/uptime; {script} >/dev/null || exit; cat /proc/uptime");
        let said = docker(&["exec", &self.container.id, "sh", "-c", &script])?;
        let seconds = said.lines().filter_map(|line| line.split_whitespace().next()?.parse::<f64>().ok());
        match *seconds.collect::<Vec<_>>() {
            [began, ended] => Ok(Duration::from_secs_f64((ended - began).max(0.0))),
            _ => bail!("the container's clock says {said:?}"),
        }
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        // Nobody is left to be told.
        let _ = docker(&["rm", "-f", &self.container.id]);
    }
}

/// What a command of docker printed; its complaint is in the error.
pub fn docker(arguments: &[&str]) -> Result<String> {
    let output = Command::new("docker").args(arguments).output().context("cannot run docker")?;
    if !output.status.success() {
        let complaint = String::from_utf8_lossy(&output.stderr);
        let first = complaint.lines().find(|line| !line.trim().is_empty()).unwrap_or("without a word");
        bail!("`docker {}` has failed: {first}", arguments.join(" "));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
