//! What commands answer: as columns for people, as JSON for programs, as names for scripts.
//!
//! JSON has one name and unit per fact: moments are RFC 3339 in UTC, lengths of time are seconds.

mod answer;
mod brief;
mod context;
mod dry_run;
mod event;
mod explanation;
mod item;
mod job;
mod namespace;
mod secret;
mod service;
mod token;
mod why;
mod worker;

use crate::printer::{Values, View};

pub use self::{
    answer::{AnswerView, parts_table},
    context::{ContextDetail, ContextList},
    dry_run::DryRun,
    event::EventRows,
    explanation::ExplanationView,
    item::{ItemRows, OutputList, ending},
    job::{JobDetail, JobList, ended, failure_line, missing, progress_of, state_word},
    secret::SecretList,
    service::{ServiceDetail, ServiceList, replica_line, replica_trouble},
    token::TokenList,
    worker::{WorkerList, trouble},
};

/// One name or id, with the value programs see.
#[derive(Debug, Clone)]
pub struct Named {
    /// What people and scripts see.
    pub name: String,
    /// What programs see.
    pub value: serde_json::Value,
}

impl View for Named {
    fn text(&self) -> String {
        longshore_client::escape::line(&self.name)
    }

    fn values(&self) -> Values {
        Values::One(self.value.clone())
    }

    fn names(&self) -> Vec<String> {
        vec![self.name.clone()]
    }
}
