//! A tap on the switch: every byte that passes it.

use std::{
    io,
    os::fd::OwnedFd,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread::{self, JoinHandle},
    time::Duration,
};

use rustix::net::{
    AddressFamily, RecvFlags, SocketFlags, SocketType, eth, recv, socket_with,
    sockopt::{Timeout, set_socket_recv_buffer_size, set_socket_timeout},
};

use crate::network::Network;

/// How often the tap looks whether it is closed.
const LOOK: Duration = Duration::from_millis(100);

/// Longer than any frame, in bytes.
const FRAME_BYTES: usize = 128 << 10;

/// Listens to everything that passes the switch.
#[derive(Debug)]
pub struct Tap {
    seen: Arc<Mutex<Vec<u8>>>,
    closed: Arc<AtomicBool>,
    listening: JoinHandle<()>,
}

impl Tap {
    pub(super) fn open(switch: &Network) -> Self {
        let socket = switch.inside(everything).unwrap();
        let (seen, closed) = (Arc::<Mutex<Vec<u8>>>::default(), Arc::<AtomicBool>::default());
        let listening = thread::spawn({
            let (seen, closed) = (Arc::clone(&seen), Arc::clone(&closed));
            move || listen(&socket, &seen, &closed)
        });
        Self { seen, closed, listening }
    }

    /// Closes it; answers all that has passed, frame after frame.
    ///
    /// # Panics
    /// When listening has failed.
    pub fn close(self) -> Vec<u8> {
        self.closed.store(true, Ordering::Relaxed);
        self.listening.join().unwrap();
        std::mem::take(&mut *self.seen.lock().unwrap())
    }
}

/// A socket to which every frame of every link comes.
fn everything() -> io::Result<OwnedFd> {
    let socket = socket_with(AddressFamily::PACKET, SocketType::RAW, SocketFlags::CLOEXEC, Some(eth::ALL))?;
    set_socket_recv_buffer_size(&socket, 32 << 20)?;
    set_socket_timeout(&socket, Timeout::Recv, Some(LOOK))?;
    Ok(socket)
}

fn listen(socket: &OwnedFd, seen: &Mutex<Vec<u8>>, closed: &AtomicBool) {
    let mut frame = vec![0; FRAME_BYTES];
    while !closed.load(Ordering::Relaxed) {
        if let Ok((length, _)) = recv(socket, &mut *frame, RecvFlags::empty()) {
            seen.lock().unwrap().extend_from_slice(&frame[..length]);
        }
    }
}
