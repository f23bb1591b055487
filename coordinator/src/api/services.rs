//! Services: deployments and queries.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use http::{HeaderMap, header};
use longshore_core::{Input, Refusal, Reply, ServiceName};
use longshore_proto::{Digest, head, v1};
use longshore_root::{Account, Heads, Memory, Request as Query};
use tokio::time::Instant;

use super::{
    admission::{Admission, Turn},
    caller::Caller,
    files, validate, views,
};
use crate::{
    audit::Audit,
    drive::{
        Handle,
        deployed::{Deployed, Entry},
    },
    error::{Error, blocking},
    kept::{catalog::Catalog, messages::Messages},
    limits,
    replica::{Answer, Engine, QueryError, Topology},
    room::DiskRoom,
    secrets::{told, vault::Vault},
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
    pub queries: Arc<Admission>,
    /// What bodies, parts and answers of queries may take together.
    pub memory: Arc<Memory>,
    pub room: DiskRoom,
    pub audit: Arc<Audit>,
    pub vault: Arc<Vault>,
}

/// A query as a client asks it.
pub struct Asked {
    pub service: String,
    pub body: Bytes,
    /// What is said of it; what is none of a query's headers is left out.
    pub head: HeaderMap,
    pub deadline: Option<Duration>,
    pub require: Option<v1::Require>,
    /// Whose memory the body takes, and all that comes of it.
    pub account: Account,
}

/// An answer, and its turn among the queries under way: held until the answer is sent, for it is in memory so long.
pub struct Answered {
    pub answer: Answer,
    pub turn: Turn,
    /// Whose memory the answer takes.
    pub account: Account,
}

/// What became of a query.
pub struct Outcome {
    pub answered: Result<Answered, QueryFailure>,
    /// The time it was given, where that is less than was asked for.
    pub cut: Option<Duration>,
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
        self.ensure_secrets(caller, &spec)?;
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

    /// All secrets that its containers name are here and can be given to them, as they are now.
    fn ensure_secrets(&self, caller: &Caller, spec: &v1::ServiceSpec) -> Result<(), Error> {
        let leaf = spec.leaf.as_ref().and_then(|leaf| leaf.container.as_ref()).map(|container| ("leaf", container));
        let merge =
            spec.merge.as_ref().and_then(|merge| merge.container.as_ref()).map(|container| ("merge", container));
        for (role, container) in leaf.into_iter().chain(merge) {
            told::ensure(&self.vault, &caller.namespace, container)
                .map_err(|why| Error::not_now(format!("{role}: {why}")))?;
        }
        Ok(())
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

    /// The account of a query, before anything of it is read. Bodies of one caller are bounded together.
    pub fn account(&self, caller: &Caller) -> Account {
        self.memory.account(&format!("body of {caller}"))
    }

    /// Asks a service.
    pub async fn ask(&self, caller: &Caller, asked: Asked) -> Outcome {
        let name = named(caller, asked.service.clone());
        let Some(entry) = self.deployed.get(&name) else {
            return Outcome { answered: Err(Refusal::NoSuchService(name).into()), cut: None };
        };
        let spec = entry.spec.request.unwrap_or_default();
        let own = if spec.deadline_ms == 0 { DEFAULT_DEADLINE } else { Duration::from_millis(spec.deadline_ms) };
        let deadline = asked.deadline.map_or(own, |asked| asked.min(own)).min(limits::QUERY_DEADLINE);
        let cut = asked.deadline.is_some_and(|asked| asked > deadline).then_some(deadline);
        Outcome { answered: self.ask_within(name, &entry, asked, deadline).await, cut }
    }

    async fn ask_within(
        &self,
        name: ServiceName,
        entry: &Entry,
        asked: Asked,
        deadline: Duration,
    ) -> Result<Answered, QueryFailure> {
        if asked.body.len() > limits::QUERY_BYTES {
            let (most, has) = (limits::QUERY_BYTES, asked.body.len());
            return Err(Error::invalid(format!("a query has at most {most} bytes, not {has}")).into());
        }
        let spec = entry.spec.request.unwrap_or_default();
        let shards = u32::try_from(entry.topology.shards.len()).unwrap_or(u32::MAX);
        let rule = asked.require.or(spec.require).unwrap_or_default();
        let require = validate::require(&rule, shards)?;
        let began = Instant::now();
        let mut turn = self.queries.turn(&name, limits::QUERY_WAIT.min(deadline / limits::QUERY_WAIT_SHARE)).await?;
        let head = heads(&asked.head, &entry.topology);
        let query = Query { body: asked.body, head, deadline: deadline.saturating_sub(began.elapsed()), require };
        let account = asked.account.of(&name.to_string());
        let answer = self.engine.query(&entry.topology, query, &account).await;
        if matches!(answer, Err(QueryError::TooFewParts { timed_out: true, .. })) {
            turn.was_late();
        }
        Ok(Answered { answer: answer.map_err(QueryFailure::Failed)?, turn, account })
    }

    fn view(&self, name: ServiceName) -> Result<v1::ServiceView, Error> {
        let entry = self.deployed.get(&name).ok_or(Refusal::NoSuchService(name))?;
        Ok(views::service(&entry))
    }
}

/// Who is told what of what a client says. What answer it wants is for whoever makes it: the merge container, or else the leaves; and
/// which encoding only for one that makes it alone, as others' answers are joined or read.
fn heads(said: &HeaderMap, topology: &Topology) -> Heads {
    let mut leaf = head::chosen(said, head::OF_BYTES.iter().chain(&head::OF_QUERIES));
    let merge = head::chosen(said, &head::OF_QUERIES);
    if topology.merges.is_some() {
        leaf.remove(header::ACCEPT);
    }
    if topology.merges.is_some() || topology.shards.len() > 1 || topology.join.reads_parts() {
        leaf.remove(header::ACCEPT_ENCODING);
    }
    Heads { leaf, merge }
}

/// A service of the caller's namespace.
fn named(caller: &Caller, name: String) -> ServiceName {
    ServiceName { namespace: caller.namespace.clone(), name }
}

/// All data and files a service names are in the room of whoever deploys it, under paths that can be made beside one another.
fn check_data(room: &Messages, spec: &v1::ServiceSpec) -> Result<(), Error> {
    for list in spec.leaf.iter().flat_map(|leaf| &leaf.data) {
        let digest = Digest::try_from(&list.digest)?;
        if room.size(digest).is_none_or(|size| size > limits::DATA_LIST_BYTES) {
            return Err(Error::not_now("a list of data was not uploaded, or is too large"));
        }
        let data = room.list(digest)?.blobs;
        for file in &data {
            validate::path(&file.path)?;
            if room.size(Digest::try_from(&file.digest)?) != Some(file.size) {
                return Err(Error::not_now(format!("data file {:?} was not uploaded", file.path)));
            }
        }
        files::beside_one_another(&data, "data file")?;
    }
    let leaf = spec.leaf.as_ref().and_then(|leaf| leaf.container.as_ref());
    files::check_sent(room, leaf, "leaf")?;
    let merge = spec.merge.as_ref().and_then(|merge| merge.container.as_ref());
    files::check_sent(room, merge, "merge")
}
