//! A link that is up: what is said on it, in which order, and whether anything still comes.

use std::{
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::Stream;
use longshore_proto::v1::{self, FromWorker, ToWorker, from_worker};
use longshore_way::Heard;
use tokio::{
    sync::{mpsc, watch},
    time::{MissedTickBehavior, interval},
};
use tonic::{Status, Streaming};

use crate::{fitness::Condition, tenure::Tenure};

/// Messages that wait for the link to take them, and urgent ones.
const WAITING: usize = 16;
const URGENT: usize = 4;

/// Everything that is said on a link: what is urgent before all that has not left.
pub(super) struct Said {
    words: mpsc::Receiver<FromWorker>,
    urgent: mpsc::Receiver<FromWorker>,
}

impl Stream for Said {
    type Item = FromWorker;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<FromWorker>> {
        if let Poll::Ready(Some(urgent)) = self.urgent.poll_recv(cx) {
            return Poll::Ready(Some(urgent));
        }
        self.words.poll_recv(cx)
    }
}

/// Our end of a link.
#[derive(Clone)]
pub(super) struct Up {
    words: mpsc::Sender<FromWorker>,
    urgent: mpsc::Sender<FromWorker>,
}

impl Up {
    /// A new one, with what becomes of it.
    pub fn new() -> (Self, Said) {
        let ((words, said), (urgent, urgencies)) = (mpsc::channel(WAITING), mpsc::channel(URGENT));
        (Self { words, urgent }, Said { words: said, urgent: urgencies })
    }

    /// Says something when its turn comes.
    pub async fn say(&self, message: from_worker::Message) -> Result<(), Status> {
        let message = FromWorker { message: Some(message) };
        self.words.send(message).await.map_err(|_| Status::unavailable("the link has ended"))
    }

    /// Says something before everything that has not left, unless even that does not leave.
    fn urge(&self, message: from_worker::Message) {
        // Where these wait nothing leaves at all; the silence that follows ends the link.
        let _ = self.urgent.try_send(FromWorker { message: Some(message) });
    }

    /// Answers a ping.
    pub fn pong(&self, number: u64) {
        self.urge(from_worker::Message::Pong(v1::Pong { number }));
    }

    fn beat(&self, tenure: &Tenure) {
        if self.urgent.capacity() > 0 {
            let (number, answered) = tenure.says_heartbeat();
            self.urge(from_worker::Message::Heartbeat(v1::Heartbeat { number, answered }));
        }
    }
}

/// A link that is up.
pub(super) struct Session {
    pub up: Up,
    pub down: Streaming<ToWorker>,
    pub pace: Pace,
    /// Changes whenever a report of a replica does that the hello may not have said.
    pub replicas: watch::Receiver<u64>,
    /// Changes when the worker is not any more as its hello said.
    pub condition: watch::Receiver<Condition>,
}

/// How often it is said that we live, and how long nothing may come.
pub(super) struct Pace {
    heartbeat: Duration,
    silence: Duration,
    heard: Heard,
}

impl Pace {
    /// As the coordinator wants it. `heard` says when anything last came.
    pub fn of(welcome: &v1::Welcome, heard: Heard) -> Self {
        let heartbeat = Duration::from_millis(u64::from(welcome.heartbeat_ms.max(10)));
        // A coordinator that says nothing of its lease is believed to be slow.
        let lease = Duration::from_millis(u64::from(welcome.lease_ms)).max(heartbeat * 4);
        Self { heartbeat, silence: lease / 2, heard }
    }

    /// Says that we live again and again, until nothing has come for half a lease; answers how long that was.
    pub async fn keep(&self, up: &Up, tenure: &Tenure) -> Duration {
        let mut beat = interval(self.heartbeat);
        beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beat.tick().await;
            let ago = self.heard.ago();
            if ago > self.silence {
                return ago;
            }
            up.beat(tenure);
        }
    }
}
