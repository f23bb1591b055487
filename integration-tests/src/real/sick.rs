//! An engine that falls sick: the machine's own, which can be made to fail every start of a container.
//!
//! It is in between, so that nothing else of the machine notices. Everything but the sickness is real.

use std::{
    io::{Read as _, Write as _},
    os::unix::net::{UnixListener, UnixStream},
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// What it says then.
pub const SYMPTOM: &str = "OCI runtime create failed: the machine is not well";

/// Such an engine. It lasts as long as the test's process.
#[derive(Debug)]
pub struct SickEngine {
    socket: PathBuf,
    is_sick: Arc<AtomicBool>,
}

impl SickEngine {
    /// One that is well, with its socket in this directory.
    ///
    /// # Panics
    /// When its socket cannot be there.
    pub fn within(dir: &Path) -> Self {
        let (socket, is_sick) = (dir.join("engine.sock"), Arc::new(AtomicBool::new(false)));
        let (listener, sick) = (UnixListener::bind(&socket).unwrap(), Arc::clone(&is_sick));
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let sick = Arc::clone(&sick);
                thread::spawn(move || serve(near, &sick));
            }
        });
        Self { socket, is_sick }
    }

    /// For `DOCKER_HOST`.
    #[must_use]
    pub fn host(&self) -> String {
        format!("unix://{}", self.socket.display())
    }

    /// Whether it fails from now on.
    pub fn falls_sick(&self, sick: bool) {
        self.is_sick.store(sick, Ordering::SeqCst);
    }
}

/// One request on each connection: so each begins with its path.
fn serve(mut near: UnixStream, is_sick: &AtomicBool) {
    let Some((head, rest)) = head_of(&mut near) else { return };
    let line = head.lines().next().unwrap_or_default();
    if is_sick.load(Ordering::SeqCst) && line.contains("/containers/") && line.contains("/start") {
        let body = format!(r#"{{"message": "{SYMPTOM}"}}"#);
        let head = "HTTP/1.1 500 Internal Server Error\r\nContent-Type: application/json\r\nConnection: close\r\n";
        let _ = near.write_all(format!("{head}Content-Length: {}\r\n\r\n{body}", body.len()).as_bytes());
        return;
    }
    let Ok(mut far) = UnixStream::connect(real()) else { return };
    let last = head.replacen("\r\n", "\r\nConnection: close\r\n", 1);
    if far.write_all(last.as_bytes()).and_then(|()| far.write_all(&rest)).is_err() {
        return;
    }
    let (Ok(mut to_far), Ok(mut from_near)) = (far.try_clone(), near.try_clone()) else { return };
    thread::spawn(move || {
        let _ = std::io::copy(&mut from_near, &mut to_far);
        let _ = to_far.shutdown(std::net::Shutdown::Write);
    });
    let _ = std::io::copy(&mut far, &mut near);
    let _ = near.shutdown(std::net::Shutdown::Both);
}

/// The head of a request, and what came with it of the body.
fn head_of(near: &mut UnixStream) -> Option<(String, Vec<u8>)> {
    let (mut bytes, mut buffer) = (Vec::new(), [0; 4096]);
    loop {
        if let Some(end) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
            let rest = bytes.split_off(end + 4);
            return Some((String::from_utf8(bytes).ok()?, rest));
        }
        let read = near.read(&mut buffer).ok().filter(|read| *read > 0)?;
        bytes.extend_from_slice(&buffer[..read]);
    }
}

/// The machine's own, which the tests use elsewhere too.
fn real() -> PathBuf {
    let named = std::env::var("DOCKER_HOST").ok();
    let path = named.as_deref().and_then(|host| host.strip_prefix("unix://")).unwrap_or("/var/run/docker.sock");
    PathBuf::from(path)
}
