//! Makes the kernel refuse `sync_file_range`, so that sled syncs properly by itself.
//!
//! On Linux sled pushes its buffers out with `sync_file_range`, which commits neither a file's size nor its extents nor
//! the drive's cache; only when the kernel does not know the call does it fall back to `fsync`. Our own sync after each
//! flush makes commits durable; this filter also orders sled's writes between two of our syncs. It applies to all threads
//! of the process and to processes it starts, for good, and sets `no_new_privs`; other architectures' calls (32-bit
//! children) are let through.

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
mod linux {
    use std::io;

    use seccompiler::{BpfProgram, apply_filter_all_threads, sock_filter};

    #[cfg(target_arch = "x86_64")]
    const THIS: (u32, u32) = (0xc000_003e, 277);
    #[cfg(target_arch = "aarch64")]
    const THIS: (u32, u32) = (0xc000_00b7, 84);

    const LOAD_WORD: u16 = 0x20;
    const JUMP_IF_EQUAL: u16 = 0x15;
    const RETURN: u16 = 0x06;
    const ALLOW: u32 = 0x7fff_0000;
    const FAIL_WITH: u32 = 0x0005_0000;
    const ENOSYS: u32 = 38;
    /// Offsets in the kernel's `struct seccomp_data`.
    const CALL_NUMBER: u32 = 0;
    const ARCHITECTURE: u32 = 4;

    fn program() -> BpfProgram {
        let (architecture, sync_file_range) = THIS;
        let step = |code, jt, jf, k| sock_filter { code, jt, jf, k };
        vec![
            step(LOAD_WORD, 0, 0, ARCHITECTURE),
            step(JUMP_IF_EQUAL, 0, 3, architecture),
            step(LOAD_WORD, 0, 0, CALL_NUMBER),
            step(JUMP_IF_EQUAL, 0, 1, sync_file_range),
            step(RETURN, 0, 0, FAIL_WITH | ENOSYS),
            step(RETURN, 0, 0, ALLOW),
        ]
    }

    /// See the module.
    pub(crate) fn refuse_sync_file_range() -> io::Result<()> {
        apply_filter_all_threads(&program()).map_err(io::Error::other)
    }
}

#[cfg(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64")))]
pub(crate) use linux::refuse_sync_file_range;

/// See the module; not known on this platform.
#[cfg(not(all(target_os = "linux", any(target_arch = "x86_64", target_arch = "aarch64"))))]
pub(crate) fn refuse_sync_file_range() -> std::io::Result<()> {
    Err(std::io::ErrorKind::Unsupported.into())
}
