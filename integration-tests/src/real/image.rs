//! Images made of this machine's own programs: no registry, nothing to download.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
    sync::{Arc, Mutex, Weak},
};

use uuid::Uuid;

use super::docker::Engine;

/// Programs in the image; the host has them too, for the process runtime and to compare with.
const PROGRAMS: [&str; 22] = [
    "sh", "cat", "cp", "cut", "echo", "grep", "head", "id", "ln", "ls", "mkdir", "mkfifo", "mknod", "sleep", "sort",
    "tail", "test", "touch", "tr", "true", "uniq", "wc",
];

/// Where a program of these tests is in the image.
pub const PROGRAM: &str = "/bin/longshore-test-program";

/// Users that images with a program know: one of its own, and one that is root by another name.
const PASSWD: &[u8] = b"root:x:0:0::/:/bin/sh\napp:x:1234:1234::/:/bin/sh\nalias:x:0:0::/:/bin/sh\n";

/// An image, there as long as somebody holds it.
#[derive(Debug)]
pub(super) struct Image {
    pub(super) reference: String,
}

impl Image {
    fn import(engine: &Engine, root: Vec<u8>) -> Arc<Self> {
        Self::import_changed(engine, root, &[])
    }

    fn import_changed(engine: &Engine, root: Vec<u8>, changes: &[&str]) -> Arc<Self> {
        let (repository, tag) = ("longshore-test-real", Uuid::new_v4().simple().to_string());
        engine.import(repository, &tag, root, changes);
        Arc::new(Self { reference: format!("{repository}:{tag}") })
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        if let Some(engine) = Engine::get() {
            engine.remove_image(&self.reference);
        }
    }
}

/// The image of the host's programs, shared by the tests of this process that run at the same time.
pub(super) fn host(engine: &Engine) -> Arc<Image> {
    static HOST: Mutex<Weak<Image>> = Mutex::new(Weak::new());
    let mut known = HOST.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    if let Some(image) = known.upgrade() {
        return image;
    }
    let image = Image::import(engine, Root::with(&PROGRAMS).finish());
    *known = Arc::downgrade(&image);
    image
}

/// An image with `cat` and nothing else.
///
/// # Panics
/// When the engine does not take it.
pub(super) fn only_cat(engine: &Engine) -> Arc<Image> {
    Image::import(engine, Root::with(&["cat"]).finish())
}

/// An image of the host's programs and one more, at [`PROGRAM`], changed by instructions such as `USER app`, with an
/// `/etc/passwd` of its own.
pub(super) fn with_program(engine: &Engine, program: &Path, changes: &[&str]) -> Arc<Image> {
    let mut root = Root::with(&PROGRAMS);
    root.program(program, PROGRAM.trim_start_matches('/'));
    root.bytes(PASSWD, "etc/passwd", 0o644);
    Image::import_changed(engine, root.finish(), changes)
}

/// A root directory, as a tar.
struct Root {
    tar: tar::Builder<Vec<u8>>,
    libraries: BTreeSet<PathBuf>,
}

impl Root {
    fn with(programs: &[&str]) -> Self {
        let mut root = Self { tar: tar::Builder::new(Vec::new()), libraries: BTreeSet::new() };
        for program in programs {
            root.program(&find(program), &format!("bin/{program}"));
        }
        root
    }

    fn program(&mut self, from: &Path, to: &str) {
        for library in libraries_of(from) {
            if self.libraries.insert(library.clone()) {
                self.file(&library, library.to_str().unwrap().trim_start_matches('/'));
            }
        }
        self.file(from, to);
    }

    /// Links are followed: the image has files only.
    fn file(&mut self, from: &Path, to: &str) {
        let bytes = fs::read(from).unwrap_or_else(|cause| panic!("{}: {cause}", from.display()));
        self.bytes(&bytes, to, 0o755);
    }

    fn bytes(&mut self, bytes: &[u8], to: &str, mode: u32) {
        let mut header = tar::Header::new_gnu();
        header.set_size(bytes.len().try_into().unwrap());
        header.set_mode(mode);
        header.set_entry_type(tar::EntryType::Regular);
        self.tar.append_data(&mut header, to, bytes).unwrap();
    }

    fn finish(self) -> Vec<u8> {
        self.tar.into_inner().unwrap()
    }
}

fn find(program: &str) -> PathBuf {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&path).map(|dir| dir.join(program)).find(|path| path.is_file());
    found.unwrap_or_else(|| panic!("{program} is not on this machine"))
}

/// `ldd` prints lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the loader alone.
fn libraries_of(program: &Path) -> Vec<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd comes with the C library");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_ascii_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}
