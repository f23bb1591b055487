//! `Secrets` over gRPC.

use longshore_proto::v1::{self, secrets_server};
use tonic::{Request, Response, Status};

use super::answer::caller;
use crate::api::secrets::Secrets;

/// The service.
pub struct SecretsService(pub Secrets);

#[tonic::async_trait]
impl secrets_server::Secrets for SecretsService {
    async fn put(&self, request: Request<v1::PutSecretRequest>) -> Result<Response<v1::SecretView>, Status> {
        let caller = caller(&request)?;
        Ok(Response::new(self.0.put(&caller, request.into_inner()).await?))
    }

    async fn list(
        &self,
        request: Request<v1::ListSecretsRequest>,
    ) -> Result<Response<v1::ListSecretsResponse>, Status> {
        let secrets = self.0.list(&caller(&request)?).await?;
        Ok(Response::new(v1::ListSecretsResponse { secrets }))
    }

    async fn remove(
        &self,
        request: Request<v1::RemoveSecretRequest>,
    ) -> Result<Response<v1::RemoveSecretResponse>, Status> {
        let caller = caller(&request)?;
        self.0.remove(&caller, request.into_inner()).await?;
        Ok(Response::new(v1::RemoveSecretResponse {}))
    }
}
