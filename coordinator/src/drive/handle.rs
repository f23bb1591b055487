//! The way to the driver, for everybody else.

use std::sync::Arc;

use longshore_core::{Core, Input, JobId, JobView, Reply, RequestId};
use longshore_drive::{Hello, Peer, Word};
use tokio::sync::{mpsc, oneshot, watch};

use crate::workers::sessions::Session;

/// Done when its turn comes, with whether what it depends on is durable.
pub type Delivery = Box<dyn FnOnce(Result<(), Unanswered>) + Send>;

/// Looks at the core now; what was seen is told when it is durable.
pub type Read = Box<dyn FnOnce(&Core) -> Delivery + Send>;

/// Looks at the core and tells at once.
pub type Peek = Box<dyn FnOnce(&Core) + Send>;

/// A job's views, from now on.
pub type Views = watch::Receiver<Arc<JobView>>;

/// An answer, or why there is none.
pub type Answered<T> = oneshot::Sender<Result<T, Unanswered>>;

/// What the driver can be told.
pub enum Command {
    Request(Box<dyn FnOnce(RequestId) -> Input + Send>, Answered<Reply>),
    Hello(Peer, Box<Hello>, Session),
    Word(Peer, Word),
    Ended(Peer),
    Read(Read),
    Peek(Peek),
    Watch(JobId, Answered<Option<Views>>),
    Stop(oneshot::Sender<()>),
}

impl Command {
    /// Whether somebody waits for an answer that depends on what is durable.
    pub fn asks(&self) -> bool {
        matches!(self, Self::Request(..) | Self::Read(_) | Self::Watch(..))
    }

    /// Answers whoever asks that there is no answer.
    pub fn refuse(self, core: &Core, why: Unanswered) {
        // Whoever asked may have gone.
        match self {
            Self::Request(_, reply) => drop(reply.send(Err(why))),
            Self::Watch(_, reply) => drop(reply.send(Err(why))),
            Self::Read(read) => read(core)(Err(why)),
            Self::Hello(..) | Self::Word(..) | Self::Ended(_) | Self::Peek(_) | Self::Stop(_) => {}
        }
    }
}

/// Why the driver has no answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Unanswered {
    /// Nothing more is taken in.
    #[error("the coordinator is stopping")]
    Stopping,
    /// Nothing can be kept, so nothing new is taken in, and nothing is shown that a crash could still undo.
    #[error(
        "the coordinator's disk is full: nothing can be kept, so nothing new is taken in or shown; \
         make room, and it goes on by itself"
    )]
    NoRoom,
    /// It was taken in and cannot be kept yet.
    #[error(
        "the coordinator's disk is full: this was taken in and cannot be kept yet; make room, and look again whether it is done"
    )]
    Undecided,
}

/// The way to the driver. Cheap to clone.
#[derive(Clone)]
pub struct Handle {
    commands: mpsc::Sender<Command>,
}

impl Handle {
    /// To the driver that reads what comes out of this channel.
    pub fn to(commands: mpsc::Sender<Command>) -> Self {
        Self { commands }
    }

    /// Asks the core for something; the reply comes when what it depends on is durable.
    ///
    /// # Errors
    /// When it is not taken in, or cannot be kept.
    pub async fn ask(&self, input: impl FnOnce(RequestId) -> Input + Send + 'static) -> Result<Reply, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Request(Box::new(input), reply)).await?;
        answer.await.map_err(|_| Unanswered::Stopping)?
    }

    /// A worker has said hello on a new link, whose orders come out of its session.
    ///
    /// # Errors
    /// When the coordinator is stopping.
    pub async fn hello(&self, peer: Peer, hello: Hello, session: Session) -> Result<(), Unanswered> {
        self.send(Command::Hello(peer, Box::new(hello), session)).await
    }

    /// A worker has said something on its link. Where another link speaks for it, or the core does not know it, its session
    /// ends.
    ///
    /// # Errors
    /// When the coordinator is stopping.
    pub async fn word(&self, peer: Peer, word: Word) -> Result<(), Unanswered> {
        self.send(Command::Word(peer, word)).await
    }

    /// A link has ended.
    pub async fn ended(&self, peer: Peer) {
        // A driver that has stopped needs not be told.
        let _ = self.send(Command::Ended(peer)).await;
    }

    /// Looks at the core between two inputs, at once: for what is soft anyhow.
    ///
    /// # Errors
    /// When the coordinator is stopping.
    pub async fn peek<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Core) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (seen, answer) = oneshot::channel();
        let peek: Peek = Box::new(move |core| {
            // Whoever asked may have gone.
            let _ = seen.send(look(core));
        });
        self.send(Command::Peek(peek)).await?;
        answer.await.map_err(|_| Unanswered::Stopping)
    }

    /// Looks at the core between two inputs. The answer comes when everything that was seen is durable: nobody is told of
    /// an end that a crash could undo.
    ///
    /// # Errors
    /// When the coordinator is stopping, or its disk is full.
    pub async fn read<T: Send + 'static>(
        &self,
        look: impl FnOnce(&Core) -> T + Send + 'static,
    ) -> Result<T, Unanswered> {
        let (seen, answer) = oneshot::channel();
        let read: Read = Box::new(move |core| {
            let found = look(core);
            Box::new(move |durable| {
                // Whoever asked may have gone.
                let _ = seen.send(durable.map(|()| found));
            })
        });
        self.send(Command::Read(read)).await?;
        answer.await.map_err(|_| Unanswered::Stopping)?
    }

    /// The job's view, now and whenever it changes; `None` when there is no such job.
    ///
    /// # Errors
    /// When the coordinator is stopping, or its disk is full.
    pub async fn watch(&self, job: JobId) -> Result<Option<Views>, Unanswered> {
        let (reply, answer) = oneshot::channel();
        self.send(Command::Watch(job, reply)).await?;
        answer.await.map_err(|_| Unanswered::Stopping)?
    }

    /// Stops the driver once everything it was told before is durable.
    pub async fn stop(&self) {
        let (done, stopped) = oneshot::channel();
        if self.send(Command::Stop(done)).await.is_ok() {
            let _ = stopped.await;
        }
    }

    async fn send(&self, command: Command) -> Result<(), Unanswered> {
        self.commands.send(command).await.map_err(|_| Unanswered::Stopping)
    }
}
