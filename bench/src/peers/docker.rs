//! A container per item: `docker run`.

use std::process::{Command, Stdio};

use anyhow::Result;

use super::{Measured, Peer};
use crate::processes;

/// `docker run` per item, so many at once.
pub struct DockerRun {
    pub image: String,
    pub parallel: usize,
    pub items: usize,
}

impl Peer for DockerRun {
    fn name(&self) -> String {
        format!("docker run per item, {} at once", self.parallel)
    }

    fn run(&mut self) -> Result<Measured> {
        let script = format!(
            "seq {} | xargs -P{} -I_ docker run --rm --network none {} true",
            self.items, self.parallel, self.image
        );
        let mut command = Command::new("sh");
        command.args(["-c", &script]).stdout(Stdio::null());
        // Most of the work is the engine's: what the client used says little.
        let mut measured = processes::measure(&mut command, self.items)?;
        measured.cpu_ms_per_item.clear();
        Ok(measured)
    }
}
