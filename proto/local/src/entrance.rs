//! The entrance a coordinator opens for its own user: a socket, a token, and word of both.

use std::{
    fs::{self, File, Permissions},
    io,
    net::SocketAddr,
    os::unix::{
        fs::{OpenOptionsExt, PermissionsExt},
        net::UnixListener,
    },
    path::PathBuf,
};

use rustix::{
    fs::{FlockOperation, flock},
    io::Errno,
    net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType, connect, socket_with},
};

use crate::{
    door,
    private::PrivateDirError,
    runtime_dir::RuntimeDir,
    token::{Token, TokenDigest},
    user::User,
    word::Word,
};

/// The file that is locked while sockets come and go.
const LOCK: &str = "lock";

/// Why no entrance can be opened.
#[derive(Debug, thiserror::Error)]
pub enum EntranceError {
    /// Peers of our own user could not be told from strangers.
    #[error(
        "this runs as user {0}, which the kernel also shows for everybody it cannot name, so it cannot be told who calls"
    )]
    Nobody(u32),
    /// The directory cannot be used.
    #[error(transparent)]
    Directory(#[from] PrivateDirError),
    /// Something of ours listens there already, perhaps in another network namespace.
    #[error("another coordinator of this user serves {address} by {}", socket.display())]
    InUse {
        /// The address.
        address: SocketAddr,
        /// Its socket.
        socket: PathBuf,
    },
    /// The socket or a file beside it cannot be made.
    #[error("cannot make {}", path.display())]
    Io {
        /// What.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}

/// Listens for our own user as long as it lives; dropped, it removes what it has left.
#[derive(Debug)]
pub struct Entrance {
    dir: RuntimeDir,
    address: SocketAddr,
    word: String,
    owner: User,
    listener: UnixListener,
    token: Token,
}

impl Entrance {
    /// Opens an entrance for a coordinator that listens at `address`, in the directory of this user.
    ///
    /// # Errors
    /// When nothing can be kept there, or another coordinator of this user has the address.
    pub fn open(address: SocketAddr) -> Result<Self, EntranceError> {
        Self::open_in(RuntimeDir::make()?, address)
    }

    /// The same in a directory of one's choice.
    ///
    /// # Errors
    /// As [`Entrance::open`].
    pub fn open_in(dir: RuntimeDir, address: SocketAddr) -> Result<Self, EntranceError> {
        Self::open_with(dir, address, Token::new(), None)
    }

    /// Opens it anew, with the token it had, if it is gone: the directory of a user's session is removed with the session, but
    /// a coordinator may go on. True if that was so.
    ///
    /// # Errors
    /// As [`Entrance::open`].
    pub fn restore(&mut self) -> Result<bool, EntranceError> {
        let left = [Word::socket(self.address), Word::token(self.address), Word::file(self.address)];
        if left.iter().all(|entry| self.dir.has(entry)) {
            return Ok(false);
        }
        *self = Self::open_with(RuntimeDir::make()?, self.address, self.token.clone(), Some(&self.word))?;
        Ok(true)
    }

    /// Opens one, perhaps in place of another whose word is given.
    fn open_with(
        dir: RuntimeDir,
        address: SocketAddr,
        token: Token,
        replaced: Option<&String>,
    ) -> Result<Self, EntranceError> {
        let owner = User::me().ok_or_else(|| EntranceError::Nobody(rustix::process::geteuid().as_raw()))?;
        let at = |entry: &str| dir.path().join(entry);
        let failed = |entry: &str| {
            let path = at(entry);
            move |source| EntranceError::Io { path, source }
        };
        let _lock = lock(&dir).map_err(failed(LOCK))?;
        sweep(&dir);
        let (socket, token_file, file) = (Word::socket(address), Word::token(address), Word::file(address));
        let ours = replaced.is_some_and(|word| dir.read(&file).is_none_or(|there| &there == word));
        if !ours && answers(&dir, &socket) {
            return Err(EntranceError::InUse { address, socket: at(&socket) });
        }
        let short = dir.short(&socket);
        let _ = fs::remove_file(&short);
        let listener = UnixListener::bind(&short).map_err(failed(&socket))?;
        // Until now the directory's mode has kept others out.
        fs::set_permissions(&short, Permissions::from_mode(0o600)).map_err(failed(&socket))?;
        // What is left half done is no entrance, and its socket shall not look like one.
        let left = |error: EntranceError| {
            remove(&dir, &address.to_string());
            error
        };
        dir.write(&token_file, &format!("{}\n", token.secret())).map_err(failed(&token_file)).map_err(left)?;
        let word = Word {
            address,
            socket: at(&socket),
            token_file: at(&token_file),
            instance: format!("{:032x}", rand::random::<u128>()),
        };
        let word = serde_json::to_string(&word).map_err(io::Error::other).map_err(failed(&file))? + "\n";
        dir.write(&file, &word).map_err(failed(&file)).map_err(left)?;
        Ok(Self { dir, address, word, owner, listener, token })
    }

    /// The user whose entrance it is.
    #[must_use]
    pub fn owner(&self) -> User {
        self.owner
    }

    /// What is listened on. It does not block.
    ///
    /// # Errors
    /// When descriptors have run out.
    pub fn listener(&self) -> io::Result<UnixListener> {
        let listener = self.listener.try_clone()?;
        listener.set_nonblocking(true)?;
        Ok(listener)
    }

    /// Recognises the token.
    #[must_use]
    pub fn token(&self) -> TokenDigest {
        self.token.digest()
    }

    /// Where the socket is.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join(Word::socket(self.address))
    }

    /// Where the token is.
    #[must_use]
    pub fn token_file(&self) -> PathBuf {
        self.dir.path().join(Word::token(self.address))
    }

    /// Opens a door beside the socket, under a name that no other coordinator has had: whoever is told it must not come
    /// through that of another.
    ///
    /// # Errors
    /// When it cannot be made.
    pub fn door(&self) -> io::Result<door::Listener> {
        door::Listener::open(&self.dir.path().join(format!("{}.{:032x}.door", self.address, rand::random::<u128>())))
    }
}

impl Drop for Entrance {
    fn drop(&mut self) {
        let Ok(_lock) = lock(&self.dir) else { return };
        // Another may have taken its place.
        if self.dir.read(&Word::file(self.address)).as_deref() == Some(&self.word) {
            remove(&self.dir, &self.address.to_string());
        }
    }
}

/// Nobody else of ours makes or removes sockets until the file is closed.
fn lock(dir: &RuntimeDir) -> io::Result<File> {
    let file = fs::OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(dir.short(LOCK))?;
    flock(&file, FlockOperation::LockExclusive)?;
    Ok(file)
}

/// Whether somebody may listen on a socket: unless the system says that nobody does.
fn answers(dir: &RuntimeDir, socket: &str) -> bool {
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let connected = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None)
        .and_then(|fd| connect(&fd, &SocketAddrUnix::new(dir.short(socket))?));
    !matches!(connected, Err(Errno::CONNREFUSED | Errno::NOENT | Errno::NOTSOCK))
}

/// Removes the word of coordinators that were killed.
fn sweep(dir: &RuntimeDir) {
    for name in names(dir).collect::<Vec<_>>() {
        let address = name.strip_suffix(".json").filter(|address| address.parse::<SocketAddr>().is_ok());
        if let Some(address) = address.filter(|address| !answers(dir, &format!("{address}.sock"))) {
            remove(dir, address);
        }
    }
}

/// Removes everything that one coordinator has left.
fn remove(dir: &RuntimeDir, address: &str) {
    let left_by = format!("{address}.");
    for name in names(dir).filter(|name| name.starts_with(&left_by)) {
        // It may be gone already.
        let _ = fs::remove_file(dir.short(name));
    }
}

fn names(dir: &RuntimeDir) -> impl Iterator<Item = String> {
    let entries = fs::read_dir(dir.short("")).into_iter().flatten();
    entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok())
}

#[cfg(test)]
mod tests {
    use std::{
        os::unix::fs::{FileTypeExt, MetadataExt},
        path::Path,
    };

    use super::*;

    fn open(base: &Path, port: u16) -> Result<Entrance, EntranceError> {
        Entrance::open_in(RuntimeDir::make_at(base).unwrap(), ([127, 0, 0, 1], port).into())
    }

    fn entries(base: &Path) -> Vec<String> {
        let mut names: Vec<_> =
            fs::read_dir(base).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn everything_left_is_for_the_owner_alone_and_goes_with_it() {
        // Longer than the address of a socket may be.
        let base = tempfile::tempdir().unwrap();
        let long = base.path().join("a".repeat(100));
        let entrance = open(&long, 1).unwrap();
        let door = entrance.door().unwrap();
        assert!(door::Connection::open(door.path()).unwrap().is_same_user());
        for entry in fs::read_dir(&long).unwrap() {
            let metadata = entry.unwrap().metadata().unwrap();
            assert_eq!(metadata.mode() & 0o777, 0o600);
        }
        assert!(fs::metadata(entrance.socket()).unwrap().file_type().is_socket());
        let word: Word = serde_json::from_str(&fs::read_to_string(long.join("127.0.0.1:1.json")).unwrap()).unwrap();
        assert_eq!((&word.socket, &word.token_file), (&entrance.socket(), &entrance.token_file()));
        assert!(entrance.token().admits(&Token::read(&word.token_file).unwrap().header()));
        drop(entrance);
        assert_eq!(entries(&long), [LOCK]);
    }

    #[test]
    fn what_the_killed_have_left_is_swept_and_what_lives_stays() {
        let base = tempfile::tempdir().unwrap();
        let killed = open(base.path(), 1).unwrap();
        let dead = base.path().join("kept");
        fs::create_dir(&dead).unwrap();
        for name in ["127.0.0.1:1.json", "127.0.0.1:1.token"] {
            fs::copy(base.path().join(name), dead.join(name)).unwrap();
        }
        drop(killed);
        for name in ["127.0.0.1:1.json", "127.0.0.1:1.token"] {
            fs::copy(dead.join(name), base.path().join(name)).unwrap();
        }
        // As a kill leaves it: bound by a process that is gone.
        drop(UnixListener::bind(base.path().join("127.0.0.1:1.sock")).unwrap());
        let living = open(base.path(), 2).unwrap();
        assert_eq!(entries(base.path()), ["127.0.0.1:2.json", "127.0.0.1:2.sock", "127.0.0.1:2.token", "kept", LOCK]);
        drop(UnixListener::bind(base.path().join("127.0.0.1:3.sock")).unwrap());
        let taken_over = open(base.path(), 3).unwrap();
        assert!(matches!(open(base.path(), 2), Err(EntranceError::InUse { .. })));
        drop((living, taken_over));
    }

    #[test]
    fn an_entrance_whose_directory_was_removed_is_known_to_be_gone() {
        let base = tempfile::tempdir().unwrap();
        let (run, other) = (base.path().join("run"), base.path().join("other"));
        let entrance = open(&run, 1).unwrap();
        let socket = "127.0.0.1:1.sock";
        assert!(entrance.dir.has(socket));
        // Where it was, another may be.
        fs::rename(&run, &other).unwrap();
        assert!(!entrance.dir.has(socket));
        let again = open(&run, 1).unwrap();
        assert!(!entrance.dir.has(socket) && again.dir.has(socket));
        fs::remove_dir_all(&other).unwrap();
        drop(entrance);
        assert!(again.dir.has(socket), "whoever is gone takes nothing along");
    }

    #[test]
    fn what_is_opened_anew_beside_what_is_left_stays() {
        let base = tempfile::tempdir().unwrap();
        let entrance = open(base.path(), 1).unwrap();
        fs::remove_file(entrance.socket()).unwrap();
        let dir = RuntimeDir::make_at(base.path()).unwrap();
        let again = Entrance::open_with(dir, entrance.address, entrance.token.clone(), None).unwrap();
        drop(entrance);
        assert!(answers(&again.dir, "127.0.0.1:1.sock"));
        assert!(again.token().admits(&Token::read(&again.token_file()).unwrap().header()));
    }

    #[test]
    fn whoever_has_been_replaced_removes_nothing() {
        let base = tempfile::tempdir().unwrap();
        let first = open(base.path(), 1).unwrap();
        fs::write(base.path().join("127.0.0.1:1.json"), "another's").unwrap();
        drop(first);
        assert!(base.path().join("127.0.0.1:1.token").exists());
    }
}
