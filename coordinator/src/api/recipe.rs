//! What an item is run with, for whoever wants to run it elsewhere.

use longshore_core::{ItemKey, Source};
use longshore_proto::v1;

use crate::{
    error::Error,
    kept::{catalog::Catalog, submission::Submission},
};

/// The recipe of an item of a map stage. Secrets are in it by name alone.
pub fn of(
    catalog: &Catalog,
    submission: &Submission,
    item: ItemKey,
    source: Source,
    namespace: String,
) -> Result<v1::Recipe, Error> {
    let stage = submission.stages().get(usize::from(item.stage)).cloned();
    let stage = stage.ok_or_else(|| Error::not_found("the job has no such stage"))?;
    let gathers = stage.kind() == v1::StageKind::Gather;
    if gathers || !matches!(source, Source::Input | Source::Output { .. }) {
        let name = &stage.name;
        return Err(Error::not_now(format!(
            "stage {name:?} gathers: only items of stages that take one input can be replayed"
        )));
    }
    let input = catalog.source(&item, source)?;
    let image = catalog.image(item.job, item.stage)?;
    Ok(v1::Recipe {
        job_id: item.job.0.to_vec().into(),
        job_name: submission.name().to_owned(),
        namespace,
        stage: Some(stage),
        image: image.map(|image| image.0.to_vec().into()).unwrap_or_default(),
        input: Some(input),
    })
}
