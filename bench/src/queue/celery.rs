//! Celery over Redis: prefork processes, results kept, nothing durable.

use std::{
    path::PathBuf,
    process::{Child, Command, Stdio},
};

use anyhow::{Context, Result, bail};

use super::{flags::QueueArgs, installed::is_here, python};
use crate::{
    contender::Contender,
    processes,
    run::{Run, count},
};

/// Celery with one kind of task.
pub struct Celery {
    python: PathBuf,
    slots: usize,
    items: usize,
    task: &'static str,
    running: Option<Running>,
}

impl Celery {
    /// With as many processes as slots.
    pub fn new(args: &QueueArgs, task: &'static str) -> Self {
        Self {
            python: python::interpreter(&args.python),
            slots: args.setup.slots,
            items: args.items,
            task,
            running: None,
        }
    }
}

/// Ended in this order.
struct Running {
    client: python::Program,
    worker: Server,
    redis: Server,
    _dir: tempfile::TempDir,
}

/// A process that ends with SIGTERM.
struct Server(Child);

impl Server {
    fn start(command: &mut Command) -> Result<Self> {
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Self(command.spawn().with_context(|| format!("cannot run {command:?}"))?))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = rustix::process::kill_process(rustix::process::Pid::from_child(&self.0), rustix::process::Signal::TERM);
        let _ = self.0.wait();
    }
}

impl Contender for Celery {
    fn name(&self) -> String {
        format!("Celery + Redis, {} processes, {}", self.slots, self.task)
    }

    fn does(&self) -> String {
        format!("{}; sends all, waits for all results; Redis keeps nothing on disk", python::does(self.task))
    }

    fn start(&mut self) -> Result<()> {
        python::require(&self.python, "celery, redis")?;
        if !is_here("redis-server") {
            bail!("`redis-server` is not on the path; Debian: apt-get install redis-server");
        }
        let dir = tempfile::tempdir()?;
        let socket = dir.path().join("redis.sock");
        let mut redis = Command::new("redis-server");
        redis.args(["--port", "0", "--save", "", "--appendonly", "no", "--unixsocket"]).arg(&socket);
        let redis = Server::start(redis.arg("--dir").arg(dir.path()))?;
        let program = python::write(dir.path(), "bench_tasks.py", include_str!("celery.py"))?;
        let url = format!("redis+socket://{}", socket.display());
        let mut worker = Command::new(&self.python);
        worker.args(["-m", "celery", "-A", "bench_tasks", "worker", "--pool", "prefork", "--loglevel", "ERROR"]);
        worker.args(["--without-gossip", "--without-mingle", "--without-heartbeat"]);
        worker.args(["--concurrency", &self.slots.to_string()]).current_dir(dir.path()).env("BENCH_REDIS", &url);
        // As root it wants to be told that this is meant.
        let worker = Server::start(worker.env("C_FORCE_ROOT", "1"))?;
        let client = python::Program::start(Command::new(&self.python).arg(&program).env("BENCH_REDIS", &url))?;
        self.running = Some(Running { client, worker, redis, _dir: dir });
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let running = self.running.as_mut().context("not started")?;
        let processes = [
            ("client", running.client.pid()),
            ("worker and tasks", running.worker.0.id()),
            ("redis", running.redis.0.id()),
        ];
        let look = || processes.iter().map(|(_, pid)| processes::of_tree(*pid)).collect::<Result<Vec<_>>>();
        let before = look()?;
        let wall = running.client.tasks(self.task, self.items)?;
        let after = look()?;
        let mut run = Run::rate("items/s", count(self.items), wall);
        for (((name, _), before), after) in processes.iter().zip(before).zip(after) {
            run = run.with_cpu(name, after.own.saturating_sub(before.own), self.items);
            run = run.with_peak(name, after.peak_kib);
        }
        Ok(run)
    }
}
