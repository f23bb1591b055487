//! Warm: containers are started and wait.

use std::{
    process::Stdio,
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};

use super::job::{COMMAND, PAUSE, input, summary};
use crate::{
    contender::Contender,
    jobs,
    longshore::{Longshore, Work},
    processes,
    run::Run,
    setup::Setup,
};

/// `longshore run`, each time anew.
pub struct Command {
    setup: Setup,
    image: String,
    jobs: usize,
    running: Option<Longshore>,
    numbers: std::ops::RangeFrom<usize>,
}

impl Command {
    /// So many jobs.
    pub fn new(setup: &Setup, image: &str, jobs: usize) -> Self {
        Self { setup: setup.clone(), image: image.to_owned(), jobs, running: None, numbers: 0.. }
    }
}

impl Contender for Command {
    fn name(&self) -> String {
        "longshore run".to_owned()
    }

    fn does(&self) -> String {
        "the whole command: start, connection, upload, submission, `cp` in a warm container, fetch".to_owned()
    }

    fn start(&mut self) -> Result<()> {
        self.running = Some(Longshore::up(&self.setup, Work::command(&self.image, &COMMAND))?);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let ours = self.running.as_ref().context("not started")?;
        ours.warm_up()?;
        let mut times = Vec::new();
        for number in self.numbers.by_ref().take(self.jobs) {
            let input = input(ours.room(), number)?;
            sleep(PAUSE);
            times.push(ours.job(&input)?.0);
        }
        summary(times)
    }
}

/// A client that stays connected.
pub struct Connection {
    command: Command,
}

impl Connection {
    /// So many jobs.
    pub fn new(setup: &Setup, image: &str, jobs: usize) -> Self {
        Self { command: Command::new(setup, image, jobs) }
    }
}

impl Contender for Connection {
    fn name(&self) -> String {
        "one client connection".to_owned()
    }

    fn does(&self) -> String {
        "upload, submission, `cp` in a warm container, fetch, over a connection that is there".to_owned()
    }

    fn start(&mut self) -> Result<()> {
        self.command.start()
    }

    fn run(&mut self) -> Result<Run> {
        let ours = self.command.running.as_ref().context("not started")?;
        ours.warm_up()?;
        let numbers: Vec<usize> = self.command.numbers.by_ref().take(self.command.jobs).collect();
        let times = jobs::runtime()?.block_on(steps(ours, &numbers))?;
        let middle = |step: fn(&[Duration; 3]) -> Duration| -> Result<f64> {
            let run = summary(times.iter().map(step).collect())?;
            Ok(run.figures.first().map_or(0.0, |(_, ms)| *ms))
        };
        let run = summary(times.iter().map(|steps| steps.iter().sum()).collect())?;
        Ok(run
            .with("upload ms", middle(|s| s[0])?)
            .with("job ms", middle(|s| s[1])?)
            .with("fetch ms", middle(|s| s[2])?))
    }
}

/// Upload, job and fetch of each item.
async fn steps(ours: &Longshore, numbers: &[usize]) -> Result<Vec<[Duration; 3]>> {
    let client = jobs::connect(ours).await?;
    let mut times = Vec::new();
    for &number in numbers {
        let input = input(ours.room(), number)?;
        tokio::time::sleep(PAUSE).await;
        let began = Instant::now();
        let lists = jobs::upload(&client, &input).await?;
        let uploaded = began.elapsed();
        let id = jobs::job(&client, ours.work(), lists).await?;
        let ended = began.elapsed();
        jobs::fetch(&client, &id, &ours.room().join("fetched")).await?;
        times.push([uploaded, ended - uploaded, began.elapsed() - ended]);
    }
    Ok(times)
}

/// What the command takes by itself.
pub struct Alone {
    pub jobs: usize,
}

impl Contender for Alone {
    fn name(&self) -> String {
        "the command alone".to_owned()
    }

    fn does(&self) -> String {
        "`cp` of such a file on the host, started and waited for".to_owned()
    }

    fn run(&mut self) -> Result<Run> {
        let dir = tempfile::tempdir()?;
        let mut times = Vec::new();
        for number in 0..self.jobs {
            let input = input(dir.path(), number)?;
            sleep(PAUSE);
            let mut copy = std::process::Command::new("cp");
            copy.arg(&input).arg(dir.path().join("out")).stdin(Stdio::null());
            times.push(processes::measure(&mut copy)?.0);
        }
        summary(times)
    }
}
