//! A file of lines, which begins anew when it is full; a few of the older ones are kept.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt as _,
    path::{Path, PathBuf},
};

use serde::Serialize;

/// The file that is written, and those before it: `NAME.jsonl`, `NAME.1.jsonl` and so on, the newest first.
#[derive(Debug)]
pub struct Journal {
    dir: PathBuf,
    name: &'static str,
    file: File,
    bytes: u64,
    most_bytes: u64,
    files: usize,
}

impl Journal {
    /// For its owner alone. With so many files of so many bytes at most.
    pub fn open(dir: &Path, name: &'static str, most_bytes: u64, files: usize) -> io::Result<Self> {
        let file = open(&path(dir, name, 0))?;
        let bytes = file.metadata()?.len();
        Ok(Self { dir: dir.to_owned(), name, file, bytes, most_bytes, files })
    }

    /// Appends these, whole or not at all.
    pub fn append(&mut self, lines: &[impl Serialize]) -> io::Result<()> {
        if lines.is_empty() {
            return Ok(());
        }
        let mut text = Vec::new();
        for line in lines {
            serde_json::to_writer(&mut text, line)?;
            text.push(b'\n');
        }
        if self.bytes > 0 && self.bytes + text.len() as u64 > self.most_bytes {
            self.begin_anew()?;
        }
        if let Err(error) = self.file.write_all(&text) {
            // A part of it may be there.
            let _ = self.file.set_len(self.bytes);
            return Err(error);
        }
        self.bytes += text.len() as u64;
        Ok(())
    }

    fn begin_anew(&mut self) -> io::Result<()> {
        for older in (1..self.files).rev() {
            match fs::rename(path(&self.dir, self.name, older - 1), path(&self.dir, self.name, older)) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
        }
        self.file = open(&path(&self.dir, self.name, 0))?;
        self.bytes = self.file.metadata()?.len();
        Ok(())
    }

    /// On a disk without room.
    #[cfg(test)]
    pub fn full() -> Self {
        let file = OpenOptions::new().write(true).open("/dev/full").unwrap();
        Self { dir: PathBuf::new(), name: "full", file, bytes: 0, most_bytes: 1_000_000, files: 1 }
    }
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().append(true).create(true).mode(0o600).open(path)
}

fn path(dir: &Path, name: &str, nth: usize) -> PathBuf {
    dir.join(if nth == 0 { format!("{name}.jsonl") } else { format!("{name}.{nth}.jsonl") })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn a_full_file_is_put_aside_and_the_oldest_goes() {
        let dir = tempfile::tempdir().unwrap();
        let mut journal = Journal::open(dir.path(), "audit", 30, 3).unwrap();
        (0..20_u32).for_each(|number| journal.append(&[format!("line {number:02}")]).unwrap());
        let read = |nth| fs::read_to_string(path(dir.path(), "audit", nth)).unwrap();
        assert_eq!(
            (read(0).as_str(), read(1).as_str()),
            ("\"line 18\"\n\"line 19\"\n", "\"line 15\"\n\"line 16\"\n\"line 17\"\n")
        );
        assert_eq!(fs::read_dir(dir.path()).unwrap().count(), 3);
        assert_eq!(fs::metadata(path(dir.path(), "audit", 0)).unwrap().permissions().mode() & 0o777, 0o600);
        let mut again = Journal::open(dir.path(), "audit", 30, 3).unwrap();
        again.append(&["more"]).unwrap();
        assert!(read(0).ends_with("\"line 19\"\n\"more\"\n"), "{}", read(0));
    }

    #[test]
    fn what_finds_no_room_leaves_nothing_behind() {
        assert!(Journal::full().append(&["line"]).is_err());
    }
}
