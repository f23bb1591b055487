//! What stages gather, as clients ask for it.

use longshore_core::{Require, StageKind};
use longshore_proto::v1::{self, gather_require::Rule};

use super::invalid::{Checked, Invalid, ensure};
use crate::kept::keyed::Keyed;

/// Whether a submitted stage gathers.
pub fn gathers(stage: &v1::Stage) -> bool {
    match stage.kind() {
        v1::StageKind::Gather | v1::StageKind::GatherOutputs => true,
        v1::StageKind::Map | v1::StageKind::Unspecified => false,
    }
}

/// How items of a stage that gathers come to be. Groups and levels of a tree are found when the inputs are known.
pub fn kind(stage: &v1::Stage) -> Checked<StageKind> {
    let gather = stage.gather.clone().unwrap_or_default();
    let require = require(gather.require.as_ref())?;
    let keyed = Keyed::of(stage).map_err(Invalid)?.is_some();
    ensure(gather.level == 0, || "gather.level is the coordinator's to set".to_owned())?;
    let of_outputs = stage.kind() == v1::StageKind::GatherOutputs;
    ensure(gather.of_outputs == 0, || "gather.of_outputs is the coordinator's to set".to_owned())?;
    ensure(keyed || !of_outputs, || {
        "gather: of: output is of keys; name `by` or `match`, which is then taken from the paths of outputs".to_owned()
    })?;
    ensure(gather.fan_in != 1, || "gather: fan_in is at least 2".to_owned())?;
    ensure(!keyed || gather.fan_in == 0, || {
        "gather: fan_in makes one item of everything; it does not go with keys".to_owned()
    })?;
    ensure(keyed || gather.unmatched == 0, || "gather: unmatched is of keys; name `by` or `match`".to_owned())?;
    ensure(v1::Unmatched::try_from(gather.unmatched).is_ok(), || {
        format!("gather: unmatched {} is neither FAIL nor SKIP", gather.unmatched)
    })?;
    Ok(if keyed && !of_outputs { StageKind::Groups { require, groups: 0 } } else { StageKind::Gather { require } })
}

fn require(require: Option<&v1::GatherRequire>) -> Checked<Require> {
    match require.and_then(|require| require.rule) {
        None | Some(Rule::All(_)) => Ok(Require::All),
        Some(Rule::Any(_)) => Ok(Require::Any),
        Some(Rule::Count(count)) if count > 0 => Ok(Require::Count(count)),
        Some(Rule::Count(_)) => Err(Invalid("require: a count is at least 1".to_owned())),
        Some(Rule::Fraction(share)) if share > 0.0 && share <= 1.0 => {
            // Within 1 and a million.
            #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
            let millionths = (share * 1e6).round().clamp(1.0, 1e6) as u32;
            Ok(Require::Millionths(millionths))
        }
        Some(Rule::Fraction(share)) => {
            Err(Invalid(format!("require: a fraction is above 0 and at most 1, not {share}")))
        }
    }
}

/// After everything was gathered into one item, or by keys of outputs, there is nothing to tell inputs apart by.
pub fn order(stages: &[v1::Stage]) -> Checked {
    let of_outputs = |stage: &v1::Stage| stage.kind() == v1::StageKind::GatherOutputs;
    let is_keyed = |stage: &v1::Stage| Keyed::of(stage).is_ok_and(|it| it.is_some());
    let ends_lineage = |stage: &v1::Stage| gathers(stage) && (of_outputs(stage) || !is_keyed(stage));
    let Some(first) = stages.iter().position(ends_lineage) else { return Ok(()) };
    let tells_apart = |stage: &&v1::Stage| {
        stage.gather.as_ref().is_some_and(|gather| gather.fan_in > 0) || (is_keyed(stage) && !of_outputs(stage))
    };
    let Some(stage) = stages[first + 1..].iter().find(tells_apart) else { return Ok(()) };
    let before = match of_outputs(&stages[first]) {
        true => "has gathered by keys of outputs, which may be of many inputs",
        false => "has gathered everything into one item",
    };
    let (name, other) = (&stage.name, &stages[first].name);
    Err(Invalid(format!(
        "stage {name:?} gathers by keys of inputs or as a tree, but stage {other:?} before it {before}; `of: output` makes keys of \
         what outputs are called"
    )))
}
