//! The door: large blobs handed over as descriptors by whoever is on the same machine, so that their bytes cross no socket.
//!
//! It lets in processes of the coordinator's own user, and whoever brings a ticket that an authorised call was given: the
//! ticket says what its connection may do.
//!
//! What comes in is copied, never kept as it is: whoever has the descriptor could change it later. Only from processes of
//! our own user, who can change our files anyway, files are taken over as they are: the workers of this machine hand in
//! large outputs so. What goes out is the blob's own file, opened for reading only.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::{fd::AsFd, unix::fs::FileExt},
    path::Path,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    thread,
    time::{Duration, Instant},
};

use blake3::Hash;
use bytes::Bytes;
use longshore_blobs::{BlobStore, Handover};
use longshore_core::Namespace;
use longshore_local::door::{Connection, Listener};
use longshore_proto::{
    Digest,
    v1::{BlobStart, DoorAnswer, DoorAsk, door_ask::Ask},
};

use crate::{
    error::{Error, Refused},
    kept::rooms::{Rooms, WeakRooms},
    limits,
    members::standing::Standing,
    net::codes,
    room::DiskRoom,
};

/// Bytes copied and hashed at a time: they stay in the processor's cache between the two.
const CHUNK_BYTES: usize = 256 << 10;

/// Random bytes of a ticket.
const TICKET_BYTES: usize = 16;

/// Pause after a connection that could not be accepted, so that the loop does not spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// What a connection through the door may do.
#[derive(Debug, Clone, Default)]
pub struct Rights {
    /// Hand in.
    pub put: bool,
    /// Be handed.
    pub get: bool,
    /// What it hands in are the outputs of accepted work, for which some room is kept free.
    pub of_worker: bool,
    /// Whose blobs it is about.
    pub namespace: Namespace,
    /// As long as this stands; `None` means always.
    pub standing: Option<Standing>,
}

impl Rights {
    fn stand(&self) -> bool {
        self.standing.as_ref().is_none_or(Standing::stands)
    }

    /// Of a process of the coordinator's own user that has shown no ticket: about what nobody has to name.
    fn own() -> Self {
        Self { put: true, get: true, ..Self::default() }
    }
}

/// Tickets that nobody has used.
#[derive(Default)]
struct Tickets(Mutex<HashMap<[u8; TICKET_BYTES], (Rights, Instant)>>);

impl Tickets {
    /// A new one; `None` when too many wait to be used.
    fn give(&self, rights: Rights) -> Option<[u8; TICKET_BYTES]> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tickets.retain(|_, (_, given)| given.elapsed() < limits::DOOR_TICKET_TIME);
        if tickets.len() >= limits::DOOR_TICKETS {
            return None;
        }
        let ticket = rand::random();
        tickets.insert(ticket, (rights, Instant::now()));
        Some(ticket)
    }

    /// What a ticket is good for. It is used up.
    fn take(&self, shown: &[u8]) -> Option<Rights> {
        let mut tickets = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let (rights, given) = tickets.remove(shown)?;
        (given.elapsed() < limits::DOOR_TICKET_TIME).then_some(rights)
    }
}

/// Listens as long as it lives.
pub struct Door {
    listener: Mutex<Arc<Listener>>,
    session: DoorSession,
}

impl Door {
    /// Opens a door; `None` where blobs are no files, and, with a warning, where it cannot be done: nobody needs it.
    pub fn open(listener: io::Result<Listener>, rooms: &Rooms, room: DiskRoom) -> Option<Self> {
        rooms.of(&Namespace::default()).handover()?;
        let session = DoorSession { rooms: rooms.downgrade(), room, tickets: Arc::default() };
        let opened = listener.and_then(|listener| listen(listener, &session));
        let listener = opened.inspect_err(|error| {
            tracing::warn!(%error, "descriptors cannot be handed over: large blobs go through the connection");
        });
        Some(Self { listener: Mutex::new(listener.ok()?), session })
    }

    /// Listens there from now on, and nowhere else.
    ///
    /// # Errors
    /// When a thread cannot be started.
    pub fn move_to(&self, listener: Listener) -> io::Result<()> {
        let moved = listen(listener, &self.session)?;
        std::mem::replace(&mut *self.listener(), moved).close();
        Ok(())
    }

    /// What to connect to; `None` where its path is no text.
    pub fn path(&self) -> Option<String> {
        self.listener().path().to_str().map(str::to_owned)
    }

    /// A ticket for one connection, which may do this; `None` when too many wait to be used.
    pub fn ticket(&self, rights: Rights) -> Option<Bytes> {
        self.session.tickets.give(rights).map(|ticket| Bytes::copy_from_slice(&ticket))
    }

    fn listener(&self) -> MutexGuard<'_, Arc<Listener>> {
        self.listener.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets sessions in until the listener is closed.
fn listen(listener: Listener, session: &DoorSession) -> io::Result<Arc<Listener>> {
    let listener = Arc::new(listener);
    let (accepting, session) = (Arc::clone(&listener), session.clone());
    thread::Builder::new().name("door".to_owned()).spawn(move || accept(&accepting, &session))?;
    Ok(listener)
}

impl Drop for Door {
    fn drop(&mut self) {
        self.listener().close();
    }
}

/// Serves each connection, until the listener is closed, on a thread of its own: they wait for disks.
fn accept(listener: &Listener, session: &DoorSession) {
    let inside = Arc::new(AtomicUsize::new(0));
    loop {
        let connection = match listener.accept() {
            Ok(connection) => connection,
            Err(error) if error.kind() == io::ErrorKind::InvalidInput => return,
            Err(error) => {
                // Descriptors may have run out.
                tracing::warn!(%error, "nobody can be let in through the door");
                thread::sleep(ACCEPT_PAUSE);
                continue;
            }
        };
        let leaving = Leaving(Arc::clone(&inside));
        if inside.fetch_add(1, Ordering::Relaxed) >= limits::DOOR_CONNECTIONS {
            continue;
        }
        let session = session.clone();
        let served = thread::Builder::new().name("door session".to_owned()).spawn(move || {
            let _leaving = leaving;
            session.serve(&connection);
        });
        if let Err(error) = served {
            tracing::warn!(%error, "a thread cannot be started for the door");
        }
    }
}

/// Counts a connection out when it ends.
struct Leaving(Arc<AtomicUsize>);

impl Drop for Leaving {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[derive(Clone)]
struct DoorSession {
    /// Not held while nothing is asked, so that the blobs end with the coordinator.
    rooms: WeakRooms,
    room: DiskRoom,
    tickets: Arc<Tickets>,
}

impl DoorSession {
    /// Until the other end goes, is silent for too long, or makes no sense.
    fn serve(&self, connection: &Connection) {
        if connection.patience(limits::DOOR_SILENCE).is_err() {
            return;
        }
        let same_user = connection.is_same_user();
        let mut rights = if same_user { Rights::own() } else { Rights::default() };
        while let Ok((ask, descriptor)) = connection.receive::<DoorAsk>() {
            let Some(rooms) = self.rooms.upgrade() else { return };
            let answered = match &ask.ask {
                Some(Ask::Enter(ticket)) => self.enter(ticket).map(|entered| {
                    rights = entered;
                    (DoorAnswer::default(), None)
                }),
                _ => {
                    let blobs = rooms.of(&rights.namespace);
                    self.answer(&*blobs, ask, descriptor.map(File::from), &rights, same_user)
                }
            };
            drop(rooms);
            let sent = match answered {
                Ok((answer, file)) => connection.send(&answer, file.as_ref().map(AsFd::as_fd)),
                Err(error) => {
                    let (code, message) = (codes::of(&error) as u32, short(&error.to_string()));
                    connection.send(&DoorAnswer { code, message, ..DoorAnswer::default() }, None)
                }
            };
            if sent.is_err() {
                return;
            }
        }
    }

    fn enter(&self, ticket: &[u8]) -> Result<Rights, Error> {
        self.tickets
            .take(ticket)
            .ok_or_else(|| Error::Refused(Refused::Stranger, "this is no ticket, or it was used already".to_owned()))
    }

    fn answer(
        &self,
        blobs: &dyn BlobStore,
        ask: DoorAsk,
        file: Option<File>,
        rights: &Rights,
        same_user: bool,
    ) -> Result<(DoorAnswer, Option<File>), Error> {
        let done = DoorAnswer::default();
        match ask.ask {
            Some(_) if !rights.stand() => Err(no_ticket()),
            Some(Ask::Put(_) | Ask::Adopt(_)) if !rights.put => Err(no_ticket()),
            Some(Ask::Get(_)) if !rights.get => Err(no_ticket()),
            Some(Ask::Put(start)) => self.put(blobs, &start, file, rights).map(|()| (done, None)),
            Some(Ask::Get(digest)) => {
                let digest = checked(&digest)?;
                let files = files(blobs)?;
                let file = if ask.verified { files.open_verified(&digest) } else { files.open_large(&digest) };
                Ok((done, Some(file?)))
            }
            Some(Ask::Adopt(path)) => {
                let digest = self.adopt(blobs, Path::new(&path), file, rights, same_user)?;
                Ok((DoorAnswer { digest: Bytes::copy_from_slice(digest.as_bytes()), ..done }, None))
            }
            Some(Ask::Enter(_)) | None => Err(Error::invalid("nothing is asked")),
        }
    }

    fn adopt(
        &self,
        blobs: &dyn BlobStore,
        path: &Path,
        file: Option<File>,
        rights: &Rights,
        same_user: bool,
    ) -> Result<Hash, Error> {
        if !same_user {
            return Err(Error::denied("files are taken over from the coordinator's own user only"));
        }
        let file = file.ok_or_else(|| Error::invalid("no descriptor came along"))?;
        self.ensure_room(rights)?;
        Ok(files(blobs)?.adopt_link(path, &file)?)
    }

    fn ensure_room(&self, rights: &Rights) -> Result<(), Error> {
        if rights.of_worker { self.room.ensure_for_outputs() } else { self.room.ensure() }
    }

    fn put(&self, blobs: &dyn BlobStore, start: &BlobStart, file: Option<File>, rights: &Rights) -> Result<(), Error> {
        let digest = checked(&start.digest)?;
        let file = file.ok_or_else(|| Error::invalid("no descriptor came along"))?;
        let unreadable = |error: io::Error| Error::invalid(format!("the descriptor cannot be read: {error}"));
        let metadata = file.metadata().map_err(unreadable)?;
        if !metadata.is_file() || metadata.len() != start.size {
            return Err(Error::invalid("the descriptor is not that of a regular file of the size told"));
        }
        if blobs.contains(&digest) {
            return blobs.sync().map_err(|error| Error::internal(format!("blobs cannot be made durable: {error}")));
        }
        let mut writer = blobs.create()?;
        let mut chunk = vec![0; CHUNK_BYTES];
        let mut unlooked = limits::ROOM_LOOK_BYTES;
        // No more than was told is stored, whatever becomes of the file meanwhile.
        while writer.size_bytes() < start.size {
            if unlooked >= limits::ROOM_LOOK_BYTES {
                self.ensure_room(rights)?;
                unlooked = 0;
            }
            let at = writer.size_bytes();
            let wanted = chunk.len().min(usize::try_from(start.size - at).unwrap_or(usize::MAX));
            let read = file.read_at(&mut chunk[..wanted], at).map_err(unreadable)?;
            if read == 0 {
                return Err(Error::invalid("the file is shorter than was told"));
            }
            writer.write(&chunk[..read])?;
            unlooked += read as u64;
        }
        writer.finish(Some(digest))?;
        Ok(())
    }
}

fn files(blobs: &dyn BlobStore) -> Result<&dyn Handover, Error> {
    blobs.handover().ok_or_else(|| Error::invalid("blobs are no files here: nothing can be handed over"))
}

fn no_ticket() -> Error {
    Error::denied("a ticket that allows this is needed; the coordinator gives one to whoever may ask for it")
}

fn checked(digest: &[u8]) -> Result<Hash, Error> {
    Ok(Digest::try_from(digest)?.into())
}

/// As much of a message as a packet takes.
fn short(message: &str) -> String {
    message.chars().take(500).collect()
}

#[cfg(test)]
mod tests {
    use std::{fs, io::Read as _};

    use tonic::Code;

    use super::*;
    use crate::members::standing::Term;

    struct World {
        dir: tempfile::TempDir,
        rooms: Rooms,
        blobs: Arc<dyn BlobStore>,
        door: Door,
    }

    fn world() -> World {
        let dir = tempfile::tempdir().unwrap();
        let rooms = local(dir.path());
        let door = open(&dir.path().join("door"), &rooms);
        let blobs = rooms.of(&Namespace::default());
        World { dir, rooms, blobs, door }
    }

    fn local(dir: &Path) -> Rooms {
        Rooms::open(dir, &[], false).unwrap().rooms
    }

    fn open(path: &Path, rooms: &Rooms) -> Door {
        Door::open(Listener::open(path), rooms, DiskRoom::of(path.parent().unwrap())).unwrap()
    }

    impl World {
        /// The answers to packets of one connection which has no rights of its own.
        fn ask_as_stranger(&self, asks: impl IntoIterator<Item = Ask>) -> Vec<u32> {
            let guest = DoorSession {
                rooms: self.rooms.downgrade(),
                room: DiskRoom::of(self.dir.path()),
                tickets: Arc::clone(&self.door.session.tickets),
            };
            let mut rights = Rights::default();
            let answer = |ask| match ask {
                Ask::Enter(ticket) => guest.enter(&ticket).map(|entered| rights = entered),
                ask => {
                    let ask = DoorAsk { ask: Some(ask), ..DoorAsk::default() };
                    let file = File::open(self.dir.path().join("input")).ok();
                    guest.answer(&*self.rooms.of(&rights.namespace), ask, file, &rights, false).map(|_| ())
                }
            };
            asks.into_iter()
                .map(answer)
                .map(|answer| answer.map_or_else(|error| codes::of(&error) as u32, |()| 0))
                .collect()
        }

        fn ask(&self, ask: Ask, file: Option<&File>) -> (DoorAnswer, Option<File>) {
            let connection = Connection::open(Path::new(&self.door.path().unwrap())).unwrap();
            connection.send(&DoorAsk { ask: Some(ask), ..DoorAsk::default() }, file.map(AsFd::as_fd)).unwrap();
            let (answer, descriptor) = connection.receive().unwrap();
            (answer, descriptor.map(File::from))
        }

        fn put(&self, content: &[u8], told: &[u8]) -> u32 {
            let path = self.dir.path().join("input");
            fs::write(&path, content).unwrap();
            let start = BlobStart { digest: bytes_of(&blake3::hash(told)), size: told.len() as u64 };
            self.ask(Ask::Put(start), Some(&File::open(path).unwrap())).0.code
        }
    }

    fn bytes_of(digest: &Hash) -> Bytes {
        Bytes::copy_from_slice(digest.as_bytes())
    }

    #[test]
    fn what_is_handed_in_comes_out_as_a_file_to_be_read_only() {
        let world = world();
        let content: Vec<u8> = (0..1_000_000_u32).map(|at| (at % 251) as u8).collect();
        assert_eq!(world.put(&content, &content), 0);
        assert_eq!(world.put(&content, &content), 0, "a second time it is there already");
        let (answer, file) = world.ask(Ask::Get(bytes_of(&blake3::hash(&content))), None);
        let mut file = file.unwrap();
        let mut read = Vec::new();
        file.read_to_end(&mut read).unwrap();
        assert_eq!((answer.code, read == content), (0, true));
        assert!(std::io::Write::write(&mut file, b"x").is_err());
    }

    #[test]
    fn nothing_is_kept_of_what_is_not_as_told() {
        let world = world();
        let (content, other) = ([1; 100_000], [2; 100_000]);
        for (content, told) in
            [(&content[..], &other[..]), (&content[..], &content[1..]), (&content[1..], &content[..])]
        {
            assert_eq!(world.put(content, told), Code::InvalidArgument as u32);
            assert!(!world.blobs.contains(&blake3::hash(told)));
        }
    }

    #[test]
    fn a_file_of_our_own_user_becomes_the_blob_without_a_copy() {
        use std::os::unix::fs::MetadataExt;
        let world = world();
        let path = world.dir.path().join("output");
        let content = vec![9; 200_000];
        fs::write(&path, &content).unwrap();
        let file = File::open(&path).unwrap();
        let adopt = || Ask::Adopt(path.to_str().unwrap().to_owned());
        for time in ["first", "again, as after an answer that was lost"] {
            let (answer, _) = world.ask(adopt(), Some(&file));
            assert_eq!((answer.code, answer.digest), (0, bytes_of(&blake3::hash(&content))), "{time}");
        }
        let (answer, held) = world.ask(Ask::Get(bytes_of(&blake3::hash(&content))), None);
        assert_eq!(answer.code, 0);
        assert_eq!(held.unwrap().metadata().unwrap().ino(), file.metadata().unwrap().ino());
    }

    #[test]
    fn a_path_that_is_not_the_descriptors_is_not_taken_over() {
        let world = world();
        let (path, other) = (world.dir.path().join("output"), world.dir.path().join("other"));
        for path in [&path, &other] {
            fs::write(path, vec![1; 100_000]).unwrap();
        }
        let ask = Ask::Adopt(path.to_str().unwrap().to_owned());
        assert_ne!(world.ask(ask.clone(), Some(&File::open(&other).unwrap())).0.code, 0);
        fs::hard_link(&path, world.dir.path().join("second name")).unwrap();
        assert_ne!(world.ask(ask, Some(&File::open(&path).unwrap())).0.code, 0);
        assert!(!world.blobs.contains(&blake3::hash(&[1; 100_000])));
    }

    #[test]
    fn a_damaged_blob_is_not_handed_out_as_verified() {
        let world = world();
        let content = vec![3; 100_000];
        let digest = blake3::hash(&content);
        assert_eq!(world.put(&content, &content), 0);
        let World { dir, rooms, blobs, door } = world;
        drop((door, blobs, rooms));
        let find = |name: &str| walk(&dir.path().join("blobs")).into_iter().find(|path| path.ends_with(name)).unwrap();
        let file = find(digest.to_hex().as_str());
        fs::set_permissions(&file, std::os::unix::fs::PermissionsExt::from_mode(0o644)).unwrap();
        fs::write(&file, vec![4; 100_000]).unwrap();
        let rooms = local(dir.path());
        let door = open(&dir.path().join("second door"), &rooms);
        let connection = Connection::open(Path::new(&door.path().unwrap())).unwrap();
        let get = DoorAsk { ask: Some(Ask::Get(bytes_of(&digest))), verified: true };
        connection.send(&get, None).unwrap();
        let (answer, _) = connection.receive::<DoorAnswer>().unwrap();
        assert_eq!(answer.code, Code::DataLoss as u32);
    }

    fn walk(dir: &Path) -> Vec<std::path::PathBuf> {
        let entries = fs::read_dir(dir).unwrap().map(|entry| entry.unwrap().path());
        entries.flat_map(|path| if path.is_dir() { walk(&path) } else { vec![path] }).collect()
    }

    #[test]
    fn only_regular_files_are_taken_and_only_held_blobs_given() {
        let world = world();
        let start = || BlobStart { digest: bytes_of(&blake3::hash(b"")), size: 0 };
        let refused = Code::InvalidArgument as u32;
        assert_eq!(world.ask(Ask::Put(start()), None).0.code, refused);
        assert_eq!(world.ask(Ask::Put(start()), Some(&File::open("/dev/zero").unwrap())).0.code, refused);
        assert_eq!(world.ask(Ask::Put(start()), Some(&File::open(world.dir.path()).unwrap())).0.code, refused);
        assert_eq!(world.ask(Ask::Get(bytes_of(&blake3::hash(b"none"))), None).0.code, Code::NotFound as u32);
        assert_eq!(world.ask(Ask::Get(Bytes::from_static(b"short")), None).0.code, refused);
    }

    #[test]
    fn strangers_do_what_their_ticket_says_over_one_connection() {
        let world = world();
        let content = [7; 100_000];
        assert_eq!(world.put(&content, &content), 0);
        let (refused, unknown) = (Code::PermissionDenied as u32, Code::Unauthenticated as u32);
        let digest = bytes_of(&blake3::hash(&content));
        let get = || Ask::Get(digest.clone());
        let put = || Ask::Put(BlobStart { digest: digest.clone(), size: content.len() as u64 });
        let adopt = || Ask::Adopt(world.dir.path().join("input").to_str().unwrap().to_owned());
        let ticket = |rights| world.door.ticket(rights).unwrap();
        assert_eq!(world.ask_as_stranger([get(), put(), adopt()]), [refused; 3]);
        let reads = ticket(Rights { get: true, ..Rights::default() });
        let entered = world.ask_as_stranger([Ask::Enter(reads.clone()), get(), put(), adopt()]);
        assert_eq!(entered, [0, 0, refused, refused]);
        assert_eq!(world.ask_as_stranger([Ask::Enter(reads), get()]), [unknown, refused], "it was used");
        let writes = ticket(Rights { put: true, ..Rights::default() });
        // Nobody's file but our own user's is taken over, whatever the ticket says.
        assert_eq!(world.ask_as_stranger([Ask::Enter(writes), put(), get(), adopt()]), [0, 0, refused, refused]);
        assert_eq!(world.ask_as_stranger([Ask::Enter(Bytes::from_static(&[0; TICKET_BYTES]))]), [unknown]);
    }

    #[test]
    fn a_ticket_is_for_the_blobs_of_one_namespace() {
        let world = world();
        let content = [7; 100_000];
        assert_eq!(world.put(&content, &content), 0);
        let digest = bytes_of(&blake3::hash(&content));
        let get = || Ask::Get(digest.clone());
        let put = || Ask::Put(BlobStart { digest: digest.clone(), size: content.len() as u64 });
        let vision = Namespace::named("vision");
        let ticket = || {
            let rights = Rights { put: true, get: true, namespace: vision.clone(), ..Rights::default() };
            Ask::Enter(world.door.ticket(rights).unwrap())
        };
        assert_eq!(world.ask_as_stranger([ticket(), get()]), [0, Code::NotFound as u32]);
        assert_eq!(world.ask_as_stranger([ticket(), put(), get()]), [0, 0, 0]);
        assert!(world.rooms.of(&vision).contains(&blake3::hash(&content)));
    }

    #[test]
    fn who_is_known_no_more_is_handed_nothing_with_the_ticket_they_had() {
        let world = world();
        let content = [7; 100_000];
        assert_eq!(world.put(&content, &content), 0);
        let term = Term::until(0);
        let rights = Rights { get: true, standing: Some(term.standing()), ..Rights::default() };
        let guest = |rights: &Rights| {
            let ask = DoorAsk { ask: Some(Ask::Get(bytes_of(&blake3::hash(&content)))), ..DoorAsk::default() };
            world.door.session.answer(&*world.blobs, ask, None, rights, false).map(|_| ())
        };
        guest(&rights).unwrap();
        term.end();
        assert!(guest(&rights).is_err());
    }

    #[test]
    fn a_door_that_has_moved_is_there_and_nowhere_else() {
        let world = world();
        let before = world.door.path().unwrap();
        world.door.move_to(Listener::open(&world.dir.path().join("elsewhere")).unwrap()).unwrap();
        assert_eq!(world.put(b"content of it", b"content of it"), 0);
        assert!(Connection::open(Path::new(&before)).is_err());
    }

    #[test]
    fn so_many_tickets_wait_and_no_more() {
        let World { dir: _dir, rooms: _rooms, blobs: _blobs, door } = world();
        let given = (0..limits::DOOR_TICKETS + 1).filter_map(|_| door.ticket(Rights::default())).count();
        assert_eq!(given, limits::DOOR_TICKETS);
    }

    #[test]
    fn a_closed_door_lets_nobody_in() {
        let World { dir: _dir, rooms: _rooms, blobs: _blobs, door } = world();
        let path = std::path::PathBuf::from(door.path().unwrap());
        drop(door);
        // Whoever got in at the last moment is not answered.
        let answered = Connection::open(&path).and_then(|connection| {
            connection.send(&DoorAsk::default(), None)?;
            connection.receive::<DoorAnswer>()
        });
        assert!(answered.is_err());
    }
}
