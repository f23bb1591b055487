//! Rights: what the shim gives up for good, and how it borrows those of a run for a moment.
//!
//! In a container the shim is user 0 with three capabilities (SETUID, SETGID, KILL) and no other. A run's files are its
//! user's, so to open or remove one the shim takes on the run's user for the file system alone: signals, limits and
//! priorities are checked against the other ids, which stay 0, so nothing of the run gains a hold on the shim.

use longshore_shim::User;
use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};

/// Gives up what processes started by older engines would inherit.
///
/// # Errors
/// When the kernel refuses.
pub fn inherit_nothing() -> Result<(), Errno> {
    let own = capabilities(None)?;
    if own.inheritable.is_empty() {
        return Ok(());
    }
    set_capabilities(None, CapabilitySets { inheritable: CapabilitySet::empty(), ..own })
}

/// Leaves all further groups that an engine has given user 0: runs begin without any, and so need not leave them one by one.
pub fn leave_groups() {
    // Where user namespaces forbid it, each run says so that is to have others.
    // SAFETY: an empty list; no memory of ours is touched. A plain system call, as there are no other threads to ask.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_setgroups, 0, std::ptr::null::<libc::gid_t>());
    }
}

/// While it lives, files are opened, made and removed with a run's rights.
pub struct AsOwner {
    acting: bool,
}

impl AsOwner {
    /// Takes on this user's rights to files; without one nothing changes.
    pub fn of(user: Option<&User>) -> Self {
        let acting = user.is_some_and(|user| user.uid != 0);
        if let Some(user) = user.filter(|_| acting) {
            file_system_user(user.uid);
        }
        Self { acting }
    }
}

impl Drop for AsOwner {
    fn drop(&mut self) {
        if self.acting {
            file_system_user(0);
        }
    }
}

/// `setfsuid` has no error: where it does not take effect, what follows is refused.
fn file_system_user(uid: u32) {
    // SAFETY: it takes a number and touches no memory of ours.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_setfsuid, uid);
    }
}

/// While it lives, the shim acts as a run's user in all but its real and saved ids. Only when no process of that user is
/// left: one could change the shim's priority meanwhile.
pub struct AsUser {
    acting: bool,
}

impl AsUser {
    /// Takes on this user; without one nothing changes.
    pub fn of(user: Option<&User>) -> Self {
        let acting = user.is_some_and(|user| user.uid != 0);
        if let Some(user) = user.filter(|_| acting) {
            effective_user(user.uid);
        }
        Self { acting }
    }
}

impl Drop for AsUser {
    fn drop(&mut self) {
        if self.acting {
            effective_user(0);
        }
    }
}

fn effective_user(uid: u32) {
    const UNCHANGED: u32 = u32::MAX;
    // SAFETY: it takes numbers and touches no memory of ours. It cannot fail: 0 is the real and saved id, and to take on any
    // other there is SETUID; should it all the same, what follows is refused.
    #[allow(unsafe_code)]
    unsafe {
        libc::syscall(libc::SYS_setresuid, UNCHANGED, uid, UNCHANGED);
    }
}
