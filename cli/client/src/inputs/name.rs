//! Names of items.

use std::path::{Component, Path};

use longshore_proto::path::{self, BadPath};

use super::error::{InputError, bad_name};

/// The last part of a path names its item.
pub(super) fn base_name(path: &Path) -> Result<String, InputError> {
    let name = path.file_name().ok_or_else(|| bad_name(path, BadPath::Dots))?;
    item_path(Path::new(name), path)
}

/// A listed path names its item, unless it leads out of the current directory.
pub(crate) fn listed_name(path: &Path) -> Result<String, InputError> {
    let plain = path.strip_prefix(".").unwrap_or(path);
    match plain.components().all(|c| matches!(c, Component::Normal(_))) {
        true => item_path(plain, path),
        false => base_name(path),
    }
}

/// The relative path `item` as an item's name; `whole` is for the error.
pub(super) fn item_path(item: &Path, whole: &Path) -> Result<String, InputError> {
    let mut name = String::new();
    for component in item.components() {
        let text = component.as_os_str().to_str();
        let text = text.ok_or_else(|| bad_name(whole, BadPath::NotUtf8))?;
        if !name.is_empty() {
            name.push('/');
        }
        name.push_str(text);
    }
    match path::check(&name) {
        Ok(()) => Ok(name),
        Err(reason) => Err(bad_name(whole, reason)),
    }
}
