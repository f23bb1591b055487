//! Whose things requests are about, said with every one of them.

use longshore_proto::{
    NAMESPACE_METADATA,
    namespace::{self, BadNamespace},
};
use tonic::{
    Request, Status,
    metadata::{Ascii, MetadataValue},
    service::Interceptor,
};

/// Adds the name to requests; by default it adds none.
#[derive(Debug, Clone, Default)]
pub(crate) struct InNamespace(Option<MetadataValue<Ascii>>);

impl InNamespace {
    /// For the namespace of this name.
    ///
    /// # Errors
    /// When that is not the name of a namespace.
    pub(crate) fn named(name: &str) -> Result<Self, BadNamespace> {
        namespace::check(name)?;
        Ok(Self(Some(name.parse().map_err(|_| BadNamespace(name.to_owned()))?)))
    }
}

impl Interceptor for InNamespace {
    fn call(&mut self, mut request: Request<()>) -> Result<Request<()>, Status> {
        if let Some(name) = &self.0 {
            request.metadata_mut().insert(NAMESPACE_METADATA, name.clone());
        }
        Ok(request)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_request_says_the_name_and_none_where_none_was_given() {
        let said = |mut named: InNamespace| {
            let request = named.call(Request::new(())).unwrap();
            request.metadata().get(NAMESPACE_METADATA).map(|name| name.to_str().unwrap().to_owned())
        };
        assert_eq!(said(InNamespace::named("vision").unwrap()), Some("vision".to_owned()));
        assert_eq!(said(InNamespace::default()), None);
        assert!(InNamespace::named("Not one").is_err());
    }
}
