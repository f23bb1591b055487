//! Data directories that lost something: the real binary says what is lost, by name, and goes on without it when told to.
//!
//! Set `LONGSHORE_DAMAGES` for more damage of any kind at any place, `LONGSHORE_DAMAGE_SEED` for the same again.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    fs,
    os::unix::fs::{FileExt, PermissionsExt},
    path::{Path, PathBuf},
    process::Command,
};

use integration_tests::{
    on_processes,
    real::{Ran, Server, TestEnv, until},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

/// A file of this size is no small blob.
const LARGE: usize = 200_000;

const PACK: &str = "blobs/packs/0000000001.pack";

on_processes! {
    every_loss_is_named_and_can_be_accepted
    what_was_not_acknowledged_is_cut_without_a_word
    a_job_whose_inputs_are_lost_ends_with_that_reason
    a_job_whose_specification_is_lost_ends
    doctor_finds_nothing_in_a_sound_directory_and_changes_nothing
    doctor_says_that_a_coordinator_runs
    doctor_names_what_a_loss_means
    what_the_doctor_finds_nothing_wrong_with_gives_every_output
}

/// Inputs that are small, and one that is not.
fn inputs(env: &TestEnv) {
    for number in 0..5 {
        env.write(&format!("in/{number}"), format!("this is input {number}\n"));
    }
    env.write("in/large", vec![b'x'; LARGE]);
}

/// In `data`: a job that has ended, and one that waits for the gate.
fn filled(env: &TestEnv) -> String {
    inputs(env);
    let up = env.up();
    up.cli(&["run", "any", "in", "-o", "out", "--", "cat"]).exits(0);
    let script = format!("until test -e {}; do sleep 0.02; done; cat \"{{in}}\"", env.shell_path("gate"));
    let id = up.submit(&["any", "in", "--", "sh", "-c", &script]);
    until("items at the gate", || (up.job(&id)["stages"][0]["running"].as_u64().unwrap() > 0).then_some(()));
    up.kill();
    env.write("gate", "");
    id
}

fn copy(env: &TestEnv, name: &str) -> PathBuf {
    let copied = Command::new("cp").arg("-a").args([env.path("data"), env.path(name)]).status().unwrap();
    assert!(copied.success());
    env.path(name).join("coordinator")
}

fn coordinator(env: &TestEnv, data: &str) -> Ran {
    Server::refused(env, &["coordinator", "--data", data, "--listen", "127.0.0.1:0"])
}

fn large(dir: &Path) -> PathBuf {
    let dirs = fs::read_dir(dir.join("blobs/files")).unwrap().map(|entry| entry.unwrap().path());
    let mut files = dirs.flat_map(|dir| fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path()));
    files.next().unwrap()
}

fn cut(path: &Path, bytes: u64) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    fs::File::options().write(true).open(path).unwrap().set_len(bytes).unwrap();
}

/// Overwrites the first place in a pack where these bytes are.
fn overwrite(pack: &Path, content: &[u8]) {
    let bytes = fs::read(pack).unwrap();
    let at = bytes.windows(content.len()).position(|window| window == content).unwrap();
    fs::File::options().write(true).open(pack).unwrap().write_all_at(b"#", at as u64).unwrap();
}

type Harm = (&'static str, fn(&Path) -> PathBuf);

/// What is done to a directory; each answers the path that has to be named.
const HARMS: [Harm; 10] = [
    ("an emptied pack", |dir| {
        cut(&dir.join(PACK), 0);
        dir.join(PACK)
    }),
    ("a cut pack", |dir| {
        cut(&dir.join(PACK), 100);
        dir.join(PACK)
    }),
    ("a removed pack", |dir| {
        fs::remove_file(dir.join(PACK)).unwrap();
        dir.join(PACK)
    }),
    ("an overwritten pack", |dir| {
        overwrite(&dir.join(PACK), b"this is input 3");
        dir.join(PACK)
    }),
    ("a removed file of a large blob", |dir| {
        let file = large(dir);
        fs::remove_file(&file).unwrap();
        file
    }),
    ("a cut file of a large blob", |dir| {
        let file = large(dir);
        cut(&file, 1000);
        file
    }),
    ("no blobs", |dir| {
        fs::remove_dir_all(dir.join("blobs")).unwrap();
        dir.join(PACK)
    }),
    ("no store", |dir| {
        fs::remove_dir_all(dir.join("store")).unwrap();
        dir.join("store")
    }),
    ("an empty store", |dir| {
        fs::remove_dir_all(dir.join("store/db")).unwrap();
        dir.join("store")
    }),
    ("no high-water mark", |dir| {
        fs::remove_file(dir.join("store/high-water")).unwrap();
        dir.join("store/high-water")
    }),
];

fn every_loss_is_named_and_can_be_accepted(env: &TestEnv) {
    filled(env);
    for (number, (what, harm)) in HARMS.iter().enumerate() {
        eprintln!("{what}");
        let name = format!("hurt-{number}");
        let path = harm(&copy(env, &name));
        let named = path.to_str().unwrap();
        let before = env.tree(&name);
        let data = env.text_path(&name);
        let found = env.cli(&["doctor", "--data", &data, "--format", "json"]).exits(1);
        let findings = found.json();
        let bad = findings.as_array().unwrap().iter().filter(|check| check["verdict"] == "FAILED");
        let texts: Vec<_> = bad.map(|check| check["found"].as_str().unwrap()).collect();
        assert!(texts.iter().any(|text| text.contains(named)), "{texts:#?}");
        assert!(env.tree(&name) == before, "the doctor has changed something");
        coordinator(env, &data).exits(1).says(named).says("--accept-data-loss");
        let accepting = env.coordinator_on(&data, &["--accept-data-loss"]);
        accepting.cli(&["ps"]).exits(0);
        assert_eq!(accepting.stop(), 0);
        // Once accepted, it is as if it had never been.
        assert_eq!(env.coordinator_on(&data, &[]).stop(), 0);
    }
}

fn what_was_not_acknowledged_is_cut_without_a_word(env: &TestEnv) {
    let id = filled(env);
    let pack = env.path("data/coordinator").join(PACK);
    let whole = fs::metadata(&pack).unwrap().len();
    // As after a crash that had begun to write.
    fs::File::options().write(true).open(&pack).unwrap().write_all_at(b"LSB1\x05\0\0\0 half a record", whole).unwrap();
    env.cli(&["doctor", "--data", "data"]).exits(0);
    let up = env.up();
    assert!(!up.log().contains("ERROR") && !up.log().contains("lost"), "{}", up.log());
    up.cli(&["wait", &id]).exits(0);
    assert_eq!(up.stop(), 0);
}

fn a_job_whose_inputs_are_lost_ends_with_that_reason(env: &TestEnv) {
    let id = filled(env);
    let dir = env.path("data/coordinator");
    overwrite(&dir.join(PACK), b"this is input 3");
    let large = large(&dir);
    fs::remove_file(&large).unwrap();
    let up = env.up_with(&["--accept-data-loss"]);
    up.cli(&["wait", &id]).exits(3);
    let job = up.job(&id);
    assert_eq!((&job["state"], &job["stages"][0]["succeeded"]), (&"failed".into(), &4.into()), "{job}");
    let logs = up.cli(&["job", "logs", &id, "--failed"]).exits(0);
    let said = format!("{}{}", logs.stdout, logs.stderr);
    assert_eq!(said.matches("its input is lost").count(), 2, "{said}");
    let digest = large.file_name().unwrap().to_str().unwrap();
    assert!(said.contains(&format!("blob {digest} is not held")) && said.contains("is damaged"), "{said}");
    assert_eq!(up.stop(), 0);
}

fn a_job_whose_specification_is_lost_ends(env: &TestEnv) {
    let id = filled(env);
    cut(&env.path("data/coordinator").join(PACK), 0);
    let up = env.up_with(&["--accept-data-loss"]);
    until("the job's end", || (up.job(&id)["state"] == "failed").then_some(()));
    // New work is taken as ever.
    up.cli(&["run", "any", "in", "-o", "again", "--", "cat"]).exits(0);
    assert_eq!(env.tree("again"), env.tree("in"));
    assert_eq!(up.stop(), 0);
}

fn doctor_finds_nothing_in_a_sound_directory_and_changes_nothing(env: &TestEnv) {
    filled(env);
    let before = env.tree("data/coordinator");
    let found = env.cli(&["doctor", "--data", "data", "--format", "json"]).exits(0).json();
    let parts: Vec<_> = found.as_array().unwrap().iter().map(|check| check["name"].as_str().unwrap()).collect();
    assert_eq!(parts, ["coordinator", "format", "store", "records", "blobs", "references"]);
    assert!(env.tree("data/coordinator") == before, "something was changed");
    env.cli(&["doctor", "--data", "in"]).exits(1);
}

fn doctor_says_that_a_coordinator_runs(env: &TestEnv) {
    let coordinator = env.coordinator_on("data", &[]);
    let ran = env.cli(&["doctor", "--data", "data"]).exits(1);
    assert!(ran.stdout.contains("in use by process"), "{ran}");
    assert_eq!(coordinator.stop(), 0);
}

fn doctor_names_what_a_loss_means(env: &TestEnv) {
    let id = filled(env);
    let dir = env.path("data/coordinator");
    overwrite(&dir.join(PACK), b"this is input 3");
    fs::remove_file(large(&dir)).unwrap();
    let found = env.cli(&["doctor", "--data", "data", "--format", "jsonl"]).exits(1);
    let named = |what: &str| {
        let lines = found.stdout.lines().filter(|line| line.contains(&id));
        lines.filter(|line| line.contains(what) && line.contains("is lost: blob")).count()
    };
    assert_eq!((named("\\\"3\\\" of inputs"), named("\\\"large\\\" of inputs")), (1, 1), "{found}");
}

/// One damage of any kind at any place of any file that counts; answers what it was.
fn damage(dir: &Path, random: &mut StdRng) -> String {
    let entries = walkdir::WalkDir::new(dir).into_iter().map(Result::unwrap);
    let counts = |path: &PathBuf| {
        let name = path.file_name().unwrap();
        path.is_file() && name != "lock" && name != "ballast" && path.metadata().unwrap().len() > 0
    };
    let mut files: Vec<PathBuf> = entries.map(walkdir::DirEntry::into_path).filter(counts).collect();
    files.sort();
    let path = files[random.random_range(0..files.len())].clone();
    let bytes = fs::metadata(&path).unwrap().len();
    let at = random.random_range(0..bytes);
    fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).unwrap();
    let file = fs::File::options().read(true).write(true).open(&path).unwrap();
    let what = match random.random_range(0..4) {
        0 => {
            let mut byte = [0];
            file.read_exact_at(&mut byte, at).unwrap();
            file.write_all_at(&[byte[0] ^ (1 << random.random_range(0..8))], at).unwrap();
            "a bit flipped"
        }
        1 => {
            let from = at & !4095;
            file.write_all_at(&vec![0; (bytes - from).min(4096) as usize], from).unwrap();
            "a block of zeros"
        }
        2 => {
            file.set_len(at).unwrap();
            "cut"
        }
        _ => {
            fs::remove_file(&path).unwrap();
            "removed"
        }
    };
    format!("{} {what} at {at} of {bytes}", path.strip_prefix(dir).unwrap().display())
}

fn what_the_doctor_finds_nothing_wrong_with_gives_every_output(env: &TestEnv) {
    inputs(env);
    let up = env.up();
    let id = up.submit(&["any", "in", "--", "sh", "-c", "cat \"{in}\""]);
    up.cli(&["wait", &id]).exits(0);
    assert_eq!(up.stop(), 0);
    let number = |name: &str| std::env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let seed = number("LONGSHORE_DAMAGE_SEED").unwrap_or_else(rand::random);
    let mut random = StdRng::seed_from_u64(seed);
    let (mut found, mut harmless) = (0, 0);
    for case in 0..number("LONGSHORE_DAMAGES").unwrap_or(8) {
        let hurt = copy(env, "hurt");
        let what = damage(&hurt, &mut random);
        let ran = env.cli(&["doctor", "--data", "hurt"]);
        eprintln!("seed {seed}, case {case}: {what}: the doctor's exit code is {}", ran.code);
        if ran.code == 1 {
            assert!(ran.stdout.contains("FAILED"), "{ran}");
            found += 1;
        } else {
            ran.exits(0);
            let coordinator = env.coordinator_on("hurt", &[]);
            coordinator.cli(&["job", "outputs", &id, "-o", "fetched"]).exits(0);
            assert!(env.tree("fetched") == env.tree("in"), "outputs have changed");
            assert_eq!(coordinator.stop(), 0);
            fs::remove_dir_all(env.path("fetched")).unwrap();
            harmless += 1;
        }
        fs::remove_dir_all(env.path("hurt")).unwrap();
    }
    eprintln!("{found} found, {harmless} harmless");
}
