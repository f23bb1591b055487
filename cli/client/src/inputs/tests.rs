//! Inputs as people type them, over a real directory.

use std::{fs, os::unix::fs::symlink, path::PathBuf};

use bytes::Bytes;

use super::*;

const ONE: NonZeroUsize = NonZeroUsize::MIN;

struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn with(files: &[&str]) -> World {
        let dir = tempfile::tempdir().unwrap();
        for file in files {
            let path = dir.path().join(file);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
        World { dir }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn collect(&self, names: &[&str]) -> Result<Vec<String>, InputError> {
        let mut collector = Collector::new();
        for name in names {
            collector.argument(self.at(name).as_os_str())?;
        }
        Ok(collector.finish()?.into_iter().map(|input| input.path).collect())
    }

    fn refusal(&self, names: &[&str]) -> String {
        self.collect(names).unwrap_err().to_string()
    }
}

#[test]
fn a_file_is_named_by_its_base_name() {
    let world = World::with(&["a/b.txt"]);
    assert_eq!(world.collect(&["a/b.txt"]).unwrap(), ["b.txt"]);
}

#[test]
fn a_directory_gives_its_files_in_order_with_their_paths_below_it() {
    let world = World::with(&["d/z.txt", "d/a/b.txt", "d/.hidden", "other"]);
    assert_eq!(world.collect(&["d"]).unwrap(), [".hidden", "a/b.txt", "z.txt"]);
}

#[test]
fn a_pattern_keeps_paths_below_its_fixed_part_and_leaves_hidden_files() {
    let world = World::with(&["t/a/1.txt", "t/b/2.txt", "t/b/2.md", "t/.c/3.txt", "t/4.txt"]);
    assert_eq!(world.collect(&["t/*/*.txt"]).unwrap(), ["a/1.txt", "b/2.txt"]);
    assert_eq!(world.collect(&["t/**/*.txt"]).unwrap(), ["4.txt", "a/1.txt", "b/2.txt"]);
    assert_eq!(world.collect(&["t/*.{txt,md}"]).unwrap(), ["4.txt"]);
    assert_eq!(world.collect(&["t/.c/*"]).unwrap(), ["3.txt"]);
}

#[test]
fn a_star_stays_within_one_component() {
    let world = World::with(&["t/a/1.txt"]);
    assert!(world.refusal(&["t/*.txt"]).contains("matches no file"));
}

#[test]
fn what_exists_under_the_very_name_is_no_pattern() {
    let world = World::with(&["a[1].txt", "a1.txt"]);
    assert_eq!(world.collect(&["a[1].txt"]).unwrap(), ["a[1].txt"]);
}

#[test]
fn two_inputs_of_one_name_are_an_error_that_names_both() {
    let world = World::with(&["a/x.txt", "b/x.txt"]);
    let error = world.refusal(&["a/x.txt", "b/x.txt"]);
    assert!(error.contains("a/x.txt") && error.contains("b/x.txt"), "{error}");
}

#[test]
fn missing_empty_and_unmatched_inputs_are_named() {
    let world = World::with(&["d/x"]);
    fs::create_dir(world.at("empty")).unwrap();
    assert!(world.refusal(&["nowhere.txt"]).contains("nowhere.txt"));
    assert!(world.refusal(&["empty"]).contains("empty has no file"));
    assert!(world.refusal(&["none/*.txt"]).contains("none/*.txt matches no file"));
    assert!(world.refusal(&["d/[x"]).contains("is no pattern"));
}

#[test]
fn links_to_files_are_read_through_and_links_to_directories_are_refused() {
    let world = World::with(&["d/x.txt", "e/y.txt"]);
    symlink(world.at("e/y.txt"), world.at("d/link.txt")).unwrap();
    assert_eq!(world.collect(&["d"]).unwrap(), ["link.txt", "x.txt"]);
    symlink(world.at("e"), world.at("d/loop")).unwrap();
    assert!(world.refusal(&["d"]).contains("d/loop is a link to a directory"));
}

#[test]
fn a_link_to_a_directory_may_be_named_itself() {
    let world = World::with(&["e/y.txt"]);
    symlink(world.at("e"), world.at("link")).unwrap();
    assert_eq!(world.collect(&["link"]).unwrap(), ["y.txt"]);
}

#[test]
fn sockets_dangling_links_and_odd_names_are_refused_by_name() {
    let world = World::with(&["d/x.txt", "n/a\u{1b}b", "u/x"]);
    let _socket = std::os::unix::net::UnixListener::bind(world.at("d/s")).unwrap();
    assert!(world.refusal(&["d"]).contains("d/s is a socket"));
    assert!(world.refusal(&["n"]).contains("a\\x1bb cannot be an input"));
    symlink("nowhere", world.at("u/dangling")).unwrap();
    assert!(world.refusal(&["u"]).contains("u/dangling"));
    use std::os::unix::ffi::OsStrExt;
    let world = World::with(&[]);
    fs::write(world.dir.path().join(OsStr::from_bytes(b"\xff")), "").unwrap();
    assert!(world.refusal(&["."]).contains("\\xff cannot be an input: it is not UTF-8"));
}

#[test]
fn a_list_names_files_by_the_paths_it_has() {
    let world = World::with(&["a/x.txt", "b/x.txt"]);
    let list = format!("{}\n\n{}\n", world.at("a/x.txt").display(), world.at("b/x.txt").display());
    let mut collector = Collector::new();
    collector.list(list.as_bytes(), "list").unwrap();
    // Absolute paths fall back to base names, which here are the same.
    assert!(matches!(collector.finish(), Err(InputError::Duplicate { .. })));
    assert_eq!(listed_name(Path::new("./a/x.txt")).unwrap(), "a/x.txt");
    assert_eq!(listed_name(Path::new("../a/x.txt")).unwrap(), "x.txt");
    let directory = world.at("a").display().to_string();
    let error = Collector::new().list(directory.as_bytes(), "list").unwrap_err();
    assert!(error.hint().unwrap().contains("find"), "{error}");
}

#[test]
fn nul_separates_a_list_that_has_it() {
    let world = World::with(&["x", "y"]);
    let list = format!("{}\0{}\0", world.at("x").display(), world.at("y").display());
    let mut collector = Collector::new();
    collector.list(list.as_bytes(), "list").unwrap();
    assert_eq!(collector.finish().unwrap().len(), 2);
}

#[test]
fn each_line_is_an_item_numbered_as_in_the_file() {
    let mut collector = Collector::new();
    collector.each_line(&b"one\n\ntwo\nlast"[..], "words", ONE).unwrap();
    let items = collector.finish().unwrap();
    let paths: Vec<&str> = items.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(paths, ["line-000001.txt", "line-000003.txt", "line-000004.txt"]);
    assert_eq!(items[0].source, Source::Bytes(Bytes::from_static(b"one\n")));
    assert_eq!(items[2].source, Source::Bytes(Bytes::from_static(b"last")));
    assert!(Collector::new().each_line(&b"\n\n"[..], "blank", ONE).is_err());
}

#[test]
fn lines_are_put_together_as_many_as_is_said() {
    let items = |text: &[u8], together: usize| {
        let mut collector = Collector::new();
        collector.each_line(text, "words", NonZeroUsize::new(together).unwrap()).unwrap();
        let items = collector.finish().unwrap().into_iter();
        items
            .map(|item| match item.source {
                Source::Bytes(bytes) => (item.path, String::from_utf8(bytes.to_vec()).unwrap()),
                Source::File(_) => panic!("a line is at hand"),
            })
            .collect::<Vec<_>>()
    };
    let text = b"1\n2\n\n3\n4\n5";
    assert_eq!(
        items(text, 2),
        [
            ("lines-000001-000002.txt", "1\n2\n"),
            ("lines-000004-000005.txt", "3\n4\n"),
            ("lines-000006-000006.txt", "5")
        ]
        .map(|(path, text)| (path.to_owned(), text.to_owned()))
    );
    assert_eq!(items(text, 3)[0], ("lines-000001-000004.txt".to_owned(), "1\n2\n3\n".to_owned()));
    assert_eq!(items(text, 100).len(), 1);
}

#[test]
fn lists_and_lines_of_windows_are_those_of_everybody() {
    let world = World::with(&["x", "y"]);
    let list = format!("\u{feff}{}\r\n\r\n{}\r\n", world.at("x").display(), world.at("y").display());
    let mut collector = Collector::new();
    collector.list(list.as_bytes(), "list").unwrap();
    assert_eq!(collector.finish().unwrap().len(), 2);
    let lines = |text: &'static [u8]| {
        let mut collector = Collector::new();
        collector.each_line(text, "words", ONE).unwrap();
        collector.finish().unwrap().into_iter().map(|item| item.source).collect::<Vec<_>>()
    };
    let bytes = |text: &'static [u8]| Source::Bytes(Bytes::from_static(text));
    assert_eq!(lines(b"one\r\ntwo\r\nlast\r"), [bytes(b"one\n"), bytes(b"two\n"), bytes(b"last")]);
    assert_eq!(lines(b"one\r\ntwo\n"), [bytes(b"one\r\n"), bytes(b"two\n")], "one line end of many is the user's");
}

#[test]
fn what_cannot_be_used_is_left_out_and_counted_where_that_is_wanted() {
    let world = World::with(&["d/x.txt", "d/y\u{1b}", "e/z.txt"]);
    let _socket = std::os::unix::net::UnixListener::bind(world.at("d/s")).unwrap();
    symlink("nowhere", world.at("d/dangling")).unwrap();
    symlink(world.at("e"), world.at("d/loop")).unwrap();
    let left_out = LeftOut::default();
    let mut collector = Collector::new().skipping(left_out.clone());
    collector.argument(world.at("d").as_os_str()).unwrap();
    collector.argument(world.at("none").as_os_str()).unwrap();
    let list =
        format!("{}\n{}\n{}\n", world.at("gone").display(), world.at("e").display(), world.at("e/z.txt").display());
    collector.list(list.as_bytes(), "list").unwrap();
    let paths: Vec<_> = collector.finish().unwrap().into_iter().map(|input| input.path).collect();
    assert_eq!(paths, ["x.txt", "z.txt"]);
    let told = left_out.told();
    assert_eq!((told.count, told.first.len()), (7, 7), "{told:?}");
    assert!(told.first.iter().any(|line| line.contains("d/s is a socket")), "{told:?}");
}

#[test]
fn where_outputs_go_is_not_looked_into_unless_it_is_named() {
    let world = World::with(&["d/a", "d/out/a", "d/b/out/c"]);
    let collect = |names: &[&str]| {
        let mut collector = Collector::new().apart_from(&world.at("d/out"));
        names.iter().try_for_each(|name| collector.argument(world.at(name).as_os_str())).unwrap();
        let found = collector.found_apart();
        (collector.finish().unwrap().into_iter().map(|input| input.path).collect::<Vec<_>>(), found)
    };
    assert_eq!(collect(&["d"]), (vec!["a".to_owned(), "b/out/c".to_owned()], Some(world.at("d/out"))));
    assert_eq!(collect(&["d/**/a"]).0, ["a"]);
    assert_eq!(collect(&["d/out"]), (vec!["a".to_owned()], None));
}

#[test]
fn names_of_255_bytes_are_names_and_what_is_not_utf_8_is_refused_by_name() {
    use std::os::unix::ffi::OsStrExt;
    let longest = "n".repeat(255);
    let world = World::with(&[&format!("d/{longest}")]);
    assert_eq!(world.collect(&["d"]).unwrap(), [longest]);
    fs::write(world.at("d").join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap();
    assert!(
        world.refusal(&["d"]).contains("\\xff\\xfe cannot be an input: it is not UTF-8"),
        "{}",
        world.refusal(&["d"])
    );
}
