//! An image made of this machine's own programs: no registry, nothing to download.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

/// A tar of a root directory with these programs of the host in `/bin`, further ones each at a path of its own, and the
/// libraries they need.
///
/// # Panics
/// When one is not on this machine.
pub fn tar(programs: &[&str], more: &[(&Path, &str)]) -> Vec<u8> {
    let mut root = tar::Builder::new(Vec::new());
    let mut libraries = BTreeSet::new();
    let of_the_host = programs.iter().map(|program| (find(program), format!("bin/{program}")));
    let more = more.iter().map(|(from, to)| (from.to_path_buf(), to.trim_start_matches('/').to_owned()));
    for (path, to) in of_the_host.chain(more) {
        libraries.extend(libraries_of(&path));
        append(&mut root, &path, &to);
    }
    for library in libraries {
        append(&mut root, &library, library.strip_prefix("/").unwrap().to_str().unwrap());
    }
    root.into_inner().unwrap()
}

fn find(program: &str) -> PathBuf {
    let places = ["/bin", "/usr/bin", "/usr/local/bin"];
    let found = places.iter().map(|place| Path::new(place).join(program)).find(|path| path.exists());
    found.unwrap_or_else(|| panic!("{program} is in none of {places:?}"))
}

/// `ldd` prints lines such as `libc.so.6 => /lib/x86_64-linux-gnu/libc.so.6 (0x…)`, and the loader alone.
fn libraries_of(program: &Path) -> BTreeSet<PathBuf> {
    let output = Command::new("ldd").arg(program).output().expect("ldd comes with the C library");
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_ascii_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect()
}

/// Links are followed: the image has files only.
fn append(root: &mut tar::Builder<Vec<u8>>, from: &Path, to: &str) {
    let bytes = fs::read(from).unwrap_or_else(|cause| panic!("{}: {cause}", from.display()));
    let mut header = tar::Header::new_gnu();
    header.set_size(bytes.len().try_into().unwrap());
    header.set_mode(0o755);
    header.set_entry_type(tar::EntryType::Regular);
    root.append_data(&mut header, to, &bytes[..]).unwrap();
}
