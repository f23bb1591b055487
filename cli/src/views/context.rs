//! Contexts, never with their tokens.

use serde_json::{Value, json};

use crate::{
    contexts::{Contexts, Saved},
    printer::{Values, View},
    table,
};

/// All contexts.
#[derive(Debug)]
pub struct ContextList {
    /// Those that there are.
    pub known: Contexts,
    /// The one that is used where no flag says otherwise.
    pub used: Option<String>,
}

impl View for ContextList {
    fn text(&self) -> String {
        let rows = self.known.contexts.iter().map(|(name, saved)| {
            let mark = if self.used.as_ref() == Some(name) { "*" } else { "" };
            let namespace = saved.namespace.clone().unwrap_or_default();
            [mark.to_owned(), name.clone(), saved.address.clone(), namespace, token(saved).to_owned()]
        });
        table::table(["", "NAME", "ADDRESS", "NAMESPACE", "TOKEN"], rows)
    }

    fn values(&self) -> Values {
        let current = self.used.as_ref();
        Values::Many(
            self.known.contexts.iter().map(|(name, saved)| value(name, saved, current == Some(name))).collect(),
        )
    }

    fn names(&self) -> Vec<String> {
        self.known.contexts.keys().cloned().collect()
    }
}

/// One context.
#[derive(Debug)]
pub struct ContextDetail {
    /// Its name.
    pub name: String,
    /// What it says.
    pub saved: Saved,
    /// It is used where none is named.
    pub is_current: bool,
}

impl View for ContextDetail {
    fn text(&self) -> String {
        table::facts([
            ("name", self.name.clone()),
            ("address", self.saved.address.clone()),
            ("namespace", self.saved.namespace.clone().unwrap_or_default()),
            ("token", token(&self.saved).to_owned()),
            ("current", if self.is_current { "yes" } else { "no" }.to_owned()),
        ])
    }

    fn values(&self) -> Values {
        Values::One(value(&self.name, &self.saved, self.is_current))
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}

fn value(name: &str, saved: &Saved, is_current: bool) -> Value {
    json!({
        "name": name,
        "address": saved.address,
        "namespace": saved.namespace,
        "token": token(saved),
        "current": is_current,
    })
}

/// Where the token is, never what it is.
fn token(saved: &Saved) -> &'static str {
    match (&saved.token, &saved.token_command) {
        (None, None) => "none",
        (_, Some(_)) => "of a program",
        (Some(_), None) => "saved",
    }
}
