//! Ours: all the way from files to files, and the part between upload and fetch.

use std::time::Instant;

use anyhow::{Result, ensure};

use super::files::{Files, SHIFT, make};
use crate::{
    contender::Contender,
    jobs,
    longshore::{Longshore, Work},
    run::{Run, count},
    setup::Setup,
};

/// How far items go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// Inputs were uploaded before, outputs stay in the store.
    Stored,
    /// From files to files.
    Whole,
    /// From files to files, with outputs equal to the inputs.
    Same,
}

/// A Longshore of its own for each run, so that no store has anything yet.
pub struct Ours {
    pub way: Way,
    pub setup: Setup,
    pub image: String,
    pub files: Files,
}

impl Ours {
    fn work(&self) -> Work {
        match self.way {
            Way::Same => Work::command(&self.image, &["cp", "{in}", "{out}"]),
            _ => Work::command(&self.image, &[&SHIFT[..], &["of={out}"]].concat()),
        }
    }
}

impl Contender for Ours {
    fn name(&self) -> String {
        match self.way {
            Way::Stored => "longshore, inputs uploaded before, outputs left in the store",
            Way::Whole => "longshore, files to files",
            Way::Same => "longshore, files to files, outputs equal to inputs",
        }
        .to_owned()
    }

    fn does(&self) -> String {
        let command = self.work().command.join(" ");
        match self.way {
            Way::Stored => format!("submission, staging, `{command}` in warm slots, collection, durable outputs"),
            Way::Whole => format!("upload, a job of `{command}` in warm slots, fetch (which does not sync)"),
            Way::Same => format!("the same with `{command}`; the store has the outputs already"),
        }
    }

    fn run(&mut self) -> Result<Run> {
        let ours = Longshore::up(&self.setup, self.work())?;
        ours.warm_up()?;
        let (inputs, outputs) = (ours.room().join("items"), ours.room().join("fetched"));
        make(&inputs, self.files)?;
        let before = ours.look()?;
        let (uploaded, worked, fetched, bytes) = jobs::runtime()?.block_on(async {
            let client = jobs::connect(&ours).await?;
            let began = Instant::now();
            let lists = jobs::upload(&client, &inputs).await?;
            let uploaded = began.elapsed();
            let id = jobs::job(&client, ours.work(), lists).await?;
            let worked = began.elapsed();
            let bytes = if self.way == Way::Stored { 0 } else { jobs::fetch(&client, &id, &outputs).await? };
            anyhow::Ok((uploaded, worked - uploaded, began.elapsed() - worked, bytes))
        })?;
        let after = ours.look()?;
        let megabytes = count(self.files.items * self.files.bytes) / 1e6;
        let run = match self.way {
            Way::Stored => Run::rate("MB/s", megabytes, worked),
            _ => {
                ensure!(bytes > 0, "nothing was fetched");
                let run = Run::rate("MB/s", megabytes, uploaded + worked + fetched);
                let run = run.with("upload s", uploaded.as_secs_f64());
                run.with("job s", worked.as_secs_f64()).with("fetch s", fetched.as_secs_f64())
            }
        };
        let rate = count(self.files.items) / run.wall_s;
        let run = run.with("items/s", rate);
        Ok(after.account(&before, self.files.items, run))
    }
}
