//! Services: deploy, look, remove, ask.

use std::time::Duration;

use longshore_proto::{
    head::DEADLINE_MS,
    v1::{DeployRequest, ListServicesRequest, QueryRequest, QueryResponse, ServiceRequest, ServiceSpec, ServiceView},
};
use tonic::Code;

use crate::{CallError, Client, answering::Answering, escape};

impl Client {
    /// Makes the service, or answers the one of that name if it is the same.
    pub async fn deploy(&self, spec: ServiceSpec) -> Result<ServiceView, CallError> {
        let doing = doing("deploy", &spec.name);
        let request = DeployRequest { spec: Some(spec) };
        self.again(|| {
            let (mut services, request, doing) = (self.services_rpc(), request.clone(), doing.as_str());
            async move {
                let answer = services.deploy(request).await;
                Ok(answer.map_err(|s| self.failed(doing, s))?.into_inner())
            }
        })
        .await
    }

    /// All services.
    pub async fn services(&self) -> Result<Vec<ServiceView>, CallError> {
        self.again(|| async {
            let answer = self.services_rpc().list(ListServicesRequest {}).await;
            Ok(answer.map_err(|s| self.failed("list services", s))?.into_inner().services)
        })
        .await
    }

    /// One service by name.
    pub async fn service(&self, name: &str) -> Result<ServiceView, CallError> {
        self.again(|| async {
            let answer = self.services_rpc().get(service_request(name)).await;
            Ok(answer.map_err(|s| self.failed(&doing("show", name), s))?.into_inner())
        })
        .await
    }

    /// Removes the service and its containers.
    pub async fn remove_service(&self, name: &str) -> Result<(), CallError> {
        let answer = self.services_rpc().remove(service_request(name)).await;
        answer.map_err(|s| self.failed(&doing("remove", name), s))?;
        Ok(())
    }

    /// Asks a service, for an answer of any size that is read as it comes. The body has at most 3 MiB. Asked once, as with
    /// [`Client::query`]; where the coordinator is one of before, which has no such answers, by that.
    ///
    /// When too few shards answered, [`CallError::coverage`] says which.
    pub async fn ask(&self, request: QueryRequest) -> Result<Answering, CallError> {
        let doing = doing("query", &request.service);
        let asked = self.services_rpc().ask(request.clone()).await;
        match asked {
            Ok(stream) => {
                let cut = stream.metadata().get(DEADLINE_MS).and_then(|cut| cut.to_str().ok()?.parse().ok());
                let cut = cut.map(Duration::from_millis);
                Answering::begun(self.clone(), doing, (stream.into_inner(), cut)).await
            }
            Err(status) if status.code() == Code::Unimplemented => {
                Ok(Answering::whole(self.clone(), doing, self.query(request).await?))
            }
            Err(status) => Err(self.failed(&doing, status)),
        }
    }

    /// Asks a service, for an answer of at most 64 MiB in one. The body has at most 3 MiB. Asked once: whether a query may be repeated is the caller's to know.
    ///
    /// When too few shards answered, [`CallError::coverage`] says which.
    pub async fn query(&self, request: QueryRequest) -> Result<QueryResponse, CallError> {
        let doing = doing("query", &request.service);
        let answer = self.services_rpc().query(request).await;
        Ok(answer.map_err(|s| self.failed(&doing, s))?.into_inner())
    }
}

fn service_request(name: &str) -> ServiceRequest {
    ServiceRequest { name: name.to_owned() }
}

fn doing(verb: &str, name: &str) -> String {
    format!("{verb} service `{}`", escape::line(name))
}
