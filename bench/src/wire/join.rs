//! A machine more: from a token to the first item that its worker has done.

use std::time::Instant;

use anyhow::{Context, Result};

use super::flags::WireArgs;
use crate::{
    contender::Contender,
    longshore::{Entry, Longshore, Work, make_inputs},
    run::Run,
    setup::Setup,
};

/// A coordinator without a worker, each time anew.
pub struct Join {
    setup: Setup,
    image: String,
}

impl Join {
    /// Over TLS.
    pub fn new(args: &WireArgs, image: &str) -> Self {
        Self { setup: args.setup.clone(), image: image.to_owned() }
    }
}

impl Contender for Join {
    fn name(&self) -> String {
        "a worker joins by TLS".to_owned()
    }

    fn does(&self) -> String {
        "from the command that makes a token to the end of a job of one item: the worker starts, joins, and starts a \
         container"
            .to_owned()
    }

    fn run(&mut self) -> Result<Run> {
        let mut ours = Longshore::coordinator(Entry::Tls, &self.setup, Work::command(&self.image, &["true"]))?;
        let input = ours.room().join("one");
        make_inputs(&input, 1)?;
        let began = Instant::now();
        let token = ours.token_of_worker()?;
        ours.add_worker("worker", Some(&token), &self.setup)?;
        ours.job(&input).context("the first item")?;
        let took = began.elapsed();
        Ok(Run { wall_s: took.as_secs_f64(), ..Run::default() }.with("ms", took.as_secs_f64() * 1e3))
    }
}
