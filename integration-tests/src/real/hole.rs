//! A way to a server that can be made to swallow whatever comes back: a network that fails in one direction, without a word.

use std::{
    io::{Read as _, Write as _},
    net::{Shutdown, SocketAddr, TcpListener, TcpStream},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    thread,
};

/// Such a way. It lasts as long as the test's process.
#[derive(Debug)]
pub struct Hole {
    address: SocketAddr,
    swallows: Arc<AtomicBool>,
}

impl Hole {
    /// A way to `server`, which lets everything through.
    ///
    /// # Panics
    /// When there is no port for it.
    pub fn to(server: &str) -> Self {
        let server: SocketAddr = server.trim_start_matches("http://").parse().unwrap();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let (address, swallows) = (listener.local_addr().unwrap(), Arc::new(AtomicBool::new(false)));
        let swallowing = Arc::clone(&swallows);
        thread::spawn(move || {
            for near in listener.incoming().map_while(Result::ok) {
                let Ok(far) = TcpStream::connect(server) else { continue };
                let (to, from) = ((near.try_clone().unwrap(), far.try_clone().unwrap()), (far, near));
                thread::spawn(move || carry(to.0, to.1, None));
                let swallowing = Arc::clone(&swallowing);
                thread::spawn(move || carry(from.0, from.1, Some(&swallowing)));
            }
        });
        Self { address, swallows }
    }

    /// Where it begins.
    #[must_use]
    pub fn address(&self) -> String {
        self.address.to_string()
    }

    /// From now on nothing comes back over the connections that there are, or only over new ones does again.
    pub fn swallow(&self, swallows: bool) {
        self.swallows.store(swallows, Ordering::SeqCst);
    }
}

/// Carries bytes until an end closes. A stream of which something was lost brings nothing any more.
fn carry(mut from: TcpStream, mut to: TcpStream, swallows: Option<&AtomicBool>) {
    let (mut buffer, mut lost) = ([0; 16 << 10], false);
    while let Ok(read @ 1..) = from.read(&mut buffer) {
        lost |= swallows.is_some_and(|swallows| swallows.load(Ordering::SeqCst));
        if !lost && to.write_all(&buffer[..read]).is_err() {
            break;
        }
    }
    let _ = to.shutdown(Shutdown::Write);
}
