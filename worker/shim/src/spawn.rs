//! Starts a process as `posix_spawn` does: the child borrows the parent's memory until it has become another program, so
//! no page table is copied.
//!
//! Not `posix_spawn` itself, because it asks for and sets the action of every signal there is, a hundred system calls for
//! each process; `exec` resets handlers anyway, and the shim ignores a single signal.

use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd};
use std::ptr;

use libc::{c_char, c_int, c_void};
use rustix::io::{Errno, retry_on_intr};
use rustix::process::Pid;

/// Bytes of stack for what is done between clone and exec: a few system calls.
const STACK_BYTES: usize = 64 * 1024;

/// What a process becomes.
pub struct Program {
    /// The file.
    pub path: CString,
    /// Its arguments, its name first.
    pub argv: Vec<CString>,
    /// Its environment, `NAME=value`.
    pub env: Vec<CString>,
}

/// Its standard streams. None of them is descriptor 0, 1 or 2.
pub struct Streams {
    pub stdin: OwnedFd,
    pub stdout: OwnedFd,
    pub stderr: OwnedFd,
}

/// Starts processes, one after the other on one stack.
pub struct Spawner {
    stack: Vec<u128>,
}

/// Everything the child needs, and what it answers. It lives on the parent's stack, which the child shares.
struct Errand {
    path: *const c_char,
    argv: *const *const c_char,
    env: *const *const c_char,
    streams: [c_int; 3],
    errno: c_int,
}

impl Spawner {
    /// A spawner; its stack takes no memory before it is used.
    pub fn new() -> Self {
        Self { stack: vec![0; STACK_BYTES / size_of::<u128>()] }
    }

    /// Starts a process that leads its own process group, with no signal blocked or ignored.
    ///
    /// # Errors
    /// When there can be no process, or the file cannot be run.
    pub fn spawn(&mut self, program: &Program, streams: &Streams) -> Result<Pid, Errno> {
        let (argv, env) = (pointers(&program.argv), pointers(&program.env));
        let mut errand = Errand {
            path: program.path.as_ptr(),
            argv: argv.as_ptr(),
            env: env.as_ptr(),
            streams: [&streams.stdin, &streams.stdout, &streams.stderr].map(AsRawFd::as_raw_fd),
            errno: 0,
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
            None => return Err(last_errno()),
        };
        // SAFETY: a plain read of what the child, now gone from our memory, has written behind the compiler's back.
        #[allow(unsafe_code)]
        let errno = unsafe { ptr::read_volatile(&raw const errand.errno) };
        if errno == 0 {
            return Ok(pid);
        }
        // It has exited, and is nobody's process but ours.
        let _ = retry_on_intr(|| rustix::process::waitpid(Some(pid), rustix::process::WaitOptions::empty()));
        Err(Errno::from_raw_os_error(errno))
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
            if libc::dup2(source, target) < 0 {
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
        libc::execve((*errand).path, (*errand).argv, (*errand).env);
        fail(errand)
    }
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
