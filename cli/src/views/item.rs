//! Outputs of a job.

use longshore_client::outputs::Output;
use serde_json::json;

use crate::{
    amounts,
    printer::{Values, View},
    table,
};

/// Outputs by path.
#[derive(Debug)]
pub struct OutputList(pub Vec<Output>);

impl View for OutputList {
    fn text(&self) -> String {
        table::table(
            ["PATH", "SIZE", "ITEM"],
            self.0.iter().map(|output| [output.path.clone(), amounts::bytes(output.size), output.item.to_string()]),
        )
    }

    fn values(&self) -> Values {
        let value = |output: &Output| {
            json!({
                "path": output.path,
                "size_bytes": output.size,
                "digest": output.digest.to_string(),
                "item": output.item.as_ref(),
            })
        };
        Values::Many(self.0.iter().map(value).collect())
    }

    fn names(&self) -> Vec<String> {
        self.0.iter().map(|output| output.path.clone()).collect()
    }
}
