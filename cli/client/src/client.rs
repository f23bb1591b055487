//! A connection to one coordinator.

use longshore_proto::{
    MAX_MESSAGE_BYTES,
    v1::{
        WorkerView, WorkersRequest, agent_client::AgentClient, blobs_client::BlobsClient, jobs_client::JobsClient,
        services_client::ServicesClient,
    },
};
use tonic::{Status, transport::Channel};

use crate::{CallError, address};

/// Largest answer to a query, in bytes: unlike other messages it is one body, which the caller wants whole. The
/// coordinator's own bound is lower.
const MAX_ANSWER_BYTES: usize = 128 * 1024 * 1024;

/// A connection to one coordinator. Cloning is cheap and shares the connection, which comes back by itself when lost.
#[derive(Debug, Clone)]
pub struct Client {
    address: String,
    channel: Channel,
}

impl Client {
    /// Connects to the coordinator at `address` (`HOST:PORT` or `http://HOST:PORT`).
    ///
    /// Fails with [`CallError::BadAddress`], or with [`CallError::NoCoordinator`] when nobody answers within five seconds.
    pub async fn connect(address: &str) -> Result<Client, CallError> {
        let endpoint = address::endpoint(address)?;
        let channel = endpoint
            .connect()
            .await
            .map_err(|source| CallError::NoCoordinator { address: address.to_owned(), source })?;
        Ok(Client { address: address.to_owned(), channel })
    }

    /// The address it was made with.
    pub fn address(&self) -> &str {
        &self.address
    }

    /// All workers the coordinator knows.
    pub async fn workers(&self) -> Result<Vec<WorkerView>, CallError> {
        let mut agent = AgentClient::new(self.channel.clone()).max_decoding_message_size(MAX_MESSAGE_BYTES);
        let answer = agent.workers(WorkersRequest {}).await;
        Ok(answer.map_err(|s| self.failed("list workers", s))?.into_inner().workers)
    }

    pub(crate) fn jobs_rpc(&self) -> JobsClient<Channel> {
        JobsClient::new(self.channel.clone())
            // One item's outputs may take what a worker may report of them.
            .max_decoding_message_size(2 * MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn blobs_rpc(&self) -> BlobsClient<Channel> {
        BlobsClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_MESSAGE_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn services_rpc(&self) -> ServicesClient<Channel> {
        ServicesClient::new(self.channel.clone())
            .max_decoding_message_size(MAX_ANSWER_BYTES)
            .max_encoding_message_size(MAX_MESSAGE_BYTES)
    }

    pub(crate) fn failed(&self, doing: &str, status: Status) -> CallError {
        CallError::new(&self.address, doing, status)
    }
}
