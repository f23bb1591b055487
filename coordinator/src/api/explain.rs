//! Why what of a job waits does not run, in the words of the wire.

use longshore_core::{Explanation, Hindered, Hurdle, ItemKey, NoImage, Reason, Source, Why};
use longshore_proto::v1;
use prost::Message;

use super::views::id;
use crate::{drive::Handle, error::Error, workers::sessions::Sessions};

/// What workers have said.
#[derive(Clone, Copy)]
pub struct Said<'a> {
    /// Of themselves.
    pub sessions: &'a Sessions,
    /// Of images that they could not get.
    pub no_images: &'a [NoImage],
}

/// For each group an item of it, and where its input is.
pub async fn sources(driver: &Handle, explained: &Explanation) -> Result<Vec<Option<(ItemKey, Source)>>, Error> {
    let job = explained.record.id;
    let items: Vec<Option<ItemKey>> =
        explained.why.iter().map(|why| Some(ItemKey { job, stage: why.stage?, index: why.example? })).collect();
    let look = move |core: &longshore_core::Core| {
        items.into_iter().map(|item| item.and_then(|item| Some((item, core.source(&item)?)))).collect()
    };
    Ok(driver.peek(look).await?)
}

/// The explanation, with the paths of its examples.
pub fn shown(
    explained: Explanation,
    job: v1::JobView,
    examples: Vec<String>,
    disk_full: bool,
    said: Said<'_>,
) -> v1::Explanation {
    let name = |stage: u16| job.stages.get(usize::from(stage)).map_or_else(String::new, |stage| stage.name.clone());
    let why = explained.why.iter().zip(examples);
    let why = why.map(|(why, example)| v1::Why { example, ..one(why, name, said) }).collect();
    v1::Explanation { running: explained.running, why, left_out: explained.left_out, disk_full, job: Some(job) }
}

fn one(why: &Why, name: impl Fn(u16) -> String, said: Said<'_>) -> v1::Why {
    let shown = v1::Why {
        stage: why.stage.map(&name).unwrap_or_default(),
        items: why.items,
        workers: why.workers.iter().map(|hindered| workers(why, hindered, said)).collect(),
        ..v1::Why::default()
    };
    let plain = |reason: v1::WhyNot| v1::Why { reason: reason.into(), ..shown.clone() };
    let until = |reason: v1::WhyNot, until_ms: u64| v1::Why { until_ms, ..plain(reason) };
    let count = |reason: v1::WhyNot, count: u64| v1::Why { count, ..plain(reason) };
    match &why.reason {
        Reason::Ended => plain(v1::WhyNot::Ended),
        Reason::Cut(_) => plain(v1::WhyNot::Ending),
        Reason::Paused => plain(v1::WhyNot::Paused),
        Reason::After(jobs) => v1::Why { jobs: jobs.iter().map(|job| id(job.0)).collect(), ..plain(v1::WhyNot::After) },
        Reason::Reunion { until_ms } => until(v1::WhyNot::Reunion, *until_ms),
        Reason::NoWorkers => plain(v1::WhyNot::NoWorkers),
        Reason::NoneFits => plain(v1::WhyNot::NoneFits),
        Reason::NoneReached => plain(v1::WhyNot::NoneReached),
        Reason::NoneAble => plain(v1::WhyNot::NoneAble),
        Reason::AllDraining => plain(v1::WhyNot::AllDraining),
        Reason::NoImage { until_ms } => until(v1::WhyNot::NoImage, *until_ms),
        Reason::AllKept => plain(v1::WhyNot::AllKept),
        Reason::NoRoom => plain(v1::WhyNot::NoRoom),
        Reason::NoSlots => plain(v1::WhyNot::NoSlots),
        Reason::Priority { job, priority } => {
            let jobs = job.iter().map(|job| id(job.0)).collect();
            v1::Why { jobs, priority: *priority, ..plain(v1::WhyNot::Priority) }
        }
        Reason::Turn { jobs } => count(v1::WhyNot::Turn, *jobs),
        Reason::MaxParallel { most } => count(v1::WhyNot::MaxParallel, u64::from(*most)),
        Reason::Nothing => plain(v1::WhyNot::Nothing),
        Reason::Alone => plain(v1::WhyNot::Alone),
        Reason::Elsewhere { until_ms } => until(v1::WhyNot::Elsewhere, *until_ms),
        Reason::Pause { first_ms, last_ms } => v1::Why { last_ms: *last_ms, ..until(v1::WhyNot::Pause, *first_ms) },
        Reason::Crowded { pausing } => count(v1::WhyNot::Crowded, *pausing),
        Reason::Canary { first } => count(v1::WhyNot::Canary, u64::from(*first)),
        Reason::PutBack => plain(v1::WhyNot::PutBack),
        Reason::Ahead => plain(v1::WhyNot::Ahead),
        Reason::Stage { stage, left } => v1::Why { of_stage: name(*stage), ..count(v1::WhyNot::Stage, *left) },
        Reason::Short => plain(v1::WhyNot::Short),
    }
}

fn workers(why: &Why, hindered: &Hindered, said: Said<'_>) -> v1::Hindered {
    let (by, words, remedy, until_ms) = match &hindered.by {
        Hurdle::Lack(lack) => (v1::Hurdle::Lack, lack.to_string(), lack.remedy(), 0),
        Hurdle::Away => (v1::Hurdle::Away, String::new(), String::new(), 0),
        Hurdle::Unable => (v1::Hurdle::Unable, said.trouble(hindered), String::new(), 0),
        Hurdle::Draining => (v1::Hurdle::Draining, String::new(), String::new(), 0),
        Hurdle::NoImage { until_ms } => (v1::Hurdle::Image, said.of_image(why, hindered), String::new(), *until_ms),
        Hurdle::Kept => (v1::Hurdle::Kept, String::new(), String::new(), 0),
        Hurdle::Failed => (v1::Hurdle::Failed, String::new(), String::new(), 0),
        Hurdle::Room(full) => (v1::Hurdle::Room, full.to_string(), String::new(), 0),
        Hurdle::Slots => (v1::Hurdle::Slots, String::new(), String::new(), 0),
        Hurdle::Nothing => (v1::Hurdle::Nothing, String::new(), String::new(), 0),
    };
    let names = hindered.some.iter().map(|(_, name)| name.clone()).collect();
    v1::Hindered { by: by.into(), workers: hindered.count, slots: hindered.slots, names, why: words, remedy, until_ms }
}

impl Said<'_> {
    /// What the first of them says keeps it from taking anything.
    fn trouble(self, hindered: &Hindered) -> String {
        let first = hindered.some.first().and_then(|(worker, _)| self.sessions.about(*worker).condition);
        first.map_or_else(String::new, |condition| condition.trouble)
    }

    /// Why the first of them could not get the image.
    fn of_image(self, why: &Why, hindered: &Hindered) -> String {
        let first = hindered.some.first().map(|(worker, _)| *worker);
        let is_it = |miss: &&NoImage| Some(miss.worker) == first && Some(miss.stage) == why.stage;
        self.no_images.iter().find(is_it).and_then(why_no_image).unwrap_or_default()
    }
}

/// Why a worker could not get an image, in its words.
pub fn why_no_image(miss: &NoImage) -> Option<String> {
    Some(v1::Outcome::decode(miss.detail.as_slice()).ok()?.failure?.message)
}
