//! Specs as people write them, and as they get them wrong.

use longshore_client::v1::{Links, StageKind, require::Rule};

use super::*;

fn text(text: &str) -> SpecText {
    SpecText { file: "job.yaml".to_owned(), text: text.to_owned(), base: "".into() }
}

fn job_refusal(spec: &str) -> String {
    job::parse(&text(spec)).expect_err(spec).to_string()
}

fn service_refusal(spec: &str) -> String {
    service::parse(&text(spec)).expect_err(spec).to_string()
}

const JOB: &str = r#"
name: wordcount
priority: -1
stages:
  - name: count
    image: busybox
    command: [sh, -c, 'tr -cs A-Za-z "\n" < {in} | sort | uniq -c > {out}', 1]
    retry: { attempts: 3, backoff: 100ms }
    timeout: 1m 30s
    memory: 512MiB
    cpus: 1.5
    env: { LANG: C, LEVEL: 3 }
    max_parallel: 8
    max_output: 1g
    links: skip
    isolation: container
  - name: total
    gather: all
    image: busybox
    interface: http
    port: 9000
"#;

#[test]
fn a_job_is_read_whole() {
    let spec = job::parse(&text(JOB)).unwrap();
    assert_eq!((spec.name.as_str(), spec.priority, spec.stages.len()), ("wordcount", -1, 2));
    let (count, total) = (&spec.stages[0], &spec.stages[1]);
    let container = count.container.as_ref().unwrap();
    assert_eq!(container.command[3], "1");
    assert_eq!((container.memory_bytes, container.cpu_milli), (512 << 20, 1_500));
    assert_eq!(container.env[1].value, "3");
    assert_eq!((count.timeout_ms, count.max_parallel, count.max_output_bytes), (90_000, 8, 1 << 30));
    assert_eq!((count.links(), total.links()), (Links::Skip, Links::Unspecified));
    assert_eq!(count.retry.as_ref().unwrap().attempts, 3);
    assert_eq!((count.kind(), total.kind()), (StageKind::Map, StageKind::Gather));
    assert_eq!(total.container.as_ref().unwrap().port, 9_000);
}

#[test]
fn a_refusal_says_where_and_shows_the_line() {
    let error = job_refusal("stages:\n  - name: a\n    imge: x\n");
    assert!(error.starts_with("job.yaml:3:5: unknown field `imge`"), "{error}");
    assert!(error.ends_with("    3 |     imge: x\n      |     ^"), "{error}");
}

#[test]
fn wrong_values_are_named_at_their_place() {
    let stage = |field: &str| job_refusal(&format!("stages:\n  - name: a\n    image: x\n    {field}\n"));
    for (field, at, what) in [
        ("timeout: 30", "4:14", "`30` is not a duration"),
        ("timeout: -1s", "4:14", "`-1s` is not a duration"),
        ("memory: -1", "4:13", "`-1` is not a size"),
        ("memory: lots", "4:13", "`lots` is not a size"),
        ("cpus: 0", "4:11", "`0` is not a number of CPUs"),
        ("max_parallel: -1", "4:19", "`-1` is not a whole number of at least 1"),
        ("max_parallel: 1.5", "4:19", "`1.5` is not"),
        ("retry: { attempts: 0 }", "4:24", "`0` is not"),
        ("retry: { atempts: 2 }", "4:14", "unknown field `atempts`"),
        ("command: sh -c x", "4:14", "a list is expected here"),
        ("env: [A=1]", "4:10", "fields are expected here"),
        ("env: { A=B: 1 }", "4:12", "no name of an environment variable"),
        ("links: copy", "4:12", "unknown variant `copy`"),
        ("files: run.py", "4:5", "a list of files, as `[run.py]`"),
        ("files: [no/such/file]", "4:12", "cannot read no/such/file"),
        ("files: { ../x: job.rs }", "4:12", "cannot be"),
        ("isolation: vm", "4:16", "unknown variant `vm`"),
        ("gather: some", "4:5", "unknown variant `some`"),
        ("port: 70000", "4:11", "`70000` is not a whole number from 1 to 65535"),
        ("image: y", "4:5", "the same key twice"),
    ] {
        let error = stage(field);
        assert!(error.starts_with(&format!("job.yaml:{at}: ")) && error.contains(what), "{field}: {error}");
    }
}

#[test]
fn stages_are_there_and_have_names_of_their_own() {
    assert_eq!(job_refusal(" \n"), "job.yaml: the spec is empty");
    assert!(job_refusal("# nothing").contains("unexpected end of input"));
    assert!(job_refusal("stages: []").contains("at least one stage"));
    assert!(job_refusal("name: x").contains("missing field `stages`"));
    let twice = "stages:\n  - {name: a, image: x}\n  - {name: a, image: x}\n";
    assert!(job_refusal(twice).starts_with("job.yaml:3:12: two stages are named `a`"));
    assert!(job_refusal("stages: [{name: a b, image: x}]").contains("no name of a stage"));
    assert!(job_refusal("stages: [{name: a, image: ''}]").contains("no image reference"));
    assert!(job_refusal("stages: [{name: a, image: x, gather: all}]").contains("nothing to gather"));
    assert!(job_refusal("stages: [{name: a, image: x}]\n---\nname: b").contains("one document"));
}

#[test]
fn bytes_of_a_spec_are_escaped_in_its_refusal() {
    let error = job_refusal("stages: [{name: \"\u{202e}a\", image: x}]");
    assert!(!error.contains('\u{202e}') && error.contains("\\u{202e}"), "{error}");
}

const SERVICE: &str = r#"
name: find
leaf:
  image: busybox
  command: [sh, -c, 'grep -rhi -- "$(cat {in})" {data} || true']
  shards: 4
  data: ./texts
merge: { image: busybox, command: [sh, -c, 'sort {in}/* > {out}'] }
request: { deadline: 2s, require: all }
"#;

#[test]
fn a_service_is_read_whole() {
    let plan = service::parse(&text(SERVICE)).unwrap();
    let leaf = plan.spec.leaf.as_ref().unwrap();
    assert_eq!((leaf.shards, leaf.replicas), (4, 0));
    assert_eq!(plan.data.as_deref(), Some(Path::new("./texts")));
    assert_eq!(plan.spec.request.as_ref().unwrap().deadline_ms, 2_000);
    assert!(plan.spec.merge.is_some());
}

#[test]
fn every_way_to_say_how_complete_an_answer_has_to_be() {
    let rule = |require: &str| {
        let spec = format!("name: x\nleaf: {{image: x}}\nrequest: {{require: {require}}}\n");
        let plan = service::parse(&text(&spec)).unwrap();
        plan.spec.request.unwrap().require.unwrap().rule.unwrap()
    };
    assert_eq!(rule("all"), Rule::All(true));
    assert_eq!(rule("deadline"), Rule::Deadline(true));
    assert_eq!(rule("0.5"), Rule::Fraction(0.5));
    assert_eq!(rule("1.0"), Rule::Fraction(1.0));
    assert_eq!(rule("{count: 3}"), Rule::Count(3));
    assert_eq!(rule("{fraction: 0.25}"), Rule::Fraction(0.25));
}

#[test]
fn services_are_refused_at_the_place_that_is_wrong() {
    for (spec, at, what) in [
        ("name: Find\nleaf: {image: x}", "1:7", "no name of a service"),
        ("name: x", "1:1", "missing field `leaf`"),
        ("name: x\nleaf: {image: x, shards: 0}", "2:26", "from 1 to 1024"),
        ("name: x\nleaf: {image: x, shards: 1025}", "2:26", "from 1 to 1024"),
        ("name: x\nleaf: {image: x}\nrequest: {require: 2}", "3:20", "could be a count or a fraction"),
        ("name: x\nleaf: {image: x}\nrequest: {require: 1.5}", "3:20", "no fraction"),
        ("name: x\nleaf: {image: x}\nrequest: {require: most}", "3:20", "`most` is not"),
        ("name: x\nleaf: {image: x}\nrequest: {deadlin: 2s}", "3:11", "unknown field `deadlin`"),
        ("name: x\nleaf: {image: x, timeout: 2s}", "2:18", "unknown field `timeout`"),
        ("name: x\nleaf: {image: x, data: ''}", "2:24", "`data` names a directory"),
    ] {
        let error = service_refusal(spec);
        assert!(error.starts_with(&format!("job.yaml:{at}: ")) && error.contains(what), "{spec}: {error}");
    }
    let error = service_refusal("name: x\nleaf: {image: x}\nrequest: {require: {count: 0}}");
    assert!(error.contains("a count is at least 1"), "{error}");
}

/// The schemas that ship for editors, and the reference for people, are those of the types that read the specs.
/// After a change: `LONGSHORE_WRITE_SCHEMAS=1 cargo test -p longshore schemas`.
#[test]
fn shipped_schemas_are_true() {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let docs = Path::new(&package).join("../docs");
    let (job, service) = (job::schema().to_value(), service::schema().to_value());
    let (job_example, service_example) = ("`longshore run -f job.yaml`", "`longshore service deploy search.yaml`");
    let page = reference::page(&[("A job", job_example, job.clone()), ("A service", service_example, service.clone())]);
    let shipped = [
        ("job.schema.json", format!("{job:#}\n")),
        ("service.schema.json", format!("{service:#}\n")),
        ("spec.md", page),
    ];
    for (file, now) in shipped {
        let path = docs.join(file);
        if std::env::var_os("LONGSHORE_WRITE_SCHEMAS").is_some() {
            fs::write(&path, &now).unwrap();
        }
        assert_eq!(fs::read_to_string(&path).unwrap_or_default(), now, "{file} is out of date");
    }
}
