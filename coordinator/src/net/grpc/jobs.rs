//! `Jobs`: submissions, views and the end of jobs.

use std::sync::Arc;

use longshore_core::{Input, JobId, JobSpec, JobView, Refusal, Reply};
use longshore_proto::{
    DIGEST_BYTES,
    v1::{self, jobs_server},
};
use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};
use uuid::Uuid;

use super::{put_status, refused};
use crate::{api::items, error::chain};
use crate::{
    api::validate,
    api::views,
    drive::Handle,
    kept::catalog::{Catalog, hash},
    limits,
    open::Room,
    workers::results::RecentFailures,
};

/// The service.
#[derive(Clone)]
pub struct JobsService {
    pub driver: Handle,
    pub catalog: Arc<Catalog>,
    pub failures: Arc<RecentFailures>,
    pub room: Room,
}

type Stream<T> = ReceiverStream<Result<T, Status>>;

#[tonic::async_trait]
impl jobs_server::Jobs for JobsService {
    async fn submit(&self, request: Request<v1::SubmitRequest>) -> Result<Response<v1::SubmitResponse>, Status> {
        self.room.ensure()?;
        let submission = request.into_inner();
        let catalog = Arc::clone(&self.catalog);
        let checked = tokio::task::spawn_blocking(move || check_submission(&catalog, &submission))
            .await
            .map_err(|_| Status::internal("checking the submission has panicked"))??;
        let job = JobId(*Uuid::now_v7().as_bytes());
        let reply = self
            .driver
            .ask(move |request| Input::Submit {
                request,
                job,
                key: checked.key,
                spec: checked.spec,
                inputs: checked.inputs,
                detail: checked.detail,
            })
            .await?;
        match reply {
            Reply::Submitted { job, existed } => {
                Ok(Response::new(v1::SubmitResponse { job_id: views::id(job.0), existed }))
            }
            other => Err(unexpected(other)),
        }
    }

    async fn list(&self, _: Request<v1::ListJobsRequest>) -> Result<Response<v1::ListJobsResponse>, Status> {
        let views: Vec<JobView> = self
            .driver
            .read(|core| {
                let newest = core.ledger().jobs().rev().take(limits::LISTED_JOBS);
                newest.filter_map(|job| core.job_view(job.record.id)).collect()
            })
            .await?;
        // Failures are shown of one job, not of a thousand.
        let brief = |view: &JobView| v1::JobView { recent_failures: Vec::new(), ..self.view(view) };
        let jobs = views.iter().map(brief).collect();
        Ok(Response::new(v1::ListJobsResponse { jobs }))
    }

    async fn get(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::JobView>, Status> {
        let job = self.resolve(request.into_inner().job_id).await?;
        Ok(Response::new(self.view_of(job).await?))
    }

    type WatchStream = Stream<v1::JobView>;

    async fn watch(&self, request: Request<v1::JobRequest>) -> Result<Response<Self::WatchStream>, Status> {
        let job = self.resolve(request.into_inner().job_id).await?;
        let mut views = self.driver.watch(job).await?.ok_or_else(|| refused(&Refusal::NoSuchJob(job)))?;
        let (out, stream) = mpsc::channel(1);
        let service = self.clone();
        tokio::spawn(async move {
            loop {
                let view = Arc::clone(&views.borrow_and_update());
                let ended = view.record.state.has_ended();
                if out.send(Ok(service.view(&view))).await.is_err() || ended {
                    return;
                }
                tokio::select! {
                    changed = views.changed() => if changed.is_err() {
                        let _ = out.send(Err(Status::unavailable("the coordinator is stopping"))).await;
                        return;
                    },
                    () = out.closed() => return,
                }
            }
        });
        Ok(Response::new(ReceiverStream::new(stream)))
    }

    async fn cancel(&self, request: Request<v1::CancelJobRequest>) -> Result<Response<v1::JobView>, Status> {
        let v1::CancelJobRequest { job_id, mut reason } = request.into_inner();
        if reason.len() > limits::REASON_BYTES {
            return Err(Status::invalid_argument(format!("a reason has at most {} bytes", limits::REASON_BYTES)));
        }
        if reason.is_empty() {
            "cancelled".clone_into(&mut reason);
        }
        let job = self.resolve(job_id).await?;
        match self.driver.ask(move |request| Input::Cancel { request, job, reason }).await? {
            Reply::Cancelled => Ok(Response::new(self.view_of(job).await?)),
            other => Err(unexpected(other)),
        }
    }

    async fn retry(&self, request: Request<v1::JobRequest>) -> Result<Response<v1::RetryResponse>, Status> {
        let job = self.resolve(request.into_inner().job_id).await?;
        let failed =
            self.driver.peek(move |core| core.ledger().job(job).map_or(0, longshore_core::Job::failed)).await?;
        if failed > limits::RETRIED_ITEMS {
            return Err(Status::failed_precondition(format!(
                "{failed} items have failed, more than the {} that can be retried together",
                limits::RETRIED_ITEMS
            )));
        }
        match self.driver.ask(move |request| Input::Retry { request, job }).await? {
            Reply::Retried { items } => Ok(Response::new(v1::RetryResponse { items })),
            other => Err(unexpected(other)),
        }
    }

    type ItemsStream = Stream<v1::ItemsPage>;

    async fn items(&self, request: Request<v1::ItemsRequest>) -> Result<Response<Self::ItemsStream>, Status> {
        let request = request.into_inner();
        let job = self.resolve(request.job_id.clone()).await?;
        let sheet = self.catalog.sheet(job)?;
        let wanted = items::Wanted::new(&request, &sheet)?;
        let (out, stream) = mpsc::channel(4);
        tokio::spawn(items::send_all(self.driver.clone(), Arc::clone(&self.catalog), job, sheet, wanted, out));
        Ok(Response::new(ReceiverStream::new(stream)))
    }
}

/// A refusal, or a reply to something else, which would be a bug.
fn unexpected(reply: Reply) -> Status {
    match reply {
        Reply::Refused(refusal) => refused(&refusal),
        other => Status::internal(format!("unexpected reply {other:?}")),
    }
}

impl JobsService {
    fn view(&self, view: &JobView) -> v1::JobView {
        let sheet = match self.catalog.sheet(view.record.id) {
            Ok(sheet) => Some(sheet),
            Err(error) => {
                tracing::warn!(job = %view.record.id, error = chain(&error), "a job's specification cannot be read");
                None
            }
        };
        let mut shown = views::job(view, sheet.as_deref());
        shown.recent_failures = self.failures.of(view.record.id);
        shown
    }

    async fn view_of(&self, job: JobId) -> Result<v1::JobView, Status> {
        let view = self.driver.read(move |core| core.job_view(job)).await?;
        view.map(|view| self.view(&view)).ok_or_else(|| refused(&Refusal::NoSuchJob(job)))
    }

    /// The job that an id, an unambiguous beginning of one, or "last" means.
    async fn resolve(&self, asked: String) -> Result<JobId, Status> {
        if asked == "last" {
            let last = self.driver.read(|core| core.ledger().jobs().next_back().map(|job| job.record.id)).await?;
            return last.ok_or_else(|| Status::not_found("there are no jobs yet"));
        }
        let digits = asked.replace('-', "").to_ascii_lowercase();
        if digits.is_empty() || digits.len() > 32 || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Status::invalid_argument(format!("{asked:?} is not the id of a job")));
        }
        let wanted = digits.clone();
        let found: Vec<JobId> = self
            .driver
            .read(move |core| {
                let ids = core.ledger().jobs().map(|job| job.record.id);
                ids.filter(|id| id.to_string().replace('-', "").starts_with(&wanted)).take(2).collect()
            })
            .await?;
        match found.as_slice() {
            [] => Err(Status::not_found(format!("no job {asked}"))),
            [only] => Ok(*only),
            _ => Err(Status::invalid_argument(format!("{asked} is the beginning of more than one job's id"))),
        }
    }
}

struct Checked {
    key: String,
    spec: JobSpec,
    inputs: u64,
    detail: [u8; 32],
}

/// Everything a submission names is there, and makes sense.
fn check_submission(catalog: &Catalog, submission: &v1::SubmitRequest) -> Result<Checked, Status> {
    if submission.idempotency_key.len() > limits::KEY_BYTES {
        return Err(Status::invalid_argument(format!("an idempotency key has at most {} bytes", limits::KEY_BYTES)));
    }
    let spec = submission.spec.as_ref().ok_or_else(|| Status::invalid_argument("no specification is given"))?;
    let spec = validate::job(spec)?;
    let inputs = check_inputs(catalog, submission)?;
    let detail = catalog.put(submission).map_err(|error| put_status(&error))?;
    Ok(Checked { key: submission.idempotency_key.clone(), spec, inputs, detail })
}

fn check_inputs(catalog: &Catalog, submission: &v1::SubmitRequest) -> Result<u64, Status> {
    let mut inputs = 0_u64;
    for list in &submission.inputs {
        if list.digest.len() != DIGEST_BYTES || list.count == 0 || list.count > limits::LIST_ENTRIES {
            return Err(Status::invalid_argument(format!(
                "a list of inputs has 1 to {} entries and a digest of {DIGEST_BYTES} bytes",
                limits::LIST_ENTRIES
            )));
        }
        inputs += list.count;
        if inputs > limits::ITEMS {
            return Err(Status::invalid_argument(format!("a job has at most {} items", limits::ITEMS)));
        }
    }
    if inputs == 0 {
        return Err(Status::invalid_argument("the job has no inputs"));
    }
    let mut names = Vec::new();
    for list in &submission.inputs {
        for entry in read_list(catalog, list)? {
            check_input(catalog, &entry)?;
            names.push(name_of(&entry.path));
        }
    }
    ensure_unique(catalog, submission, names)?;
    Ok(inputs)
}

fn read_list(catalog: &Catalog, list: &v1::BlobListRef) -> Result<Vec<v1::NamedBlob>, Status> {
    let size = catalog.blobs().size(&hash(&list.digest));
    if size.is_none_or(|size| size > limits::LIST_BYTES) {
        return Err(Status::failed_precondition("a list of inputs was not uploaded, or is too large"));
    }
    let entries = catalog.list(&list.digest)?.blobs;
    if entries.len() as u64 != list.count {
        let (has, told) = (entries.len(), list.count);
        return Err(Status::invalid_argument(format!("a list of inputs has {has} entries, not {told}")));
    }
    Ok(entries)
}

/// Sixteen bytes that stand for a path, however long it is: millions of paths are compared.
type Name = [u8; 16];

fn name_of(path: &str) -> Name {
    let mut name = Name::default();
    name.copy_from_slice(&blake3::hash(path.as_bytes()).as_bytes()[..16]);
    name
}

/// No two inputs have the same path.
fn ensure_unique(catalog: &Catalog, submission: &v1::SubmitRequest, mut names: Vec<Name>) -> Result<(), Status> {
    names.sort_unstable();
    let Some(twice) = names.windows(2).find(|pair| pair[0] == pair[1]).map(|pair| pair[0]) else {
        return Ok(());
    };
    drop(names);
    for list in &submission.inputs {
        if let Some(entry) = read_list(catalog, list)?.iter().find(|entry| name_of(&entry.path) == twice) {
            return Err(Status::invalid_argument(format!("two inputs have the path {:?}", entry.path)));
        }
    }
    Err(Status::internal("the lists of inputs have changed"))
}

fn check_input(catalog: &Catalog, entry: &v1::NamedBlob) -> Result<(), Status> {
    validate::path(&entry.path)?;
    if entry.digest.len() != DIGEST_BYTES || entry.inline.is_some() {
        return Err(Status::invalid_argument(format!("input {:?} is not named by its digest", entry.path)));
    }
    match catalog.blobs().size(&hash(&entry.digest)) {
        Some(size) if size == entry.size => Ok(()),
        Some(size) => {
            Err(Status::invalid_argument(format!("input {:?} has {size} bytes, not {}", entry.path, entry.size)))
        }
        None => Err(Status::failed_precondition(format!("input {:?} was not uploaded", entry.path))),
    }
}
