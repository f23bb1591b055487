//! Real texts to work on: the licences and sources that every machine has.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use walkdir::WalkDir;

/// Most files.
const FILES: usize = 400;

/// Most bytes of all files together.
const BYTES: u64 = 24 << 20;

/// Smallest and largest file worth reading.
const SIZES: std::ops::RangeInclusive<u64> = 512..=1 << 20;

/// Files looked at at most: a home directory may be endless.
const LOOKS: usize = 40_000;

/// What was found.
#[derive(Debug, Default)]
pub struct Found {
    /// Number of files.
    pub files: usize,
    /// Bytes of them.
    pub bytes: u64,
}

/// Copies licence and source texts of this machine into `target`, which is made.
pub fn gather(target: &Path) -> Result<Found> {
    let make = || format!("cannot make {}", target.display());
    fs::create_dir_all(target).with_context(make)?;
    let mut found = Found::default();
    // Our own licence is always there.
    let own = include_bytes!("../../../LICENSE");
    fs::write(target.join("longshore-LICENSE"), own).with_context(make)?;
    take(&mut found, own.len() as u64);
    let mut looks = 0;
    for entry in places().into_iter().flat_map(|place| WalkDir::new(place).sort_by_file_name().max_depth(8)) {
        looks += 1;
        if looks > LOOKS || found.files >= FILES || found.bytes >= BYTES {
            break;
        }
        let Ok(entry) = entry else { continue };
        let size = entry.metadata().map_or(0, |metadata| metadata.len());
        if !entry.file_type().is_file() || !SIZES.contains(&size) || !is_text(entry.path()) {
            continue;
        }
        // What cannot be read is not for us.
        if let Ok(true) = copy(entry.path(), &target.join(name(entry.path()))) {
            take(&mut found, size);
        }
    }
    Ok(found)
}

fn take(found: &mut Found, size: u64) {
    found.files += 1;
    found.bytes += size;
}

fn places() -> Vec<PathBuf> {
    let cargo = std::env::var_os("CARGO_HOME").map(PathBuf::from);
    let cargo = cargo.or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cargo")));
    let sources = cargo.map(|cargo| cargo.join("registry/src"));
    let licences = ["/usr/share/common-licenses", "/usr/share/licenses"].map(PathBuf::from);
    let documents = PathBuf::from("/usr/share/doc");
    licences.into_iter().chain(sources).chain([documents]).filter(|place| place.is_dir()).collect()
}

fn is_text(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let extension = path.extension().map(|extension| extension.to_string_lossy().to_lowercase());
    name == "copyright"
        || ["license", "licence", "copying", "readme", "gpl", "lgpl", "apache", "bsd", "artistic", "mpl"]
            .iter()
            .any(|begin| name.starts_with(begin) && !name.ends_with(".gz"))
        || matches!(extension.as_deref(), Some("rs" | "c" | "h" | "py" | "txt" | "md"))
}

/// The file's whole path as one name.
fn name(path: &Path) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = path.to_string_lossy().trim_start_matches('/').chars().map(plain).collect();
    let skip = name.len().saturating_sub(200);
    name[skip..].trim_start_matches(['.', '-']).to_owned()
}

fn copy(from: &Path, to: &Path) -> io::Result<bool> {
    if to.exists() {
        return Ok(false);
    }
    fs::copy(from, to).map(|_| true)
}
