//! `cp` of the same files on the same disk, and the very command of the items in a container.

use std::{
    fs,
    path::Path,
    process::{Command, Stdio},
};

use anyhow::Result;

use super::files::{Files, SHIFT, make};
use crate::{
    containers::Kept,
    contender::Contender,
    processes,
    run::{Run, count},
    setup::Setup,
};

/// When what was copied is on the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sync {
    /// Before the clock is stopped, by one `sync` of the file system.
    AtTheEnd,
    /// When the kernel likes.
    Never,
}

/// `cp`, a process for each file or one for all.
pub struct Copy {
    pub each: bool,
    pub sync: Sync,
    pub setup: Setup,
    pub files: Files,
}

impl Copy {
    fn script(&self) -> String {
        let slots = self.setup.slots;
        let copy = match self.each {
            true => format!("mkdir out && ls in | xargs -P{slots} -I@ cp in/@ out/@"),
            false => "cp -r in out".to_owned(),
        };
        match self.sync {
            Sync::AtTheEnd => format!("{copy} && sync -f out"),
            Sync::Never => copy,
        }
    }
}

impl Contender for Copy {
    fn name(&self) -> String {
        let copy = if self.each { format!("cp per file, {} at once", self.setup.slots) } else { "cp -r".to_owned() };
        format!("{copy}, {}", if self.sync == Sync::AtTheEnd { "synced" } else { "not synced" })
    }

    fn does(&self) -> String {
        self.script()
    }

    fn run(&mut self) -> Result<Run> {
        let room = self.setup.dir()?;
        make(&room.path().join("in"), self.files)?;
        let mut command = Command::new("sh");
        command.args(["-c", &self.script()]).current_dir(room.path()).stdout(Stdio::null());
        let (wall, cpu) = processes::measure(&mut command)?;
        let run = Run::rate("MB/s", megabytes(self.files), wall);
        let run = run.with("items/s", count(self.files.items) / wall.as_secs_f64());
        Ok(run.with_cpu("all", cpu, self.files.items))
    }
}

/// The command of the items by `xargs` in one container, with inputs and outputs mounted from the disk.
pub struct InContainer {
    pub setup: Setup,
    pub image: String,
    pub files: Files,
}

impl InContainer {
    fn script(&self) -> String {
        let command = SHIFT.join(" ").replace("{in}", "/in/@");
        format!("ls /in | xargs -P{} -I@ {command} of=/out/@ && sync -f /out", self.setup.slots)
    }
}

impl Contender for InContainer {
    fn name(&self) -> String {
        format!("the command by xargs -P{} in one container, synced", self.setup.slots)
    }

    fn does(&self) -> String {
        self.script()
    }

    fn run(&mut self) -> Result<Run> {
        let room = self.setup.dir()?;
        let (inputs, outputs) = (room.path().join("in"), room.path().join("out"));
        make(&inputs, self.files)?;
        fs::create_dir(&outputs)?;
        let mount = |path: &Path, inside: &str| format!("{}:{inside}", path.display());
        let volumes = [mount(&inputs, "/in:ro"), mount(&outputs, "/out")];
        let kept = Kept::start(&["-v", &volumes[0], "-v", &volumes[1], &self.image, "sleep", "86400"])?;
        let before = kept.container.cpu()?;
        let wall = kept.timed(&self.script())?;
        let cpu = kept.container.cpu()?.saturating_sub(before);
        let run = Run::rate("MB/s", megabytes(self.files), wall);
        let run = run.with("items/s", count(self.files.items) / wall.as_secs_f64());
        Ok(run.with_cpu("container", cpu, self.files.items))
    }
}

fn megabytes(files: Files) -> f64 {
    count(files.items * files.bytes) / 1e6
}
