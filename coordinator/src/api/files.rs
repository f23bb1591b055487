//! Files: those that are sent along with a container, and whether several can stand beside one another.

use std::collections::HashSet;

use longshore_proto::{
    Digest,
    v1::{Container, NamedBlob},
};

use super::validate::{self, Invalid};
use crate::{error::Error, kept::messages::Messages, limits};

/// No two files have the same path, and none stands where another needs a directory. `what` one of them is called.
pub fn beside_one_another(files: &[NamedBlob], what: &str) -> Result<(), Invalid> {
    let mut paths = HashSet::with_capacity(files.len());
    if let Some(twice) = files.iter().find(|file| !paths.insert(file.path.as_str())) {
        return Err(Invalid(format!("two {what}s have the path {:?}", twice.path)));
    }
    for file in files {
        let above = file.path.match_indices('/').map(|(slash, _)| &file.path[..slash]);
        if let Some(taken) = above.into_iter().find(|above| paths.contains(above)) {
            return Err(Invalid(format!("{what} {taken:?} stands where {:?} needs a directory", file.path)));
        }
    }
    Ok(())
}

/// The files of a container are few and small, and in the room of whoever sends them. `owner` whose container it is.
pub fn check_sent(room: &Messages, container: Option<&Container>, owner: &str) -> Result<(), Error> {
    let files = container.map_or(&[][..], |container| &container.files);
    let refused = |why: String| Error::invalid(format!("{owner}: {why}"));
    if files.len() > limits::FILES {
        return Err(refused(format!("{} files are sent along, more than {}", files.len(), limits::FILES)));
    }
    for file in files {
        validate::path(&file.path).map_err(|Invalid(why)| refused(why))?;
        if file.size > limits::FILE_BYTES {
            let (path, most) = (&file.path, limits::FILE_BYTES);
            return Err(refused(format!("file {path:?} has {} bytes, more than {most}", file.size)));
        }
        let named = Digest::try_from(&file.digest).ok().filter(|_| file.inline.is_none());
        let digest = named.ok_or_else(|| refused(format!("file {:?} is not named by its digest", file.path)))?;
        match room.size(digest) {
            Some(size) if size == file.size => {}
            Some(size) => {
                return Err(refused(format!("file {:?} has {size} bytes, not {}", file.path, file.size)));
            }
            None => return Err(Error::not_now(format!("{owner}: file {:?} was not uploaded", file.path))),
        }
    }
    let bytes: u64 = files.iter().map(|file| file.size).sum();
    if bytes > limits::FILES_BYTES {
        let most = limits::FILES_BYTES;
        return Err(refused(format!("the files that are sent along have {bytes} bytes together, more than {most}")));
    }
    beside_one_another(files, "file").map_err(|Invalid(why)| refused(why))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kept::messages::tests::messages;

    fn file(path: &str, content: &[u8]) -> NamedBlob {
        let (digest, size) = (Digest::of(content).to_wire(), content.len() as u64);
        NamedBlob { path: path.to_owned(), digest, size, ..NamedBlob::default() }
    }

    #[test]
    fn files_that_are_sent_along_are_few_small_there_and_beside_one_another() {
        let (_dir, room) = messages();
        let large = vec![7; limits::FILE_BYTES as usize];
        room.put_bytes(b"print()").unwrap();
        room.put_bytes(&large).unwrap();
        let check = |files: Vec<NamedBlob>| {
            let container = Container { files, ..Container::default() };
            check_sent(&room, Some(&container), "stage \"run\"").map_err(|error| error.to_string())
        };
        check(Vec::new()).unwrap();
        check(vec![file("run.py", b"print()"), file("lib/a", &large), file("lib/b", &large)]).unwrap();
        let many = |count: usize| (0..count).map(|at| file(&at.to_string(), b"print()")).collect();
        check(many(limits::FILES)).unwrap();
        for (files, why) in [
            (many(limits::FILES + 1), "65 files are sent along, more than 64"),
            (
                vec![file("a", &large), file("b", &large), file("c", &large), file("d", &large), file("e", b"print()")],
                "together",
            ),
            (vec![NamedBlob { size: limits::FILE_BYTES + 1, ..file("a", &large) }], "more than 1048576"),
            (vec![NamedBlob { size: 3, ..file("a", b"print()") }], "has 7 bytes, not 3"),
            (vec![NamedBlob { inline: Some("x".into()), ..file("a", b"print()") }], "not named by its digest"),
            (vec![file("a", b"elsewhere")], "file \"a\" was not uploaded"),
            (vec![file("../a", b"print()")], "../a"),
            (vec![file("a", b"print()"), file("a", b"print()")], "two files have the path \"a\""),
            (vec![file("a", b"print()"), file("a/b", b"print()")], "stands where \"a/b\" needs a directory"),
        ] {
            let error = check(files).unwrap_err();
            assert!(error.contains("stage \"run\"") && error.contains(why), "{error}");
        }
    }
}
