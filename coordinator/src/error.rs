//! Why something that was asked for cannot be done, whatever the transport. Each transport says it in its own words, in one place.

use std::{
    error::Error as StdError,
    time::{Duration, UNIX_EPOCH},
};

use longshore_blobs::{GetError, PutError};
use longshore_core::{Lack, Refusal, Reply};
use longshore_proto::digest::NoDigest;
use longshore_root::NoMemory;

use crate::{
    api::validate::Invalid,
    drive::Unanswered,
    kept::{error::CatalogError, rooms::NoMoreRooms},
    members::allowance::TooMany,
    workers::sessions::Ending,
};

/// What cannot be done, and whose business that is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The caller's: what is asked for cannot be had like this.
    #[error("{1}")]
    Refused(Refused, String),
    /// Nobody's: it can be had at another time.
    #[error("{1}")]
    Unavailable(Unavailable, String),
    /// The coordinator's: something is damaged, or works not as it should.
    #[error("{1}")]
    Broken(Broken, String),
}

/// How it is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refused {
    /// It makes no sense, or goes beyond a bound.
    Invalid,
    /// There is no such thing.
    NotFound,
    /// There is one already.
    Exists,
    /// Not as things are now.
    NotNow,
    /// This caller may not.
    Denied,
    /// It is not known who calls.
    Stranger,
    /// It was good until some time ago.
    Expired,
    /// It was good for so many, who have come.
    UsedUp,
}

/// Why it is not available.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unavailable {
    /// There is no room.
    Full,
    /// As much is under way as may be.
    Busy,
    /// The memory for queries is full.
    Memory,
    /// The coordinator is stopping.
    Stopping,
    /// It has to begin anew.
    Ended,
}

/// What is broken.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Something that was kept is lost or damaged.
    Data,
    /// Anything else.
    Internal,
}

impl Error {
    /// It makes no sense, or goes beyond a bound.
    pub fn invalid(why: impl Into<String>) -> Self {
        Self::Refused(Refused::Invalid, why.into())
    }

    /// There is no such thing.
    pub fn not_found(why: impl Into<String>) -> Self {
        Self::Refused(Refused::NotFound, why.into())
    }

    /// Not as things are now.
    pub fn not_now(why: impl Into<String>) -> Self {
        Self::Refused(Refused::NotNow, why.into())
    }

    /// This caller may not.
    pub fn denied(why: impl Into<String>) -> Self {
        Self::Refused(Refused::Denied, why.into())
    }

    /// There is no room.
    pub fn full(why: impl Into<String>) -> Self {
        Self::Unavailable(Unavailable::Full, why.into())
    }

    /// As much is under way as may be.
    pub fn busy(why: impl Into<String>) -> Self {
        Self::Unavailable(Unavailable::Busy, why.into())
    }

    /// Something works not as it should.
    pub fn internal(why: impl Into<String>) -> Self {
        Self::Broken(Broken::Internal, why.into())
    }

    /// As [`Error::of_reply`], of a submission whose stages have these names.
    pub fn of_submission(reply: Reply, stages: &[String]) -> Self {
        match reply {
            Reply::Refused(Refusal::FitsNowhere { stage, worker, lack }) if usize::from(stage) < stages.len() => {
                let name = &stages[usize::from(stage)];
                let near = format!("worker {worker:?} comes nearest, but {lack}{}", remedy(&lack));
                Self::not_now(format!("stage {name} could run on no worker that is here: {near}"))
            }
            other => Self::of_reply(other),
        }
    }

    /// The core has refused, or has answered something else, which would be a bug.
    pub fn of_reply(reply: Reply) -> Self {
        match reply {
            Reply::Refused(refusal) => refusal.into(),
            other => Self::internal(format!("unexpected reply {other:?}")),
        }
    }
}

impl From<Unanswered> for Error {
    fn from(unanswered: Unanswered) -> Self {
        let kind = match unanswered {
            Unanswered::Stopping => Unavailable::Stopping,
            Unanswered::NoRoom | Unanswered::Undecided => Unavailable::Full,
        };
        Self::Unavailable(kind, unanswered.to_string())
    }
}

impl From<Ending> for Error {
    fn from(ending: Ending) -> Self {
        let why = ending.to_string();
        match ending {
            Ending::Replaced | Ending::Unknown => Self::Unavailable(Unavailable::Ended, why),
            Ending::Taken { .. } => Self::Refused(Refused::Exists, why),
            Ending::Revoked => Self::Refused(Refused::Denied, why),
        }
    }
}

impl From<TooMany> for Error {
    fn from(too_many: TooMany) -> Self {
        Self::busy(too_many.to_string())
    }
}

impl From<NoMemory> for Error {
    fn from(error: NoMemory) -> Self {
        match error {
            NoMemory::Now { .. } => Self::Unavailable(Unavailable::Memory, error.to_string()),
            NoMemory::Ever { .. } => Self::invalid(error.to_string()),
        }
    }
}

impl From<Invalid> for Error {
    fn from(invalid: Invalid) -> Self {
        Self::invalid(invalid.to_string())
    }
}

impl From<NoDigest> for Error {
    fn from(error: NoDigest) -> Self {
        Self::invalid(error.to_string())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        let kind = match refusal {
            Refusal::NoSuchJob(_) | Refusal::NoSuchService(_) => Refused::NotFound,
            Refusal::ServiceExists(_) => Refused::Exists,
            Refusal::JobHasEnded(_) | Refusal::JobIsRunning(_) | Refusal::NothingFailed(_) => Refused::NotNow,
            Refusal::KeyIsTaken { .. } | Refusal::KeyOfRemoved { .. } => Refused::Exists,
            Refusal::AfterEndedBadly(_) | Refusal::TooManyDrained(_) => Refused::NotNow,
            Refusal::FitsNowhere { .. } => Refused::NotNow,
            Refusal::NoSuchStage { .. } => Refused::Invalid,
            Refusal::NoSuchToken | Refusal::NoSuchWorker(_) | Refusal::NoSuchSecret(_) => Refused::NotFound,
            Refusal::TokenExists(_) | Refusal::WorkerIsAnother(_) => Refused::Exists,
            Refusal::TokenExpired { .. } => Refused::Expired,
            Refusal::TokenUsedUp { .. } => Refused::UsedUp,
            Refusal::NotForJoining => Refused::Invalid,
            Refusal::WorkerRevoked(_) => Refused::Denied,
            Refusal::WorkerIsNoMember(_) | Refusal::WorkerIsHere(_) | Refusal::SecretMoved(_) => Refused::NotNow,
        };
        Self::Refused(kind, words(&refusal))
    }
}

/// What would mend what a worker lacks.
fn remedy(lack: &Lack) -> String {
    format!("; its operator could start it with `{}`", lack.remedy())
}

/// What a refusal is about, with the times that the core cannot write.
fn words(refusal: &Refusal) -> String {
    match refusal {
        Refusal::TokenExpired { expired_ms } => format!("the token has expired at {}", date(*expired_ms)),
        Refusal::TokenUsedUp { by: Some((name, at_ms)) } => {
            format!("the token is used up: worker {name} has joined with it at {}", date(*at_ms))
        }
        Refusal::KeyIsTaken { .. } => format!("{refusal}: give this submission a key of its own"),
        Refusal::KeyOfRemoved { until_ms, .. } => {
            format!("{refusal}: give this submission another key, or wait until {}", date(*until_ms))
        }
        Refusal::FitsNowhere { lack, .. } => format!("{refusal}{}", remedy(lack)),
        other => other.to_string(),
    }
}

impl From<CatalogError> for Error {
    fn from(error: CatalogError) -> Self {
        tracing::error!(error = chain(&error), "something kept cannot be read");
        Self::Broken(Broken::Data, chain(&error))
    }
}

/// Room on the disk is the client's business too: it can try again later.
impl From<PutError> for Error {
    fn from(error: PutError) -> Self {
        let why = chain(&error);
        match error {
            // Where blobs are kept is no business of whoever puts them.
            PutError::Full { source, .. } if source.get_ref().is_some_and(|why| why.is::<NoMoreRooms>()) => {
                Self::full(source.to_string())
            }
            PutError::Full { .. } => Self::full(why),
            PutError::Mismatch { .. } => Self::invalid(why),
            _ => Self::internal(why),
        }
    }
}

/// A blob that is missing is the client's business, one that is damaged is ours.
impl From<GetError> for Error {
    fn from(error: GetError) -> Self {
        let why = chain(&error);
        match error {
            GetError::NotFound { .. } => Self::not_found(why),
            _ => Self::Broken(Broken::Data, why),
        }
    }
}

/// Does something that may wait for the disk, off the threads that serve.
///
/// # Errors
/// What it answers, or that it has panicked.
pub async fn blocking<T: Send + 'static>(
    doing: &'static str,
    act: impl FnOnce() -> Result<T, Error> + Send + 'static,
) -> Result<T, Error> {
    match tokio::task::spawn_blocking(act).await {
        Ok(done) => done,
        Err(_) => Err(Error::internal(format!("{doing} has panicked"))),
    }
}

/// A moment for people, from unix milliseconds.
pub fn date(ms: u64) -> String {
    // What comes after the year 9999 has no form.
    let since = Duration::from_millis(ms.min(253_402_300_799_000));
    humantime::format_rfc3339_seconds(UNIX_EPOCH + since).to_string()
}

/// An error and its causes in one line.
pub fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use longshore_core::{JobId, ServiceName};

    use super::*;

    #[test]
    fn a_refusal_of_the_core_keeps_its_words_and_its_kind() {
        let job = JobId([1; 16]);
        for (refusal, kind) in [
            (Refusal::NoSuchJob(job), Refused::NotFound),
            (Refusal::NoSuchService(ServiceName::in_default("a")), Refused::NotFound),
            (Refusal::ServiceExists(ServiceName::in_default("a")), Refused::Exists),
            (Refusal::JobHasEnded(job), Refused::NotNow),
            (Refusal::JobIsRunning(job), Refused::NotNow),
            (Refusal::NothingFailed(job), Refused::NotNow),
        ] {
            let words = refusal.to_string();
            assert_eq!(Error::of_reply(Reply::Refused(refusal)), Error::Refused(kind, words));
        }
        assert!(matches!(Error::of_reply(Reply::Cancelled), Error::Broken(Broken::Internal, _)));
    }

    #[test]
    fn what_fits_nowhere_is_called_by_its_name() {
        let lack = Box::new(Lack::Network("jobs".to_owned()));
        let refusal = Refusal::FitsNowhere { stage: 1, worker: "box".to_owned(), lack };
        let said = Error::of_submission(Reply::Refused(refusal), &["a".to_owned(), "train".to_owned()]).to_string();
        assert!(said.starts_with("stage train could run on no worker that is here: worker \"box\" comes"), "{said}");
        assert!(said.ends_with("`longshore worker --allow-network jobs`"), "{said}");
    }

    #[test]
    fn when_and_by_whom_is_said_of_tokens() {
        let expired = Error::from(Refusal::TokenExpired { expired_ms: 1_700_000_000_999 });
        assert_eq!(
            expired,
            Error::Refused(Refused::Expired, "the token has expired at 2023-11-14T22:13:20Z".to_owned())
        );
        let used = Error::from(Refusal::TokenUsedUp { by: Some(("red".to_owned(), 1_700_000_000_000)) });
        let words = "the token is used up: worker red has joined with it at 2023-11-14T22:13:20Z";
        assert_eq!(used, Error::Refused(Refused::UsedUp, words.to_owned()));
        assert!(date(u64::MAX).starts_with("9999-"));
    }

    #[test]
    fn every_cause_is_said() {
        let inner = std::io::Error::other("no such luck");
        let error = GetError::Io { path: "a/pack".into(), source: inner };
        let said = chain(&error);
        assert!(said.contains("a/pack") && said.ends_with("no such luck"), "{said}");
    }

    #[tokio::test]
    async fn a_panic_aside_is_an_error_here() {
        let done = blocking("thinking", || -> Result<(), Error> { panic!("oh") }).await;
        assert_eq!(done, Err(Error::internal("thinking has panicked")));
    }
}
