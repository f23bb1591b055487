//! One call of a replica.

use std::time::Duration;

use futures_util::future::BoxFuture;
use longshore_proto::v1::{Failure, FailureClass};
use longshore_root::{Account, Call, CallError, Part};

use crate::contract::failures;

/// Containers that are ready to answer. Dropping the future of a call abandons it.
pub(crate) trait Serving: Send + Sync {
    /// Answers one call, within the time given. What the answer takes of memory is the account's.
    fn call<'a>(&'a self, call: Call, within: Duration, account: &'a Account)
    -> BoxFuture<'a, Result<Part, CallError>>;
}

/// What the failure of a run or request is to the caller.
pub(super) fn call_error(failure: &Failure) -> CallError {
    match failure.class() {
        FailureClass::Refused => CallError::Refused(failures::in_a_line(failure)),
        // Whoever called knows how long that was.
        FailureClass::Timeout if failure.code == 0 => CallError::Late("no answer in time".to_owned()),
        FailureClass::Timeout => CallError::Late(failures::in_a_line(failure)),
        _ => CallError::Failed(failures::in_a_line(failure)),
    }
}

/// The name of a shard's part, for files and headers.
pub(super) fn part_name(shard: u32) -> String {
    format!("shard-{shard:04}")
}
