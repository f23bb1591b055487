//! Replicas for tests: each answers as it is told to, and what they are asked is written down.

use std::{
    collections::HashMap,
    fmt,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use futures_util::future::BoxFuture;
use tokio::time::sleep;

use crate::{
    arriving::Arriving,
    memory::Account,
    message::Part,
    topology::{Call, CallError, Candidate, Transport},
};

/// A replica, known by a name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Named(pub &'static str);

impl fmt::Display for Named {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "replica {}", self.0)
    }
}

/// Ready replicas of these names, separated by blanks.
pub(crate) fn ready(names: &'static str) -> Vec<Candidate<Named>> {
    names.split_whitespace().map(|name| Candidate { target: Arc::new(Named(name)), unready: None }).collect()
}

/// A replica that takes no calls, and why.
pub(crate) fn unready(name: &'static str, why: &str) -> Candidate<Named> {
    Candidate { target: Arc::new(Named(name)), unready: Some(why.to_owned()) }
}

/// What was asked of whom, with how much time.
pub(crate) type Asked = (&'static str, Call, Duration);

/// An answer, and how long it takes.
type Reply = (Duration, Result<Part, CallError>);

/// What replicas answer, and what they were asked. One of which nothing is said never answers.
#[derive(Debug, Default)]
pub(crate) struct Script {
    answers: Mutex<HashMap<&'static str, Reply>>,
    asked: Mutex<Vec<Asked>>,
    abandoned: Arc<Mutex<Vec<&'static str>>>,
    /// How many parts that come whoever takes them up reads before it answers; of others all are read.
    reads: Mutex<HashMap<&'static str, usize>>,
}

impl Script {
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// This one answers so after so many milliseconds.
    pub fn after(
        self: &Arc<Self>,
        millis: u64,
        name: &'static str,
        answer: Result<&'static str, CallError>,
    ) -> &Arc<Self> {
        self.after_part(millis, name, answer.map(|text| Bytes::from(text).into()))
    }

    /// The same, with all there is to an answer.
    pub fn after_part(
        self: &Arc<Self>,
        millis: u64,
        name: &'static str,
        answer: Result<Part, CallError>,
    ) -> &Arc<Self> {
        self.answers.lock().unwrap().insert(name, (Duration::from_millis(millis), answer));
        self
    }

    /// This one has had enough after so many parts.
    pub fn reads(self: &Arc<Self>, name: &'static str, parts: usize) -> &Arc<Self> {
        self.reads.lock().unwrap().insert(name, parts);
        self
    }

    /// What was asked, in order.
    pub fn asked(&self) -> Vec<Asked> {
        self.asked.lock().unwrap().clone()
    }

    /// Who was asked, in order.
    pub fn asked_whom(&self) -> Vec<&'static str> {
        self.asked().into_iter().map(|(name, ..)| name).collect()
    }

    /// Whose call was given up before it answered.
    pub fn abandoned(&self) -> Vec<&'static str> {
        self.abandoned.lock().unwrap().clone()
    }
}

/// A call that is out.
struct Out {
    name: &'static str,
    abandoned: Option<Arc<Mutex<Vec<&'static str>>>>,
}

impl Out {
    fn answered(mut self) {
        self.abandoned = None;
    }
}

impl Drop for Out {
    fn drop(&mut self) {
        if let Some(abandoned) = &self.abandoned {
            abandoned.lock().unwrap().push(self.name);
        }
    }
}

impl Transport<Named> for Script {
    fn call(
        &self,
        target: &Named,
        call: Call,
        timeout: Duration,
        _: &Account,
    ) -> BoxFuture<'static, Result<Part, CallError>> {
        let name = target.0;
        let reads = self.reads.lock().unwrap().get(name).copied();
        let parts = if let Call::Streamed { parts, .. } = &call { Some(parts.clone()) } else { None };
        self.asked.lock().unwrap().push((name, call, timeout));
        let answer = self.answers.lock().unwrap().get(name).cloned();
        let out = Out { name, abandoned: Some(Arc::clone(&self.abandoned)) };
        Box::pin(async move {
            let Some((after, answer)) = answer else { return std::future::pending().await };
            let joined = match parts {
                Some(parts) => Some(read(parts, reads).await?),
                None => None,
            };
            sleep(after).await;
            out.answered();
            // What it was given is what it answers, where nothing else is said.
            answer.map(|part| match joined {
                Some(joined) if part.message.body.is_empty() => Part { message: joined.into(), ..part },
                _ => part,
            })
        })
    }
}

/// The bytes of so many parts as they come, or of all.
async fn read(mut parts: Arriving, most: Option<usize>) -> Result<Bytes, CallError> {
    let mut joined = BytesMut::new();
    for number in 0..most.unwrap_or(usize::MAX) {
        let part = parts.part(number).await.map_err(|over| failed(&over.to_string()))?;
        let Some((_, part)) = part else { break };
        joined.extend_from_slice(&part.body);
    }
    Ok(joined.freeze())
}

/// It failed, for this reason.
pub(crate) fn failed(why: &str) -> CallError {
    CallError::Failed(why.to_owned())
}

/// It ended over the call, for this reason.
pub(crate) fn lost(why: &str) -> CallError {
    CallError::Lost(why.to_owned())
}
