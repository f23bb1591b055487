//! Why a job ends before its items, in words.

use longshore_core::{Cut, Halt, HaltAt, JobView};

use crate::kept::submission::Submission;

/// Why, and what goes on with it.
pub fn words(view: &JobView, cut: Cut, submission: Option<&Submission>) -> String {
    let name = |stage: u16| {
        let named = submission.and_then(|submission| submission.stages().get(usize::from(stage)));
        named.map_or_else(|| format!("number {}", stage + 1), |stage| stage.name.clone())
    };
    let spec = &view.record.spec;
    let failed: u64 = view.stages.iter().map(|stage| stage.failed).sum();
    let why = match cut {
        Cut::Halt => {
            format!("{} failed, at which it halts ({})", items(failed), spec.halt.map_or_else(String::new, halt))
        }
        Cut::Deadline => {
            let deadline = std::time::Duration::from_millis(spec.deadline_ms);
            format!("its deadline of {} is over", humantime::format_duration(deadline))
        }
        Cut::Canary { stage } => {
            let first = spec.stages.get(usize::from(stage)).map_or(0, |stage| stage.canary);
            format!("of the first {first} items of stage {}, which go before all others, one has failed", name(stage))
        }
        Cut::QueueTimeout => {
            let patience = std::time::Duration::from_millis(spec.queue_timeout_ms);
            format!("no worker took any of it for {}, its queue_timeout", humantime::format_duration(patience))
        }
        Cut::Image { stage } => format!("no worker can get the image of stage {}", name(stage)),
        Cut::Breaker { stage } => format!(
            "nothing succeeds in stage {}: its newest attempts failed alike (`breaker: off` goes on whatever fails)",
            name(stage)
        ),
    };
    let left: u64 = view.stages.iter().map(|it| it.items.saturating_sub(it.succeeded + it.filtered + it.failed)).sum();
    if !view.record.state.has_ended() {
        return format!("it ends with what runs: {why}");
    }
    match left {
        0 => why,
        left => format!("{why}; {} had not ended, and go on with `longshore job retry`", items(left)),
    }
}

fn items(count: u64) -> String {
    if count == 1 { "1 item".to_owned() } else { format!("{count} items") }
}

fn halt(halt: Halt) -> String {
    let when = if halt.now { "now" } else { "soon" };
    match halt.at {
        HaltAt::Items(items) => format!("{when},fail={items}"),
        HaltAt::Percent(percent) => format!("{when},fail={percent}%"),
    }
}
