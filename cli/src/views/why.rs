//! Why items do not run, in a sentence, and the next command.

use longshore_client::{
    escape,
    v1::{Hindered, Hurdle, JobView, Why, WhyNot},
};

use crate::amounts::{count, some, took};

/// The whole sentence: what does not run, and why.
pub fn sentence(why: &Why, job: &JobView, now_ms: u64) -> String {
    let (one, items) = (why.items == 1, some(why.items, "item"));
    let waits = format!("{items} {}", if one { "waits" } else { "wait" });
    let (it, its) = if one { ("it", "its next try") } else { ("them", "their next tries") };
    let because = |what: &str| if job.reason.is_empty() { what.to_owned() } else { format!("{what}: {}", job.reason) };
    let could = |is: (&str, &str)| {
        let nearest = why.workers.first().map_or(0, |hindered| hindered.workers);
        match nearest {
            1 => format!("{waits}: the worker that could run {it} {}", is.0),
            more => format!("{waits}: the {} that could run {it} {}", some(more, "worker"), is.1),
        }
    };
    match why.reason() {
        WhyNot::Ended => because(&format!("{items} had not ended when the job did")),
        WhyNot::Ending => because("nothing more is given out"),
        WhyNot::Paused => match job.paused.as_ref().map(|paused| paused.reason.as_str()).filter(|it| !it.is_empty()) {
            Some(reason) => format!("{waits}: the job is paused: {reason}"),
            None => format!("{waits}: the job is paused"),
        },
        WhyNot::After => match why.jobs.as_slice() {
            [other] => format!("{waits}: the job is to run after job {other}, which has not ended"),
            more => format!(
                "{waits}: the job is to run after {} that have not ended: {}",
                some(more.len() as u64, "job"),
                more.join(", ")
            ),
        },
        WhyNot::Reunion => format!(
            "{waits}: the coordinator has just started, and nothing is given out for {} more while workers that were here before \
             come back",
            left(why.until_ms, now_ms)
        ),
        WhyNot::NoWorkers => format!("{waits}: no worker is here that may be given {it}"),
        WhyNot::NoneFits => format!("{waits}: no worker that is here could ever run {it}"),
        WhyNot::NoneReached => could(("cannot be reached", "cannot be reached")),
        WhyNot::NoneAble => could(("takes nothing now", "take nothing now")),
        WhyNot::AllDraining => could(("is drained", "are drained")),
        WhyNot::NoImage => {
            let again = format!("and is asked again in {}", left(why.until_ms, now_ms));
            could((
                &format!("cannot get the image, {again}"),
                &format!("cannot get the image; the first {}", again.trim_start_matches("and ")),
            ))
        }
        WhyNot::AllKept => {
            could(("is kept for an item that is to run alone", "are kept for items that are to run alone"))
        }
        WhyNot::NoRoom => {
            could(("has no room for more beside what it runs", "have no room for more beside what they run"))
        }
        WhyNot::NoSlots => format!("{waits}: {}", taken(why)),
        WhyNot::Priority => match why.jobs.first() {
            Some(other) => format!("{waits}: {}, and job {other} goes first, of priority {}", taken(why), why.priority),
            None => format!("{waits}: {}, and another job goes first, of priority {}", taken(why), why.priority),
        },
        WhyNot::Turn => {
            let go = if why.count == 1 { "goes" } else { "go" };
            format!("{waits}: {}, and {} of which less is under way {go} first", taken(why), some(why.count, "job"))
        }
        WhyNot::MaxParallel => {
            format!(
                "{waits}: as many of the stage are under way as may be, which is {} (max_parallel)",
                count(why.count)
            )
        }
        WhyNot::Nothing => format!("{items} {} given out just now", if one { "is being" } else { "are being" }),
        WhyNot::Alone => match one {
            true => format!("{waits} for a worker that runs nothing else: workers went down with it"),
            false => format!("{waits} for workers that run nothing else, one for each: workers went down with them"),
        },
        WhyNot::Elsewhere => format!(
            "{items} failed, and {} at most {} more for another worker than {}",
            if one { "waits" } else { "wait" },
            left(why.until_ms, now_ms),
            if one { "the one on which it did" } else { "those on which they did" },
        ),
        WhyNot::Pause if one || why.last_ms <= why.until_ms => {
            format!(
                "{items} failed, and {} for {its}, in {}",
                if one { "waits" } else { "wait" },
                left(why.until_ms, now_ms)
            )
        }
        WhyNot::Pause => format!(
            "{items} failed, and wait for {its}: the first in {}, the last in {}",
            left(why.until_ms, now_ms),
            left(why.last_ms, now_ms)
        ),
        WhyNot::Crowded => format!(
            "{waits}: {} failed and {} for another try, and no others are begun meanwhile",
            some(why.count, "item"),
            if why.count == 1 { "waits" } else { "wait" }
        ),
        WhyNot::Canary if why.count == 1 => format!("{waits}: the first item has to succeed before (canary)"),
        WhyNot::Canary => format!("{waits}: the first {} have to succeed before (canary)", some(why.count, "item")),
        WhyNot::PutBack => format!("{waits}: the retry has not come to {it} yet"),
        WhyNot::Ahead => {
            let (was, wait) = if one { ("was given to a worker", "waits") } else { ("were given to workers", "wait") };
            format!("{items} {was}, and {wait} there behind others")
        }
        WhyNot::Stage => {
            let have = if why.count == 1 { "has" } else { "have" };
            let made =
                format!("what stage {} leaves, of which {} {have} not ended", why.of_stage, some(why.count, "item"));
            match why.items {
                0 => format!("its items are made of {made}"),
                _ => format!("{waits} for {made}"),
            }
        }
        WhyNot::Short => format!(
            "{items} will never run: too much of what {} failed",
            if one { "it gathers" } else { "they gather" }
        ),
        WhyNot::Unspecified => format!("{waits}, for a reason that this program is too old to know"),
    }
}

/// Which slots are taken.
fn taken(why: &Why) -> String {
    let full = why.workers.iter().filter(|hindered| matches!(hindered.by(), Hurdle::Slots | Hurdle::Room));
    let (slots, workers) = full.fold((0, 0), |(slots, workers), it| (slots + it.slots, workers + it.workers));
    let workers = match workers {
        1 => "the worker that could run more".to_owned(),
        more => format!("the {} that could run more", some(more, "worker")),
    };
    match slots {
        1 => format!("the only slot of {workers} is taken"),
        2 => format!("both slots of {workers} are taken"),
        more => format!("all {} slots of {workers} are taken", count(more)),
    }
}

/// How long it is until then.
fn left(until_ms: u64, now_ms: u64) -> String {
    took(until_ms.saturating_sub(now_ms))
}

/// What is to be typed next, where something is to be done. `id` is how the job is called.
pub fn next(why: &Why, id: &str) -> Option<String> {
    let first = why.workers.first();
    let name = first.and_then(|hindered| hindered.names.first());
    Some(match why.reason() {
        WhyNot::Ended | WhyNot::Short => format!("longshore job retry {id}"),
        WhyNot::Ending => format!("longshore job wait {id}"),
        WhyNot::Paused => format!("longshore job resume {id}"),
        WhyNot::After => format!("longshore job explain {}", why.jobs.first()?),
        WhyNot::NoWorkers => "longshore worker --join HOST:PORT".to_owned(),
        WhyNot::NoSlots => "longshore worker --join HOST:PORT".to_owned(),
        WhyNot::NoneFits => first.map(|hindered| hindered.remedy.clone()).filter(|remedy| !remedy.is_empty())?,
        WhyNot::NoneReached | WhyNot::Reunion => "longshore worker ls".to_owned(),
        WhyNot::NoneAble | WhyNot::NoRoom | WhyNot::NoImage | WhyNot::AllKept => {
            "longshore worker ls --format wide".to_owned()
        }
        WhyNot::AllDraining => match name.map(|name| shlex::try_quote(name)) {
            Some(Ok(name)) => format!("longshore worker undrain {name}"),
            _ => "longshore worker ls".to_owned(),
        },
        WhyNot::Priority => format!("longshore job set {id} --priority {}", why.priority.saturating_add(1).min(1_000)),
        WhyNot::Turn => format!("longshore job set {id} --priority 1"),
        WhyNot::MaxParallel => {
            format!("longshore job set {id} --max-parallel {}={}", why.stage, why.count.saturating_mul(2))
        }
        WhyNot::Alone | WhyNot::Elsewhere | WhyNot::Pause | WhyNot::Crowded => format!("longshore logs {id} --failed"),
        WhyNot::Canary | WhyNot::Ahead => format!("longshore job items {id} --stage {} --state running", why.stage),
        WhyNot::PutBack | WhyNot::Nothing => format!("longshore job watch {id}"),
        // What comes before is explained before.
        WhyNot::Stage | WhyNot::Unspecified => return None,
    })
}

/// What is in the way of workers, in a line.
pub fn hindered(hindered: &Hindered) -> String {
    let names: Vec<String> = hindered.names.iter().map(|name| escape::line(name)).collect();
    let more = if hindered.workers > names.len() as u64 { ", …" } else { "" };
    let one = hindered.workers == 1;
    let pick = |single: &str, several: &str| if one { single.to_owned() } else { several.to_owned() };
    let said = |what: String| if hindered.why.is_empty() { what } else { format!("{what}: {}", hindered.why) };
    let words = match hindered.by() {
        Hurdle::Lack | Hurdle::Room if one => hindered.why.clone(),
        Hurdle::Room => format!("one of them says: {}", hindered.why),
        Hurdle::Lack => format!("of each: {}", hindered.why),
        Hurdle::Away => "cannot be reached".to_owned(),
        Hurdle::Unable => said(pick("takes nothing now", "take nothing now")),
        Hurdle::Draining => pick("is drained", "are drained"),
        Hurdle::Image => said("cannot get the image".to_owned()),
        Hurdle::Kept => pick("is kept for an item that is to run alone", "are kept for items that are to run alone"),
        Hurdle::Failed => "had it before, and it failed there".to_owned(),
        Hurdle::Slots => {
            let slots = some(hindered.slots, "slot");
            if hindered.slots == 1 {
                format!("has its {slots} taken")
            } else {
                pick(&format!("has its {slots} taken"), &format!("have their {slots} taken"))
            }
        }
        Hurdle::Nothing => "could run it now".to_owned(),
        Hurdle::Unspecified => "cannot run it now".to_owned(),
    };
    format!("{} ({}{more}): {words}", some(hindered.workers, "worker"), names.join(", "))
}

#[cfg(test)]
mod tests;
