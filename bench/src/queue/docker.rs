//! A container per item: `docker run`.

use std::process::{Command, Stdio};

use anyhow::Result;

use crate::{
    contender::Contender,
    processes,
    run::{Run, count},
};

/// `docker run` per item, so many at once.
pub struct DockerRun {
    pub image: String,
    pub parallel: usize,
    pub items: usize,
}

impl DockerRun {
    fn script(&self) -> String {
        let (items, parallel, image) = (self.items, self.parallel, &self.image);
        format!("seq {items} | xargs -P{parallel} -I_ docker run --rm --network none {image} true")
    }
}

impl Contender for DockerRun {
    fn name(&self) -> String {
        format!("docker run per item, {} at once", self.parallel)
    }

    fn does(&self) -> String {
        self.script()
    }

    fn run(&mut self) -> Result<Run> {
        // Most of the work is the engine's: what the client used says little.
        let (wall, _) = processes::measure(Command::new("sh").args(["-c", &self.script()]).stdout(Stdio::null()))?;
        Ok(Run::rate("items/s", count(self.items), wall))
    }
}
