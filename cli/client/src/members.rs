//! Tokens and members: made, listed, removed.

use longshore_proto::{
    MAX_MESSAGE_BYTES,
    v1::{
        CreateTokenRequest, DrainWorkerRequest, DrainWorkerResponse, ListTokensRequest, NewToken, RemoveTokensRequest,
        RemoveWorkerRequest, RemoveWorkerResponse, RotateTokenRequest, TokenView, members_client::MembersClient,
    },
};

use crate::{CallError, Client, client::Named, escape};

impl Client {
    /// Makes a token. Asked once: nobody has its text but whoever gets the answer.
    pub async fn create_token(&self, request: CreateTokenRequest) -> Result<NewToken, CallError> {
        let answer = self.members_rpc().create_token(request).await;
        Ok(answer.map_err(|s| self.failed("make a token", s))?.into_inner())
    }

    /// All tokens, the oldest first. What they are is not told.
    pub async fn tokens(&self) -> Result<Vec<TokenView>, CallError> {
        let answer = self.members_rpc().list_tokens(ListTokensRequest {}).await;
        Ok(answer.map_err(|s| self.failed("list tokens", s))?.into_inner().tokens)
    }

    /// Ends these tokens, and all that were made before then (unix milliseconds, 0 for none); answers those that were.
    pub async fn remove_tokens(&self, asked: RemoveTokensRequest) -> Result<Vec<TokenView>, CallError> {
        let answer = self.members_rpc().remove_tokens(asked).await;
        Ok(answer.map_err(|s| self.failed("remove tokens", s))?.into_inner().removed)
    }

    /// Makes a token like another, which stays good for so many milliseconds.
    pub async fn rotate_token(&self, id: &str, overlap_ms: u64) -> Result<NewToken, CallError> {
        let answer = self.members_rpc().rotate_token(RotateTokenRequest { id: id.to_owned(), overlap_ms }).await;
        Ok(answer.map_err(|s| self.failed(&format!("rotate token `{}`", escape::line(id)), s))?.into_inner())
    }

    /// Takes a worker off the list; revoked, it is out at once and for good.
    pub async fn remove_worker(&self, worker: &str, revoke: bool) -> Result<RemoveWorkerResponse, CallError> {
        let request = RemoveWorkerRequest { worker: worker.to_owned(), revoke };
        let answer = self.members_rpc().remove_worker(request).await;
        Ok(answer.map_err(|s| self.failed(&format!("remove worker `{}`", escape::line(worker)), s))?.into_inner())
    }

    /// Gives a worker nothing more, or work again.
    pub async fn drain_worker(&self, worker: &str, undrain: bool) -> Result<DrainWorkerResponse, CallError> {
        let request = DrainWorkerRequest { worker: worker.to_owned(), undrain };
        let answer = self.members_rpc().drain_worker(request).await;
        let doing = if undrain { "undrain" } else { "drain" };
        Ok(answer.map_err(|s| self.failed(&format!("{doing} worker `{}`", escape::line(worker)), s))?.into_inner())
    }

    fn members_rpc(&self) -> MembersClient<Named> {
        MembersClient::new(self.named()).max_decoding_message_size(MAX_MESSAGE_BYTES)
    }
}
