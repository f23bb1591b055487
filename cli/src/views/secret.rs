//! Secrets, as far as they may be shown: never a value.

use longshore_client::v1::SecretView;
use serde_json::json;

use crate::{
    amounts::{age, moment, now_ms},
    printer::{Values, View},
    table,
};

/// Secrets.
#[derive(Debug)]
pub struct SecretList(pub Vec<SecretView>);

/// What is said of one that cannot be used.
const UNUSABLE: &str = "sealed with a key that is not here";

impl View for SecretList {
    fn text(&self) -> String {
        let rows = self.0.iter().map(|secret| {
            [
                secret.name.clone(),
                secret.version.to_string(),
                secret.size.to_string(),
                format!("{} ago", age(secret.put_ms, now_ms())),
                secret.by.clone(),
                if secret.unusable { UNUSABLE.to_owned() } else { String::new() },
            ]
        });
        table::table(["NAME", "VERSION", "BYTES", "PUT", "BY", "TROUBLE"], rows)
    }

    fn values(&self) -> Values {
        let value = |secret: &SecretView| {
            json!({
                "name": secret.name,
                "version": secret.version,
                "bytes": secret.size,
                "put": moment(secret.put_ms),
                "by": secret.by,
                "trouble": secret.unusable.then_some(UNUSABLE),
            })
        };
        Values::Many(self.0.iter().map(value).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|secret| secret.name.clone()).collect()
    }
}
