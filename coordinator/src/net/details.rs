//! Errors as other languages read them: a `google.rpc.Status` in the details, which says as data what the message says in words.
//!
//! An `ErrorInfo` has the reason, a `ResourceInfo` what it is about, a `Help` the next command to type. They travel in a header, of
//! which some clients take 8 KiB in all.

use std::time::Duration;

use longshore_proto::v1;
use prost::Message;
use tonic::{Code, Status};
use tonic_types::pb;

/// Whose reasons these are.
const DOMAIN: &str = "longshore";

/// The type of what became of the shards of a query.
const COVERAGE: &str = "longshore.v1.Coverage";

/// What names of types begin with.
const TYPES: &str = "type.googleapis.com";

/// What is said of a want of memory, which is nobody's disk.
const MEMORY: &str = "memory for queries";

/// After which it is worth asking again where there is no memory.
pub const MEMORY_RETRY: Duration = Duration::from_secs(2);

/// Most bytes of a message as it travels, where all but letters and digits may take three.
const MESSAGE_BYTES: usize = 3 * 1024;

/// Most bytes of the details before they are written in base64.
const DETAILS_BYTES: usize = 3_600;

/// A status with details. `coverage` is left out where it would be too long.
pub fn status(code: Code, message: &str, coverage: Option<&v1::Coverage>) -> Status {
    let message = cut(message);
    let about = about(&message);
    let metadata = about.map(|(kind, name)| (kind.to_owned(), name.to_owned())).into_iter().collect();
    let info = pb::ErrorInfo { reason: reason(code, about, &message), domain: DOMAIN.to_owned(), metadata };
    let mut details = vec![any("google.rpc.ErrorInfo", &info)];
    if let Some((kind, name)) = about {
        let (resource_type, resource_name) = (kind.to_owned(), name.to_owned());
        let resource = pb::ResourceInfo { resource_type, resource_name, ..pb::ResourceInfo::default() };
        details.push(any("google.rpc.ResourceInfo", &resource));
    }
    if info.reason == "MEMORY_FULL" {
        let retry_delay = Some(prost_types::Duration { seconds: MEMORY_RETRY.as_secs().cast_signed(), nanos: 0 });
        details.push(any("google.rpc.RetryInfo", &pb::RetryInfo { retry_delay }));
    }
    if let Some(next) = next(code, about, &message) {
        let links = vec![pb::help::Link { description: next, url: String::new() }];
        details.push(any("google.rpc.Help", &pb::Help { links }));
    }
    let mut rich = pb::Status { code: code as i32, message: message.clone(), details };
    if let Some(coverage) = coverage {
        let all = any(COVERAGE, coverage);
        let missing = coverage.parts.iter().filter(|part| !part.ok).cloned().collect();
        let missing = any(COVERAGE, &v1::Coverage { parts: missing, ..coverage.clone() });
        let fitting = [all, missing].into_iter().find(|any| rich.encoded_len() + any.encoded_len() <= DETAILS_BYTES);
        rich.details.extend(fitting);
    }
    Status::with_details(code, message, rich.encode_to_vec().into())
}

/// What of a message can travel.
fn cut(message: &str) -> String {
    let mut bytes = 0;
    let travels = |c: &char| {
        bytes += if c.is_ascii_alphanumeric() { 1 } else { 3 * c.len_utf8() };
        bytes <= MESSAGE_BYTES
    };
    let short: String = message.chars().take_while(travels).collect();
    if short.len() < message.len() { short + "…" } else { short }
}

/// What a message is about: the coordinator's begin with it, as in "no job X" and "job X has ended already".
fn about(message: &str) -> Option<(&'static str, &str)> {
    let rest = message.strip_prefix("no ").unwrap_or(message);
    ["job", "service", "worker", "token", "secret"].into_iter().find_map(|kind| {
        let name = rest.strip_prefix(kind)?.strip_prefix(' ')?.split(' ').next()?;
        let name = name.trim_matches(|c| matches!(c, '`' | ':' | ',' | ';' | '"'));
        // "job has …" would name nothing.
        let is_name =
            !name.is_empty() && !["has", "is", "may", "was", "in", "of", "for", "that", "with"].contains(&name);
        is_name.then_some((kind, name))
    })
}

/// A word for programs, which does not change when the message does.
fn reason(code: Code, about: Option<(&str, &str)>, message: &str) -> String {
    let what = about.map(|(kind, _)| kind.to_uppercase());
    match (code, what) {
        (Code::NotFound, Some(what)) => format!("{what}_NOT_FOUND"),
        (Code::AlreadyExists, Some(what)) => format!("{what}_EXISTS"),
        (Code::FailedPrecondition, Some(what)) if message.contains("has ended") => format!("{what}_HAS_ENDED"),
        (Code::FailedPrecondition, Some(what)) if message.contains("has not ended") => format!("{what}_HAS_NOT_ENDED"),
        (Code::ResourceExhausted, _) if message.contains(MEMORY) => "MEMORY_FULL".to_owned(),
        (Code::NotFound, None) => "NOT_FOUND".to_owned(),
        (code, _) => of_code(code).to_owned(),
    }
}

fn of_code(code: Code) -> &'static str {
    match code {
        Code::Ok => "OK",
        Code::Cancelled => "CANCELLED",
        Code::Unknown => "UNKNOWN",
        Code::InvalidArgument => "INVALID_ARGUMENT",
        Code::DeadlineExceeded => "DEADLINE_EXCEEDED",
        Code::NotFound => "NOT_FOUND",
        Code::AlreadyExists => "ALREADY_EXISTS",
        Code::PermissionDenied => "PERMISSION_DENIED",
        Code::ResourceExhausted => "RESOURCE_EXHAUSTED",
        Code::FailedPrecondition => "FAILED_PRECONDITION",
        Code::Aborted => "ABORTED",
        Code::OutOfRange => "USED_UP",
        Code::Unimplemented => "UNIMPLEMENTED",
        Code::Internal => "INTERNAL",
        Code::Unavailable => "UNAVAILABLE",
        Code::DataLoss => "DATA_LOSS",
        Code::Unauthenticated => "UNAUTHENTICATED",
    }
}

/// The next thing to type.
fn next(code: Code, about: Option<(&str, &str)>, message: &str) -> Option<String> {
    Some(match (code, about) {
        (Code::NotFound, Some((kind, _))) => format!("longshore {kind} ls"),
        (Code::FailedPrecondition | Code::AlreadyExists, Some((kind @ ("job" | "service"), name))) => {
            format!("longshore {kind} show {name}")
        }
        (Code::Unauthenticated, _) => "longshore login HOST:PORT".to_owned(),
        (Code::PermissionDenied, _) => "longshore token create --role ROLE".to_owned(),
        (Code::DataLoss, _) => "longshore doctor --data DIR".to_owned(),
        (Code::ResourceExhausted, _) if message.contains(MEMORY) => {
            "longshore coordinator --query-memory SIZE".to_owned()
        }
        (Code::Unavailable | Code::ResourceExhausted, _) => "longshore doctor".to_owned(),
        _ => return None,
    })
}

fn any(name: &str, message: &impl Message) -> prost_types::Any {
    prost_types::Any { type_url: format!("{TYPES}/{name}"), value: message.encode_to_vec() }
}

#[cfg(test)]
mod tests {
    use tonic_types::StatusExt as _;

    use super::*;

    #[test]
    fn a_refusal_says_its_reason_what_it_is_about_and_what_to_type() {
        let status = status(Code::NotFound, "no job 0198c2", None);
        let details = status.get_error_details();
        assert_eq!(details.error_info().unwrap().reason, "JOB_NOT_FOUND");
        assert_eq!(details.error_info().unwrap().domain, "longshore");
        assert_eq!(details.resource_info().unwrap().resource_type, "job");
        assert_eq!(details.resource_info().unwrap().resource_name, "0198c2");
        assert_eq!(details.help().unwrap().links[0].description, "longshore job ls");
        let rich = pb::Status::decode(status.details()).unwrap();
        assert_eq!((rich.code, rich.message.as_str()), (status.code() as i32, status.message()));
    }

    #[test]
    fn reasons_stay_when_words_change() {
        let reason =
            |code, message: &str| status(code, message, None).get_error_details().error_info().unwrap().reason.clone();
        assert_eq!(reason(Code::FailedPrecondition, "job 7 has ended already"), "JOB_HAS_ENDED");
        assert_eq!(reason(Code::AlreadyExists, "service `find` is there already"), "SERVICE_EXISTS");
        assert_eq!(reason(Code::InvalidArgument, "job has no stages"), "INVALID_ARGUMENT");
        assert_eq!(reason(Code::Unavailable, "2 of 4 parts came"), "UNAVAILABLE");
    }

    #[test]
    fn what_travels_fits_into_a_header_and_says_the_missing_shards_first() {
        let part = |shard, ok| v1::PartView { shard, ok, error: "x".repeat(40), ..v1::PartView::default() };
        let parts: Vec<_> = (0..200).map(|shard| part(shard, shard >= 3)).collect();
        let coverage = v1::Coverage { shards: 200, answered: 197, parts, ..v1::Coverage::default() };
        let status = status(Code::Unavailable, &"wo rt ".repeat(1_000), Some(&coverage));
        assert!(
            status.message().ends_with('…') && status.details().len() <= DETAILS_BYTES,
            "{}",
            status.details().len()
        );
        let wide = super::status(Code::Unavailable, "197 of 200", Some(&coverage));
        let rich = pb::Status::decode(wide.details()).unwrap();
        let told = rich.details.iter().find(|any| any.type_url.ends_with("longshore.v1.Coverage")).unwrap();
        assert_eq!(v1::Coverage::decode(&*told.value).unwrap().parts.len(), 3);
    }
}
