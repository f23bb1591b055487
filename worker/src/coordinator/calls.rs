//! The stream that carries queries to this worker's replicas, and their parts back.

use std::{collections::HashMap, sync::Arc, time::Duration};

use bytes::Bytes;
use http::HeaderMap;
use longshore_contract::bounds::PARTS_BYTES;
use longshore_proto::{
    CHUNK_BYTES, head,
    v1::{self, FromLeaves, ReplicaId, ToLeaves, call_end, from_leaves, to_leaves},
};
use longshore_root::{Account, Call, CallError, Feed, Filling, Memory, Message, NoMemory, Part, Share, Transport as _};
use tokio::{
    sync::{mpsc, oneshot, watch},
    task::AbortHandle,
};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::sync::CancellationToken;
use tonic::Status;
use uuid::Uuid;

use super::{connection::Coordinator, link};
use crate::{pauses::Pauses, replicas::Replicas};

/// Keeps the stream up until it is time to leave, as long as the link is welcome (`welcome` is not 0): a new one for each welcome,
/// since the connection of the one before may bring nothing any more.
pub(crate) async fn serve(
    coordinator: Coordinator,
    (worker, incarnation): (Uuid, Uuid),
    (replicas, memory): (Arc<Replicas>, Arc<Memory>),
    mut welcome: watch::Receiver<u64>,
    leave: CancellationToken,
) {
    let mut pauses = Pauses::apart(link::PAUSES.0, link::PAUSES.1);
    loop {
        tokio::select! {
            // Its other end lives as long as the link does.
            _ = welcome.wait_for(|times| *times > 0) => {}
            () = leave.cancelled() => return,
        }
        welcome.mark_unchanged();
        let session = session(&coordinator, (worker, incarnation), &replicas, &memory, &mut pauses);
        let ended = tokio::select! {
            ended = session => ended,
            _ = welcome.changed() => continue,
            () = leave.cancelled() => return,
        };
        if let Err(status) = ended {
            tracing::debug!(reason = status.message(), "the stream for queries has ended");
        }
        if !pauses.wait(&leave).await {
            return;
        }
    }
}

async fn session(
    coordinator: &Coordinator,
    (worker, incarnation): (Uuid, Uuid),
    replicas: &Arc<Replicas>,
    memory: &Arc<Memory>,
    pauses: &mut Pauses,
) -> Result<(), Status> {
    let (up, stream) = mpsc::channel(64);
    let hello = v1::LeavesHello {
        worker_id: Bytes::copy_from_slice(worker.as_bytes()),
        incarnation: Bytes::copy_from_slice(incarnation.as_bytes()),
    };
    say(&up, 0, from_leaves::Message::Hello(hello)).await?;
    let mut down = coordinator.agent().leaves(ReceiverStream::new(stream)).await?.into_inner();
    pauses.reset();
    let (ended, mut ends) = mpsc::unbounded_channel();
    let mut desk = Desk {
        replicas: Arc::clone(replicas),
        memory: Arc::clone(memory),
        up,
        ended,
        arriving: HashMap::new(),
        streaming: HashMap::new(),
        working: HashMap::new(),
    };
    loop {
        tokio::select! {
            message = down.message() => match message? {
                Some(message) => desk.take_in(message),
                None => return Ok(()),
            },
            Some(call) = ends.recv() => {
                desk.working.remove(&call);
                desk.streaming.remove(&call);
            }
        }
    }
}

async fn say(up: &mpsc::Sender<FromLeaves>, call: u64, message: from_leaves::Message) -> Result<(), Status> {
    up.send(FromLeaves { call, message: Some(message) }).await.map_err(|_| Status::unavailable("the stream has ended"))
}

/// The calls of one stream.
struct Desk {
    replicas: Arc<Replicas>,
    memory: Arc<Memory>,
    up: mpsc::Sender<FromLeaves>,
    ended: mpsc::UnboundedSender<u64>,
    arriving: HashMap<u64, Arriving>,
    /// Those of merges that take parts up as they come.
    streaming: HashMap<u64, Streaming>,
    working: HashMap<u64, Working>,
}

/// A call that a replica works on, or whose answer waits.
struct Working {
    task: AbortHandle,
    /// Told when its answer may be sent.
    take: Option<oneshot::Sender<()>>,
}

impl Drop for Working {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A call that is not here whole.
struct Arriving {
    replica: ReplicaId,
    timeout: Duration,
    since: std::time::Instant,
    head: HeaderMap,
    account: Account,
    announce: bool,
    body: Filling,
    parts: Vec<(u32, HeaderMap, Filling)>,
    bytes: usize,
}

/// The parts of a call that is at work already.
struct Streaming {
    feed: Feed,
    account: Account,
    /// The part that is not here whole: its shard, what is said of it, its size, and what is here.
    part: Option<(u32, HeaderMap, u64, Filling)>,
    bytes: usize,
}

impl Streaming {
    fn begin(&mut self, shard: u32, head: HeaderMap, size: u64) -> Result<(), NoMemory> {
        self.part = Some((shard, head, size, Filling::new(&self.account)));
        self.take(Bytes::new())
    }

    fn take(&mut self, data: Bytes) -> Result<(), NoMemory> {
        self.bytes += data.len();
        let Some((shard, head, size, mut body)) = self.part.take() else { return Ok(()) };
        body.push_now(data)?;
        if (body.len() as u64) < size {
            self.part = Some((shard, head, size, body));
        } else {
            self.feed.add(shard, Message { head, body: body.whole() });
        }
        Ok(())
    }
}

impl Desk {
    fn take_in(&mut self, message: ToLeaves) {
        let call = message.call;
        match message.message {
            Some(to_leaves::Message::Start(start)) => {
                // A cancellation may have been lost: what nobody can wait for any more is not kept.
                self.arriving.retain(|_, arriving| arriving.since.elapsed() < arriving.timeout);
                let Some(replica) = start.replica else { return };
                let timeout = Duration::from_millis(start.timeout_ms);
                let head = head::from_wire(&start.head, head::OF_BYTES.iter().chain(&head::OF_QUERIES));
                let account = self.memory.account("").of(&format!("{}/{}", replica.namespace, replica.service));
                if let Some(whole) = start.whole {
                    // It was bounded as a message.
                    let asked = Call::Leaf(Message { head, body: whole });
                    self.work(call, replica, asked, timeout, (account, start.announce));
                    return;
                }
                if start.streamed && replica.merge {
                    let ((feed, parts), lent) = (Feed::new(), account.lent());
                    self.streaming.insert(call, Streaming { feed, account: lent, part: None, bytes: 0 });
                    self.work(call, replica, Call::Streamed { head, parts }, timeout, (account, start.announce));
                    return;
                }
                let body = Filling::new(&account);
                let arriving = Arriving {
                    replica,
                    timeout,
                    since: std::time::Instant::now(),
                    head,
                    account,
                    announce: start.announce,
                    body,
                    parts: Vec::new(),
                    bytes: 0,
                };
                self.arriving.insert(call, arriving);
            }
            Some(to_leaves::Message::Part(part)) => {
                if let Some(streaming) = self.streaming.get_mut(&call) {
                    let begun = streaming.begin(part.shard, head::from_wire(&part.head, &head::OF_BYTES), part.size);
                    self.goes_on(call, begun);
                } else if let Some(arriving) = self.arriving.get_mut(&call) {
                    let filling = Filling::new(&arriving.account);
                    arriving.parts.push((part.shard, head::from_wire(&part.head, &head::OF_BYTES), filling));
                }
            }
            Some(to_leaves::Message::Data(data)) => {
                if let Some(streaming) = self.streaming.get_mut(&call) {
                    let taken = streaming.take(data);
                    if streaming.bytes as u64 > PARTS_BYTES {
                        // Whoever waits for further parts hears that there are none, and the caller that its call failed.
                        self.streaming.remove(&call);
                    }
                    self.goes_on(call, taken);
                } else if let Some(arriving) = self.arriving.get_mut(&call) {
                    arriving.bytes += data.len();
                    if arriving.bytes as u64 > PARTS_BYTES {
                        self.arriving.remove(&call);
                        self.answer_at_once(
                            call,
                            CallError::Failed(format!("the query is larger than {PARTS_BYTES} bytes")),
                        );
                        return;
                    }
                    let into = arriving.parts.last_mut().map_or(&mut arriving.body, |(_, _, part)| part);
                    // Who waited here would have all other calls wait.
                    if let Err(error) = into.push_now(data) {
                        self.arriving.remove(&call);
                        self.answer_at_once(call, no_room(error));
                    }
                }
            }
            Some(to_leaves::Message::Sent(_)) => {
                if let Some(streaming) = self.streaming.get(&call) {
                    streaming.feed.end();
                } else if let Some(arriving) = self.arriving.remove(&call) {
                    let Arriving { replica, timeout, since, head, body, parts, account, announce, .. } = arriving;
                    let asked = if replica.merge {
                        let part = |(shard, head, body): (u32, HeaderMap, Filling)| {
                            (shard, Message { head, body: body.whole() })
                        };
                        Call::Merge { head, parts: parts.into_iter().map(part).collect() }
                    } else {
                        Call::Leaf(Message { head, body: body.whole() })
                    };
                    self.work(call, replica, asked, timeout.saturating_sub(since.elapsed()), (account, announce));
                }
            }
            Some(to_leaves::Message::Cancel(_)) => {
                self.arriving.remove(&call);
                self.streaming.remove(&call);
                self.working.remove(&call);
            }
            Some(to_leaves::Message::Take(_)) => {
                if let Some(take) = self.working.get_mut(&call).and_then(|working| working.take.take()) {
                    // It may have been given up.
                    let _ = take.send(());
                }
            }
            None => {}
        }
    }

    /// Ends a call whose next part has no room.
    fn goes_on(&mut self, call: u64, part: Result<(), NoMemory>) {
        if let Err(error) = part {
            self.streaming.remove(&call);
            self.working.remove(&call);
            self.answer_at_once(call, no_room(error));
        }
    }

    fn answer_at_once(&self, call: u64, error: CallError) {
        let up = self.up.clone();
        tokio::spawn(async move {
            // A stream that has ended needs no answer.
            let _ = send_answer(&up, call, Err(error)).await;
        });
    }

    fn work(
        &mut self,
        call: u64,
        replica: ReplicaId,
        asked: Call,
        within: Duration,
        (account, announce): (Account, bool),
    ) {
        let (replicas, up, ended) = (Arc::clone(&self.replicas), self.up.clone(), self.ended.clone());
        let (take, taken) = oneshot::channel();
        let task = tokio::spawn(async move {
            let answer = replicas.call(&replica, asked, within, &account).await;
            // It takes nothing more.
            drop(account);
            if let Ok(part) = &answer
                && announce
                && part.message.body.len() > CHUNK_BYTES
            {
                let size = v1::AnswerSize { bytes: part.message.body.len() as u64 };
                let _ = say(&up, call, from_leaves::Message::Announced(size)).await;
                // Whoever does not ask for it cancels it, or the stream ends.
                let _ = taken.await;
            }
            // A stream that has ended needs no answer.
            let _ = send_answer(&up, call, answer).await;
            let _ = ended.send(call);
        });
        self.working.insert(call, Working { task: task.abort_handle(), take: Some(take) });
    }
}

fn no_room(error: NoMemory) -> CallError {
    match CallError::from(error) {
        CallError::NoRoom(why) => CallError::NoRoom(format!("on its worker {why}")),
        other => other,
    }
}

async fn send_answer(up: &mpsc::Sender<FromLeaves>, call: u64, answer: Result<Part, CallError>) -> Result<(), Status> {
    let late = matches!(answer, Err(CallError::Late(_)));
    let failing = match answer {
        Err(CallError::Away(_)) => call_end::Failing::Away,
        Err(CallError::Lost(_)) => call_end::Failing::Lost,
        Err(CallError::NoRoom(_)) => call_end::Failing::NoRoom,
        _ => call_end::Failing::Unspecified,
    };
    let end = match answer {
        Ok(Part { message: Message { head, mut body }, share, read }) => {
            while body.len() > CHUNK_BYTES {
                let piece = body.split_to(CHUNK_BYTES);
                say(up, call, from_leaves::Message::Data(piece)).await?;
            }
            call_end::End::Ok(v1::CallOk { data: body, head: head::to_wire(&head), share: share.map(wire_share), read })
        }
        Err(CallError::Refused(why)) => call_end::End::Refused(why),
        Err(CallError::Busy(why)) => call_end::End::Busy(why),
        Err(
            CallError::Late(why)
            | CallError::Failed(why)
            | CallError::Away(why)
            | CallError::Lost(why)
            | CallError::NoRoom(why),
        ) => call_end::End::Failed(why),
    };
    let end = v1::CallEnd { end: Some(end), late, failing: failing.into() };
    say(up, call, from_leaves::Message::End(end)).await
}

fn wire_share(share: Share) -> v1::Share {
    let Share { answered, of, missing } = share;
    v1::Share { answered, of, missing }
}
