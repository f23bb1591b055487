//! Cold: no container is there; one is started for the item.

use std::{
    process::{Command, Stdio},
    thread::sleep,
};

use anyhow::Result;

use super::job::{COMMAND, PAUSE, input, summary};
use crate::{contender::Contender, jobs, longshore, processes, run::Run, setup::Setup};

/// `longshore run`, each time of a Longshore that has just been started.
pub struct Longshore {
    pub setup: Setup,
    pub image: String,
    pub jobs: usize,
}

impl Contender for Longshore {
    fn name(&self) -> String {
        "longshore run, no warm container".to_owned()
    }

    fn does(&self) -> String {
        "the whole command, of a `longshore up` that has never run anything; its start is not in the time".to_owned()
    }

    fn run(&mut self) -> Result<Run> {
        let mut times = Vec::new();
        for number in 0..self.jobs {
            let ours = longshore::Longshore::up(&self.setup, longshore::Work::command(&self.image, &COMMAND))?;
            jobs::runtime()?.block_on(jobs::connect(&ours))?;
            let input = input(ours.room(), number)?;
            sleep(PAUSE);
            times.push(ours.job(&input)?.0);
        }
        summary(times)
    }
}

/// `docker run` with the directories of input and output mounted.
pub struct DockerRun {
    pub image: String,
    pub jobs: usize,
}

impl Contender for DockerRun {
    fn name(&self) -> String {
        "docker run".to_owned()
    }

    fn does(&self) -> String {
        "docker run --rm --network none, `cp` within a mounted directory".to_owned()
    }

    fn run(&mut self) -> Result<Run> {
        let dir = tempfile::tempdir()?;
        let mut times = Vec::new();
        for number in 0..self.jobs {
            let volume = format!("{}:/data", dir.path().display());
            let from = input(dir.path(), number)?;
            let from = format!("/data/{}", from.file_name().unwrap_or_default().to_string_lossy());
            let mut run = Command::new("docker");
            run.args(["run", "--rm", "--network", "none", "-v", &volume, &self.image, "cp", &from, "/data/out"]);
            sleep(PAUSE);
            times.push(processes::measure(run.stdin(Stdio::null()))?.0);
        }
        summary(times)
    }
}
