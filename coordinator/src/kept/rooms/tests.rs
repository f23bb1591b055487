//! Rooms side by side.

use longshore_blobs::{GetError, Loss};

use super::*;

fn vision() -> Namespace {
    Namespace::named("vision")
}

fn open(dir: &Path, holdings: &[(Namespace, Holding)]) -> Rooms {
    Rooms::open(dir, holdings, false).unwrap().rooms
}

fn names(dir: &Path) -> BTreeSet<String> {
    fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect()
}

#[test]
fn what_is_in_one_room_is_in_no_other() {
    let dir = tempfile::tempdir().unwrap();
    let rooms = open(dir.path(), &[]);
    let (small, large) = (b"a few bytes".to_vec(), vec![7; 100_000]);
    let digests = [&small, &large].map(|bytes| blake3::hash(bytes));
    let own = rooms.of(&vision());
    own.append_small(&digests[0], &small).unwrap();
    let mut writer = own.create().unwrap();
    writer.write(&large).unwrap();
    writer.finish(Some(digests[1])).unwrap();
    for namespace in [Namespace::default(), Namespace::named("audio")] {
        let other = rooms.of(&namespace);
        for digest in &digests {
            assert!(!other.contains(digest) && other.size(digest).is_none());
            assert!(matches!(other.get(digest), Err(GetError::NotFound { .. })));
            assert!(other.read_chunks(digest, 10).is_err());
            assert!(other.handover().unwrap().open_large(digest).is_err());
        }
    }
    assert!(rooms.of(&vision()).get(&digests[1]).unwrap() == large);
    assert!(own.append_small(&blake3::hash(b"x"), b"x").unwrap() && rooms.of(&vision()).contains(&blake3::hash(b"x")));
}

#[test]
fn looking_makes_no_room() {
    let dir = tempfile::tempdir().unwrap();
    let rooms = open(dir.path(), &[]);
    let room = rooms.of(&vision());
    assert!(!room.contains(&blake3::hash(b"")) && room.get(&blake3::hash(b"")).is_err());
    room.sync().unwrap();
    assert_eq!(rooms.checkpoint().unwrap(), []);
    assert_eq!(names(dir.path()), BTreeSet::from([DEFAULT.to_owned()]));
    room.append_small(&blake3::hash(b"x"), b"x").unwrap();
    assert_eq!(names(&dir.path().join(OTHERS)), BTreeSet::from(["vision".to_owned()]));
}

#[test]
fn all_rooms_are_asked_what_they_hold_and_each_is_told_of_its_own_losses() {
    let dir = tempfile::tempdir().unwrap();
    let rooms = open(dir.path(), &[]);
    for namespace in [Namespace::default(), vision()] {
        rooms.of(&namespace).append_small(&blake3::hash(b"x"), b"x").unwrap();
    }
    let held = rooms.checkpoint().unwrap();
    assert_eq!(held.iter().map(|(whose, _)| whose.name()).collect::<Vec<_>>(), ["default", "vision"]);
    assert_eq!(rooms.checkpoint().unwrap(), []);
    drop(rooms);
    assert!(Rooms::is_anything_in(dir.path()).unwrap());
    let rooms = open(dir.path(), &held);
    assert!(rooms.of(&vision()).contains(&blake3::hash(b"x")), "it is there without being asked for");
    drop(rooms);
    fs::remove_dir_all(dir.path().join(OTHERS)).unwrap();
    let lost = Rooms::open(dir.path(), &held, false).unwrap_err();
    let RoomError { namespace, source: OpenError::Lost { first: Loss { path, .. }, .. } } = &lost else {
        panic!("{lost:?}")
    };
    assert!(*namespace == vision() && path.starts_with(dir.path().join("rooms/vision")), "{lost:?}");
    assert_eq!(lost.to_string(), "cannot open the blobs of namespace vision");
    let opened = Rooms::open(dir.path(), &held, true).unwrap();
    assert_eq!(opened.gone.iter().map(|(whose, _)| whose.name()).collect::<Vec<_>>(), ["vision"]);
    assert!(opened.rooms.of(&Namespace::default()).contains(&blake3::hash(b"x")));
}

#[test]
fn many_who_put_at_once_make_one_room() {
    let dir = tempfile::tempdir().unwrap();
    let rooms = open(dir.path(), &[]);
    std::thread::scope(|scope| {
        for number in 0..8_u8 {
            let room = rooms.of(&vision());
            scope.spawn(move || room.append_small(&blake3::hash(&[number]), &[number]).unwrap());
        }
    });
    assert!((0..8_u8).all(|number| rooms.of(&vision()).contains(&blake3::hash(&[number]))));
}
