//! `Members` over gRPC: tokens, and workers of other machines.

use longshore_proto::v1::{self, members_server};
use tonic::{Request, Response, Status};

use super::answer::caller;
use crate::{
    api::{
        members::{Members, NotJoined, Shown},
        tokens::Tokens,
    },
    net::gate::Peer,
};

/// The service.
pub struct MembersService {
    pub members: Members,
    pub tokens: Tokens,
}

#[tonic::async_trait]
impl members_server::Members for MembersService {
    async fn join(&self, request: Request<v1::JoinRequest>) -> Result<Response<v1::Membership>, Status> {
        let peer = request.extensions().get::<Peer>().cloned();
        let origin = peer.as_ref().map(Peer::origin).unwrap_or_default();
        match self.members.join(origin, request.into_inner()).await {
            Ok(membership) => Ok(Response::new(membership)),
            Err(NotJoined::Refused(error)) => Err(error.into()),
            Err(NotJoined::Guess) => {
                peer.iter().for_each(Peer::was_wrong);
                Err(crate::error::Error::from(longshore_core::Refusal::NoSuchToken).into())
            }
        }
    }

    async fn renew(&self, request: Request<v1::RenewRequest>) -> Result<Response<v1::Membership>, Status> {
        let caller = caller(&request)?;
        let peer = request.extensions().get::<Peer>();
        let shown = peer.and_then(|peer| Some(Shown { key: peer.key()?, has_expired: peer.has_expired() }));
        Ok(Response::new(self.members.renew(&caller, shown, request.into_inner()).await?))
    }

    async fn create_token(&self, request: Request<v1::CreateTokenRequest>) -> Result<Response<v1::NewToken>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.tokens.create(&caller, request.into_inner()).await?))
    }

    async fn list_tokens(
        &self,
        request: Request<v1::ListTokensRequest>,
    ) -> Result<Response<v1::ListTokensResponse>, Status> {
        let tokens = self.tokens.list(&caller(&request)?);
        Ok(Response::new(v1::ListTokensResponse { tokens }))
    }

    async fn remove_tokens(
        &self,
        request: Request<v1::RemoveTokensRequest>,
    ) -> Result<Response<v1::RemoveTokensResponse>, Status> {
        let caller = caller(&request)?;
        let removed = self.tokens.remove(&caller, request.into_inner()).await?;
        Ok(Response::new(v1::RemoveTokensResponse { removed }))
    }

    async fn rotate_token(&self, request: Request<v1::RotateTokenRequest>) -> Result<Response<v1::NewToken>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.tokens.rotate(&caller, request.into_inner()).await?))
    }

    async fn remove_worker(
        &self,
        request: Request<v1::RemoveWorkerRequest>,
    ) -> Result<Response<v1::RemoveWorkerResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.members.remove(&caller, request.into_inner()).await?))
    }

    async fn drain_worker(
        &self,
        request: Request<v1::DrainWorkerRequest>,
    ) -> Result<Response<v1::DrainWorkerResponse>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.members.drain(&caller, request.into_inner()).await?))
    }
}
