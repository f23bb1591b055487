//! What a service says of its shards and of a merge that is done here.

use longshore_proto::v1::{BuiltinMerge, Interface, MergeSpec, builtin_merge::How};

use super::invalid::{Checked, Invalid, ensure};
use crate::limits;

/// Each shard has a weight, or none has.
pub fn weights(weights: &[u64], shards: u32) -> Checked {
    ensure(weights.is_empty() || weights.len() == shards as usize, || {
        format!("leaf: {} weights for {shards} shards", weights.len())
    })?;
    match weights.iter().find(|weight| !(1..=limits::WEIGHT).contains(*weight)) {
        Some(weight) => Err(Invalid(format!("leaf: a weight is 1 to {}, not {weight}", limits::WEIGHT))),
        None => Ok(()),
    }
}

/// It says which merge it is, within bounds.
pub fn builtin(merge: &BuiltinMerge) -> Checked {
    match &merge.how {
        None => Err(Invalid("merge: it is not said which of those that are built in".to_owned())),
        Some(How::Concat(_) | How::JsonArray(_)) => Ok(()),
        Some(How::Top(top)) => {
            ensure((1..=limits::TOP_ITEMS).contains(&top.most), || {
                format!("merge: top is 1 to {}, not {}", limits::TOP_ITEMS, top.most)
            })?;
            field(&top.by)
        }
        Some(How::Sum(sum)) if sum.field.is_empty() => Ok(()),
        Some(How::Sum(sum)) => field(&sum.field),
    }
}

/// Only a server can take parts up as they come.
pub fn streamed(merge: &MergeSpec) -> Checked {
    let is_server = merge.container.as_ref().is_some_and(|container| container.interface() == Interface::Http);
    ensure(!merge.stream || is_server, || {
        "merge: stream goes with interface http alone: a process is given all parts when it starts".to_owned()
    })
}

fn field(path: &str) -> Checked {
    let is_path = path.split('.').all(|name| !name.is_empty()) && path.len() <= limits::FIELD_BYTES;
    ensure(is_path, || {
        format!(
            "merge: {path:?} is no path of a field: names with points between them, at most {} bytes",
            limits::FIELD_BYTES
        )
    })
}

#[cfg(test)]
mod tests {
    use longshore_proto::v1::{Container, SumMerge, TopMerge};

    use super::*;

    #[test]
    fn weights_are_for_all_shards_or_none() {
        assert!(weights(&[], 3).is_ok() && weights(&[1, 7, limits::WEIGHT], 3).is_ok());
        for bad in [&[1, 2][..], &[1, 2, 0], &[1, 2, limits::WEIGHT + 1], &[1; 4]] {
            assert!(weights(bad, 3).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn only_a_server_takes_parts_as_they_come() {
        let merge = |interface: Interface, stream| MergeSpec {
            container: Some(Container { interface: interface.into(), ..Container::default() }),
            stream,
            ..MergeSpec::default()
        };
        assert!(streamed(&merge(Interface::Http, true)).is_ok() && streamed(&merge(Interface::Files, false)).is_ok());
        assert!(streamed(&merge(Interface::Files, true)).is_err() && streamed(&MergeSpec::default()).is_ok());
    }

    #[test]
    fn a_built_in_merge_is_bounded() {
        let top = |most, by: &str| {
            builtin(&BuiltinMerge { how: Some(How::Top(TopMerge { most, by: by.to_owned(), ascending: false })) })
        };
        assert!(top(1, "score").is_ok() && top(limits::TOP_ITEMS, "hit.score").is_ok());
        for bad in [top(0, "a"), top(limits::TOP_ITEMS + 1, "a"), top(1, ""), top(1, "a..b"), top(1, &"a".repeat(257))]
        {
            assert!(bad.is_err());
        }
        let sum = |field: &str| builtin(&BuiltinMerge { how: Some(How::Sum(SumMerge { field: field.to_owned() })) });
        assert!(sum("").is_ok() && sum("hits").is_ok() && sum(".").is_err());
        assert!(builtin(&BuiltinMerge { how: None }).is_err());
    }
}
