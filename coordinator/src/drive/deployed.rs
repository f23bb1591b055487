//! The services that are deployed, as queries need them.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard, Weak},
};

use longshore_core::{Namespace, Role, ServiceName, ServiceView};
use longshore_proto::{
    Digest,
    v1::{BuiltinMerge, ServiceSpec, builtin_merge::How},
};
use longshore_root::{Experience, Join};

use crate::{
    error::chain,
    kept::{catalog::Catalog, error::CatalogError},
    replica::{Topology, candidate},
};

/// Every deployed service, refreshed by the driver whenever one changes.
pub struct Deployed {
    catalog: Arc<Catalog>,
    services: RwLock<HashMap<ServiceName, Service>>,
    /// Specifications of deployments under way: the driver shall not wait for a blob.
    expected: Mutex<HashMap<(Namespace, Digest), Weak<ServiceSpec>>>,
}

/// What is known of a service.
struct Service {
    view: ServiceView,
    /// What its queries have taught, whatever becomes of its replicas.
    experience: Arc<Experience>,
    /// `None` as long as its specification is not known.
    entry: Option<Arc<Entry>>,
}

/// One deployed service at one moment.
pub struct Entry {
    /// Whose it is.
    pub namespace: Namespace,
    /// Its specification.
    pub spec: Arc<ServiceSpec>,
    /// As the core sees it.
    pub view: ServiceView,
    /// As the engine sees it.
    pub topology: Topology,
}

impl Entry {
    fn new(namespace: Namespace, spec: Arc<ServiceSpec>, view: ServiceView, experience: &Arc<Experience>) -> Arc<Self> {
        let topology = topology(&view, &spec, Arc::clone(experience));
        Arc::new(Self { namespace, spec, view, topology })
    }
}

impl Deployed {
    /// No service is known yet. Specifications are read from `catalog`.
    pub fn new(catalog: Arc<Catalog>) -> Self {
        Self { catalog, services: RwLock::default(), expected: Mutex::default() }
    }

    /// The service of that name, as it is now.
    pub fn get(&self, name: &ServiceName) -> Option<Arc<Entry>> {
        self.read().get(name)?.entry.clone()
    }

    /// As [`Deployed::get`], for whoever cannot do without its specification: it is read now where it is not known yet.
    pub fn get_or_read(&self, name: &ServiceName) -> Option<Arc<Entry>> {
        let (view, experience) = {
            let services = self.read();
            let service = services.get(name)?;
            match &service.entry {
                Some(entry) => return Some(Arc::clone(entry)),
                None => (service.view.clone(), Arc::clone(&service.experience)),
            }
        };
        let detail = view.detail.into();
        let spec = understood(name, self.read_spec(name, detail))?;
        self.fill(name, detail, &spec);
        Some(Entry::new(name.namespace.clone(), spec, view, &experience))
    }

    /// All services of a namespace, by name.
    pub fn all(&self, namespace: &Namespace) -> Vec<Arc<Entry>> {
        let services = self.read();
        let own = services.iter().filter(|(name, _)| name.namespace == *namespace);
        let mut all: Vec<_> = own.filter_map(|(_, service)| service.entry.clone()).collect();
        drop(services);
        all.sort_unstable_by(|a, b| a.spec.name.cmp(&b.spec.name));
        all
    }

    /// A service of this namespace with this specification is about to be deployed. It is remembered as long as the caller holds it.
    pub fn expect(&self, namespace: &Namespace, detail: Digest, spec: &Arc<ServiceSpec>) {
        let mut expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.retain(|_, spec| spec.strong_count() > 0);
        expected.insert((namespace.clone(), detail), Arc::downgrade(spec));
    }

    /// Takes in a kept service, before anything is served: its specification is read now.
    pub fn load(&self, name: &ServiceName, view: Option<ServiceView>) {
        let Some(view) = view else { return };
        let spec = understood(name, self.read_spec(name, view.detail.into()));
        let experience = Arc::default();
        let entry = spec.map(|spec| Entry::new(name.namespace.clone(), spec, view.clone(), &experience));
        self.write().insert(name.clone(), Service { view, experience, entry });
    }

    /// Takes in a service as it is now; `None` when it is removed. Where its specification is not known, it is read aside, and
    /// the service is there when that is done.
    pub fn refresh(self: &Arc<Self>, name: &ServiceName, view: Option<ServiceView>) {
        let mut services = self.write();
        let Some(view) = view else {
            services.remove(name);
            return;
        };
        let known = services.get(name).filter(|service| service.view.detail == view.detail);
        let experience = known.map(|service| Arc::clone(&service.experience)).unwrap_or_default();
        let known = known.and_then(|service| Some(Arc::clone(&service.entry.as_ref()?.spec)));
        let spec = known.or_else(|| self.expected_spec(&name.namespace, view.detail.into()));
        if spec.is_none() {
            self.read_aside(name.clone(), view.detail.into());
        }
        let entry = spec.map(|spec| Entry::new(name.namespace.clone(), spec, view.clone(), &experience));
        services.insert(name.clone(), Service { view, experience, entry });
    }

    fn read_spec(&self, name: &ServiceName, detail: Digest) -> Result<ServiceSpec, CatalogError> {
        self.catalog.room(&name.namespace).service_spec(detail)
    }

    fn expected_spec(&self, namespace: &Namespace, detail: Digest) -> Option<Arc<ServiceSpec>> {
        let expected = self.expected.lock().unwrap_or_else(PoisonError::into_inner);
        expected.get(&(namespace.clone(), detail))?.upgrade()
    }

    fn read_aside(self: &Arc<Self>, name: ServiceName, detail: Digest) {
        let deployed = Arc::clone(self);
        tokio::task::spawn_blocking(move || {
            if let Some(spec) = understood(&name, deployed.read_spec(&name, detail)) {
                deployed.fill(&name, detail, &spec);
            }
        });
    }

    /// The specification of a service is known now, unless another has been deployed under that name meanwhile.
    fn fill(&self, name: &ServiceName, detail: Digest, spec: &Arc<ServiceSpec>) {
        let mut services = self.write();
        if let Some(service) = services.get_mut(name).filter(|service| Digest::from(service.view.detail) == detail) {
            let view = service.view.clone();
            service.entry = Some(Entry::new(name.namespace.clone(), Arc::clone(spec), view, &service.experience));
        }
    }

    fn read(&self) -> RwLockReadGuard<'_, HashMap<ServiceName, Service>> {
        self.services.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, HashMap<ServiceName, Service>> {
        self.services.write().unwrap_or_else(PoisonError::into_inner)
    }
}

fn understood(name: &ServiceName, spec: Result<ServiceSpec, CatalogError>) -> Option<Arc<ServiceSpec>> {
    spec.map(Arc::new)
        .inspect_err(|error| tracing::error!(service = %name, error = chain(error), "the service cannot be served"))
        .ok()
}

fn topology(view: &ServiceView, spec: &ServiceSpec, experience: Arc<Experience>) -> Topology {
    let builtin = spec.merge.as_ref().and_then(|merge| merge.builtin.as_ref());
    let merges = spec.merge.is_some() && builtin.is_none();
    let weights = spec.leaf.as_ref().map(|leaf| leaf.weights.clone()).unwrap_or_default();
    let streams = spec.merge.as_ref().is_some_and(|merge| merge.stream);
    let join = builtin.map(join).unwrap_or_default();
    let mut topology =
        Topology { weights, merges: merges.then(Vec::new), streams, join, experience, ..Topology::default() };
    for replica in &view.replicas {
        let candidate = candidate(replica);
        match replica.key.role {
            Role::Leaf { shard } => {
                let shard = shard as usize;
                if topology.shards.len() <= shard {
                    topology.shards.resize_with(shard + 1, Vec::new);
                }
                topology.shards[shard].push(candidate);
            }
            Role::Merge => topology.merges.get_or_insert_default().push(candidate),
        }
    }
    topology
}

/// How the engine joins parts itself.
fn join(builtin: &BuiltinMerge) -> Join {
    match &builtin.how {
        None | Some(How::Concat(_)) => Join::Concat,
        Some(How::JsonArray(_)) => Join::Array,
        Some(How::Top(top)) => Join::Top { most: top.most as usize, by: top.by.clone(), ascending: top.ascending },
        Some(How::Sum(sum)) => Join::Sum { field: Some(sum.field.clone()).filter(|field| !field.is_empty()) },
    }
}
