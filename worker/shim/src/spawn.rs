//! Starts a process as `posix_spawn` does: the child borrows the parent's memory until it has become another program, so
//! no page table is copied.
//!
//! Not `posix_spawn` itself, because it asks for and sets the action of every signal there is, a hundred system calls for
//! each process; `exec` resets handlers anyway, and the shim ignores a single signal.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use libc::{c_char, c_int, c_void};
use longshore_shim::User;
use rustix::io::{Errno, retry_on_intr};
use rustix::process::Pid;

/// Bytes of stack for what is done between clone and exec: a few system calls.
const STACK_BYTES: usize = 64 * 1024;

/// Bytes of stack for which the kernel gives the most room for arguments that it gives: a quarter of it, 6 MiB.
const LONG_ARGUMENTS_STACK: libc::rlim_t = 24 << 20;

/// What a process becomes.
pub struct Program {
    /// The file.
    pub path: CString,
    /// Its arguments, its name first.
    pub argv: Vec<CString>,
    /// Its environment, `NAME=value`.
    pub env: Vec<CString>,
    /// Whether what it starts may be given as many arguments as the kernel gives at most.
    pub long_arguments: bool,
}

/// Its standard streams. None of them is descriptor 0, 1 or 2.
pub struct Streams {
    pub stdin: Stdin,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Where standard input is read from.
pub enum Stdin {
    Open(OwnedFd),
    /// A file below the directory of inputs, which the process opens itself once it is its user: it lies in that user's
    /// directory. Never a symbolic link.
    Input(CString),
}

/// Why there is no process.
#[derive(Debug, PartialEq, Eq)]
pub enum Failed {
    /// There can be none, or the file cannot be run.
    Process(Errno),
    /// Its standard input cannot be opened.
    Stdin(Errno),
}

/// Starts processes, one after the other on one stack.
pub struct Spawner {
    stack: Vec<u128>,
    /// The directory of inputs, held open: the way to it is walked once.
    inputs: Option<OwnedFd>,
    /// Our own further groups, which every process has that is told nothing else.
    groups: Vec<u32>,
}

/// Everything the child needs, and what it answers. It lives on the parent's stack, which the child shares.
struct Errand {
    path: *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    /// Standard input, unless that is to be opened, output and error.
    streams: [c_int; 3],
    /// The file to be opened as standard input, below `inputs`.
    input: *const c_char,
    inputs: c_int,
    user: *const User,
    /// The user's groups are those we have.
    has_groups: bool,
    long_arguments: bool,
    errno: c_int,
    of_input: bool,
}

impl Spawner {
    /// A spawner; its stack takes no memory before it is used. `inputs` is the directory of inputs.
    pub fn new(inputs: Option<OwnedFd>) -> Self {
        let own = rustix::process::getgroups().unwrap_or_default();
        let groups = own.into_iter().map(rustix::process::Gid::as_raw).collect();
        Self { stack: vec![0; STACK_BYTES / size_of::<u128>()], inputs, groups }
    }

    /// Starts a process that leads its own process group, with no signal blocked or ignored, as this user or as the shim's.
    ///
    /// # Errors
    /// When there can be no process, its input cannot be opened, or the file cannot be run.
    pub fn spawn(&mut self, program: &Program, streams: &Streams, user: Option<&User>) -> Result<Pid, Failed> {
        let (argv, env) = (pointers(&program.argv), pointers(&program.env));
        let (stdin, input) = match &streams.stdin {
            Stdin::Open(stdin) => (stdin.as_raw_fd(), ptr::null()),
            Stdin::Input(path) => (-1, path.as_ptr()),
        };
        let mut errand = Errand {
            path: program.path.as_ptr(),
            argv: argv.as_ptr(),
            env: env.as_ptr(),
            streams: [stdin, streams.stdout.as_raw_fd(), streams.stderr.as_raw_fd()],
            input,
            inputs: self.inputs.as_ref().map_or(-1, AsRawFd::as_raw_fd),
            user: user.map_or(ptr::null(), ptr::from_ref),
            has_groups: user.is_some_and(|user| user.groups == self.groups),
            long_arguments: program.long_arguments,
            errno: 0,
            of_input: false,
        };
        let top = self.stack.as_mut_ptr_range().end.cast::<c_void>();
        let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
        // A handler that ran in the child would do so in our memory.
        let mask = Blocked::all();
        // SAFETY: the child runs `become_program` on a stack of its own, which nobody else uses, while this thread, the
        // only one of the process, sleeps until it has executed another program or exited (`CLONE_VFORK`). So `errand`
        // and all it points to outlive the child's use of our memory, and nobody reads or writes them meanwhile.
        #[allow(unsafe_code)]
        let pid = unsafe { libc::clone(become_program, top, flags, (&raw mut errand).cast()) };
        drop(mask);
        let pid = match Pid::from_raw(pid.max(0)) {
            Some(pid) => pid,
            None => return Err(Failed::Process(last_errno())),
        };
        // SAFETY: plain reads of what the child, now gone from our memory, has written behind the compiler's back.
        #[allow(unsafe_code)]
        let (errno, of_input) =
            unsafe { (ptr::read_volatile(&raw const errand.errno), ptr::read_volatile(&raw const errand.of_input)) };
        if errno == 0 {
            return Ok(pid);
        }
        // It has exited, and is nobody's process but ours.
        let _ = retry_on_intr(|| rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()));
        let errno = Errno::from_raw_os_error(errno);
        Err(if of_input { Failed::Stdin(errno) } else { Failed::Process(errno) })
    }
}

/// The child's part: only system calls, no allocation, no lock, no panic.
extern "C" fn become_program(errand: *mut c_void) -> c_int {
    let errand: *mut Errand = errand.cast();
    // SAFETY: `errand` is what `spawn` passed, valid until exec or exit, and ours alone meanwhile. The pointers in it are
    // to NUL-terminated strings and NULL-terminated arrays. What is called is allowed between fork and exec; actions of
    // signals and the table of descriptors are the child's own, as neither was asked to be shared.
    #[allow(unsafe_code)]
    unsafe {
        libc::setpgid(0, 0);
        for (target, source) in (0..).zip((*errand).streams) {
            if source >= 0 && libc::dup2(source, target) < 0 {
                return fail(errand);
            }
        }
        // Rust's runtime ignores SIGPIPE, and whoever started the shim may ignore what a terminal sends. The others have
        // handlers, which must not run here once nothing is blocked.
        for signal in [libc::SIGPIPE, libc::SIGHUP, libc::SIGINT, libc::SIGQUIT, libc::SIGTERM, libc::SIGCHLD] {
            libc::signal(signal, libc::SIG_DFL);
        }
        let mut none = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        if (*errand).long_arguments && !lengthen_arguments() {
            return fail(errand);
        }
        if let Some(user) = (*errand).user.as_ref()
            && !become_user(user, (*errand).has_groups)
        {
            return fail(errand);
        }
        if !(*errand).input.is_null() && !open_input((*errand).inputs, (*errand).input) {
            ptr::write_volatile(&raw mut (*errand).of_input, true);
            return fail(errand);
        }
        libc::execve((*errand).path, (*errand).argv, (*errand).env);
        fail(errand)
    }
}

/// The kernel takes the room for arguments from that for the stack, and what a process starts has the same limit, so it has to stay.
/// Nothing else of ours changes it: by default a stack may grow to 8 MiB, which is also what the C library lets the stacks of
/// threads take of addresses, not of memory.
#[allow(unsafe_code)]
unsafe fn lengthen_arguments() -> bool {
    let mut limit = libc::rlimit { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: a plain value on our stack.
    unsafe {
        if libc::getrlimit(libc::RLIMIT_STACK, &raw mut limit) != 0 {
            return false;
        }
        if limit.rlim_cur >= LONG_ARGUMENTS_STACK {
            return true;
        }
        // Where there can be no more it is refused: with less the program would start nothing, and say so to nobody.
        limit.rlim_cur = LONG_ARGUMENTS_STACK;
        libc::setrlimit(libc::RLIMIT_STACK, &raw const limit) == 0
    }
}

/// Takes on a user for good, and no capability. Plain system calls: the C library's functions would ask other threads to do
/// the same, and there are none.
#[allow(unsafe_code)]
unsafe fn become_user(user: &User, has_groups: bool) -> bool {
    let User { uid, gid, groups } = user;
    // SAFETY: the list is as long as said; the others take numbers.
    unsafe {
        // Where user namespaces forbid it, user 0 has none to begin with.
        (has_groups
            || libc::syscall(libc::SYS_setgroups, groups.len(), groups.as_ptr()) == 0
            || (*uid == 0 && groups.is_empty()))
            && libc::syscall(libc::SYS_setresgid, *gid, *gid, *gid) == 0
            && libc::syscall(libc::SYS_setresuid, *uid, *uid, *uid) == 0
            // Whoever leaves user 0 leaves its capabilities; who stays has to give them up.
            && (*uid != 0 || give_up_capabilities())
    }
}

/// Opens a file below a directory as standard input.
#[allow(unsafe_code)]
unsafe fn open_input(inputs: c_int, path: *const c_char) -> bool {
    // SAFETY: the path ends with NUL, see `become_program`; the others take numbers.
    unsafe {
        match libc::openat(inputs, path, libc::O_RDONLY | libc::O_NOFOLLOW | libc::O_CLOEXEC) {
            ..0 => false,
            0 => libc::fcntl(0, libc::F_SETFD, 0) == 0,
            opened => libc::dup2(opened, 0) == 0,
        }
    }
}

/// `capset` for nothing: `exec` cannot give it back, as there are no new privileges.
#[allow(unsafe_code)]
unsafe fn give_up_capabilities() -> bool {
    /// `_LINUX_CAPABILITY_VERSION_3`, this process; and two times three empty sets.
    const HEADER: [u32; 2] = [0x2008_0522, 0];
    const NOTHING: [u32; 6] = [0; 6];
    // SAFETY: both are as the kernel wants them, and only read.
    unsafe { libc::syscall(libc::SYS_capset, HEADER.as_ptr(), NOTHING.as_ptr()) == 0 }
}

/// Leaves the reason where the parent finds it.
#[allow(unsafe_code)]
unsafe fn fail(errand: *mut Errand) -> c_int {
    // SAFETY: as for the caller.
    unsafe {
        ptr::write_volatile(&raw mut (*errand).errno, *libc::__errno_location());
        libc::_exit(127)
    }
}

/// While it lives, no signal is delivered.
struct Blocked {
    before: libc::sigset_t,
}

impl Blocked {
    fn all() -> Self {
        // SAFETY: both sets are plain values on our stack, and the call knows no other failure than a wrong first argument.
        #[allow(unsafe_code)]
        unsafe {
            let (mut all, mut before) = (std::mem::zeroed(), std::mem::zeroed());
            libc::sigfillset(&raw mut all);
            libc::sigprocmask(libc::SIG_SETMASK, &raw const all, &raw mut before);
            Self { before }
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: as above.
        #[allow(unsafe_code)]
        unsafe {
            libc::sigprocmask(libc::SIG_SETMASK, &raw const self.before, ptr::null_mut());
        }
    }
}

fn pointers(strings: &[CString]) -> Vec<*const c_char> {
    strings.iter().map(|string| CStr::as_ptr(string)).chain([ptr::null()]).collect()
}

fn last_errno() -> Errno {
    let cause = std::io::Error::last_os_error();
    Errno::from_io_error(&cause).unwrap_or(Errno::AGAIN)
}
