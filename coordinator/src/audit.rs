//! The audit: one line for everything that somebody changes or takes out, written before it is done, and what was denied, added
//! up, in a file of its own.
//!
//! Lines are JSON; what names are in them the encoder escapes. They are written by a thread, those that wait together at once.
//! What is looked at again within a second is added up behind the line for the first time. What cannot be written is not done. A line outlives the process, but is not waited for on the disk: the change itself is.

mod denials;
mod journal;
mod line;
mod reads;

use std::{io, path::Path, sync::mpsc, thread, time::Duration};

use longshore_local::{PrivateDir, PrivateDirError};
use tokio::sync::oneshot;

use self::{denials::Denials, journal::Journal, line::Line, reads::Reads};
use crate::{
    api::caller::{Caller, Origin},
    error::Error,
    limits,
};

enum Message {
    Write(Line, Often, oneshot::Sender<Result<(), String>>),
    Denied(&'static str, Line),
}

/// Whether each time is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Often {
    Each,
    AddedUp,
}

/// What somebody was denied.
#[derive(Debug)]
pub struct Denied {
    /// Who, as far as that is known.
    pub principal: String,
    /// From where.
    pub origin: Origin,
    /// In which namespace, as far as one is named by somebody who is known.
    pub namespace: Option<String>,
    /// What kind of reason it is: those of the same are added up.
    pub kind: &'static str,
    /// What was called, of all that can be.
    pub method: &'static str,
    /// What it was about.
    pub resource: String,
    /// Why.
    pub reason: String,
}

/// Writes the audit.
#[derive(Debug)]
pub struct Audit {
    messages: mpsc::SyncSender<Message>,
}

/// Why there can be no audit.
#[derive(Debug, thiserror::Error)]
pub enum AuditError {
    /// Its directory cannot be used.
    #[error(transparent)]
    Directory(#[from] PrivateDirError),
    /// Its files cannot be opened, or no thread started.
    #[error("its files cannot be written")]
    Io(#[from] io::Error),
}

impl Audit {
    /// Into this directory, which is made if it is not there.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn open(dir: &Path) -> Result<Self, AuditError> {
        let dir = PrivateDir::open(dir, |name| name.ends_with(".jsonl"))?;
        let journal = |name| Journal::open(dir.path(), name, limits::AUDIT_BYTES, limits::AUDIT_FILES);
        let (audit, denied) = (journal("audit")?, journal("denied")?);
        let (messages, inbox) = mpsc::sync_channel(limits::AUDIT_WAITING);
        thread::Builder::new().name("audit".to_owned()).spawn(move || write(&inbox, audit, denied))?;
        Ok(Self { messages })
    }

    /// Somebody is about to change or take out something. It may go on when this is written.
    ///
    /// # Errors
    /// When it cannot be: then it must not.
    pub async fn allow(&self, caller: &Caller, method: &'static str, resource: impl Into<String>) -> Result<(), Error> {
        let line = Line::of(caller, method, resource.into());
        self.note(line, Often::Each).await
    }

    /// Somebody is about to look at something, perhaps again and again.
    ///
    /// # Errors
    /// When that cannot be written: then it must not.
    pub async fn allow_reading(&self, caller: &Caller, method: &'static str, resource: String) -> Result<(), Error> {
        self.note(Line::of(caller, method, resource), Often::AddedUp).await
    }

    /// The same for somebody who is known by what the request says.
    ///
    /// # Errors
    /// When it cannot be written.
    pub async fn allow_joining(
        &self,
        principal: String,
        origin: Origin,
        method: &'static str,
        resource: String,
    ) -> Result<(), Error> {
        let line = Line::new(principal, origin, None, method, resource, "allowed", None);
        self.note(line, Often::Each).await
    }

    async fn note(&self, line: Line, often: Often) -> Result<(), Error> {
        let (written, waiting) = oneshot::channel();
        let full = || Error::full("too much waits to be written to the audit");
        self.messages.try_send(Message::Write(line, often, written)).map_err(|_| full())?;
        match waiting.await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(why)) => Err(Error::full(format!("the audit cannot be written, so nothing is done: {why}"))),
            Err(_) => Err(full()),
        }
    }

    /// Somebody was denied something. Nobody waits for that, and where too much is denied not all of it is written.
    pub fn deny(&self, denied: Denied) {
        let Denied { principal, origin, namespace, kind, method, resource, reason } = denied;
        let line = Line::new(principal, origin, namespace, method, resource, "denied", Some(reason));
        let _ = self.messages.try_send(Message::Denied(kind, line));
    }
}

/// Writes until nobody is left who sends.
fn write(inbox: &mpsc::Receiver<Message>, mut audit: Journal, mut denied: Journal) {
    let (mut denials, mut reads) = (Denials::default(), Reads::default());
    loop {
        let first = inbox.recv_timeout(Duration::from_secs(1));
        let ended = matches!(first, Err(mpsc::RecvTimeoutError::Disconnected));
        let (mut lines, mut waiting) = (Vec::new(), Vec::new());
        for message in first.into_iter().chain(inbox.try_iter().take(limits::AUDIT_WAITING)) {
            match message {
                Message::Write(line, often, done) => {
                    if often == Often::Each || !reads.is_again(&line) {
                        lines.push(line);
                    }
                    waiting.push(done);
                }
                Message::Denied(kind, line) => denials.add(kind, line),
            }
        }
        let written = audit.append(&lines).map_err(|error| error.to_string());
        if written.is_err() {
            reads.forget();
        }
        // Whoever asked may have gone.
        waiting.into_iter().for_each(|done| drop(done.send(written.clone())));
        if let Err(error) = audit.append(&reads.due(ended)) {
            tracing::warn!(%error, "how often something was looked at cannot be written to the audit");
        }
        if let Err(error) = denied.append(&denials.due(ended)) {
            tracing::warn!(%error, "what was denied cannot be written to the audit");
        }
        if ended {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use longshore_core::Namespace;
    use serde_json::Value;

    use super::*;
    use crate::api::caller::{Principal, Role};

    fn caller() -> Caller {
        let origin = Origin { via: "port", from: Some([127, 0, 0, 1].into()) };
        Caller { role: Role::Admin, principal: Principal::Token, namespace: Namespace::named("vision"), origin }
    }

    fn lines(dir: &Path, name: &str) -> Vec<Value> {
        let text = fs::read_to_string(dir.join(name)).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[tokio::test]
    async fn what_is_allowed_is_written_before_it_is_done_and_escaped() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(&dir.path().join("audit")).unwrap();
        audit.allow(&caller(), "Services/Deploy", "a\"\n\u{1b}b").await.unwrap();
        let [line] = lines(&dir.path().join("audit"), "audit.jsonl").try_into().unwrap();
        assert_eq!(line["principal"], "whoever has the token");
        assert_eq!(
            (&line["via"], &line["peer"], &line["namespace"]),
            (&"port".into(), &"127.0.0.1".into(), &"vision".into())
        );
        assert_eq!((&line["method"], &line["resource"]), (&"Services/Deploy".into(), &"a\"\n\u{1b}b".into()));
        assert_eq!((&line["decision"], line["time"].as_str().unwrap().len()), (&"allowed".into(), 24));
    }

    #[tokio::test]
    async fn what_is_looked_at_again_is_added_up_behind_the_first() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path()).unwrap();
        for job in ["one", "one", "two", "one"] {
            audit.allow_reading(&caller(), "Jobs/Items", job.to_owned()).await.unwrap();
            // No look is told before its line is there.
            assert!(lines(dir.path(), "audit.jsonl").iter().any(|line| line["resource"] == job));
        }
        audit.allow(&caller(), "Jobs/Cancel", "one").await.unwrap();
        audit.allow(&caller(), "Jobs/Cancel", "one").await.unwrap();
        drop(audit);
        let told = |lines: &[Value], method: &str, job: &str| {
            let of = lines.iter().filter(|line| line["method"] == method && line["resource"] == job);
            of.map(|line| line["count"].as_u64().unwrap_or(1)).sum::<u64>()
        };
        let audit = loop {
            let lines = lines(dir.path(), "audit.jsonl");
            if told(&lines, "Jobs/Items", "one") == 3 {
                break lines;
            }
            tokio::task::yield_now().await;
        };
        assert_eq!((told(&audit, "Jobs/Items", "two"), told(&audit, "Jobs/Cancel", "one")), (1, 2));
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_not_done() {
        let (messages, inbox) = mpsc::sync_channel(4);
        let dir = tempfile::tempdir().unwrap();
        let denied = Journal::open(dir.path(), "denied", 1_000, 2).unwrap();
        thread::spawn(move || write(&inbox, Journal::full(), denied));
        let refused = Audit { messages }.allow(&caller(), "Jobs/Submit", "").await.unwrap_err();
        assert!(refused.to_string().contains("nothing is done"), "{refused}");
    }

    #[tokio::test]
    async fn denials_are_added_up_in_a_file_of_their_own() {
        let dir = tempfile::tempdir().unwrap();
        let audit = Audit::open(dir.path()).unwrap();
        let origin = caller().origin;
        let denied = |principal: &str, kind| Denied {
            principal: principal.to_owned(),
            origin,
            namespace: None,
            kind,
            method: "/x",
            resource: String::new(),
            reason: "may not".to_owned(),
        };
        (0..50).for_each(|_| audit.deny(denied("nobody", "no token")));
        audit.deny(denied("ann", "role"));
        let path = dir.path().to_owned();
        drop(audit);
        let counts = loop {
            let denied = lines(&path, "denied.jsonl");
            let counts: u64 = denied.iter().map(|line| line["count"].as_u64().unwrap()).sum();
            if counts == 51 {
                break denied.len();
            }
            tokio::task::yield_now().await;
        };
        assert!((2..6).contains(&counts), "{counts}");
        assert_eq!(lines(&path, "audit.jsonl").len(), 0);
    }
}
