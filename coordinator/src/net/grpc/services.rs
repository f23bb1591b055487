//! `Services`: deployments and queries.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_core::{Input, Refusal, Reply};
use longshore_proto::{
    DIGEST_BYTES,
    v1::{self, services_server},
};
use longshore_root::{Engine, QueryError, Request as Query};
use prost::Message;
use tokio::sync::Semaphore;
use tonic::{Code, Request, Response, Status};

use super::{put_status, refused};
use crate::{
    api::validate,
    api::views,
    drive::Handle,
    drive::deployed::Services,
    kept::catalog::{Catalog, hash},
    limits,
    open::Room,
};

/// A query's time when its service says nothing.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// The service.
#[derive(Clone)]
pub struct ServicesService {
    pub driver: Handle,
    pub catalog: Arc<Catalog>,
    pub services: Arc<Services>,
    pub engine: Arc<Engine>,
    pub queries: Arc<Semaphore>,
    pub room: Room,
}

/// A query as a client asks it, over gRPC or HTTP.
pub struct Asked {
    pub service: String,
    pub body: Bytes,
    pub deadline: Option<Duration>,
    pub require: Option<v1::Require>,
}

/// Why a query has no answer, for any transport.
pub enum QueryFailure {
    /// It cannot be asked like this, or not now.
    Status(Status),
    /// It was asked and failed.
    Failed(QueryError),
}

#[tonic::async_trait]
impl services_server::Services for ServicesService {
    async fn deploy(&self, request: Request<v1::DeployRequest>) -> Result<Response<v1::ServiceView>, Status> {
        self.room.ensure()?;
        let spec = request.into_inner().spec.ok_or_else(|| Status::invalid_argument("no specification is given"))?;
        let plan = validate::service(&spec)?;
        let catalog = Arc::clone(&self.catalog);
        let checked = spec.clone();
        let detail = tokio::task::spawn_blocking(move || {
            check_data(&catalog, &checked)?;
            catalog.put(&checked).map_err(|error| put_status(&error))
        })
        .await
        .map_err(|_| Status::internal("checking the service has panicked"))??;
        let name = spec.name.clone();
        let reply = self.driver.ask(move |request| Input::Deploy { request, name, plan, detail }).await?;
        match reply {
            Reply::Deployed { .. } => self.view(&spec.name),
            Reply::Refused(refusal) => Err(refused(&refusal)),
            other => Err(Status::internal(format!("unexpected reply {other:?}"))),
        }
    }

    async fn list(&self, _: Request<v1::ListServicesRequest>) -> Result<Response<v1::ListServicesResponse>, Status> {
        let services = self.services.all().iter().map(|entry| views::service(entry)).collect();
        Ok(Response::new(v1::ListServicesResponse { services }))
    }

    async fn get(&self, request: Request<v1::ServiceRequest>) -> Result<Response<v1::ServiceView>, Status> {
        self.view(&request.into_inner().name)
    }

    async fn remove(
        &self,
        request: Request<v1::ServiceRequest>,
    ) -> Result<Response<v1::RemoveServiceResponse>, Status> {
        let name = request.into_inner().name;
        match self.driver.ask(move |request| Input::Remove { request, name }).await? {
            Reply::Removed => {
                self.engine.forget_replicas(|key| self.services.get(&key.service).is_some());
                Ok(Response::new(v1::RemoveServiceResponse {}))
            }
            Reply::Refused(refusal) => Err(refused(&refusal)),
            other => Err(Status::internal(format!("unexpected reply {other:?}"))),
        }
    }

    async fn query(&self, request: Request<v1::QueryRequest>) -> Result<Response<v1::QueryResponse>, Status> {
        let v1::QueryRequest { service, body, deadline_ms, require } = request.into_inner();
        let deadline = (deadline_ms > 0).then(|| Duration::from_millis(deadline_ms));
        match self.ask(Asked { service, body, deadline, require }).await {
            Ok(answer) => Ok(Response::new(views::answer(answer))),
            Err(QueryFailure::Status(status)) => Err(status),
            Err(QueryFailure::Failed(error)) => Err(query_status(&error)),
        }
    }
}

impl ServicesService {
    /// Asks a service, whatever the transport.
    pub async fn ask(&self, asked: Asked) -> Result<longshore_root::Answer, QueryFailure> {
        let refuse = |status| Err(QueryFailure::Status(status));
        let Some(entry) = self.services.get(&asked.service) else {
            return refuse(refused(&Refusal::NoSuchService(asked.service)));
        };
        if asked.body.len() > limits::QUERY_BYTES {
            return refuse(Status::invalid_argument(format!(
                "a query has at most {} bytes, not {}",
                limits::QUERY_BYTES,
                asked.body.len()
            )));
        }
        let Ok(_permit) = self.queries.try_acquire() else {
            return refuse(Status::resource_exhausted(format!("{} queries are under way already", limits::QUERIES)));
        };
        let spec = entry.spec.request.unwrap_or_default();
        let own = if spec.deadline_ms == 0 { DEFAULT_DEADLINE } else { Duration::from_millis(spec.deadline_ms) };
        let deadline = asked.deadline.map_or(own, |asked| asked.min(own)).min(limits::QUERY_DEADLINE);
        let shards = u32::try_from(entry.topology.shards.len()).unwrap_or(u32::MAX);
        let rule = asked.require.or(spec.require).unwrap_or_default();
        let require = match validate::require(&rule, shards) {
            Ok(require) => require,
            Err(invalid) => return refuse(invalid.into()),
        };
        let query = Query { body: asked.body, deadline, require };
        self.engine.query(&entry.topology, query).await.map_err(QueryFailure::Failed)
    }

    fn view(&self, name: &str) -> Result<Response<v1::ServiceView>, Status> {
        let entry = self.services.get(name).ok_or_else(|| refused(&Refusal::NoSuchService(name.to_owned())))?;
        Ok(Response::new(views::service(&entry)))
    }
}

/// All data a service names is there, under paths that can be made beside one another.
fn check_data(catalog: &Catalog, spec: &v1::ServiceSpec) -> Result<(), Status> {
    for list in spec.leaf.iter().flat_map(|leaf| &leaf.data) {
        let size = (list.digest.len() == DIGEST_BYTES).then(|| catalog.blobs().size(&hash(&list.digest))).flatten();
        if size.is_none_or(|size| size > limits::DATA_LIST_BYTES) {
            return Err(Status::failed_precondition("a list of data was not uploaded, or is too large"));
        }
        let mut files = catalog.list(&list.digest)?.blobs;
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        for file in &files {
            validate::path(&file.path)?;
            let here =
                file.digest.len() == DIGEST_BYTES && catalog.blobs().size(&hash(&file.digest)) == Some(file.size);
            if !here {
                return Err(Status::failed_precondition(format!("data file {:?} was not uploaded", file.path)));
            }
        }
        check_paths(&files)?;
    }
    Ok(())
}

/// No file stands where another needs a directory.
fn check_paths(files: &[v1::NamedBlob]) -> Result<(), Status> {
    let paths: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    if paths.len() < files.len() {
        return Err(Status::invalid_argument("two data files of a shard have the same path"));
    }
    for file in files {
        let above = file.path.match_indices('/').map(|(slash, _)| &file.path[..slash]);
        if let Some(taken) = above.into_iter().find(|above| paths.contains(above)) {
            return Err(Status::invalid_argument(format!(
                "data file {taken:?} stands where {:?} needs a directory",
                file.path
            )));
        }
    }
    Ok(())
}

/// A failed query as a status; what became of every shard goes into its details.
fn query_status(error: &QueryError) -> Status {
    let (code, coverage) = match error {
        QueryError::TooFewParts { refused: true, coverage, .. } => (Code::InvalidArgument, Some(coverage)),
        QueryError::TooFewParts { timed_out: true, coverage, .. } => (Code::DeadlineExceeded, Some(coverage)),
        QueryError::TooFewParts { coverage, .. } => (Code::Unavailable, Some(coverage)),
        QueryError::Merge { coverage, .. } => (Code::Aborted, Some(coverage)),
        QueryError::PartsTooLarge { .. } => (Code::ResourceExhausted, None),
    };
    let details = coverage.map(|coverage| views::coverage(coverage).encode_to_vec()).unwrap_or_default();
    // Details travel in a header; a very wide service's would not fit.
    let details = if details.len() > 4_096 { Bytes::new() } else { details.into() };
    let message: String = error.to_string().chars().take(2_048).collect();
    Status::with_details(code, message, details)
}
