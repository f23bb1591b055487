//! Jobs: submissions, views and the end of jobs.

use std::sync::Arc;

use longshore_core::{Core, Input, JobId, JobView, Refusal, Reply};
use longshore_proto::v1;
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    caller::{Caller, Role},
    items, submission, views,
};
use crate::{
    audit::Audit,
    drive::{Handle, Views},
    error::{Error, blocking, chain},
    kept::catalog::Catalog,
    limits,
    room::DiskRoom,
    workers::recent_failures::RecentFailures,
};

/// What can be asked of jobs.
#[derive(Clone)]
pub struct Jobs {
    pub driver: Handle,
    pub catalog: Arc<Catalog>,
    pub failures: Arc<RecentFailures>,
    pub room: DiskRoom,
    pub audit: Arc<Audit>,
}

impl Jobs {
    /// Takes in a job, whose inputs are here.
    pub async fn submit(&self, caller: &Caller, submission: v1::SubmitRequest) -> Result<v1::SubmitResponse, Error> {
        self.room.ensure()?;
        let room = self.catalog.room(&caller.namespace);
        let checked = blocking("checking the submission", move || submission::check(&room, &submission)).await?;
        let (job, namespace) = (JobId(*Uuid::now_v7().as_bytes()), caller.namespace.clone());
        let told = self.tell_of_submission(caller, job, &checked.key).await?;
        let reply = self
            .driver
            .ask(move |request| Input::Submit {
                request,
                job,
                namespace,
                key: checked.key,
                spec: checked.spec,
                inputs: checked.inputs,
                detail: checked.detail.into(),
            })
            .await?;
        match reply {
            Reply::Submitted { job, existed } => {
                tracing::debug!(%caller, %job, existed, "a job is submitted");
                if job != told {
                    // Two submissions of the same key at once.
                    self.audit.allow(caller, "Jobs/Submit", existing(job)).await?;
                }
                Ok(v1::SubmitResponse { job_id: views::id(job.0), existed })
            }
            other => Err(Error::of_reply(other)),
        }
    }

    /// Tells the audit which job is submitted: the one that its key has made already, if there is one.
    async fn tell_of_submission(&self, caller: &Caller, job: JobId, key: &str) -> Result<JobId, Error> {
        let (namespace, asked) = (caller.namespace.clone(), key.to_owned());
        let existed = match key {
            "" => None,
            _ => self.driver.peek(move |core| core.ledger().job_of_key(&namespace, &asked)).await?,
        };
        self.audit.allow(caller, "Jobs/Submit", existed.map_or_else(|| job.to_string(), existing)).await?;
        Ok(existed.unwrap_or(job))
    }

    /// The newest jobs of the caller's namespace, or of all, newest first.
    pub async fn list(&self, caller: &Caller, all: bool) -> Result<Vec<v1::JobView>, Error> {
        if all && caller.role != Role::Admin {
            return Err(Error::denied("the jobs of all namespaces are shown to admins alone"));
        }
        let whose = (!all).then(|| caller.namespace.clone());
        let look = move |core: &Core| -> Vec<JobView> {
            let all = whose.is_none().then(|| core.ledger().jobs().rev()).into_iter().flatten();
            let own = whose.iter().flat_map(|namespace| core.ledger().jobs_of(namespace).rev());
            let newest = all.chain(own).take(limits::LISTED_JOBS);
            newest.filter_map(|job| core.job_view(job.record.id)).collect()
        };
        let views = self.driver.read(look).await?;
        let jobs = self.clone();
        // Failures are shown of one job, not of a thousand.
        let brief = move |view: &JobView| v1::JobView { recent_failures: Vec::new(), ..jobs.shown(view) };
        blocking("looking up jobs", move || Ok(views.iter().map(brief).collect())).await
    }

    /// One job.
    pub async fn get(&self, caller: &Caller, asked: String) -> Result<v1::JobView, Error> {
        let job = self.resolve(caller, asked).await?;
        self.view_of(job).await
    }

    /// One job, now and whenever it changes.
    pub async fn watch(&self, caller: &Caller, asked: String) -> Result<Watched, Error> {
        let job = self.resolve(caller, asked).await?;
        let views = self.driver.watch(job).await?.ok_or(Refusal::NoSuchJob(job))?;
        Ok(Watched { jobs: self.clone(), views, next: Next::Now })
    }

    /// Ends a job; answers how it is then.
    pub async fn cancel(&self, caller: &Caller, asked: String, mut reason: String) -> Result<v1::JobView, Error> {
        if reason.len() > limits::REASON_BYTES {
            return Err(Error::invalid(format!("a reason has at most {} bytes", limits::REASON_BYTES)));
        }
        if reason.is_empty() {
            "cancelled".clone_into(&mut reason);
        }
        let job = self.resolve(caller, asked).await?;
        tracing::debug!(%caller, %job, "a job is to be cancelled");
        self.audit.allow(caller, "Jobs/Cancel", job.to_string()).await?;
        match self.driver.ask(move |request| Input::Cancel { request, job, reason }).await? {
            Reply::Cancelled => self.view_of(job).await,
            other => Err(Error::of_reply(other)),
        }
    }

    /// Tries the failed items of a job again; answers how many there are.
    pub async fn retry(&self, caller: &Caller, asked: String) -> Result<u64, Error> {
        let job = self.resolve(caller, asked).await?;
        tracing::debug!(%caller, %job, "a job is to be retried");
        self.audit.allow(caller, "Jobs/Retry", job.to_string()).await?;
        let failed =
            self.driver.peek(move |core| core.ledger().job(job).map_or(0, longshore_core::Job::failed)).await?;
        if failed > limits::RETRIED_ITEMS {
            return Err(Error::not_now(format!(
                "{failed} items have failed, more than the {} that can be retried together",
                limits::RETRIED_ITEMS
            )));
        }
        match self.driver.ask(move |request| Input::Retry { request, job }).await? {
            Reply::Retried { items } => Ok(items),
            other => Err(Error::of_reply(other)),
        }
    }

    /// The items of a job with their outcomes, page by page.
    pub async fn items(
        &self,
        caller: &Caller,
        request: v1::ItemsRequest,
    ) -> Result<mpsc::Receiver<Result<v1::ItemsPage, Error>>, Error> {
        let job = self.resolve(caller, request.job_id.clone()).await?;
        let catalog = Arc::clone(&self.catalog);
        let submission = blocking("looking up the job", move || Ok(catalog.submission(job)?)).await?;
        let wanted = items::Wanted::new(&request, &submission)?;
        // With the digests that are told here outputs are fetched: one line for all of them.
        self.audit.allow_reading(caller, "Jobs/Items", job.to_string()).await?;
        let (out, pages) = mpsc::channel(4);
        tokio::spawn(items::send_all(self.driver.clone(), Arc::clone(&self.catalog), job, submission, wanted, out));
        Ok(pages)
    }

    /// A view in the words of the wire. May read the job's specification from the disk.
    fn shown(&self, view: &JobView) -> v1::JobView {
        let submission = self.catalog.submission(view.record.id);
        let submission = submission.inspect_err(|error| {
            tracing::warn!(job = %view.record.id, error = chain(error), "a job's specification cannot be read");
        });
        let mut shown = views::job(view, submission.ok().as_deref());
        shown.recent_failures = self.failures.of(view.record.id);
        shown
    }

    async fn show(&self, view: Arc<JobView>) -> Result<v1::JobView, Error> {
        let jobs = self.clone();
        blocking("looking up the job", move || Ok(jobs.shown(&view))).await
    }

    async fn view_of(&self, job: JobId) -> Result<v1::JobView, Error> {
        let view = self.driver.read(move |core| core.job_view(job)).await?;
        self.show(Arc::new(view.ok_or(Refusal::NoSuchJob(job))?)).await
    }

    /// The job that an id, an unambiguous beginning of one, or "last" means among those of the caller's namespace. Those of others
    /// are not looked at: whoever asks for one learns what they learn of one that is not there, in the same words and time.
    async fn resolve(&self, caller: &Caller, asked: String) -> Result<JobId, Error> {
        let namespace = caller.namespace.clone();
        if asked == "last" {
            let last = move |core: &Core| core.ledger().jobs_of(&namespace).next_back().map(|job| job.record.id);
            let last = self.driver.read(last).await?;
            return last.ok_or_else(|| Error::not_found("there are no jobs yet"));
        }
        let Some(ids) = JobId::starting_with(&asked) else {
            return Err(Error::invalid(format!("{asked:?} is not the id of a job")));
        };
        let read = move |core: &Core| core.ledger().jobs_in(&namespace, ids).map(|job| job.record.id).take(2).collect();
        let found: Vec<JobId> = self.driver.read(read).await?;
        match found.as_slice() {
            [] => Err(Error::not_found(format!("no job {asked}"))),
            [only] => Ok(*only),
            _ => Err(Error::invalid(format!("{asked} is the beginning of more than one job's id"))),
        }
    }
}

/// A job that a submission has not made, for the audit.
fn existing(job: JobId) -> String {
    format!("{job}, which existed")
}

/// Views of a job, until it has ended.
pub struct Watched {
    jobs: Jobs,
    views: Views,
    next: Next,
}

enum Next {
    Now,
    WhenItChanges,
    Never,
}

impl Watched {
    /// The next view, at once the first time, then when the job has changed; `None` behind the last, which shows its end.
    pub async fn next(&mut self) -> Option<Result<v1::JobView, Error>> {
        match self.next {
            Next::Now => {}
            Next::WhenItChanges if self.views.changed().await.is_ok() => {}
            Next::WhenItChanges => {
                self.next = Next::Never;
                return Some(Err(crate::drive::Unanswered::Stopping.into()));
            }
            Next::Never => return None,
        }
        let view = Arc::clone(&self.views.borrow_and_update());
        self.next = if view.record.state.has_ended() { Next::Never } else { Next::WhenItChanges };
        Some(self.jobs.show(view).await)
    }
}
