//! Secrets: put, listed by name, removed. Nobody is told a value.

use longshore_proto::v1::{
    ListSecretsRequest, PutSecretRequest, RemoveSecretRequest, SecretView, secrets_client::SecretsClient,
};

use crate::{CallError, Client, client::Named, escape};

impl Client {
    /// Gives a secret of the namespace a value: its next version. Asked once.
    pub async fn put_secret(&self, name: &str, value: &[u8]) -> Result<SecretView, CallError> {
        let request = PutSecretRequest { name: name.to_owned(), value: value.to_vec().into() };
        let answer = self.secrets_rpc().put(request).await;
        Ok(answer.map_err(|s| self.failed(&format!("put secret `{}`", escape::line(name)), s))?.into_inner())
    }

    /// All secrets of the namespace, by name. What they are is not told.
    pub async fn secrets(&self) -> Result<Vec<SecretView>, CallError> {
        let answer = self.secrets_rpc().list(ListSecretsRequest {}).await;
        Ok(answer.map_err(|s| self.failed("list secrets", s))?.into_inner().secrets)
    }

    /// Forgets a secret's value.
    pub async fn remove_secret(&self, name: &str) -> Result<(), CallError> {
        let answer = self.secrets_rpc().remove(RemoveSecretRequest { name: name.to_owned() }).await;
        answer.map_err(|s| self.failed(&format!("remove secret `{}`", escape::line(name)), s))?;
        Ok(())
    }

    fn secrets_rpc(&self) -> SecretsClient<Named> {
        SecretsClient::new(self.named())
    }
}
