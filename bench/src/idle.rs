//! Nothing to do: what the servers use then, and whether warm containers go.

use std::{
    thread::sleep,
    time::{Duration, Instant},
};

use anyhow::{Result, bail};
use clap::Args;

use crate::{
    containers::Container,
    image,
    longshore::{Longshore, Work},
    processes::{self, Activity},
    report::{Group, Report},
    run::Run,
    setup::{Rounds, Setup},
};

/// Flags of `idle`.
#[derive(Debug, Args)]
pub struct IdleArgs {
    #[command(flatten)]
    pub setup: Setup,
    /// Seconds to look on while containers are warm; less than they are kept
    #[arg(long, value_name = "N", default_value_t = 50)]
    pub warm_seconds: u64,
    /// Seconds to look on when they have gone
    #[arg(long, value_name = "N", default_value_t = 60)]
    pub seconds: u64,
}

/// After a job and after the containers' end, so that what follows from them is over.
const SETTLE: Duration = Duration::from_secs(3);

/// Longest wait for containers to go.
const GOING: Duration = Duration::from_secs(180);

/// Looks at `up`, and at a coordinator and a worker, at the same time.
pub fn run(args: &IdleArgs, rounds: &Rounds) -> Result<Report> {
    let image = image::ensure(&args.setup.image)?;
    let mut report = Report::new();
    let mut group = Group::new("nothing to do", "CPU ms/s");
    for round in 1..=rounds.rounds {
        let work = || Work::command(&image, &["true"]);
        let both = [Longshore::up(&args.setup, work())?, Longshore::apart(&args.setup, work())?];
        let jobs: Vec<Instant> =
            both.iter().map(|ours| ours.warm_up().map(|()| Instant::now())).collect::<Result<_>>()?;
        sleep(SETTLE);
        eprintln!("nothing to do, round {round} of {}: warm containers", rounds.rounds);
        look_on(&mut group, &both, "containers warm", Duration::from_secs(args.warm_seconds), None)?;
        eprintln!("nothing to do, round {round} of {}: until they have gone", rounds.rounds);
        let gone = both.iter().zip(jobs).map(|(ours, job)| until_gone(ours, job)).collect::<Result<Vec<_>>>()?;
        sleep(SETTLE);
        eprintln!("nothing to do, round {round} of {}: no containers", rounds.rounds);
        look_on(&mut group, &both, "containers gone", Duration::from_secs(args.seconds), Some(&gone))?;
    }
    report.groups.push(group);
    report.note("CPU ms/s: milliseconds of processor time per second; 1 is a thousandth of a core");
    Ok(report)
}

/// Adds what each process, and all containers together, use over a time.
fn look_on(
    group: &mut Group,
    both: &[Longshore],
    when: &str,
    lasting: Duration,
    gone: Option<&[Duration]>,
) -> Result<()> {
    let look = || both.iter().map(Look::at).collect::<Result<Vec<_>>>();
    let (before, began) = (look()?, Instant::now());
    sleep(lasting);
    let (after, lasted) = (look()?, began.elapsed());
    for (index, (now, then)) in after.iter().zip(&before).enumerate() {
        for (process, then) in now.processes.iter().zip(&then.processes) {
            let (cpu, switches) = process.activity.since(&then.activity);
            let switches = u32::try_from(switches).unwrap_or(u32::MAX);
            let mut run = usage(cpu, lasted).with("switches/s", f64::from(switches) / lasted.as_secs_f64());
            run = run.with_peak(process.name, process.peak_kib);
            if let Some(gone) = gone {
                run = run.with("gone after s", gone[index].as_secs_f64());
            }
            group.add(&format!("{}, {when}", process.name), "all threads of the process", run);
        }
        if gone.is_none() {
            let whose = now.processes.last().map_or("", |process| process.name);
            let name = format!("containers of {whose}, {when}");
            group.add(&name, "everything in them", usage(now.inside.saturating_sub(then.inside), lasted));
        }
    }
    Ok(())
}

/// What was used up to a moment.
struct Look {
    processes: Vec<Process>,
    /// Processor time in all containers.
    inside: Duration,
}

struct Process {
    name: &'static str,
    activity: Activity,
    peak_kib: u64,
}

impl Look {
    fn at(ours: &Longshore) -> Result<Self> {
        let processes = ours.servers().map(|(name, pid)| {
            Ok(Process { name, activity: processes::activity(pid)?, peak_kib: processes::of(pid)?.peak_kib })
        });
        let containers = ours.containers()?;
        Ok(Self {
            processes: processes.collect::<Result<_>>()?,
            inside: containers.iter().map(Container::cpu).sum::<Result<_>>()?,
        })
    }
}

fn usage(cpu: Duration, lasted: Duration) -> Run {
    Run { wall_s: lasted.as_secs_f64(), ..Run::default() }
        .with("CPU ms/s", cpu.as_secs_f64() * 1_000.0 / lasted.as_secs_f64())
}

/// How long after the job the last container had gone.
fn until_gone(ours: &Longshore, job: Instant) -> Result<Duration> {
    while !ours.containers()?.is_empty() {
        if job.elapsed() > GOING {
            bail!("warm containers are still there {} s after the last job", GOING.as_secs());
        }
        sleep(Duration::from_millis(500));
    }
    Ok(job.elapsed())
}
