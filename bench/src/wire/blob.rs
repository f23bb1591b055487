//! One large blob, uploaded until it is durable.

use std::{fs, time::Instant};

use anyhow::{Context, Result};

use super::flags::WireArgs;
use crate::{
    contender::Contender,
    jobs,
    longshore::{Entry, Longshore, Work},
    run::{Run, count},
    setup::Setup,
    transfer::files::{Files, make},
};

/// A coordinator that is given a blob.
pub struct Blob {
    entry: Entry,
    setup: Setup,
    bytes: usize,
    running: Option<Longshore>,
}

impl Blob {
    /// With whoever brings it coming in by this.
    pub fn by(entry: Entry, args: &WireArgs) -> Self {
        Self { entry, setup: args.setup.clone(), bytes: args.blob_mib << 20, running: None }
    }
}

impl Contender for Blob {
    fn name(&self) -> String {
        format!("a blob by {}", self.entry)
    }

    fn does(&self) -> String {
        "a file in the page cache is hashed and uploaded, until it is durable".to_owned()
    }

    fn start(&mut self) -> Result<()> {
        self.running = Some(Longshore::coordinator(self.entry, &self.setup, Work::default())?);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let ours = self.running.as_ref().context("not started")?;
        let files = ours.room().join("blob");
        make(&files, Files { items: 1, bytes: self.bytes })?;
        let took = jobs::runtime()?.block_on(async {
            let client = jobs::caller(ours).await?;
            let began = Instant::now();
            jobs::upload(&client, &files).await?;
            anyhow::Ok(began.elapsed())
        })?;
        fs::remove_dir_all(files)?;
        Ok(Run::rate("MB/s", count(self.bytes) / 1e6, took))
    }
}
