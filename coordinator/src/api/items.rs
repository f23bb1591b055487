//! The items of a job with their outcomes, page by page.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use longshore_core::{AtWork, ItemKey, ItemState, JobId, Source};
use longshore_proto::v1::{self, NamedBlob};
use prost::Message;
use tokio::sync::mpsc;

use crate::{
    drive::Handle,
    error::{Error, blocking},
    kept::{
        catalog::Catalog,
        error::CatalogError,
        lineage::{Descendant, Descendants},
        messages::Messages,
        submission::Submission,
    },
    limits,
};

/// Items looked up at a time.
const PAGE: u64 = 256;

/// Items of which the state is looked at between two inputs of the core, where they are listed by lineage.
const LOOKED_AT: usize = 1_024;

/// Bytes of items in one message, beside one item more.
const PAGE_BYTES: usize = 1 << 20;

/// Bytes of small outputs that travel along, at most.
const INLINE_BYTES: u64 = 256 << 10;

/// Which items are wanted.
pub struct Wanted {
    stages: Vec<u16>,
    state: Option<ItemState>,
    /// Only items that are with workers.
    only_running: bool,
    /// Those are told as such.
    live: bool,
    /// Only items of these paths; none means all.
    paths: Vec<String>,
    /// How many more are wanted.
    left: u64,
    /// Bytes of outputs that may travel along.
    inline_bytes: u64,
}

impl Wanted {
    /// Reads a request.
    pub fn new(request: &v1::ItemsRequest, submission: &Submission) -> Result<Self, Error> {
        let last = submission.stages().len().saturating_sub(1);
        let mut stages = stages_named(&request.stages, submission)?;
        stages.retain(|at| !request.last_stage || usize::from(*at) == last);
        ensure_few(&request.paths)?;
        let only_running = request.state() == v1::ItemState::Running;
        let state = match request.state() {
            v1::ItemState::Unspecified => None,
            v1::ItemState::Pending | v1::ItemState::Running => Some(ItemState::Pending),
            v1::ItemState::Succeeded => Some(ItemState::Succeeded),
            v1::ItemState::Failed => Some(ItemState::Failed),
            v1::ItemState::Filtered => Some(ItemState::Filtered),
        };
        Ok(Self {
            stages,
            state,
            only_running,
            live: only_running || request.live,
            paths: request.paths.clone(),
            left: if request.limit == 0 { u64::MAX } else { request.limit },
            inline_bytes: if request.small_outputs { INLINE_BYTES } else { 0 },
        })
    }
}

/// Positions of the stages of these names; of all, if there are none.
pub fn stages_named(names: &[String], submission: &Submission) -> Result<Vec<u16>, Error> {
    let known: Vec<&str> = submission.stages().iter().map(|stage| stage.name.as_str()).collect();
    if let Some(unknown) = names.iter().find(|name| !known.contains(&name.as_str())) {
        return Err(Error::not_found(format!("the job has no stage {unknown:?}; it has {}", known.join(", "))));
    }
    let stages = (0_u16..).zip(&known);
    let wanted = stages.filter(|(_, stage)| names.is_empty() || names.iter().any(|name| name == *stage));
    Ok(wanted.map(|(at, _)| at).collect())
}

/// Not more paths than may be asked for at once.
pub fn ensure_few(paths: &[String]) -> Result<(), Error> {
    match paths.len() <= limits::ITEM_PATHS {
        true => Ok(()),
        false => Err(Error::invalid(format!("at most {} items can be named at once", limits::ITEM_PATHS))),
    }
}

/// An item, where its input is, and who has it.
type Found = (u64, ItemState, Option<Source>, Option<AtWork>);

/// Where a listing of a stage is: where numbers are the order of lineage, at one of them.
enum Place {
    Number(u64),
    Among(Descendants),
}

/// Sends every wanted item, in order of stage and lineage.
pub async fn send_all(
    driver: Handle,
    catalog: Arc<Catalog>,
    job: JobId,
    submission: Arc<Submission>,
    mut wanted: Wanted,
    out: mpsc::Sender<Result<v1::ItemsPage, Error>>,
) {
    let mut room = wanted.inline_bytes;
    for stage in std::mem::take(&mut wanted.stages) {
        let begun = match wanted.only_running {
            // Few are: in the order of their numbers.
            true => Ok(Place::Number(0)),
            false => begin(Arc::clone(&catalog), job, stage).await,
        };
        let mut place = match begun {
            Ok(place) => place,
            Err(error) => {
                let _ = out.send(Err(error)).await;
                return;
            }
        };
        loop {
            let page = next_page(&driver, job, (stage, wanted.state, wanted.only_running), place).await;
            let (next, found) = match page {
                Ok(page) => page,
                Err(error) => {
                    let _ = out.send(Err(error)).await;
                    return;
                }
            };
            let (catalog, submission) = (Arc::clone(&catalog), Arc::clone(&submission));
            let only_waiting = wanted.state == Some(ItemState::Pending) && !wanted.only_running;
            let (live, paths, left) = (wanted.live, wanted.paths.clone(), wanted.left);
            let looked_up = blocking("looking up items", move || {
                let mut page = look_up(&catalog, &submission, job, stage, found, live)?;
                page.items.retain(|item| {
                    let waits = !only_waiting || item.state() != v1::ItemState::Running;
                    waits && (paths.is_empty() || paths.contains(&item.path))
                });
                page.items.truncate(usize::try_from(left).unwrap_or(usize::MAX));
                Ok(with_outputs(submission.room(), page, room))
            });
            // What is kept of a removed job goes while it is read: half a list must not pass for a whole one.
            let looked_up = match (looked_up.await, is_there(&driver, job).await) {
                (_, Ok(false)) => Err(Error::not_found(format!("job {job} was removed"))),
                (looked_up, _) => looked_up,
            };
            let messages = match looked_up {
                Ok((page, left)) => {
                    room = left;
                    wanted.left -= page.items.len() as u64;
                    divide(page).into_iter().map(Ok).collect()
                }
                Err(error) => vec![Err(error)],
            };
            for message in messages {
                let failed = message.is_err();
                if out.send(message).await.is_err() || failed {
                    return;
                }
            }
            if wanted.left == 0 {
                return;
            }
            match next {
                Some(next) => place = next,
                None => break,
            }
        }
    }
}

async fn is_there(driver: &Handle, job: JobId) -> Result<bool, Error> {
    Ok(driver.peek(move |core| core.ledger().job(job).is_some()).await?)
}

async fn begin(catalog: Arc<Catalog>, job: JobId, stage: u16) -> Result<Place, Error> {
    blocking("looking up items", move || {
        Ok(if catalog.is_root(job, stage)? { Place::Number(0) } else { Place::Among(catalog.descendants(job, stage)?) })
    })
    .await
}

/// Up to a page of wanted items, and where to go on.
async fn next_page(
    driver: &Handle,
    job: JobId,
    (stage, state, only_running): (u16, Option<ItemState>, bool),
    place: Place,
) -> Result<(Option<Place>, Vec<Found>), Error> {
    let mut descendants = match place {
        Place::Number(from) => {
            let (next, found) = driver.read(move |core| find(core, job, stage, from, state, only_running)).await?;
            return Ok((next.map(Place::Number), found));
        }
        Place::Among(descendants) => descendants,
    };
    let walked = blocking("looking up items", move || {
        let next = descendants.by_ref().take(LOOKED_AT).collect::<Result<Vec<_>, _>>();
        Ok((next.map_err(CatalogError::from)?, descendants))
    });
    let (next, descendants) = walked.await?;
    let is_last = next.len() < LOOKED_AT;
    let found = driver.read(move |core| states(core, (job, stage), next, state)).await?;
    Ok(((!is_last).then_some(Place::Among(descendants)), found))
}

/// How these items stand, of those that stand as is wanted.
fn states(
    core: &longshore_core::Core,
    (job, stage): (JobId, u16),
    items: Vec<Descendant>,
    state: Option<ItemState>,
) -> Vec<Found> {
    let Some(progress) = core.ledger().job(job).and_then(|job| job.stage(usize::from(stage))) else {
        return Vec::new();
    };
    let found = items.into_iter().map(|item| {
        let source = item.parent.map(|(parent, ordinal)| Source::Output { parent, ordinal });
        let work = core.at_work(job, stage, item.index).next().filter(|work| work.index == item.index);
        (item.index, progress.state(item.index), source, work)
    });
    found.filter(|(_, here, ..)| state.is_none_or(|state| state == *here)).collect()
}

/// Adds the bytes of the first outputs that are small, while there is room; answers what is left of it. What cannot be
/// read now is told to whoever asks for it.
fn with_outputs(blobs: &Messages, mut page: v1::ItemsPage, mut room: u64) -> (v1::ItemsPage, u64) {
    for output in page.items.iter_mut().flat_map(|item| &mut item.outputs) {
        if output.size > room {
            return (page, 0);
        }
        if blobs.inline(output).is_ok() && output.inline.is_some() {
            room -= output.size;
        }
    }
    (page, room)
}

/// Messages of a bearable size: an item may have thousands of outputs.
fn divide(page: v1::ItemsPage) -> Vec<v1::ItemsPage> {
    let mut messages = Vec::new();
    let mut message = v1::ItemsPage::default();
    let mut bytes = 0;
    for item in page.items {
        bytes += item.encoded_len();
        message.items.push(item);
        if bytes > PAGE_BYTES {
            messages.push(std::mem::take(&mut message));
            bytes = 0;
        }
    }
    if !message.items.is_empty() {
        messages.push(message);
    }
    messages
}

/// Up to a page of wanted items from index `from` on, and where to go on.
fn find(
    core: &longshore_core::Core,
    job: JobId,
    stage: u16,
    from: u64,
    state: Option<ItemState>,
    only_running: bool,
) -> (Option<u64>, Vec<Found>) {
    let Some(known) = core.ledger().job(job) else {
        return (None, Vec::new());
    };
    let at = usize::from(stage);
    let (Some(progress), items) = (known.stage(at), known.bound(at)) else {
        return (None, Vec::new());
    };
    let mut at_work = core.at_work(job, stage, from).peekable();
    let mut found = Vec::new();
    if only_running {
        for work in at_work {
            let (index, source) = (work.index, core.source(&ItemKey { job, stage, index: work.index }));
            found.push((index, ItemState::Pending, source, Some(work)));
            if found.len() as u64 == PAGE {
                return (Some(index + 1), found);
            }
        }
        return (None, found);
    }
    for index in from..items {
        let here = progress.state(index);
        let work = at_work.next_if(|work| work.index == index);
        if known.has(at, index) && state.is_none_or(|state| state == here) {
            let source = core.source(&ItemKey { job, stage, index });
            found.push((index, here, source, work));
        }
        // A bound on what is looked at between two inputs of the core, too.
        if found.len() as u64 == PAGE || index - from == 64 * PAGE {
            return (Some(index + 1), found);
        }
    }
    (None, found)
}

/// The path of an item that is there.
pub fn path(
    catalog: &Catalog,
    submission: &Submission,
    item: &ItemKey,
    source: Source,
) -> Result<String, CatalogError> {
    let found = vec![(item.index, ItemState::Pending, Some(source), None)];
    let page = look_up(catalog, submission, item.job, item.stage, found, false)?;
    Ok(page.items.into_iter().next().map_or_else(String::new, |item| item.path))
}

fn look_up(
    catalog: &Catalog,
    submission: &Submission,
    job: JobId,
    stage: u16,
    found: Vec<Found>,
    live: bool,
) -> Result<v1::ItemsPage, CatalogError> {
    let mut parents: HashMap<u64, Vec<NamedBlob>> = HashMap::new();
    let mut page = v1::ItemsPage::default();
    for (index, state, source, work) in found {
        let item = ItemKey { job, stage, index };
        let path = match source {
            Some(Source::Output { parent, ordinal }) => {
                let outputs = match parents.entry(parent) {
                    Entry::Occupied(known) => known.into_mut(),
                    Entry::Vacant(place) => {
                        let stage = stage.saturating_sub(1);
                        let key = ItemKey { job, stage, index: parent };
                        let outcome = catalog.outcome(&key)?;
                        let outputs =
                            outcome.map(|(_, outcome)| catalog.outputs(submission.room(), outcome)).transpose()?;
                        place.insert(outputs.unwrap_or_default())
                    }
                };
                let output = usize::try_from(ordinal).ok().and_then(|at| outputs.get(at));
                output.map_or(String::new(), |output| output.path.clone())
            }
            Some(source @ Source::Input) => catalog.source(&item, source)?.path,
            Some(Source::Group) => catalog.group_path(&item)?,
            Some(Source::Everything) | None => {
                submission.stages().get(usize::from(stage)).map_or(String::new(), |stage| stage.name.clone())
            }
        };
        let mut view = view(catalog, submission.room(), item, path, state)?;
        if let Some(work) = work.filter(|_| live) {
            view.state = v1::ItemState::Running.into();
            (view.worker, view.since_ms, view.duration_us) = (work.worker, work.since_ms, 0);
            view.attempts = view.attempts.saturating_add(1);
        }
        page.items.push(view);
    }
    Ok(page)
}

fn view(
    catalog: &Catalog,
    room: &Messages,
    item: ItemKey,
    path: String,
    state: ItemState,
) -> Result<v1::ItemView, CatalogError> {
    let mut view = v1::ItemView {
        stage: u32::from(item.stage),
        index: item.index,
        path,
        state: match state {
            // Nobody finds one that was withdrawn, unless it was just now.
            ItemState::Pending | ItemState::Withdrawn => v1::ItemState::Pending,
            ItemState::Succeeded => v1::ItemState::Succeeded,
            ItemState::Failed => v1::ItemState::Failed,
            ItemState::Filtered => v1::ItemState::Filtered,
        }
        .into(),
        ..v1::ItemView::default()
    };
    let outcome = match state {
        ItemState::Pending => catalog.trouble(&item)?.map(|(tries, outcome)| {
            view.attempts = tries;
            outcome
        }),
        _ => catalog.outcome(&item)?.map(|(_, outcome)| {
            view.attempts = outcome.attempt;
            outcome
        }),
    };
    let Some(outcome) = outcome else {
        return Ok(view);
    };
    view.worker.clone_from(&outcome.worker);
    view.duration_us = outcome.duration_us;
    view.stdout_digest = outcome.stdout_digest.clone();
    view.stderr_digest = outcome.stderr_digest.clone();
    view.failure = outcome.failure.clone();
    if state == ItemState::Succeeded {
        view.outputs = catalog.outputs(room, outcome)?;
    }
    Ok(view)
}
