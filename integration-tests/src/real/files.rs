//! Files of a test, by their paths below its directory.

use std::{collections::BTreeMap, fs, path::PathBuf};

use walkdir::WalkDir;

use super::TestEnv;

impl TestEnv {
    /// Where something is.
    pub fn path(&self, below: &str) -> PathBuf {
        self.dir().join(below)
    }

    /// The same as text, for commands.
    ///
    /// # Panics
    /// Never: the directory's name is ASCII.
    pub fn text_path(&self, below: &str) -> String {
        self.path(below).into_os_string().into_string().unwrap()
    }

    /// The same for shells, in double quotes: the directory's name may have blanks.
    pub fn shell_path(&self, below: &str) -> String {
        format!("\"{}\"", self.text_path(below))
    }

    /// Writes a file and the directories it is in.
    ///
    /// # Panics
    /// When the disk does not take it.
    pub fn write(&self, below: &str, bytes: impl AsRef<[u8]>) {
        let path = self.path(below);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, bytes).unwrap();
    }

    /// Reads a text file.
    ///
    /// # Panics
    /// When it is not there.
    #[track_caller]
    pub fn read(&self, below: &str) -> String {
        let path = self.path(below);
        fs::read_to_string(&path).unwrap_or_else(|cause| panic!("{}: {cause}", path.display()))
    }

    /// Every file below a directory, by its path below it; nothing when the directory is not there.
    ///
    /// # Panics
    /// When something below it is not a regular file or directory.
    pub fn tree(&self, below: &str) -> BTreeMap<String, Vec<u8>> {
        let root = self.path(below);
        if !root.exists() {
            return BTreeMap::new();
        }
        let entries = WalkDir::new(&root).into_iter().map(Result::unwrap);
        let files = entries.filter(|entry| !entry.file_type().is_dir()).map(|entry| {
            assert!(entry.file_type().is_file(), "{} is not a regular file", entry.path().display());
            let name = entry.path().strip_prefix(&root).unwrap().to_str().unwrap().to_owned();
            (name, fs::read(entry.path()).unwrap())
        });
        files.collect()
    }

    /// Names of the files below a directory.
    pub fn names(&self, below: &str) -> Vec<String> {
        self.tree(below).into_keys().collect()
    }

    /// Lines of a file; none when it is not there.
    pub fn lines(&self, below: &str) -> Vec<String> {
        let text = fs::read_to_string(self.path(below)).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}
