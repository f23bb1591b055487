//! Names in specs, checked as they are read so that a refusal has line and column.

use std::str::FromStr;

use longshore_client::{bounds::NAME_CHARS, path, secret};
use serde::Deserialize;

use super::invalid::{Checked, Invalid};

macro_rules! name {
    ($(#[$meta:meta])* $name:ident, $check:expr, $($schema:tt)*) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
        #[serde(try_from = "String")]
        pub struct $name(pub String);

        impl TryFrom<String> for $name {
            type Error = Invalid;

            fn try_from(text: String) -> Checked<$name> {
                let check: fn(&str) -> Checked = $check;
                check(&text).map(|()| $name(text))
            }
        }

        impl FromStr for $name {
            type Err = Invalid;

            fn from_str(text: &str) -> Checked<$name> {
                $name::try_from(text.to_owned())
            }
        }

        #[cfg(test)]
        impl schemars::JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!($($schema)*)
            }
        }
    };
}

name! {
    /// A job's name: 1 to 63 characters, none of them a slash, backslash or control character, not beginning with `.` or `-`.
    JobName, job_name, { "type": "string", "minLength": 1, "maxLength": NAME_CHARS }
}

name! {
    /// A secret's name, or that of the file it is found in: letters, digits, `-`, `_` and `.`, at most 63, not beginning with `.`.
    SecretName, secret_name, { "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}$" }
}

name! {
    /// A stage's name: letters, digits, `-`, `_` and `.`, at most 63, not beginning with `.`.
    StageName, stage_name, { "type": "string", "pattern": "^[A-Za-z0-9_-][A-Za-z0-9_.-]{0,62}$" }
}

name! {
    /// A service's name: lower-case letters, digits and `-`, at most 63, not beginning with `-`.
    ServiceName, service_name, { "type": "string", "pattern": "^[a-z0-9][a-z0-9-]{0,62}$" }
}

name! {
    /// An image reference as `docker run` takes it.
    Image, image, { "type": "string", "minLength": 1 }
}

name! {
    /// The name of an environment variable.
    VariableName, variable_name, { "type": "string", "pattern": "^[^=]+$" }
}

name! {
    /// A working directory: an absolute path of plain components.
    Workdir, workdir, { "type": "string", "pattern": "^/" }
}

impl PartialOrd for VariableName {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for VariableName {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.0.cmp(&other.0)
    }
}

fn job_name(text: &str) -> Checked {
    let odd = |c: char| c.is_control() || matches!(c, '/' | '\\');
    match (1..=NAME_CHARS).contains(&text.chars().count()) && !text.contains(odd) && !text.starts_with(['.', '-']) {
        true => Ok(()),
        false => Err(Invalid(format!(
            "`{text}` is no name of a job: 1 to {NAME_CHARS} characters, no slashes or control characters, not beginning with `.` \
             or `-`"
        ))),
    }
}

fn secret_name(text: &str) -> Checked {
    secret::check(text).map_err(|bad| Invalid(bad.to_string()))
}

fn stage_name(text: &str) -> Checked {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    match (1..=NAME_CHARS).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('.') {
        true => Ok(()),
        false => Err(Invalid(format!(
            "`{text}` is no name of a stage: letters, digits, `-`, `_` and `.`, at most {NAME_CHARS}, not beginning with `.`"
        ))),
    }
}

fn service_name(text: &str) -> Checked {
    let allowed = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    match (1..=NAME_CHARS).contains(&text.len()) && text.chars().all(allowed) && !text.starts_with('-') {
        true => Ok(()),
        false => Err(Invalid(format!(
            "`{text}` is no name of a service: lower-case letters, digits and `-`, at most {NAME_CHARS}, not beginning with `-`"
        ))),
    }
}

fn image(text: &str) -> Checked {
    let odd = |c: char| c.is_whitespace() || c.is_control();
    match text.is_empty() || text.contains(odd) || text.starts_with('-') {
        true => Err(Invalid(format!("`{text}` is no image reference"))),
        false => Ok(()),
    }
}

fn workdir(text: &str) -> Checked {
    path::check_workdir(text).map_err(|why| Invalid(format!("`{text}` is no working directory: {why}")))
}

fn variable_name(text: &str) -> Checked {
    match text.is_empty() || text.contains(['=', '\0']) {
        true => Err(Invalid(format!("`{text}` is no name of an environment variable"))),
        false => Ok(()),
    }
}
