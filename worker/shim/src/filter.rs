//! Filters of system calls that are laid on top of the engine's own: doors into the kernel that batch programs do not
//! need and that attacks keep coming through. What the engine forbids stays forbidden; nothing of its profile is copied.
//!
//! Refused with "operation not permitted", as engines do: `io_uring`, `bpf`, `userfaultfd`, kernel keys (they are found by
//! user, not by container), and sockets to the host of a virtual machine (`AF_VSOCK`). System V IPC stays allowed, as
//! databases need it. Programs of the 32-bit sibling are filtered by its own numbers; there a socket that is asked for
//! through `socketcall` cannot be told, as its arguments lie in memory.
//!
//! Not made with `seccompiler`, which ends every program of the sibling architecture.

use libc::{sock_filter, sock_fprog};
use rustix::io::Errno;

/// One architecture's numbers.
struct Numbers {
    /// `AUDIT_ARCH_…` of `linux/audit.h`.
    architecture: u32,
    /// Refused whatever their arguments.
    refused: [u32; 8],
    /// `socket`, refused for one family.
    socket: u32,
}

/// `io_uring_setup`, `io_uring_enter`, `io_uring_register`: the same everywhere.
const IO_URING: [u32; 3] = [425, 426, 427];

#[cfg(target_arch = "x86_64")]
const ARCHITECTURES: [Numbers; 2] = [
    // bpf, userfaultfd, add_key, request_key, keyctl
    Numbers { architecture: 0xC000_003E, refused: with_io_uring([321, 323, 248, 249, 250]), socket: 41 },
    Numbers { architecture: 0x4000_0003, refused: with_io_uring([357, 374, 286, 287, 288]), socket: 359 },
];

#[cfg(target_arch = "aarch64")]
const ARCHITECTURES: [Numbers; 2] = [
    Numbers { architecture: 0xC000_00B7, refused: with_io_uring([280, 282, 217, 218, 219]), socket: 198 },
    Numbers { architecture: 0x4000_0028, refused: with_io_uring([386, 388, 309, 310, 311]), socket: 281 },
];

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
const ARCHITECTURES: [Numbers; 0] = [];

const fn with_io_uring(others: [u32; 5]) -> [u32; 8] {
    let [a, b, c, d, e] = others;
    let [setup, enter, register] = IO_URING;
    [a, b, c, d, e, setup, enter, register]
}

/// The x32 programs of x86-64 set this bit in their numbers.
const X32: u32 = 0x4000_0000;

// Places in `struct seccomp_data`: the number, the architecture, and the low half of the first argument (all of these
// machines are little-endian).
const NUMBER: u32 = 0;
const ARCHITECTURE: u32 = 4;
const FIRST_ARGUMENT: u32 = 16;

const LOAD: u16 = 0x20;
const AND: u16 = 0x54;
const JUMP_IF_EQUAL: u16 = 0x15;
const RETURN: u16 = 0x06;

const ALLOW: u32 = 0x7fff_0000;
const REFUSE: u32 = 0x0005_0000 | libc::EPERM as u32;

/// Lays the filters on this process and all it will start. There must be no new privileges (`PR_SET_NO_NEW_PRIVS`).
///
/// # Errors
/// When the kernel refuses. One that has no filters at all is no error: the engine's cannot be there either.
pub fn install() -> Result<(), Errno> {
    let mut program = program();
    let Ok(len) = u16::try_from(program.len()) else { return Err(Errno::INVAL) };
    let filter = sock_fprog { len, filter: program.as_mut_ptr() };
    // SAFETY: the program is as long as said and outlives the call, which copies it.
    #[allow(unsafe_code)]
    let installed = unsafe { libc::prctl(libc::PR_SET_SECCOMP, libc::SECCOMP_MODE_FILTER, &raw const filter) };
    if installed == 0 {
        return Ok(());
    }
    match last_errno() {
        Errno::INVAL | Errno::NOSYS => Ok(()),
        errno => Err(errno),
    }
}

fn last_errno() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap_or(Errno::INVAL)
}

fn program() -> Vec<sock_filter> {
    let mut program = Vec::new();
    for numbers in &ARCHITECTURES {
        let checks = checks(numbers);
        program.push(step(LOAD, ARCHITECTURE));
        // Past this architecture's checks when it is another; they are few.
        program.push(sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: checks.len() as u8, k: numbers.architecture });
        program.extend(checks);
    }
    program.push(step(RETURN, ALLOW));
    program
}

fn checks(numbers: &Numbers) -> Vec<sock_filter> {
    let mut checks = vec![step(LOAD, NUMBER), step(AND, !X32)];
    for number in numbers.refused {
        checks.push(unless(number, 1));
        checks.push(step(RETURN, REFUSE));
    }
    checks.push(unless(numbers.socket, 3));
    checks.push(step(LOAD, FIRST_ARGUMENT));
    checks.push(unless(libc::AF_VSOCK as u32, 1));
    checks.push(step(RETURN, REFUSE));
    checks.push(step(RETURN, ALLOW));
    checks
}

const fn step(code: u16, k: u32) -> sock_filter {
    sock_filter { code, jt: 0, jf: 0, k }
}

/// Skips so many steps unless what was loaded is this.
const fn unless(value: u32, skipped: u8) -> sock_filter {
    sock_filter { code: JUMP_IF_EQUAL, jt: 0, jf: skipped, k: value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the program answers to a call, by the rules of classic BPF.
    fn answer(architecture: u32, number: u32, first: u32) -> u32 {
        let program = program();
        let (mut at, mut loaded) = (0, 0);
        loop {
            let step = program[at];
            at += 1;
            match step.code {
                LOAD => {
                    loaded = match step.k {
                        NUMBER => number,
                        ARCHITECTURE => architecture,
                        FIRST_ARGUMENT => first,
                        place => panic!("loads {place}"),
                    }
                }
                AND => loaded &= step.k,
                JUMP_IF_EQUAL => at += usize::from(if loaded == step.k { step.jt } else { step.jf }),
                RETURN => return step.k,
                code => panic!("unknown {code}"),
            }
        }
    }

    #[test]
    fn each_call_that_is_meant_is_refused_and_no_other() {
        for numbers in &ARCHITECTURES {
            for number in 0..1_000 {
                let refused = numbers.refused.contains(&number);
                let wanted = if refused { REFUSE } else { ALLOW };
                assert_eq!(answer(numbers.architecture, number, 1), wanted, "{number}");
            }
            assert_eq!(answer(numbers.architecture, numbers.socket, libc::AF_VSOCK as u32), REFUSE);
            assert_eq!(answer(numbers.architecture, numbers.socket, libc::AF_INET as u32), ALLOW);
            assert_eq!(answer(numbers.architecture, IO_URING[0] | X32, 0), REFUSE);
        }
        assert_eq!(answer(7, IO_URING[0], 0), ALLOW, "an architecture that is not here");
    }

    #[test]
    #[cfg(target_arch = "x86_64")]
    fn the_numbers_are_the_systems() {
        let native: Vec<_> = [
            libc::SYS_bpf,
            libc::SYS_userfaultfd,
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_keyctl,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_register,
        ]
        .map(|number| u32::try_from(number).unwrap())
        .into();
        assert_eq!(ARCHITECTURES[0].refused.to_vec(), native);
        assert_eq!(i64::from(ARCHITECTURES[0].socket), libc::SYS_socket);
    }
}
