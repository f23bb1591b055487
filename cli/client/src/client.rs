//! A connection to one coordinator.

use longshore_local::TokenSource;
use longshore_proto::{
    MAX_MESSAGE_BYTES,
    namespace::BadNamespace,
    v1::{
        WorkerView, WorkersRequest, agent_client::AgentClient, blobs_client::BlobsClient, jobs_client::JobsClient,
        services_client::ServicesClient,
    },
};
use longshore_way::{Heard, Way, Wire};
use tonic::{Status, service::interceptor::InterceptedService};

use crate::{
    CallError, address,
    namespace::InNamespace,
    retry::{Patience, Transient},
};

/// Largest answer to a query, in bytes: unlike other messages it is one body, which the caller wants whole. The
/// coordinator's own bound is lower.
const MAX_ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// A channel on which every request says whose things it is about.
pub(crate) type Named = InterceptedService<Wire, InNamespace>;

/// A connection to one coordinator. Cloning is cheap and shares the connection, which comes back by itself when lost.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    wire: Wire,
    namespace: InNamespace,
    /// For how long it is waited for when it is away.
    pub(crate) patience: Patience,
    /// Whether the coordinator is on this machine for certain: at the port a tunnel may begin.
    pub(crate) is_here: bool,
}

impl Client {
    /// Connects to the coordinator at `address`. On this machine (`HOST:PORT` or `http://HOST:PORT`): by its socket, if it
    /// belongs to the user we are; with a token by TCP. On another (`HOST:PORT` or `https://HOST:PORT`): by TLS, with the token
    /// of a person, which says whom to trust.
    ///
    /// Fails with [`CallError::BadAddress`]; with [`CallError::NoCoordinator`] when nobody answers within five seconds; with
    /// [`CallError::NoEntry`] when somebody else is there, to whom nothing is sent.
    pub async fn connect(address: &str, token: Option<TokenSource>) -> Result<Client, CallError> {
        Self::connect_patiently(address, token, Patience::new(std::time::Duration::ZERO, |_| {})).await
    }

    /// The same, by somebody who waits for a coordinator that is away: now, and whenever something is asked that is harmless twice.
    ///
    /// # Errors
    /// As [`Client::connect`].
    pub async fn connect_patiently(
        address: &str,
        token: Option<TokenSource>,
        patience: Patience,
    ) -> Result<Client, CallError> {
        let way = Way::to(address, token)?;
        let connect = || async {
            Wire::connect(&way, address::set_up).await.map_err(|error| CallError::unreached(address, error))
        };
        let wire = patience.before_the_first_answer().again(None, connect).await?;
        let namespace = InNamespace::default();
        Ok(Client { address: address.to_owned(), wire, namespace, patience, is_here: way.is_here() })
    }

    /// The same connection, with every request about the things of this namespace. Without it they are about those of the
    /// caller's own: for whoever may ask about all, the default one's.
    ///
    /// # Errors
    /// When that is not the name of a namespace.
    pub fn in_namespace(&self, name: &str) -> Result<Client, BadNamespace> {
        Ok(Client { namespace: InNamespace::named(name)?, ..self.clone() })
    }

    /// The address it was made with.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All workers the coordinator knows.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, CallError> {
        self.again(|| async {
            let mut agent = AgentClient::new(self.named()).max_decoding_message_size(MAX_MESSAGE_BYTES);
            let answer = agent.workers(WorkersRequest {}).await;
            Ok(answer.map_err(|s| self.failed("list workers", s))?.into_inner().workers)
        })
        .await
    }

    pub(crate) fn named(&self) -> Named {
        InterceptedService::new(self.wire.clone(), self.namespace.clone())
    }

    pub(crate) fn jobs_rpc(&self) -> JobsClient<Named> {
        JobsClient::new(self.named())
            // One item's outputs may take what a worker may report of them.
            .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn blobs_rpc(&self) -> BlobsClient<Named> {
        BlobsClient::new(self.named())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn services_rpc(&self) -> ServicesClient<Named> {
        ServicesClient::new(self.named())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    /// When anything last came.
    pub(crate) fn heard(&self) -> &Heard {
        self.wire.heard()
    }

    /// Asks until there is an answer, or the coordinator is away for too long. For what is harmless twice.
    pub(crate) async fn again<T, E, F>(&self, call: impl FnMut() -> F) -> Result<T, E>
    where
        F: Future<Output = Result<T, E>>,
        E: Transient,
    {
        self.patience.again(Some(self.heard()), call).await
    }

    pub(crate) fn failed(&self, doing: &str, status: Status) -> CallError {
        CallError::new(&self.address, doing, status)
    }
}
