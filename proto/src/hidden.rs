//! Messages with values that nobody is to see: what is shown of them instead, wherever they are printed.

use std::fmt;

use crate::v1::{PutSecretRequest, SecretValue};

/// What stands for a value.
const HIDDEN: &str = "…";

impl fmt::Debug for PutSecretRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PutSecretRequest").field("name", &self.name).field("value", &HIDDEN).finish()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { name, version, value: _ } = self;
        f.debug_struct("SecretValue").field("name", name).field("version", version).field("value", &HIDDEN).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::v1::{Assign, StageContext, ToWorker, to_worker::Message};

    #[test]
    fn no_value_is_printed_whatever_it_is_part_of() {
        let secret = SecretValue { name: "db".to_owned(), version: 3, value: "hunter2".into() };
        let context = StageContext { secrets: vec![secret], ..StageContext::default() };
        let assign = Message::Assign(Assign { contexts: vec![context], attempts: Vec::new() });
        let request = PutSecretRequest { name: "db".to_owned(), value: "hunter2".into() };
        for shown in [format!("{:?}", ToWorker { message: Some(assign) }), format!("{request:#?}")] {
            // Bytes are printed as text.
            assert!(shown.contains("db") && !shown.contains("hunter"), "{shown}");
        }
    }
}
