//! Running seeds: what came of one, and the words for one that failed.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
};

use super::{coverage::Coverage, oracle::Check, sabotage::Sabotage, state::World, trail::Trail};

/// What one seed came to.
#[derive(Debug)]
pub struct Lived {
    /// What happened in it.
    pub coverage: Coverage,
    /// Events.
    pub events: u64,
    /// Its own time, milliseconds.
    pub ms: u64,
}

/// A seed that failed.
#[derive(Debug)]
pub struct Failure {
    /// The seed.
    pub seed: u64,
    /// What was wrong.
    pub what: String,
    /// The last events before it.
    pub trail: Vec<String>,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "seed {} failed; the last events:", self.seed)?;
        self.trail.iter().try_for_each(|line| writeln!(f, "{line}"))?;
        writeln!(f, "\n{}\n", self.what)?;
        write!(f, "to see it again: LONGSHORE_SIM_SEED={} cargo test -p integration-tests --test simulation", self.seed)
    }
}

/// Runs one seed.
///
/// # Errors
/// What was wrong in it.
pub fn run(seed: u64, sabotage: Sabotage) -> Result<Lived, Box<Failure>> {
    let mut world = World::new(seed, sabotage, Trail::default());
    if attempt(&mut world).is_ok() {
        let (events, ms) = world.length();
        return Ok(Lived { coverage: world.coverage().clone(), events, ms });
    }
    // The same again, this time with someone taking notes.
    let mut world = World::new(seed, sabotage, Trail::kept());
    let what = attempt(&mut world)
        .err()
        .unwrap_or_else(|| "it failed once and not again: the world is not deterministic".into());
    Err(Box::new(Failure { seed, what, trail: world.trail().lines().map(str::to_owned).collect() }))
}

/// Lives a world; a panic is a failure like any other.
fn attempt(world: &mut World) -> Check {
    catch_unwind(AssertUnwindSafe(|| world.live())).unwrap_or_else(|panic| {
        let text = panic
            .downcast_ref::<String>()
            .cloned()
            .or_else(|| panic.downcast_ref::<&str>().map(|text| (*text).to_owned()));
        Err(format!("panic: {}", text.unwrap_or_default()))
    })
}
