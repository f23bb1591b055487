//! Jobs: submissions, views and the end of jobs.

use std::sync::Arc;

use longshore_core::{
    Change, Control, Core, Cut, Input, ItemKey, JobId, JobRecord, JobView, Meant, Only, Refusal, Reply, Source,
};
use longshore_proto::{secret, v1};
use tokio::sync::mpsc;
use uuid::Uuid;

use super::{
    caller::{Caller, Role},
    events, explain, items, recipe, submission, validate, views,
};
use crate::{
    audit::Audit,
    diary::Diary,
    drive::{Handle, Unanswered, Views},
    error::{Error, blocking, chain},
    kept::{catalog::Catalog, submission::Submission},
    limits,
    room::DiskRoom,
    secrets::{told, vault::Vault},
    workers::{recent_failures::RecentFailures, sessions::Sessions},
};

/// What can be asked of jobs.
#[derive(Clone)]
pub struct Jobs {
    pub driver: Handle,
    pub catalog: Arc<Catalog>,
    pub failures: Arc<RecentFailures>,
    pub diary: Arc<Diary>,
    pub room: DiskRoom,
    pub audit: Arc<Audit>,
    pub vault: Arc<Vault>,
    pub sessions: Arc<Sessions>,
}

impl Jobs {
    /// Takes in a job, whose inputs are here.
    pub async fn submit(&self, caller: &Caller, submission: v1::SubmitRequest) -> Result<v1::SubmitResponse, Error> {
        self.room.ensure()?;
        let room = self.catalog.room(&caller.namespace);
        let needs = needs_secrets(&submission);
        let checked = blocking("checking the submission", move || submission::check(&room, &submission)).await?;
        let (job, namespace) = (JobId(*Uuid::now_v7().as_bytes()), caller.namespace.clone());
        let stages = checked.stages;
        let told = self.tell_of_submission(caller, job, &checked.key, &needs).await?;
        let reply = self
            .driver
            .ask(move |request| Input::Submit {
                request,
                job,
                namespace,
                key: checked.key,
                spec: checked.spec,
                inputs: checked.inputs,
                groups: checked.groups,
                detail: checked.detail.into(),
                meaning: Some(checked.meaning),
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
            other => Err(Error::of_submission(other, &stages)),
        }
    }

    /// Tells the audit which job is submitted: the one that its key has made already, if there is one. A new one is given its
    /// secrets, so they have to be here.
    async fn tell_of_submission(
        &self,
        caller: &Caller,
        job: JobId,
        key: &str,
        needs: &[v1::Stage],
    ) -> Result<JobId, Error> {
        let (namespace, asked) = (caller.namespace.clone(), key.to_owned());
        let existed = match key {
            "" => None,
            _ => self.driver.peek(move |core| core.ledger().job_of_key(&namespace, &asked)).await?,
        };
        for stage in needs.iter().filter(|_| existed.is_none()) {
            let container = stage.container.as_ref();
            let told = container.map_or(Ok(()), |container| told::ensure(&self.vault, &caller.namespace, container));
            told.map_err(|why| Error::not_now(format!("stage {:?}: {why}", stage.name)))?;
        }
        self.audit.allow(caller, "Jobs/Submit", existed.map_or_else(|| job.to_string(), existing)).await?;
        Ok(existed.unwrap_or(job))
    }

    /// The newest jobs that are asked for, newest first.
    pub async fn list(&self, caller: &Caller, asked: v1::ListJobsRequest) -> Result<Vec<v1::JobView>, Error> {
        if asked.all_namespaces && caller.role != Role::Admin {
            return Err(Error::denied("the jobs of all namespaces are shown to admins alone"));
        }
        let whose = (!asked.all_namespaces).then(|| caller.namespace.clone());
        let limit = match asked.limit {
            0 => limits::LISTED_JOBS,
            some => limits::LISTED_JOBS.min(usize::try_from(some).unwrap_or(usize::MAX)),
        };
        let look = move |core: &Core| -> Vec<JobView> {
            let all = whose.is_none().then(|| core.ledger().jobs().rev()).into_iter().flatten();
            let own = whose.iter().flat_map(|namespace| core.ledger().jobs_of(namespace).rev());
            let newest = all.chain(own).filter(|job| is_asked_for(&job.record, &asked)).take(limit);
            newest.filter_map(|job| core.job_view(job.record.id)).collect()
        };
        let views = self.driver.read(look).await?;
        let jobs = self.clone();
        // Failures are shown of one job, not of a thousand.
        let brief = move |view: &JobView| v1::JobView {
            recent_failures: Vec::new(),
            failure_groups: Vec::new(),
            ..jobs.shown(view)
        };
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
        ensure_short(&reason)?;
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

    /// Tries the failed items of a job again, and goes on with what had not ended; answers how many there are of both.
    pub async fn retry(&self, caller: &Caller, asked: v1::RetryRequest) -> Result<v1::RetryResponse, Error> {
        let v1::RetryRequest { job_id, stage, index } = asked;
        if index.is_some() && stage.is_empty() {
            return Err(Error::invalid("an item is named by its stage and its position there; the stage is missing"));
        }
        let job = self.resolve(caller, job_id).await?;
        let only = match stage.is_empty() {
            true => None,
            false => {
                let submission = self.submission(job).await?;
                Some(Only { stage: stage_named(submission.stages(), &stage)?, index })
            }
        };
        tracing::debug!(%caller, %job, "a job is to be retried");
        self.audit.allow(caller, "Jobs/Retry", job.to_string()).await?;
        match self.driver.ask(move |request| Input::Retry { request, job, only }).await? {
            Reply::Retried { failed: items, unended } => {
                Ok(v1::RetryResponse { items, unended, picked: only.is_some() })
            }
            other => Err(Error::of_reply(other)),
        }
    }

    /// Gives nothing more of a job out; answers how it is then.
    pub async fn pause(&self, caller: &Caller, asked: v1::PauseJobRequest) -> Result<v1::JobView, Error> {
        let v1::PauseJobRequest { job_id, reason: why, stop } = asked;
        ensure_short(&why)?;
        let job = self.resolve(caller, job_id).await?;
        self.control(caller, "Jobs/Pause", job, Control::Pause { job, why, stop }).await?;
        self.view_of(job).await
    }

    /// Gives a job out again; answers how it is then.
    pub async fn resume(&self, caller: &Caller, asked: String) -> Result<v1::JobView, Error> {
        let job = self.resolve(caller, asked).await?;
        self.control(caller, "Jobs/Resume", job, Control::Resume { job }).await?;
        self.view_of(job).await
    }

    /// Changes terms of a job; answers how it is then.
    pub async fn change(&self, caller: &Caller, asked: v1::ChangeJobRequest) -> Result<v1::JobView, Error> {
        asked.priority.map_or(Ok(()), validate::priority)?;
        if asked.priority.is_none() && asked.max_parallel.is_empty() {
            return Err(Error::invalid(
                "nothing is to be changed: give a priority, or a stage and how many of it may run at once",
            ));
        }
        let job = self.resolve(caller, asked.job_id).await?;
        let catalog = Arc::clone(&self.catalog);
        let submission = blocking("looking up the job", move || Ok(catalog.submission(job)?)).await?;
        let max_parallel = limits_of(submission.stages(), &asked.max_parallel)?;
        let change = Change { priority: asked.priority, max_parallel };
        self.control(caller, "Jobs/Change", job, Control::Change { job, change }).await?;
        self.view_of(job).await
    }

    /// Removes a job; answers which.
    pub async fn remove(&self, caller: &Caller, asked: v1::RemoveJobRequest) -> Result<JobId, Error> {
        let v1::RemoveJobRequest { job_id, force } = asked;
        let job = match self.removed(caller, &job_id).await? {
            Some(job) => job,
            None => self.resolve(caller, job_id).await?,
        };
        self.control(caller, "Jobs/Remove", job, Control::Remove { job, force }).await?;
        Ok(job)
    }

    /// The job of the caller's namespace that was removed not long ago and has exactly this id.
    async fn removed(&self, caller: &Caller, asked: &str) -> Result<Option<JobId>, Error> {
        let Some(ids) = JobId::starting_with(asked).filter(|ids| ids.start() == ids.end()) else { return Ok(None) };
        let (job, namespace) = (*ids.start(), caller.namespace.clone());
        let is_removed =
            move |core: &Core| core.ledger().tombstone(job).is_some_and(|tombstone| tombstone.namespace == namespace);
        Ok(self.driver.read(is_removed).await?.then_some(job))
    }

    async fn control(&self, caller: &Caller, method: &'static str, job: JobId, ask: Control) -> Result<(), Error> {
        tracing::debug!(%caller, %job, ?ask, "a job is controlled");
        self.audit.allow(caller, method, job.to_string()).await?;
        match self.driver.ask(move |request| Input::Control { request, ask }).await? {
            Reply::Done => Ok(()),
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
        let submission = self.submission(job).await?;
        let wanted = items::Wanted::new(&request, &submission)?;
        // With the digests that are told here outputs are fetched: one line for all of them.
        self.audit.allow_reading(caller, "Jobs/Items", job.to_string()).await?;
        let (out, pages) = mpsc::channel(4);
        tokio::spawn(items::send_all(self.driver.clone(), Arc::clone(&self.catalog), job, submission, wanted, out));
        Ok(pages)
    }

    /// Why what of a job waits does not run.
    pub async fn explain(&self, caller: &Caller, asked: String) -> Result<v1::Explanation, Error> {
        let find = meant(caller, &asked);
        let look = move |core: &Core| find(core).map(|job| Some((core.explain(job)?, core.job_view(job)?)));
        // What waits because nothing can be kept is explained too.
        let (found, disk_full) = match self.driver.read(look.clone()).await {
            Err(Unanswered::NoRoom) => (self.driver.peek(look).await?, true),
            found => (found?, false),
        };
        let (explained, view) = found.map_err(|none| none.of(&asked))?.ok_or_else(|| NotMeant::default().of(&asked))?;
        let sources = explain::sources(&self.driver, &explained).await?;
        let jobs = self.clone();
        blocking("looking up the job", move || {
            let shown = jobs.shown(&view);
            let submission = jobs.catalog.submission(explained.record.id).ok();
            let path = |(item, source): &(ItemKey, Source)| {
                let submission = submission.as_deref()?;
                items::path(&jobs.catalog, submission, item, *source).ok()
            };
            let paths = sources.iter().map(|found| found.as_ref().and_then(path).unwrap_or_default()).collect();
            let said = explain::Said { sessions: &jobs.sessions, no_images: &view.no_images };
            Ok(explain::shown(explained, shown, paths, disk_full, said))
        })
        .await
    }

    /// What happened to a job lately, and on request what happens until it has ended.
    pub async fn events(
        &self,
        caller: &Caller,
        request: v1::EventsRequest,
    ) -> Result<mpsc::Receiver<Result<v1::EventsPage, Error>>, Error> {
        let job = self.resolve(caller, request.job_id).await?;
        let submission = self.submission(job).await?;
        let follow = match request.follow {
            true => self.driver.watch(job).await?,
            false => None,
        };
        let view = self.driver.read(move |core| core.job_view(job)).await?.ok_or(Refusal::NoSuchJob(job))?;
        let (out, pages) = mpsc::channel(4);
        tokio::spawn(events::send_events(self.diary.page(job), submission, view, follow, out));
        Ok(pages)
    }

    /// What one item is run with.
    pub async fn recipe(&self, caller: &Caller, request: v1::RecipeRequest) -> Result<v1::Recipe, Error> {
        let job = self.resolve(caller, request.job_id).await?;
        let submission = self.submission(job).await?;
        let nothing = || Error::not_found("the job has no such item");
        let stage = u16::try_from(request.stage).map_err(|_| nothing())?;
        let item = ItemKey { job, stage, index: request.index };
        let look = move |core: &Core| {
            let exists = core.ledger().job(job).is_some_and(|job| item.index < job.items(usize::from(stage)));
            core.source(&item).filter(|_| exists)
        };
        let source = self.driver.read(look).await?.ok_or_else(nothing)?;
        // With the digests that are told here blobs are fetched.
        self.audit.allow_reading(caller, "Jobs/Recipe", job.to_string()).await?;
        let (catalog, namespace) = (Arc::clone(&self.catalog), caller.namespace.name().to_owned());
        blocking("looking up the item", move || recipe::of(&catalog, &submission, item, source, namespace)).await
    }

    /// What attempts of a job write, as they end from now on.
    pub async fn follow_logs(
        &self,
        caller: &Caller,
        request: v1::FollowLogsRequest,
    ) -> Result<mpsc::Receiver<Result<v1::LogPiece, Error>>, Error> {
        let job = self.resolve(caller, request.job_id).await?;
        let submission = self.submission(job).await?;
        let stages = items::stages_named(&request.stages, &submission)?;
        items::ensure_few(&request.paths)?;
        self.audit.allow_reading(caller, "Jobs/FollowLogs", job.to_string()).await?;
        let pieces = self
            .diary
            .follow(job)
            .ok_or_else(|| Error::busy(format!("the logs of {} jobs are followed already", limits::FOLLOWED_JOBS)))?;
        let views = self.driver.watch(job).await?.ok_or(Refusal::NoSuchJob(job))?;
        let (out, told) = mpsc::channel(4);
        let wanted = events::WantedLogs { stages: stages.into_iter().map(u32::from).collect(), paths: request.paths };
        tokio::spawn(events::send_logs(pieces, views, wanted, out));
        Ok(told)
    }

    async fn submission(&self, job: JobId) -> Result<Arc<Submission>, Error> {
        let catalog = Arc::clone(&self.catalog);
        blocking("looking up the job", move || Ok(catalog.submission(job)?)).await
    }

    /// A view in the words of the wire. May read the job's specification from the disk.
    fn shown(&self, view: &JobView) -> v1::JobView {
        let submission = self.catalog.submission(view.record.id);
        let submission = submission.inspect_err(|error| {
            tracing::warn!(job = %view.record.id, error = chain(error), "a job's specification cannot be read");
        });
        let mut shown = views::job(view, submission.ok().as_deref());
        shown.recent_failures = self.failures.of(view.record.id);
        if view.stages.iter().any(|stage| stage.failed_attempts > 0) {
            shown.failure_groups = self.failures.groups(view.record.id, || self.kept_failures(view));
            self.show_example(view, &mut shown);
        }
        self.show_given_up(view, &mut shown);
        show_no_images(view, &mut shown);
        shown
    }

    /// Failed items of a job of before, with who ran them last.
    fn kept_failures(&self, view: &JobView) -> Vec<(v1::ItemFailure, String)> {
        let found = self.catalog.failures(view.record.id, LOOKED_AT).unwrap_or_default();
        let read = |(item, outcome): (longshore_core::ItemKey, v1::Outcome)| {
            let (stage, index, attempt) = (u32::from(item.stage), item.index, outcome.attempt);
            let path = match item.stage {
                0 => self.catalog.source(&item, Source::Input).map_or_else(|_| String::new(), |input| input.path),
                _ => String::new(),
            };
            (v1::ItemFailure { stage, index, path, attempt, failure: outcome.failure }, outcome.worker)
        };
        found.into_iter().map(read).collect()
    }

    /// Says how the attempts fail because of which a breaker has opened.
    fn show_example(&self, view: &JobView, shown: &mut v1::JobView) {
        let Some(Cut::Breaker { stage } | Cut::Image { stage }) = view.record.cut else { return };
        let group = shown.failure_groups.iter().find(|group| group.stage == u32::from(stage));
        if let Some((path, failure)) =
            group.and_then(|group| group.example.as_ref()).and_then(|it| Some((&it.path, it.failure.as_ref()?)))
        {
            shown.reason.push_str(&format!("; for instance {path}: {}", failure.message));
        }
    }

    /// Says of items that were given up with tries left why they were.
    fn show_given_up(&self, view: &JobView, shown: &mut v1::JobView) {
        for (item, source) in &view.given_up_first {
            let Ok(Some((_, outcome))) = self.catalog.outcome(item) else { continue };
            let (stage, index, attempt) = (u32::from(item.stage), item.index, outcome.attempt);
            let path = match source {
                Some(source @ (Source::Input | Source::Output { .. })) => {
                    self.catalog.source(item, *source).map_or_else(|_| String::new(), |input| input.path)
                }
                _ => shown.stages.get(usize::from(item.stage)).map_or(String::new(), |stage| stage.name.clone()),
            };
            let why = outcome.failure.as_ref().map_or("", |failure| &failure.message);
            if shown.reason.is_empty() && view.record.state.has_ended() {
                shown.reason = match view.given_up {
                    1 => format!("{path} was {why}"),
                    more => format!("{more} items were given up for what went away under them; {path} was {why}"),
                };
            }
            // What its worker said of the last attempt is part of this.
            let is_it = |told: &v1::ItemFailure| (told.stage, told.index, told.attempt) == (stage, index, attempt);
            shown.recent_failures.retain(|told| !is_it(told));
            shown.recent_failures.push(v1::ItemFailure { stage, index, path, attempt, failure: outcome.failure });
        }
        let surplus = shown.recent_failures.len().saturating_sub(RECENT);
        shown.recent_failures.drain(..surplus);
    }

    async fn show(&self, view: Arc<JobView>) -> Result<v1::JobView, Error> {
        let jobs = self.clone();
        blocking("looking up the job", move || Ok(jobs.shown(&view))).await
    }

    async fn view_of(&self, job: JobId) -> Result<v1::JobView, Error> {
        let view = self.driver.read(move |core| core.job_view(job)).await?;
        self.show(Arc::new(view.ok_or(Refusal::NoSuchJob(job))?)).await
    }

    /// The job that people mean by a reference, among those of the caller's namespace. Those of others are not looked at: whoever
    /// asks for one learns what they learn of one that is not there, in the same words and time.
    async fn resolve(&self, caller: &Caller, asked: String) -> Result<JobId, Error> {
        self.driver.read(meant(caller, &asked)).await?.map_err(|none| none.of(&asked))
    }
}

/// No one job is meant, but these, a line each.
#[derive(Debug, Default)]
struct NotMeant(Vec<String>);

impl NotMeant {
    /// By this reference.
    fn of(&self, asked: &str) -> Error {
        let Self(candidates) = self;
        if !candidates.is_empty() {
            let listed = candidates.join("\n");
            Error::invalid(format!("{asked:?} means more than one job; say which by its id:\n{listed}"))
        } else if asked == "last" {
            Error::not_found("there are no jobs yet")
        } else {
            // As an id is written, a name may be as long.
            let shown: String = asked.chars().take(limits::NAME_CHARS).collect();
            Error::not_found(format!("no job {shown}"))
        }
    }
}

/// Finds the job that a caller means by that.
fn meant(caller: &Caller, asked: &str) -> impl Fn(&Core) -> Result<JobId, NotMeant> + Clone + Send + 'static {
    let (namespace, reference) = (caller.namespace.clone(), asked.to_owned());
    move |core: &Core| match core.ledger().meant(&namespace, &reference) {
        Meant::Nothing => Err(NotMeant::default()),
        Meant::One(job) => Ok(job),
        Meant::Many(jobs) => {
            Err(NotMeant(jobs.iter().filter_map(|job| core.ledger().job(*job)).map(candidate).collect()))
        }
    }
}

/// Whether a listing shall have the job.
fn is_asked_for(job: &JobRecord, asked: &v1::ListJobsRequest) -> bool {
    let state: i32 = views::state(job.state).into();
    (asked.states.is_empty() || asked.states.contains(&state))
        && job.spec.name.contains(&asked.name)
        && job.submitted_ms >= asked.since_ms
}

/// A job in one line for whoever has to choose.
fn candidate(job: &longshore_core::Job) -> String {
    let record = &job.record;
    let state = views::state(record.state).as_str_name().trim_start_matches("JOB_STATE_").to_lowercase();
    let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(record.submitted_ms);
    let at = humantime::format_rfc3339_seconds(at);
    format!("  {}  {state:<9}  submitted {at}  {}", record.id, record.spec.name)
}

fn ensure_short(reason: &str) -> Result<(), Error> {
    match reason.len() <= limits::REASON_BYTES {
        true => Ok(()),
        false => Err(Error::invalid(format!("a reason has at most {} bytes", limits::REASON_BYTES))),
    }
}

/// Says of workers that could not get images that they are left out, and why.
fn show_no_images(view: &JobView, shown: &mut v1::JobView) {
    for miss in &view.no_images {
        let stage = shown.stages.get(usize::from(miss.stage)).map(|stage| stage.name.as_str()).unwrap_or_default();
        let why = explain::why_no_image(miss).map_or(String::new(), |why| format!(": {why}"));
        let told =
            format!("worker {} is left out of stage {stage} for a while, for it cannot get the image{why}", miss.name);
        shown.reason = [std::mem::take(&mut shown.reason), told]
            .into_iter()
            .filter(|part| !part.is_empty())
            .collect::<Vec<_>>()
            .join("; ");
    }
}

/// The stage of that name, by number.
fn stage_named(stages: &[v1::Stage], name: &str) -> Result<u16, Error> {
    (0_u16..).zip(stages).find(|(_, stage)| stage.name == name).map(|(at, _)| at).ok_or_else(|| {
        let shown: String = name.chars().take(80).collect();
        let there: Vec<&str> = stages.iter().map(|stage| stage.name.as_str()).collect();
        Error::invalid(format!("the job has no stage {shown:?}: its stages are {}", there.join(", ")))
    })
}

/// The stages that these limits are for, by number.
fn limits_of(stages: &[v1::Stage], asked: &[v1::StageLimit]) -> Result<Vec<(u16, u32)>, Error> {
    let mut limits: Vec<(u16, u32)> = Vec::new();
    for v1::StageLimit { stage: name, max_parallel } in asked {
        let stage = stage_named(stages, name)?;
        if limits.iter().any(|(other, _)| *other == stage) {
            return Err(Error::invalid(format!("stage {name:?} is named twice")));
        }
        limits.push((stage, *max_parallel));
    }
    Ok(limits)
}

/// The stages of a job whose containers name secrets.
fn needs_secrets(submission: &v1::SubmitRequest) -> Vec<v1::Stage> {
    let stages = submission.spec.iter().flat_map(|spec| &spec.stages);
    let needs =
        |stage: &&v1::Stage| stage.container.as_ref().is_some_and(|container| !secret::named(container).is_empty());
    stages.filter(needs).cloned().collect()
}

/// Failed items that are looked at to tell which are alike, of a job of before.
const LOOKED_AT: usize = 1_000;

/// Failed attempts shown of a job, the newest.
const RECENT: usize = 8;

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
                let job = self.views.borrow().record.id;
                let is_there = self.jobs.driver.peek(move |core| core.ledger().job(job).is_some()).await;
                return Some(Err(match is_there {
                    Ok(false) => Error::not_found(format!("job {job} was removed")),
                    _ => crate::drive::Unanswered::Stopping.into(),
                }));
            }
            Next::Never => return None,
        }
        let view = Arc::clone(&self.views.borrow_and_update());
        self.next = if view.record.state.has_ended() { Next::Never } else { Next::WhenItChanges };
        Some(self.jobs.show(view).await)
    }
}
