//! Links that runs leave, and what arrives of them.

use super::*;

#[test]
fn a_link_that_leads_elsewhere_is_refused_and_what_it_points_to_never_read() {
    for (target, why) in [
        ("/etc/shadow", "leads out of the output directory"),
        ("../../../../../../etc/passwd", "leads out of the output directory"),
        ("/proc/self/environ", "leads out of the output directory"),
        ("nowhere", "is not there"),
    ] {
        let mut world = World::new();
        world.put("beside", "");
        symlink(target, world.run().join("x")).unwrap();
        let words = format!("\"x\" is a link to \"{target}\", which {why} (`links: skip` leaves links out)");
        assert_eq!(world.refusal(), words);
        world.clear();
    }
}

#[test]
fn links_arrive_as_the_files_they_lead_to_which_are_not_copied() {
    let mut world = World::new();
    world.put("lib.so.1.2", vec![7; SMALL_BLOB_BYTES + 1]);
    world.put("d/small", "few bytes");
    fs::set_permissions(world.run().join("d/small"), fs::Permissions::from_mode(0o755)).unwrap();
    let absolute = world.run().join("lib.so");
    for (path, target) in [
        ("lib.so", "lib.so.1".as_ref()),
        ("lib.so.1", "lib.so.1.2".as_ref()),
        ("d/up", "../lib.so".as_ref()),
        ("d/whole", absolute.as_path()),
        ("a", "d/small".as_ref()),
    ] {
        symlink(target, world.run().join(path)).unwrap();
    }
    let outputs = world.collect();
    let found = |path: &str| outputs.iter().find(|output| output.path == format!("texts/{path}")).unwrap();
    let Content::File(large) = &found("lib.so.1.2").content else { panic!("inline") };
    for link in ["lib.so", "lib.so.1", "d/up", "d/whole"] {
        let output = found(link);
        assert!(matches!(&output.content, Content::File(file) if Arc::ptr_eq(file, large)), "{link}");
        assert_eq!((output.size, output.executable), (SMALL_BLOB_BYTES as u64 + 1, false));
    }
    let small = found("a");
    assert_eq!((bytes(small), small.executable, small.size), (b"few bytes".to_vec(), true, 9));
    assert_eq!(small.digest, found("d/small").digest);
    let run = world.run();
    world.clear();
    world.lay();
    assert_eq!(world.run(), run, "everything was taken out: it is used again");
}

#[test]
fn links_are_refused_or_left_out_where_that_is_wanted() {
    let filled = || {
        let world = World::new();
        world.put("a", "x");
        symlink("/etc/passwd", world.run().join("b")).unwrap();
        world
    };
    let mut world = filled();
    assert_eq!(world.refusal_within((LIMITS, Links::Refuse)), "\"b\" is a symbolic link (`links: refuse`)");
    let mut world = filled();
    let collected = world.collect_with(Links::Skip);
    assert_eq!(collected.outputs.iter().map(|output| output.path.as_str()).collect::<Vec<_>>(), ["texts/a"]);
    assert_eq!(collected.notes, "longshore: a link is left out: \"b\"\n");
    world.clear();
    world.lay();
    let mut world = World::new();
    for at in 0..=OUTPUTS {
        symlink("x", world.run().join(at.to_string())).unwrap();
    }
    assert!(world.refusal_within((LIMITS, Links::Skip)).contains("there are more than"), "left out, they are work");
}

#[test]
fn what_links_stand_for_counts_before_anything_is_copied() {
    for hard in [false, true] {
        let mut world = World::new();
        fs::File::create(world.run().join("large")).unwrap().set_len(1 << 30).unwrap();
        for at in 0..9_000 {
            let link = world.run().join(at.to_string());
            if hard { fs::hard_link(world.run().join("large"), link) } else { symlink("large", link) }.unwrap();
        }
        let limits = Limits { file_bytes: 1 << 30, total_bytes: 3 << 29, files: 10_000 };
        let told = world.refusal_within((limits, Links::Follow));
        assert!(told.starts_with("its outputs are larger than 1536 MiB together"), "hard: {hard}: {told}");
        world.discard();
    }
}

#[test]
fn a_symlink_to_a_directory_is_not_entered() {
    let mut world = World::new();
    let outside = world.base.path().join("secret");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("key"), "k").unwrap();
    symlink("../../secret", world.run().join("sub")).unwrap();
    assert!(world.refusal().contains("\"../../secret\", which leads out"));
    world.clear();
    assert!(outside.join("key").exists(), "removing followed the link");
    world.lay();
    world.put("d/x", "");
    symlink("d", world.run().join("sub")).unwrap();
    assert!(world.refusal().contains("\"d\", which is a directory"));
    world.clear();
    world.lay();
    world.put("d/x", "");
    symlink("d", world.run().join("sub")).unwrap();
    symlink("sub/x", world.run().join("through")).unwrap();
    assert!(world.refusal().contains("is a link to"), "no name leads through a link");
}

#[test]
fn names_of_one_file_all_arrive_and_no_file_is_kept_that_has_another_name() {
    use std::os::unix::fs::MetadataExt;
    for size in [3, SMALL_BLOB_BYTES + 1] {
        let mut world = World::new();
        let content = vec![7; size];
        world.put("a", &content);
        fs::create_dir(world.run().join("d")).unwrap();
        let outside = world.base.path().join("outside");
        for other in [world.run().join("b"), world.run().join("d/c"), outside.clone()] {
            fs::hard_link(world.run().join("a"), other).unwrap();
        }
        let outputs = world.collect();
        let paths: Vec<_> = outputs.iter().map(|output| output.path.as_str()).collect();
        assert_eq!(paths, ["texts/a", "texts/b", "texts/d/c"]);
        assert!(outputs.iter().all(|output| bytes(output) == content));
        for output in &outputs {
            let Content::File(file) = &output.content else { continue };
            let (kept, other) = (fs::metadata(file.path()).unwrap(), fs::metadata(&outside).unwrap());
            assert_eq!((kept.nlink(), kept.mode() & 0o7777), (1, 0o600));
            assert_ne!(kept.ino(), other.ino());
        }
        if let [Content::File(one), Content::File(two), _] = [0, 1, 2].map(|at| &outputs[at].content) {
            assert!(Arc::ptr_eq(one, two), "copied once");
        }
        fs::write(&outside, "changed").unwrap();
        assert!(outputs.iter().all(|output| bytes(output) == content));
        world.clear();
        world.lay();
        world.put("a", "x");
        fs::hard_link(world.run().join("a"), world.run().join("b")).unwrap();
        assert!(world.refusal_within((LIMITS, Links::Refuse)).contains("has several names"));
        world.discard();
        world.lay();
        world.put("a", "x");
        fs::hard_link(world.run().join("a"), world.run().join("b")).unwrap();
        let collected = world.collect_with(Links::Skip);
        // The next run's standard output is one too.
        assert_eq!((collected.outputs.len(), collected.notes.as_str()), (3, ""));
    }
}

#[test]
fn a_large_file_all_of_whose_names_are_found_is_not_copied() {
    use std::os::unix::fs::MetadataExt;
    let mut world = World::new();
    world.put("d/a", vec![7; SMALL_BLOB_BYTES + 1]);
    fs::hard_link(world.run().join("d/a"), world.run().join("b")).unwrap();
    let inode = fs::metadata(world.run().join("b")).unwrap().ino();
    let outputs = world.collect();
    let Content::File(file) = &outputs[0].content else { panic!("inline") };
    assert_eq!(fs::metadata(file.path()).unwrap().ino(), inode);
    assert_eq!([0, 1].map(|at| bytes(&outputs[at]).len()), [SMALL_BLOB_BYTES + 1; 2]);
    let run = world.run();
    world.clear();
    world.lay();
    assert_eq!(world.run(), run, "everything was taken out: it is used again");
}
