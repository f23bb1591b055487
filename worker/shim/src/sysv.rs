//! Removes what a run leaves in System V IPC: shared memory, semaphores and message queues outlive their processes.
//!
//! They stay allowed (PostgreSQL needs them). Their namespace is the container's, so whatever is there after a run is that
//! run's; its creator may remove it, whoever it was given to.

use std::mem::MaybeUninit;

use libc::{c_int, c_void};
use longshore_shim::User;

use crate::rights::AsUser;

/// Most looks at the same kind of objects: each look removes whatever it finds.
const LOOKS: usize = 3;

/// `shm_info` of `ipc.h`: what `SHM_INFO` fills in. The C library's bindings do not have it on every target.
#[repr(C)]
struct ShmInfo {
    used_ids: c_int,
    _sizes: [libc::c_ulong; 5],
}

/// `seminfo` and `msginfo`: ten and eight numbers, of which one is how many objects there are.
#[repr(C)]
struct Info([c_int; 10]);

/// Place of `semusz` in `seminfo`.
const SEMAPHORES: usize = 7;

/// Place of `msgpool` in `msginfo`.
const QUEUES: usize = 0;

const SHM_STAT_ANY: c_int = 15;
const SEM_STAT_ANY: c_int = 20;
const MSG_STAT_ANY: c_int = 13;
const SHM_INFO: c_int = 14;
const SEM_INFO: c_int = 19;
const MSG_INFO: c_int = 12;

/// Room for any of the kernel's descriptions of one object.
type Description = MaybeUninit<[u64; 64]>;

/// One kind of objects.
struct Kind {
    /// Highest place in use and number of objects.
    count: fn() -> (c_int, c_int),
    /// Id of the object in this place.
    id_at: fn(c_int) -> c_int,
    remove: fn(c_int),
}

const KINDS: [Kind; 3] = [
    Kind { count: shm_count, id_at: shm_at, remove: shm_remove },
    Kind { count: sem_count, id_at: sem_at, remove: sem_remove },
    Kind { count: msg_count, id_at: msg_at, remove: msg_remove },
];

/// Removes everything there is, as the run's user, all of whose processes are dead. False when something stays. Where
/// nothing is there, as mostly, it costs three system calls.
pub fn clear(user: Option<&User>) -> bool {
    KINDS.iter().all(|kind| kind.clear(user))
}

impl Kind {
    fn clear(&self, user: Option<&User>) -> bool {
        for _ in 0..LOOKS {
            let (highest, objects) = (self.count)();
            if objects <= 0 {
                return true;
            }
            let _borrowed = AsUser::of(user);
            for id in (0..=highest).map(self.id_at).filter(|id| *id >= 0) {
                (self.remove)(id);
            }
        }
        (self.count)().1 <= 0
    }
}

#[allow(unsafe_code)]
fn shm_count() -> (c_int, c_int) {
    let mut info = ShmInfo { used_ids: 0, _sizes: [0; 5] };
    // SAFETY: `SHM_INFO` fills in a `shm_info`, which this is.
    let highest = unsafe { libc::shmctl(0, SHM_INFO, (&raw mut info).cast()) };
    (highest, info.used_ids)
}

#[allow(unsafe_code)]
fn sem_count() -> (c_int, c_int) {
    let mut info = Info([0; 10]);
    // SAFETY: `SEM_INFO` fills in a `seminfo`: ten numbers.
    let highest = unsafe { libc::semctl(0, 0, SEM_INFO, &raw mut info) };
    (highest, info.0[SEMAPHORES])
}

#[allow(unsafe_code)]
fn msg_count() -> (c_int, c_int) {
    let mut info = Info([0; 10]);
    // SAFETY: `MSG_INFO` fills in a `msginfo`: seven numbers and a short one.
    let highest = unsafe { libc::msgctl(0, MSG_INFO, (&raw mut info).cast()) };
    (highest, info.0[QUEUES])
}

#[allow(unsafe_code)]
fn shm_at(place: c_int) -> c_int {
    let mut description = Description::uninit();
    // SAFETY: the kernel describes the segment in less room than this, and nobody reads it.
    unsafe { libc::shmctl(place, SHM_STAT_ANY, description.as_mut_ptr().cast()) }
}

#[allow(unsafe_code)]
fn sem_at(place: c_int) -> c_int {
    let mut description = Description::uninit();
    // SAFETY: as above.
    unsafe { libc::semctl(place, 0, SEM_STAT_ANY, description.as_mut_ptr().cast::<c_void>()) }
}

#[allow(unsafe_code)]
fn msg_at(place: c_int) -> c_int {
    let mut description = Description::uninit();
    // SAFETY: as above.
    unsafe { libc::msgctl(place, MSG_STAT_ANY, description.as_mut_ptr().cast()) }
}

// What cannot be removed is still counted by the next look.

#[allow(unsafe_code)]
fn shm_remove(id: c_int) {
    // SAFETY: removing takes no pointer.
    unsafe { libc::shmctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
}

#[allow(unsafe_code)]
fn sem_remove(id: c_int) {
    // SAFETY: as above.
    unsafe { libc::semctl(id, 0, libc::IPC_RMID) };
}

#[allow(unsafe_code)]
fn msg_remove(id: c_int) {
    // SAFETY: as above.
    unsafe { libc::msgctl(id, libc::IPC_RMID, std::ptr::null_mut()) };
}
