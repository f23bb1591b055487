//! The whole table, against all kinds of callers.

use prost::Message as _;
use prost_types::FileDescriptorSet;

use super::*;

/// Nobody, and everybody whom a coordinator may know.
const CALLERS: [Option<Role>; 6] = [None, Some(Admin), Some(Submit), Some(Read), Some(Query), Some(Worker)];

/// What each of [`CALLERS`] is told, as a letter: `a`llowed, `u`nauthenticated, `d`enied.
const SHOULD: [(&str, &str); 44] = [
    ("/longshore.v1.Jobs/Submit", "uaaddd"),
    ("/longshore.v1.Jobs/Cancel", "uaaddd"),
    ("/longshore.v1.Jobs/Retry", "uaaddd"),
    ("/longshore.v1.Jobs/Pause", "uaaddd"),
    ("/longshore.v1.Jobs/Resume", "uaaddd"),
    ("/longshore.v1.Jobs/Change", "uaaddd"),
    ("/longshore.v1.Jobs/Remove", "uaaddd"),
    ("/longshore.v1.Jobs/List", "uaaadd"),
    ("/longshore.v1.Jobs/Get", "uaaadd"),
    ("/longshore.v1.Jobs/Watch", "uaaadd"),
    ("/longshore.v1.Jobs/Items", "uaaadd"),
    ("/longshore.v1.Jobs/Explain", "uaaadd"),
    ("/longshore.v1.Jobs/Events", "uaaadd"),
    ("/longshore.v1.Jobs/Recipe", "uaaadd"),
    ("/longshore.v1.Jobs/FollowLogs", "uaaadd"),
    ("/longshore.v1.Blobs/Missing", "uaadda"),
    ("/longshore.v1.Blobs/Put", "uaadda"),
    ("/longshore.v1.Blobs/Get", "uaaada"),
    ("/longshore.v1.Blobs/Door", "uaaada"),
    ("/longshore.v1.Services/Deploy", "uaaddd"),
    ("/longshore.v1.Services/Remove", "uaaddd"),
    ("/longshore.v1.Services/List", "uaaadd"),
    ("/longshore.v1.Services/Get", "uaaadd"),
    ("/longshore.v1.Services/Query", "uaadad"),
    ("/longshore.v1.Services/Ask", "uaadad"),
    ("/longshore.v1.Secrets/Put", "uaaddd"),
    ("/longshore.v1.Secrets/List", "uaaddd"),
    ("/longshore.v1.Secrets/Remove", "uaaddd"),
    ("/longshore.v1.Agent/Link", "uaddda"),
    ("/longshore.v1.Agent/Leaves", "uaddda"),
    ("/longshore.v1.Agent/Workers", "uaaadd"),
    ("/longshore.v1.Members/Join", "aaaaaa"),
    ("/longshore.v1.Members/Renew", "uaddda"),
    ("/longshore.v1.Members/CreateToken", "uadddd"),
    ("/longshore.v1.Members/ListTokens", "uadddd"),
    ("/longshore.v1.Members/RemoveTokens", "uadddd"),
    ("/longshore.v1.Members/RotateToken", "uadddd"),
    ("/longshore.v1.Members/RemoveWorker", "uadddd"),
    ("/longshore.v1.Members/DrainWorker", "uadddd"),
    ("/grpc.health.v1.Health/Check", "uaaaaa"),
    ("/grpc.health.v1.Health/Watch", "uaaaaa"),
    ("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo", "uaaaaa"),
    ("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo", "uaaaaa"),
    ("/v1/services/find/query", "uaadad"),
];

fn told(method: &str, path: &str) -> String {
    let letter = |role| match decide(role, method, path) {
        Verdict::Allowed => 'a',
        Verdict::Unauthenticated => 'u',
        Verdict::Denied => 'd',
        Verdict::Unknown => '?',
    };
    CALLERS.into_iter().map(letter).collect()
}

/// Every method that this coordinator's descriptors name, and those of health and reflection.
fn methods() -> Vec<String> {
    let sets = [
        longshore_proto::DESCRIPTORS,
        tonic_health::pb::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1::FILE_DESCRIPTOR_SET,
        tonic_reflection::pb::v1alpha::FILE_DESCRIPTOR_SET,
    ];
    let files = sets.into_iter().flat_map(|set| FileDescriptorSet::decode(set).unwrap().file);
    let mut methods = Vec::new();
    for file in files {
        for service in &file.service {
            let name = |method: &str| format!("/{}.{}/{method}", file.package(), service.name());
            methods.extend(service.method.iter().map(|method| name(method.name())));
        }
    }
    methods
}

#[test]
fn every_method_of_the_descriptors_has_a_row_and_every_caller_is_told_what_it_should_be() {
    for method in methods() {
        let should = SHOULD.iter().find(|(name, _)| *name == method);
        let (_, should) = should.unwrap_or_else(|| panic!("{method} has no row here: who may call it?"));
        assert_eq!(told("POST", &method), *should, "{method}");
    }
}

#[test]
fn no_row_is_of_something_that_is_not_there() {
    let there = methods();
    let http = |row: &str| row.contains(' ');
    for (row, _) in TABLE {
        assert!(http(row) || there.iter().any(|method| method == row), "{row}");
    }
}

#[test]
fn a_query_by_http_has_the_rights_of_one_by_grpc() {
    for method in ["POST", "PUT", "OPTIONS"] {
        assert_eq!(told(method, "/v1/services/find/query"), told("POST", "/longshore.v1.Services/Query"));
    }
}

#[test]
fn health_and_joining_alone_answer_strangers() {
    for (row, _) in TABLE {
        let (method, path) = row.split_once(' ').unwrap_or(("POST", row));
        let answers = decide(None, method, path) == Verdict::Allowed;
        assert_eq!(answers, path == "/healthz" || path == "/longshore.v1.Members/Join", "{row}");
    }
}

#[test]
fn what_is_not_in_the_table_is_there_for_nobody() {
    for (method, path) in [
        ("POST", "/longshore.v1.Jobs/Steal"),
        ("GET", "/longshore.v1.Jobs/List"),
        ("POST", "/longshore.v1.Jobs/List/"),
        ("POST", "//longshore.v1.Jobs/List"),
        ("POST", "/LONGSHORE.v1.Jobs/List"),
        ("POST", "/healthz"),
        ("GET", "/healthz/"),
        ("GET", "/"),
        ("GET", ""),
        ("POST", "/v1/services//query"),
        ("POST", "/v1/services/a/b/query"),
    ] {
        assert_eq!(told(method, path), "u?????", "{method} {path}");
    }
}
