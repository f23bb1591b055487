//! Services: deployments and queries.

use std::{collections::HashSet, sync::Arc, time::Duration};

use bytes::Bytes;
use longshore_core::{Input, Refusal, Reply, ServiceName};
use longshore_proto::{Digest, v1};
use longshore_root::Request as Query;
use tokio::sync::Semaphore;

use super::{caller::Caller, validate, views};
use crate::{
    audit::Audit,
    drive::{Handle, deployed::Deployed},
    error::{Error, blocking},
    kept::{catalog::Catalog, messages::Messages},
    limits,
    replica::{Answer, Engine, QueryError},
    room::DiskRoom,
};

/// A query's time when its service says nothing.
const DEFAULT_DEADLINE: Duration = Duration::from_secs(10);

/// What can be asked of services.
#[derive(Clone)]
pub struct Services {
    pub driver: Handle,
    pub catalog: Arc<Catalog>,
    pub deployed: Arc<Deployed>,
    pub engine: Arc<Engine>,
    pub queries: Arc<Semaphore>,
    pub room: DiskRoom,
    pub audit: Arc<Audit>,
}

/// A query as a client asks it.
pub struct Asked {
    pub service: String,
    pub body: Bytes,
    pub deadline: Option<Duration>,
    pub require: Option<v1::Require>,
}

/// Why a query has no answer.
pub enum QueryFailure {
    /// It cannot be asked like this, or not now.
    Unasked(Error),
    /// It was asked and failed.
    Failed(QueryError),
}

impl<E: Into<Error>> From<E> for QueryFailure {
    fn from(error: E) -> Self {
        Self::Unasked(error.into())
    }
}

impl Services {
    /// Deploys a service, whose data are here.
    pub async fn deploy(&self, caller: &Caller, spec: v1::ServiceSpec) -> Result<v1::ServiceView, Error> {
        self.room.ensure()?;
        let plan = validate::service(&spec)?;
        let spec = Arc::new(spec);
        let (room, checked) = (self.catalog.room(&caller.namespace), Arc::clone(&spec));
        let detail = blocking("checking the service", move || {
            check_data(&room, &checked)?;
            Ok(room.put(&*checked)?)
        })
        .await?;
        let name = named(caller, spec.name.clone());
        self.deployed.expect(&name.namespace, detail, &spec);
        tracing::debug!(%caller, %name, "a service is to be deployed");
        self.audit.allow(caller, "Services/Deploy", name.to_string()).await?;
        let deployed = name.clone();
        match self.driver.ask(move |request| Input::Deploy { request, name, plan, detail: detail.into() }).await? {
            Reply::Deployed { .. } => self.view(deployed),
            other => Err(Error::of_reply(other)),
        }
    }

    /// All services of the caller's namespace, by name.
    pub fn list(&self, caller: &Caller) -> Vec<v1::ServiceView> {
        self.deployed.all(&caller.namespace).iter().map(|entry| views::service(entry)).collect()
    }

    /// One service.
    pub fn get(&self, caller: &Caller, name: String) -> Result<v1::ServiceView, Error> {
        self.view(named(caller, name))
    }

    /// Removes a service.
    pub async fn remove(&self, caller: &Caller, name: String) -> Result<(), Error> {
        // What no service is called is nothing for the audit, either.
        validate::service_name(&name)?;
        let name = named(caller, name);
        tracing::debug!(%caller, %name, "a service is to be removed");
        self.audit.allow(caller, "Services/Remove", name.to_string()).await?;
        match self.driver.ask(move |request| Input::Remove { request, name }).await? {
            Reply::Removed => {
                self.engine.forget_replicas(|replica| self.deployed.get(&replica.key.service).is_some());
                Ok(())
            }
            other => Err(Error::of_reply(other)),
        }
    }

    /// Asks a service.
    pub async fn ask(&self, caller: &Caller, asked: Asked) -> Result<Answer, QueryFailure> {
        let name = named(caller, asked.service);
        let Some(entry) = self.deployed.get(&name) else {
            return Err(Refusal::NoSuchService(name).into());
        };
        if asked.body.len() > limits::QUERY_BYTES {
            let (most, has) = (limits::QUERY_BYTES, asked.body.len());
            return Err(Error::invalid(format!("a query has at most {most} bytes, not {has}")).into());
        }
        let Ok(_permit) = self.queries.try_acquire() else {
            return Err(Error::busy(format!("{} queries are under way already", limits::QUERIES)).into());
        };
        let spec = entry.spec.request.unwrap_or_default();
        let own = if spec.deadline_ms == 0 { DEFAULT_DEADLINE } else { Duration::from_millis(spec.deadline_ms) };
        let deadline = asked.deadline.map_or(own, |asked| asked.min(own)).min(limits::QUERY_DEADLINE);
        let shards = u32::try_from(entry.topology.shards.len()).unwrap_or(u32::MAX);
        let rule = asked.require.or(spec.require).unwrap_or_default();
        let require = validate::require(&rule, shards)?;
        let query = Query { body: asked.body, deadline, require };
        self.engine.query(&entry.topology, query).await.map_err(QueryFailure::Failed)
    }

    fn view(&self, name: ServiceName) -> Result<v1::ServiceView, Error> {
        let entry = self.deployed.get(&name).ok_or(Refusal::NoSuchService(name))?;
        Ok(views::service(&entry))
    }
}

/// A service of the caller's namespace.
fn named(caller: &Caller, name: String) -> ServiceName {
    ServiceName { namespace: caller.namespace.clone(), name }
}

/// All data a service names is in the room of whoever deploys it, under paths that can be made beside one another.
fn check_data(room: &Messages, spec: &v1::ServiceSpec) -> Result<(), Error> {
    for list in spec.leaf.iter().flat_map(|leaf| &leaf.data) {
        let digest = Digest::try_from(&list.digest)?;
        if room.size(digest).is_none_or(|size| size > limits::DATA_LIST_BYTES) {
            return Err(Error::not_now("a list of data was not uploaded, or is too large"));
        }
        let mut files = room.list(digest)?.blobs;
        files.sort_unstable_by(|a, b| a.path.cmp(&b.path));
        for file in &files {
            validate::path(&file.path)?;
            if room.size(Digest::try_from(&file.digest)?) != Some(file.size) {
                return Err(Error::not_now(format!("data file {:?} was not uploaded", file.path)));
            }
        }
        check_paths(&files)?;
    }
    Ok(())
}

/// No file stands where another needs a directory.
fn check_paths(files: &[v1::NamedBlob]) -> Result<(), Error> {
    let paths: HashSet<&str> = files.iter().map(|file| file.path.as_str()).collect();
    if paths.len() < files.len() {
        return Err(Error::invalid("two data files of a shard have the same path"));
    }
    for file in files {
        let above = file.path.match_indices('/').map(|(slash, _)| &file.path[..slash]);
        if let Some(taken) = above.into_iter().find(|above| paths.contains(above)) {
            return Err(Error::invalid(format!("data file {taken:?} stands where {:?} needs a directory", file.path)));
        }
    }
    Ok(())
}
