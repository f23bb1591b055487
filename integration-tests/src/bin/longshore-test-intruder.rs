//! A run that tries to reach other runs. It does no harm: it leaves marks, looks for those of others, and says in a line each
//! what it found or brought about that it should not have.
//!
//! `longshore-test-intruder [DIRECTORY...]`: the directories are those of other runs, known by name.

#![allow(unsafe_code, reason = "what it tries has no other way in")]

use std::{
    env,
    ffi::CString,
    fs,
    io::Error,
    path::{Path, PathBuf},
};

use libc::{c_int, c_long, c_void, key_t};

/// What marks are found by.
const KEY: key_t = 0x4c53;

const MARK: &str = "left by a run";

/// Names of marks below directories that can be written.
const FILE: &str = "mark-of-another-run";

fn main() {
    let others: Vec<PathBuf> = env::args_os().skip(1).map(PathBuf::from).collect();
    let own: Vec<PathBuf> =
        [variable("LONGSHORE_OUTDIR"), variable("LONGSHORE_INPUT").parent().unwrap_or(Path::new("/")).to_owned()]
            .into();
    let mut seen = Vec::new();
    seen.extend(look_for_marks(&own[0]));
    seen.extend(look_at_process());
    seen.extend(reach_the_shim());
    seen.extend(own.iter().filter_map(|dir| list(dir)));
    seen.extend(others.iter().filter(|dir| !own.contains(dir)).flat_map(|dir| enter(dir)));
    seen.extend(doors());
    leave_marks(&own[0]);
    println!("own {} {}", own[0].display(), own[1].display());
    for line in seen {
        println!("broke {line}");
    }
}

fn variable(name: &str) -> PathBuf {
    env::var_os(name).map(PathBuf::from).unwrap_or_default()
}

/// What an earlier run has left where it could.
fn look_for_marks(outdir: &Path) -> Vec<String> {
    let mut seen = Vec::new();
    // SAFETY: plain look-ups of objects by key.
    let objects = unsafe {
        [("segment", libc::shmget(KEY, 0, 0)), ("semaphores", libc::semget(KEY, 0, 0)), ("queue", libc::msgget(KEY, 0))]
    };
    seen.extend(objects.iter().filter(|(_, id)| *id >= 0).map(|(kind, _)| format!("found a System V {kind}")));
    if attribute(outdir) {
        seen.push("found an attribute on its output directory".to_owned());
    }
    if let Ok(target) = fs::metadata(outdir)
        && std::os::unix::fs::MetadataExt::mtime(&target) == 86_400
    {
        seen.push("found a time on its output directory".to_owned());
    }
    for dir in ["/tmp", "/dev/shm", "/dev/mqueue", "/longshore/scratch"] {
        if fs::read_dir(dir).is_ok_and(|entries| entries.count() > 0) {
            seen.push(format!("found something in {dir}"));
        }
    }
    match listen() {
        Some(listener) => close_first(listener),
        None => seen.push("found a port that another run has closed".to_owned()),
    }
    seen
}

/// Listens as a program does that asks for nothing special.
fn listen() -> Option<c_int> {
    let address = address();
    // SAFETY: the address is as long as said.
    unsafe {
        let socket = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        let bound = libc::bind(socket, (&raw const address).cast(), size_of_val(&address) as libc::socklen_t);
        (bound == 0 && libc::listen(socket, 1) == 0).then_some(socket)
    }
}

/// A connection whose serving end closes first: the kernel keeps its port for a minute.
fn close_first(listener: c_int) {
    let address = address();
    // SAFETY: as above; the buffer is as long as said.
    unsafe {
        let client = libc::socket(libc::AF_INET, libc::SOCK_STREAM, 0);
        libc::connect(client, (&raw const address).cast(), size_of_val(&address) as libc::socklen_t);
        let server = libc::accept(listener, std::ptr::null_mut(), std::ptr::null_mut());
        libc::close(server);
        let mut byte = [0u8; 1];
        libc::read(client, byte.as_mut_ptr().cast(), byte.len());
        libc::close(client);
        libc::close(listener);
    }
}

fn address() -> libc::sockaddr_in {
    // SAFETY: plain numbers, for which all zeroes is a value.
    let mut address: libc::sockaddr_in = unsafe { std::mem::zeroed() };
    address.sin_family = libc::AF_INET as libc::sa_family_t;
    address.sin_port = 5432u16.to_be();
    address.sin_addr.s_addr = u32::from_ne_bytes([127, 0, 0, 1]);
    address
}

fn attribute(path: &Path) -> bool {
    let path = c_string(path);
    let mut value = [0u8; 64];
    // SAFETY: the buffer is as long as said.
    let read = unsafe { libc::getxattr(path.as_ptr(), c"user.mark".as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    // SAFETY: as above; descriptor 1 is standard output.
    let of_stdout = unsafe { libc::fgetxattr(1, c"user.mark".as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    read > 0 || of_stdout > 0
}

/// What an earlier run has changed of the shim is inherited.
fn look_at_process() -> Vec<String> {
    let mut seen = Vec::new();
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: plain questions about this process, with a place for the answer.
    unsafe {
        libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit);
        if limit.rlim_cur == 1 << 20 {
            seen.push("has the stack that another run has set".to_owned());
        }
        if libc::getpriority(libc::PRIO_PROCESS, 0) != 0 {
            seen.push("has the priority that another run has set".to_owned());
        }
        if libc::getuid() == 0 {
            seen.push("is user 0".to_owned());
        }
    }
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    if effective.is_none_or(|set| set.trim().chars().any(|digit| digit != '0')) {
        seen.push(format!("has capabilities {effective:?}"));
    }
    seen
}

/// Process 1 is the shim: whatever can be changed of it is there for later runs.
fn reach_the_shim() -> Vec<String> {
    let mut did = Vec::new();
    let mut note = |what: &str, result: c_long| {
        if result == 0 {
            did.push(format!("could {what} the shim"));
        }
    };
    let limit = libc::rlimit { rlim_cur: 1 << 20, rlim_max: libc::RLIM_INFINITY };
    // SAFETY: plain requests about another process.
    unsafe {
        note("limit", libc::prlimit(1, libc::RLIMIT_STACK, &raw const limit, std::ptr::null_mut()).into());
        note("slow down", libc::setpriority(libc::PRIO_PROCESS, 1, 5).into());
        note("signal", libc::kill(1, libc::SIGTERM).into());
        note("trace", libc::ptrace(libc::PTRACE_SEIZE, 1, 0, 0));
        let mut set: libc::cpu_set_t = std::mem::zeroed();
        libc::CPU_SET(0, &mut set);
        note("bind", libc::sched_setaffinity(1, size_of_val(&set), &raw const set).into());
    }
    for file in ["/proc/1/environ", "/proc/1/mem", "/proc/1/fd", "/proc/1/oom_score_adj"] {
        if file != "/proc/1/oom_score_adj" && (fs::read(file).is_ok() || fs::read_dir(file).is_ok()) {
            did.push(format!("could read {file}"));
        }
        if file == "/proc/1/oom_score_adj" && fs::write(file, "1000").is_ok() {
            did.push(format!("could write {file}"));
        }
    }
    did
}

/// The directory of all runs' directories tells nobody their names; or, where all runs are the same user, there are no others.
fn list(own: &Path) -> Option<String> {
    let parent = own.parent()?;
    if let Ok(entries) = fs::read_dir(parent) {
        let others = entries.flatten().filter(|entry| entry.path() != own).count();
        return (others > 0).then(|| format!("found {others} others in {}", parent.display()));
    }
    // SAFETY: plain calls with a path.
    let watched =
        unsafe { libc::inotify_add_watch(libc::inotify_init1(0), c_string(parent).as_ptr(), libc::IN_ALL_EVENTS) };
    (watched >= 0).then(|| format!("could watch {}", parent.display()))
}

/// A directory of another run, whose name is known.
fn enter(dir: &Path) -> Vec<String> {
    let mut did = Vec::new();
    if fs::read_dir(dir).is_ok() {
        did.push(format!("could list {} of another run", dir.display()));
    }
    if fs::write(dir.join(FILE), MARK).is_ok() {
        did.push(format!("could write into {} of another run", dir.display()));
    }
    if fs::read(dir.join("item")).is_ok() {
        did.push(format!("could read what is in {}", dir.display()));
    }
    did
}

/// Ways into the kernel that are filtered.
fn doors() -> Vec<String> {
    let mut params = [0u8; 256];
    // SAFETY: each is refused, or made and dropped with this process; the buffer outlives the calls.
    let opened: [(&str, c_long); 5] = unsafe {
        [
            ("io_uring", libc::syscall(libc::SYS_io_uring_setup, 1, params.as_mut_ptr())),
            ("userfaultfd", libc::syscall(libc::SYS_userfaultfd, 1)),
            ("bpf", libc::syscall(libc::SYS_bpf, 0, params.as_mut_ptr(), params.len())),
            ("keyctl", libc::syscall(libc::SYS_keyctl, 0, -4i32, 1)),
            ("vsock", libc::socket(libc::AF_VSOCK, libc::SOCK_STREAM, 0).into()),
        ]
    };
    let not_filtered = |(name, result): &(&str, c_long)| (*result >= 0).then(|| format!("could open {name}"));
    opened.iter().filter_map(not_filtered).collect()
}

/// Whatever a run can leave for those after it.
fn leave_marks(outdir: &Path) {
    let path = c_string(outdir);
    let value = MARK.as_bytes();
    let day = libc::timespec { tv_sec: 86_400, tv_nsec: 0 };
    let times = [day, day];
    // SAFETY: each gets what it wants, from values that live here. What fails is of no interest.
    unsafe {
        libc::shmget(KEY, 4096, libc::IPC_CREAT | 0o666);
        libc::shmget(libc::IPC_PRIVATE, 4096, libc::IPC_CREAT | 0o600);
        libc::semget(KEY, 1, libc::IPC_CREAT | 0o666);
        libc::msgget(KEY, libc::IPC_CREAT | 0o666);
        libc::setxattr(path.as_ptr(), c"user.mark".as_ptr(), value.as_ptr().cast::<c_void>(), value.len(), 0);
        libc::fsetxattr(1, c"user.mark".as_ptr(), value.as_ptr().cast::<c_void>(), value.len(), 0);
        libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0);
        libc::mq_open(c"/mark".as_ptr(), libc::O_CREAT | libc::O_RDWR, 0o666 as c_int, std::ptr::null::<c_void>());
    }
    for dir in ["/tmp", "/dev/shm", "/longshore/scratch"] {
        let deep = Path::new(dir).join("a/b/c");
        let _ = fs::create_dir_all(&deep).and_then(|()| fs::write(deep.join(FILE), MARK));
        let closed = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        let _ = fs::set_permissions(Path::new(dir).join("a/b"), closed);
    }
}

fn c_string(path: &Path) -> CString {
    CString::new(std::os::unix::ffi::OsStrExt::as_bytes(path.as_os_str()))
        .unwrap_or_else(|_| panic!("{}", Error::last_os_error()))
}
