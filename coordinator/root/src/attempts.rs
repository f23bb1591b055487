//! One call, made of one replica after another, or of two at once, until one answers.
//!
//! ```text
//! pick ──► call ──answer──► it is the answer; what else is out is given up, and counted as having taken as long as that
//!            ├─ slow ─────► a copy to another, as far as the budget goes
//!            └─ failed ───► what follows, the answer alone says: nothing, another at once, another from the budget, or
//!                           another warily: the replica has ended over this query
//! ```

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use futures_util::{
    FutureExt as _,
    future::BoxFuture,
    stream::{FuturesUnordered, StreamExt as _},
};
use tokio::time::{Instant, sleep_until, timeout};

use crate::{
    balance::{Balance, Out, Picked},
    experience::{Experience, Kind},
    gather::{Called, nobody_ready},
    memory::Account,
    message::Part,
    poison::Verdict,
    standing::Ending,
    topology::{Again, Call, CallError, Candidate, Target, Transport},
};

/// Copies of one call beside the first: the second is made after twice the time, where there is a third replica.
const COPIES: u32 = 2;

/// What calls of one query need.
pub(crate) struct Means<'a, T> {
    pub balance: &'a Balance<T>,
    pub transport: &'a dyn Transport<T>,
    pub experience: &'a Experience,
    /// The query, by which it is recognised.
    pub query: &'a Bytes,
    /// Whose memory answers take.
    pub account: &'a Account,
}

/// Calls the best replica, and what follows from that, until one answers, there is nobody left, or time runs out.
pub(crate) async fn call_any<T: Target>(
    means: &Means<'_, T>,
    candidates: &[Candidate<T>],
    call: Call,
    until: Instant,
) -> Called<T> {
    let kind = if matches!(call, Call::Leaf(_)) { Kind::Leaf } else { Kind::Merge };
    let mut attempts = Attempts {
        means,
        candidates,
        call,
        kind,
        until,
        tried: Vec::new(),
        out: FuturesUnordered::new(),
        copy: None,
        last: None,
        was_lost: false,
    };
    match attempts.begin() {
        Some(called) => called,
        None => attempts.go_on().await,
    }
}

struct Attempts<'a, T: Target> {
    means: &'a Means<'a, T>,
    candidates: &'a [Candidate<T>],
    call: Call,
    kind: Kind,
    until: Instant,
    tried: Vec<usize>,
    out: FuturesUnordered<BoxFuture<'a, Ended<'a, T>>>,
    copy: Option<Copying>,
    last: Option<Called<T>>,
    /// A replica has ended over this call already.
    was_lost: bool,
}

/// When the next copy is worth making.
struct Copying {
    at: Instant,
    delay: Duration,
    left: u32,
    /// Beside a replica on trial: it costs nothing, for there are few trials.
    free: bool,
}

/// A call that was out.
struct Ended<'a, T: Target> {
    place: usize,
    out: Timed<'a, T>,
    /// `None` when its time was over.
    answer: Option<Result<Part, CallError>>,
    within: Duration,
}

/// A call that is out. How long it took is learned whatever becomes of it; what was given up took at least so long.
struct Timed<'a, T: Target> {
    means: &'a Means<'a, T>,
    kind: Kind,
    out: Option<Out<T>>,
}

impl<T: Target> Timed<'_, T> {
    fn ended(mut self, ending: Ending) {
        let Some(out) = self.out.take() else { return };
        if ending == Ending::Answered {
            self.learn(&out);
        }
        out.ended(ending);
    }

    fn learn(&self, out: &Out<T>) {
        let now = self.means.balance.now();
        self.means.experience.took(self.kind, out.started().elapsed(), now);
    }
}

impl<T: Target> Drop for Timed<'_, T> {
    fn drop(&mut self) {
        if let Some(out) = self.out.take() {
            self.learn(&out);
        }
    }
}

impl<'a, T: Target> Attempts<'a, T> {
    /// Makes the first call; what there is to say where none can be made.
    fn begin(&mut self) -> Option<Called<T>> {
        let Means { balance, experience, query, .. } = *self.means;
        let now = balance.now();
        let verdict = experience.verdict(query, now);
        if let Verdict::Condemned { losses, left } = verdict {
            let why = format!("{losses} replicas have ended over the same query; it is not tried again for {left:.0?}");
            return Some(Called { answer: Err(CallError::Refused(why)), target: None });
        }
        if verdict == Verdict::Suspect && self.candidates.len() > 1 && self.ready() == 1 {
            let why = "a replica has just ended over the same query, and only one is ready".to_owned();
            return Some(Called { answer: Err(CallError::Failed(why)), target: None });
        }
        let Some(picked) = balance.pick(self.candidates, &[]) else { return Some(nobody_ready(self.candidates)) };
        let delay = experience.first(self.kind, self.left(), now);
        let (delay, free) =
            if picked.on_trial { (Some(experience.trial(self.kind, now)), true) } else { (delay, false) };
        // How long a merge takes that waits for parts says nothing of it.
        if verdict == Verdict::Clean && !matches!(self.call, Call::Streamed { .. }) {
            let copying = |delay| Copying { at: Instant::now() + delay, delay, left: COPIES, free };
            self.copy = delay.map(copying);
        }
        self.send(picked);
        None
    }

    fn ready(&self) -> usize {
        self.candidates.iter().filter(|candidate| candidate.unready.is_none()).count()
    }

    fn left(&self) -> Duration {
        self.until.saturating_duration_since(Instant::now())
    }

    async fn go_on(mut self) -> Called<T> {
        loop {
            let at = self.copy.as_ref().map(|copy| copy.at);
            let ended = tokio::select! {
                biased;
                ended = self.out.next() => ended,
                () = sleep_until(at.unwrap_or(self.until)), if at.is_some() => {
                    self.make_copy();
                    continue;
                }
            };
            let Some(ended) = ended else {
                return self.last.unwrap_or_else(|| nobody_ready(self.candidates));
            };
            if let Some(called) = self.take_in(ended) {
                return called;
            }
        }
    }

    fn send(&mut self, picked: Picked<T>) {
        let Picked { place, out, .. } = picked;
        self.tried.push(place);
        let within = self.left();
        let out = Timed { means: self.means, kind: self.kind, out: Some(out) };
        let calling =
            self.means.transport.call(&self.candidates[place].target, self.call.clone(), within, self.means.account);
        let ended = async move {
            let answer = timeout(within, calling).await.ok();
            Ended { place, out, answer, within }
        };
        self.out.push(ended.boxed());
    }

    fn is_anybody_left(&self) -> bool {
        let is_left =
            |(place, candidate): (usize, &Candidate<T>)| candidate.unready.is_none() && !self.tried.contains(&place);
        !self.left().is_zero() && self.candidates.iter().enumerate().any(is_left)
    }

    /// Asks another; false when there is nobody left, or no time.
    fn ask_another(&mut self) -> bool {
        if !self.is_anybody_left() {
            return false;
        }
        let picked = self.means.balance.pick(self.candidates, &self.tried);
        picked.map(|picked| self.send(picked)).is_some()
    }

    fn make_copy(&mut self) {
        let Some(copy) = self.copy.take() else { return };
        let Some(first) = self.tried.first().copied() else { return };
        let balance = self.means.balance;
        let picked = if copy.free {
            balance.pick(self.candidates, &self.tried)
        } else {
            balance.pick_beside(self.candidates, &self.tried, first)
        };
        // Nobody is worth asking, or it cannot be paid for: what is out goes on alone.
        let Some(picked) = picked else { return };
        if !copy.free && !self.means.experience.copy(balance.now()) {
            picked.out.ended(Ending::Unmade);
            return;
        }
        self.send(picked);
        if copy.left > 1 {
            let delay = copy.delay * 2;
            self.copy = Some(Copying { at: Instant::now() + delay, delay, left: copy.left - 1, free: false });
        }
    }

    /// What a call that has ended means: the answer to all, or nothing yet.
    fn take_in(&mut self, ended: Ended<'a, T>) -> Option<Called<T>> {
        let Ended { place, out, answer, within } = ended;
        let target = Some(Arc::clone(&self.candidates[place].target));
        let error = match answer {
            None => {
                drop(out);
                CallError::Late(format!("no answer within {within:.1?}"))
            }
            Some(Ok(part)) => {
                out.ended(Ending::Answered);
                self.means.experience.answered(self.means.query);
                return Some(Called { answer: Ok(part), target });
            }
            Some(Err(refusal @ CallError::Refused(_))) => {
                out.ended(Ending::Answered);
                return Some(Called { answer: Err(refusal), target });
            }
            Some(Err(error)) => {
                let is_its_fault = error.again() != Again::Free && !matches!(error, CallError::NoRoom(_));
                out.ended(if is_its_fault { Ending::Failed } else { Ending::Unmade });
                error
            }
        };
        let (again, error) = self.again(error);
        let is_news = error.again() != Again::Free || self.last.is_none();
        if is_news {
            self.last = Some(Called { answer: Err(error), target });
        }
        if !(again && self.ask_another()) && self.out.is_empty() {
            return self.last.take();
        }
        None
    }

    /// Whether another is asked after this.
    fn again(&mut self, error: CallError) -> (bool, CallError) {
        let (experience, now) = (self.means.experience, self.means.balance.now());
        let again = match error.again() {
            Again::Never => false,
            Again::Free => true,
            Again::Paid => self.is_anybody_left() && experience.repeat(now),
            Again::Warily => {
                // A copy that is out already is the one more that there may be.
                let once = !std::mem::replace(&mut self.was_lost, true) && self.out.is_empty();
                self.copy = None;
                let is_clean = !matches!(experience.lost(self.means.query, now), Verdict::Condemned { .. });
                // It is counted as ready until the news of its end has come.
                let ready = self.ready();
                if once && is_clean && ready == 2 {
                    return (false, with_reason(error));
                }
                once && is_clean && ready > 2
            }
        };
        (again, error)
    }
}

/// What is said where the one replica that is left was spared.
fn with_reason(error: CallError) -> CallError {
    match error {
        CallError::Lost(why) => CallError::Lost(format!("{why} (the last ready replica is not asked after that)")),
        other => other,
    }
}

#[cfg(test)]
mod tests;
