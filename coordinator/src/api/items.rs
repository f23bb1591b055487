//! The items of a job with their outcomes, page by page.

use std::{
    collections::{HashMap, hash_map::Entry},
    sync::Arc,
};

use bytes::Bytes;
use longshore_core::{ItemKey, ItemState, JobId, Source};
use longshore_proto::v1::{self, NamedBlob};
use prost::Message;
use tokio::sync::mpsc;

use crate::{
    drive::Handle,
    error::{Error, blocking},
    kept::{catalog::Catalog, error::CatalogError, messages::Messages, submission::Submission},
};

/// Items looked up at a time.
const PAGE: u64 = 256;

/// Bytes of items in one message, beside one item more.
const PAGE_BYTES: usize = 1 << 20;

/// Bytes of small outputs that travel along, at most.
const INLINE_BYTES: u64 = 256 << 10;

/// Which items are wanted.
pub struct Wanted {
    stages: Vec<u16>,
    state: Option<ItemState>,
    /// Bytes of outputs that may travel along.
    inline_bytes: u64,
}

impl Wanted {
    /// Reads a request.
    pub fn new(request: &v1::ItemsRequest, submission: &Submission) -> Result<Self, Error> {
        let names: Vec<&str> = submission.stages().iter().map(|stage| stage.name.as_str()).collect();
        if let Some(unknown) = request.stages.iter().find(|name| !names.contains(&name.as_str())) {
            return Err(Error::not_found(format!("the job has no stage {unknown:?}; it has {}", names.join(", "))));
        }
        let last = names.len().saturating_sub(1);
        let stages = (0_u16..)
            .zip(&names)
            .filter(|(at, name)| {
                let named = request.stages.is_empty() || request.stages.iter().any(|wanted| wanted == *name);
                named && (!request.last_stage || usize::from(*at) == last)
            })
            .map(|(at, _)| at)
            .collect();
        let state = match request.state() {
            v1::ItemState::Unspecified => None,
            v1::ItemState::Pending => Some(ItemState::Pending),
            v1::ItemState::Succeeded => Some(ItemState::Succeeded),
            v1::ItemState::Failed => Some(ItemState::Failed),
        };
        Ok(Self { stages, state, inline_bytes: if request.small_outputs { INLINE_BYTES } else { 0 } })
    }
}

type Found = (u64, ItemState, Option<Source>);

/// Sends every wanted item, in order of stage and index.
pub async fn send_all(
    driver: Handle,
    catalog: Arc<Catalog>,
    job: JobId,
    submission: Arc<Submission>,
    wanted: Wanted,
    out: mpsc::Sender<Result<v1::ItemsPage, Error>>,
) {
    let mut room = wanted.inline_bytes;
    for stage in wanted.stages {
        let mut from = 0;
        loop {
            let page = driver.read(move |core| find(core, job, stage, from, wanted.state)).await;
            let (next, found) = match page {
                Ok(page) => page,
                Err(unanswered) => {
                    let _ = out.send(Err(unanswered.into())).await;
                    return;
                }
            };
            let (catalog, submission) = (Arc::clone(&catalog), Arc::clone(&submission));
            let looked_up = blocking("looking up items", move || {
                let page = look_up(&catalog, &submission, job, stage, found)?;
                Ok(with_outputs(submission.room(), page, room))
            });
            let messages = match looked_up.await {
                Ok((page, left)) => {
                    room = left;
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
            match next {
                Some(next) => from = next,
                None => break,
            }
        }
    }
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
) -> (Option<u64>, Vec<Found>) {
    let Some(known) = core.ledger().job(job) else {
        return (None, Vec::new());
    };
    let at = usize::from(stage);
    let (Some(progress), items) = (known.stage(at), known.items(at)) else {
        return (None, Vec::new());
    };
    let mut found = Vec::new();
    for index in from..items {
        let here = progress.state(index);
        if state.is_none_or(|state| state == here) {
            let source = core.source(&ItemKey { job, stage, index });
            found.push((index, here, source));
        }
        // A bound on what is looked at between two inputs of the core, too.
        if found.len() as u64 == PAGE || index - from == 64 * PAGE {
            return (Some(index + 1), found);
        }
    }
    (None, found)
}

fn look_up(
    catalog: &Catalog,
    submission: &Submission,
    job: JobId,
    stage: u16,
    found: Vec<Found>,
) -> Result<v1::ItemsPage, CatalogError> {
    let mut parents: HashMap<u64, Vec<NamedBlob>> = HashMap::new();
    let mut page = v1::ItemsPage::default();
    for (index, state, source) in found {
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
            Some(Source::Everything) | None => {
                submission.stages().get(usize::from(stage)).map_or(String::new(), |stage| stage.name.clone())
            }
        };
        page.items.push(view(catalog, submission.room(), item, path, state)?);
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
            ItemState::Pending => v1::ItemState::Pending,
            ItemState::Succeeded => v1::ItemState::Succeeded,
            ItemState::Failed => v1::ItemState::Failed,
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
    if state == ItemState::Failed && view.failure.is_none() {
        view.failure = Some(v1::Failure {
            class: v1::FailureClass::SlotLost.into(),
            message: "the workers that ran it went away each time".to_owned(),
            stderr_tail: Bytes::new(),
            code: 0,
        });
    }
    if state == ItemState::Succeeded {
        view.outputs = catalog.outputs(room, outcome)?;
    }
    Ok(view)
}
