//! Calls to replicas, over the streams that workers keep open for them; to a worker in the same process directly.

use std::{
    collections::HashMap,
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
    time::Duration,
};

use bytes::Bytes;
use futures_util::future::BoxFuture;
use longshore_core::WorkerId;
use longshore_proto::{
    CHUNK_BYTES, head,
    v1::{self, CallEnd, FromLeaves, ReplicaId, ToLeaves, call_end, from_leaves, to_leaves},
};
use longshore_root::{
    Account, Arriving, Call, CallError, Filling, Held, Message, NoMemory, Over, Part, Share, Transport,
};
use tokio::{
    runtime::Handle,
    sync::{
        mpsc::{self, error::TrySendError},
        oneshot,
    },
    time::{Instant, timeout},
};
use tonic::Status;

use super::sessions::Ending;
use crate::{limits, replica::Target};

type Answer = Result<Part, CallError>;

/// How long a stream may take to take in why it ends.
const HANGING_UP: Duration = Duration::from_secs(5);

/// Where what a worker shall be told goes.
pub type Down = mpsc::Sender<Result<ToLeaves, Status>>;

/// All tunnels that are up.
#[derive(Default)]
pub struct Tunnels {
    tunnels: Mutex<HashMap<WorkerId, Arc<Tunnel>>>,
    nearby: OnceLock<Nearby>,
}

/// The worker of this process.
struct Nearby {
    worker: WorkerId,
    transport: Arc<dyn Transport<ReplicaId>>,
}

/// One stream to one worker.
pub struct Tunnel {
    down: Down,
    calls: Mutex<Calls>,
}

#[derive(Default)]
struct Calls {
    last: u64,
    open: HashMap<u64, Open>,
    closed: bool,
}

struct Open {
    answer: Filling,
    /// Told how large the answer is that waits to be asked for.
    announced: Option<oneshot::Sender<u64>>,
    done: oneshot::Sender<Answer>,
}

impl Tunnels {
    /// Calls to this worker travel by `transport` from now on. Only the first worker counts.
    pub fn set_nearby(&self, worker: WorkerId, transport: Arc<dyn Transport<ReplicaId>>) {
        // A process has one worker at most.
        let _ = self.nearby.set(Nearby { worker, transport });
    }

    /// Registers a tunnel; an earlier one of the same worker ends.
    pub fn register(&self, worker: WorkerId, down: Down) -> Arc<Tunnel> {
        let tunnel = Arc::new(Tunnel { down, calls: Mutex::default() });
        let before = self.lock().insert(worker, Arc::clone(&tunnel));
        if let Some(before) = before {
            before.close("the worker has connected anew");
            // A worker that lives reads this, and opens another.
            before.hang_up(Status::aborted(Ending::Replaced.to_string()));
        }
        tunnel
    }

    /// Takes a tunnel off; its open calls fail.
    pub fn remove(&self, worker: WorkerId, tunnel: &Arc<Tunnel>) {
        let mut tunnels = self.lock();
        if tunnels.get(&worker).is_some_and(|known| Arc::ptr_eq(known, tunnel)) {
            tunnels.remove(&worker);
        }
        drop(tunnels);
        tunnel.close("the worker's connection has ended");
    }

    /// The worker is no member any more: its tunnel ends now.
    pub fn end_of_member(&self, worker: WorkerId) {
        if let Some(tunnel) = self.lock().remove(&worker) {
            tunnel.close("its worker is no member of the cluster any more");
            tunnel.hang_up(Status::permission_denied(Ending::Revoked.to_string()));
        }
    }

    /// Ends all tunnels.
    pub fn close(&self) {
        for (_, tunnel) in self.lock().drain() {
            tunnel.close("the coordinator is stopping");
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<WorkerId, Arc<Tunnel>>> {
        self.tunnels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Transport<Target> for Tunnels {
    fn call(&self, target: &Target, call: Call, timeout: Duration, account: &Account) -> BoxFuture<'static, Answer> {
        if let Some(nearby) = self.nearby.get().filter(|nearby| Some(nearby.worker) == target.worker) {
            return nearby.transport.call(&target.id, call, timeout, account);
        }
        let tunnel = target.worker.and_then(|worker| self.lock().get(&worker).cloned());
        let (replica, account) = (target.id.clone(), account.lent());
        Box::pin(async move {
            let tunnel =
                tunnel.ok_or_else(|| CallError::Away("its worker has no connection for queries".to_owned()))?;
            tunnel.call(replica, call, timeout, account).await
        })
    }
}

/// Takes an abandoned call off the tunnel and tells the worker.
struct Guard {
    tunnel: Arc<Tunnel>,
    id: u64,
}

impl Drop for Guard {
    fn drop(&mut self) {
        let open = self.tunnel.lock().open.remove(&self.id);
        if open.is_none() {
            return;
        }
        let cancel = to_leaves::Message::Cancel(v1::CallCancel {});
        let cancel = Ok(ToLeaves { call: self.id, message: Some(cancel) });
        // Many may give up at once, more than the stream takes at once: the rest waits for it, one for each call that was out.
        if let (Err(TrySendError::Full(cancel)), Ok(runtime)) =
            (self.tunnel.down.try_send(cancel), Handle::try_current())
        {
            let down = self.tunnel.down.clone();
            runtime.spawn(async move { drop(timeout(HANGING_UP, down.send(cancel)).await) });
        }
    }
}

impl Tunnel {
    fn lock(&self) -> MutexGuard<'_, Calls> {
        self.calls.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn call(self: Arc<Self>, replica: ReplicaId, call: Call, timeout: Duration, account: Account) -> Answer {
        let until = Instant::now() + timeout;
        let (done, answer) = oneshot::channel();
        let (announced, size) = oneshot::channel();
        let id = self.open(Open { answer: Filling::new(&account), announced: Some(announced), done })?;
        let _guard = Guard { tunnel: Arc::clone(&self), id };
        let mut answered = pin!(self.answered(id, (answer, size), &account, until));
        let timeout_ms = u64::try_from(timeout.as_millis()).unwrap_or(u64::MAX).max(1);
        let mut start =
            v1::CallStart { replica: Some(replica), timeout_ms, announce: true, ..v1::CallStart::default() };
        match call {
            Call::Leaf(Message { head, body }) if body.len() <= CHUNK_BYTES => {
                start.head = head::to_wire(&head);
                start.whole = Some(body);
                self.send(id, to_leaves::Message::Start(start)).await?;
            }
            Call::Leaf(Message { head, body }) => {
                start.head = head::to_wire(&head);
                self.send(id, to_leaves::Message::Start(start)).await?;
                self.send_data(id, body).await?;
                self.send(id, to_leaves::Message::Sent(v1::CallSent {})).await?;
            }
            Call::Merge { head, parts } => {
                start.head = head::to_wire(&head);
                self.send(id, to_leaves::Message::Start(start)).await?;
                for (shard, Message { head, body }) in parts {
                    let part = v1::PartStart { shard, head: head::to_wire(&head), size: body.len() as u64 };
                    self.send(id, to_leaves::Message::Part(part)).await?;
                    self.send_data(id, body).await?;
                }
                self.send(id, to_leaves::Message::Sent(v1::CallSent {})).await?;
            }
            Call::Streamed { head, parts } => {
                start.head = head::to_wire(&head);
                start.streamed = true;
                self.send(id, to_leaves::Message::Start(start)).await?;
                tokio::select! {
                    biased;
                    // It may come before all parts have.
                    early = &mut answered => return early,
                    sent = self.send_parts(id, parts) => sent?,
                }
            }
        }
        answered.await
    }

    /// Waits for the answer; for one that is announced there has to be room before it is sent.
    async fn answered(
        &self,
        id: u64,
        (mut answer, size): (oneshot::Receiver<Answer>, oneshot::Receiver<u64>),
        account: &Account,
        until: Instant,
    ) -> Answer {
        let answer = tokio::select! {
            biased;
            answer = &mut answer => answer,
            Ok(size) = size => {
                let room = account.hold(size, until).await?;
                self.make_room(id, room);
                self.send(id, to_leaves::Message::Take(v1::CallTake {})).await?;
                answer.await
            }
        };
        answer.unwrap_or_else(|_| Err(ended()))
    }

    async fn send_parts(&self, id: u64, mut parts: Arriving) -> Result<(), CallError> {
        let over = |over: Over| CallError::Failed(over.to_string());
        for number in 0.. {
            let Some((shard, Message { head, body })) = parts.part(number).await.map_err(over)? else { break };
            let part = v1::PartStart { shard, head: head::to_wire(&head), size: body.len() as u64 };
            self.send(id, to_leaves::Message::Part(part)).await?;
            self.send_data(id, body).await?;
        }
        self.send(id, to_leaves::Message::Sent(v1::CallSent {})).await
    }

    fn open(&self, open: Open) -> Result<u64, CallError> {
        let mut calls = self.lock();
        if calls.closed {
            return Err(CallError::Away("its worker's connection has ended".to_owned()));
        }
        calls.last += 1;
        let id = calls.last;
        calls.open.insert(id, open);
        Ok(id)
    }

    /// There is room for the answer of this call.
    fn make_room(&self, id: u64, room: Held) {
        if let Some(open) = self.lock().open.get_mut(&id) {
            open.answer.add(room);
        }
    }

    async fn send_data(&self, id: u64, mut data: Bytes) -> Result<(), CallError> {
        while !data.is_empty() {
            let piece = data.split_to(data.len().min(CHUNK_BYTES));
            self.send(id, to_leaves::Message::Data(piece)).await?;
        }
        Ok(())
    }

    async fn send(&self, call: u64, message: to_leaves::Message) -> Result<(), CallError> {
        self.down
            .send(Ok(ToLeaves { call, message: Some(message) }))
            .await
            .map_err(|_| CallError::Failed("its worker's connection has ended".to_owned()))
    }

    /// Takes in what a worker says of a call. Calls that are no longer open are ignored.
    pub fn take_in(&self, message: FromLeaves) {
        let id = message.call;
        let mut calls = self.lock();
        match message.message {
            Some(from_leaves::Message::Data(data)) => {
                let Some(open) = calls.open.get_mut(&id) else {
                    return;
                };
                if !open.fits(&data) {
                    calls.end(id, Err(too_large()));
                    return;
                }
                if let Err(error) = open.answer.push_now(data) {
                    calls.end(id, Err(error.into()));
                }
            }
            Some(from_leaves::Message::Announced(size)) => {
                let Some(open) = calls.open.get_mut(&id) else {
                    return;
                };
                if size.bytes > limits::ANSWER_BYTES as u64 {
                    calls.end(id, Err(too_large()));
                } else if let Some(announced) = open.announced.take() {
                    // The caller may have gone.
                    let _ = announced.send(size.bytes);
                }
            }
            Some(from_leaves::Message::End(end)) => {
                if let Some(open) = calls.open.remove(&id) {
                    open.end(end);
                }
            }
            Some(from_leaves::Message::Hello(_)) | None => {}
        }
    }

    /// Ends the stream with these words.
    fn hang_up(&self, why: Status) {
        let down = self.down.clone();
        // It may be full; whoever does not read it will not read this either.
        tokio::spawn(async move { drop(timeout(HANGING_UP, down.send(Err(why))).await) });
    }

    fn close(&self, reason: &str) {
        let mut calls = self.lock();
        calls.closed = true;
        for (_, open) in calls.open.drain() {
            let _ = open.done.send(Err(CallError::Failed(reason.to_owned())));
        }
    }
}

impl Calls {
    fn end(&mut self, id: u64, answer: Answer) {
        if let Some(open) = self.open.remove(&id) {
            // The caller may have gone.
            let _ = open.done.send(answer);
        }
    }
}

impl Open {
    fn fits(&self, data: &Bytes) -> bool {
        self.answer.len() + data.len() <= limits::ANSWER_BYTES
    }

    fn end(self, end: CallEnd) {
        let failing = end.failing();
        let answer = match end.end {
            Some(call_end::End::Ok(ok)) if self.fits(&ok.data) => part(self.answer, ok).map_err(CallError::from),
            Some(call_end::End::Ok(_)) => Err(too_large()),
            Some(call_end::End::Refused(why)) => Err(CallError::Refused(why)),
            Some(call_end::End::Busy(why)) => Err(CallError::Busy(why)),
            Some(call_end::End::Failed(why)) if end.late => Err(CallError::Late(why)),
            Some(call_end::End::Failed(why)) => Err(match failing {
                call_end::Failing::Unspecified => CallError::Failed(why),
                call_end::Failing::Away => CallError::Away(why),
                call_end::Failing::Lost => CallError::Lost(why),
                call_end::Failing::NoRoom => CallError::NoRoom(why),
            }),
            None => Err(CallError::Failed("it ended without saying how".to_owned())),
        };
        // The caller may have gone.
        let _ = self.done.send(answer);
    }
}

/// What a worker says is taken as a container's own words are.
fn part(mut body: Filling, ok: v1::CallOk) -> Result<Part, NoMemory> {
    let head = head::from_wire(&ok.head, &head::OF_BYTES);
    let share = ok
        .share
        .and_then(|v1::Share { answered, of, missing }| Share::said(true, Some(&format!("{answered}/{of}")), &missing));
    body.push_now(ok.data)?;
    Ok(Part { message: Message { head, body: body.whole() }, share, read: ok.read })
}

fn ended() -> CallError {
    CallError::Failed("the connection has ended".to_owned())
}

fn too_large() -> CallError {
    CallError::Failed(format!("its answer is larger than {} bytes", limits::ANSWER_BYTES))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_tunnel_that_another_replaces_ends_so_that_whoever_lives_opens_one_anew() {
        let tunnels = Tunnels::default();
        let ((first, mut told), (second, mut other)) = (mpsc::channel(1), mpsc::channel(1));
        let worker = WorkerId([1; 16]);
        let before = tunnels.register(worker, first);
        tunnels.register(worker, second);
        let Some(Err(why)) = told.recv().await else { panic!("it goes on") };
        assert_eq!(why.code(), tonic::Code::Aborted, "{why}");
        tunnels.remove(worker, &before);
        assert!(tunnels.lock().contains_key(&worker) && other.try_recv().is_err());
    }
}
