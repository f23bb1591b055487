//! Fields of an item that is a JSON object, as its command is given them.

use std::collections::BTreeMap;

use longshore_proto::v1::{Failure, FailureClass};
use serde_json::Value;

use super::failures::failure;

/// What the fields of an item stand for.
pub(crate) type Fields = BTreeMap<String, String>;

/// The values of these fields. A text is given as it is, a number or a truth as JSON writes it, and so are lists and objects.
///
/// # Errors
/// When the item is no JSON object, or lacks one of them.
pub(super) fn of(item: Option<&[u8]>, names: &[String]) -> Result<Fields, Failure> {
    let Some(first) = names.first() else { return Ok(Fields::new()) };
    let refused = |why: String| failure(FailureClass::Refused, why);
    let item = item.ok_or_else(|| refused(format!("it is too large to have fields, such as {first:?}")))?;
    let mut object: serde_json::Map<String, Value> = serde_json::from_slice(item)
        .map_err(|error| refused(format!("it is no JSON object with a field {first:?}: {error}")))?;
    let value = |name: &String| match object.remove(name) {
        None | Some(Value::Null) => Err(refused(format!("it has no field {name:?}"))),
        Some(Value::String(text)) if text.contains('\0') => {
            Err(refused(format!("its field {name:?} has a NUL, which no command can be given")))
        }
        Some(Value::String(text)) => Ok((name.clone(), text)),
        Some(other) => Ok((name.clone(), other.to_string())),
    };
    names.iter().map(value).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn values_are_given_as_a_command_wants_them() {
        let item = br#"{"text": "a \"b\" $(c)\n", "n": 1.50, "yes": true, "list": [1, "x"], "other": null}"#;
        let found = of(Some(item), &names(&["text", "n", "yes", "list"])).unwrap();
        let values: Vec<_> = found.values().map(String::as_str).collect();
        assert_eq!(values, ["[1,\"x\"]", "1.5", "a \"b\" $(c)\n", "true"]);
        assert!(of(None, &[]).unwrap().is_empty());
    }

    #[test]
    fn what_is_not_there_cannot_be_given() {
        for (item, why) in [
            (Some(&br#"{"a": null}"#[..]), "no field \"a\""),
            (Some(b"{}"), "no field \"a\""),
            (Some(b"[1]"), "no JSON object"),
            (Some(br#"{"a": "\u0000"}"#), "NUL"),
            (None, "too large"),
        ] {
            let refused = of(item, &names(&["a"])).unwrap_err();
            assert!(refused.class() == FailureClass::Refused && refused.message.contains(why), "{}", refused.message);
        }
    }
}
