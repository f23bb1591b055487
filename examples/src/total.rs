//! Adds up the counts of a directory of files: what a gather stage does.

use std::fs::{self, File};
use std::io::BufReader;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::counts::Counts;

/// Adds up the counts of every file in a directory.
///
/// # Errors
/// When the directory or a file cannot be read, or a file holds something else; the file and the line are named.
pub fn of_directory(directory: &Path) -> anyhow::Result<Counts> {
    let mut total = Counts::default();
    for path in files(directory).with_context(|| directory.display().to_string())? {
        add_file(&mut total, &path).with_context(|| path.display().to_string())?;
    }
    Ok(total)
}

fn files(directory: &Path) -> std::io::Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    for entry in fs::read_dir(directory)? {
        let entry = entry?;
        if entry.file_type()?.is_file() {
            files.push(entry.path());
        }
    }
    // The order decides only which of several bad files is named; let it be the same each time.
    files.sort();
    Ok(files)
}

fn add_file(total: &mut Counts, path: &Path) -> anyhow::Result<()> {
    total.add_all(Counts::read(BufReader::new(File::open(path)?))?)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_counts_of_all_files_are_added() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("0"), "1 sea\n2 whale\n").unwrap();
        fs::write(directory.path().join("1"), "3 whale\n").unwrap();
        fs::create_dir(directory.path().join("no file")).unwrap();
        let expected = Counts::read("1 sea\n5 whale\n".as_bytes()).unwrap();
        assert_eq!(of_directory(directory.path()).unwrap(), expected);
    }

    #[test]
    fn a_bad_file_is_named_with_its_line() {
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("good"), "1 sea\n").unwrap();
        fs::write(directory.path().join("worse"), "1 sea\nwhale\n").unwrap();
        let error = format!("{:#}", of_directory(directory.path()).unwrap_err());
        assert!(error.contains("worse: line 2"), "{error}");
    }
}
