//! What a file's owner can leave on it besides bytes, for whoever has it next.

use std::{
    ffi::c_void,
    os::fd::{AsFd, OwnedFd},
};

use rustix::{
    fs::flistxattr_query,
    ioctl::{self, Ioctl, IoctlOutput, Opcode},
};

/// Flags and project of an inode, as far as its file system tells.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Flags {
    flags: u32,
    project: u32,
}

/// `struct fsxattr` of `linux/fs.h`.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default)]
struct FileAttributes {
    flags: u32,
    extent_bytes: u32,
    extents: u32,
    project: u32,
    cow_extent_bytes: u32,
    padding: [u8; 8],
}

/// `FS_IOC_FSGETXATTR`.
struct Get(FileAttributes);

// SAFETY: the kernel fills in a `struct fsxattr`, which `FileAttributes` is, and reads nothing.
#[allow(unsafe_code)]
unsafe impl Ioctl for Get {
    type Output = FileAttributes;

    const IS_MUTATING: bool = true;

    fn opcode(&self) -> Opcode {
        ioctl::opcode::read::<FileAttributes>(b'X', 31)
    }

    fn as_ptr(&mut self) -> *mut c_void {
        (&raw mut self.0).cast()
    }

    unsafe fn output_from_ptr(_: IoctlOutput, found: *mut c_void) -> rustix::io::Result<FileAttributes> {
        // SAFETY: it is what `as_ptr` gave.
        Ok(unsafe { *found.cast() })
    }
}

/// The flags of a file. A file system without any has none.
pub(super) fn flags(file: &OwnedFd) -> Flags {
    // SAFETY: the request is as the kernel wants it, see `Get`.
    #[allow(unsafe_code)]
    let found = unsafe { ioctl::ioctl(file, Get(FileAttributes::default())) };
    found.map(|found| Flags { flags: found.flags, project: found.project }).unwrap_or_default()
}

/// How many bytes the names of a file's extended attributes have (`user.…`, access lists). Some systems put one on every file.
pub(super) fn attributes(file: impl AsFd) -> usize {
    flistxattr_query(file).unwrap_or_default()
}
