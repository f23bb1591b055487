//! A server for leaves that does what servers should not: it ends, hangs and sticks when it is asked to.
//!
//! `die` ends it at once; `stick` is never answered, nor is anything after it, and `/healthz` says 503 from then on; `work MS` takes
//! so long, and is answered with the time that was left when it came; `most` says how many were at work at once. `await MS` takes so
//! long unless its client goes before; `awaited` says how many there were of it, and `gone` how many went. `large BYTES` is answered with so many. `die late` hangs up, says
//! nothing to anybody, and ends a while after that. Anything else is answered with the process's host. After `hang up`, every
//! connection is closed when the next request on it comes, as that of a server whose idle timeout is over just then.
//!
//! It listens on its port, as most servers do; called with `socket`, where that port would be everybody's, on `$LONGSHORE_SOCKET`.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{Shutdown, TcpListener, TcpStream},
    os::{fd::OwnedFd, unix::net::UnixListener},
    process,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

static STUCK: AtomicBool = AtomicBool::new(false);
static HANGS_UP: AtomicBool = AtomicBool::new(false);
static DYING: AtomicBool = AtomicBool::new(false);
static AWAITED: AtomicUsize = AtomicUsize::new(0);
static GONE: AtomicUsize = AtomicUsize::new(0);
static AT_WORK: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn main() -> io::Result<()> {
    if env::args().nth(1).is_some_and(|how| how == "socket") {
        let path = env::var_os("LONGSHORE_SOCKET").ok_or_else(|| io::Error::other("LONGSHORE_SOCKET is not set"))?;
        for stream in UnixListener::bind(path)?.incoming() {
            // What is asked of it here is the same of every stream.
            let stream = TcpStream::from(OwnedFd::from(stream?));
            thread::spawn(move || drop(serve(stream)));
        }
        return Ok(());
    }
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080);
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let stream = stream?;
        thread::spawn(move || drop(serve(stream)));
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    for number in 0.. {
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 || (number > 0 && HANGS_UP.load(Ordering::SeqCst)) {
            return Ok(());
        }
        while DYING.load(Ordering::SeqCst) {
            thread::park();
        }
        let (mut length, mut left) = (0, String::new());
        loop {
            let mut line = String::new();
            reader.read_line(&mut line)?;
            match line.trim().to_ascii_lowercase().split_once(": ") {
                Some(("content-length", value)) => length = value.parse().unwrap_or(0),
                Some(("longshore-timeout-ms", value)) => left = value.to_owned(),
                Some(_) => {}
                None => break,
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body)?;
        let asked = String::from_utf8_lossy(&body).into_owned();
        if asked == "die late" {
            DYING.store(true, Ordering::SeqCst);
            stream.shutdown(Shutdown::Both)?;
            thread::sleep(Duration::from_millis(700));
            process::exit(139);
        }
        if let Some(millis) = asked.strip_prefix("await ") {
            AWAITED.fetch_add(1, Ordering::SeqCst);
            if has_gone(&stream, Duration::from_millis(millis.parse().unwrap_or(0)))? {
                GONE.fetch_add(1, Ordering::SeqCst);
                return Ok(());
            }
        }
        let (status, answer) = match first.starts_with("GET ") {
            true if STUCK.load(Ordering::SeqCst) => ("503 Service Unavailable", String::new()),
            true => ("200 OK", String::new()),
            false => ("200 OK", answer(&asked, left)),
        };
        let length = answer.len();
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}").as_bytes())?;
    }
    Ok(())
}

/// Whether the client goes within this time.
fn has_gone(stream: &TcpStream, within: Duration) -> io::Result<bool> {
    stream.set_read_timeout(Some(within))?;
    let gone = matches!(stream.peek(&mut [0]), Ok(0));
    stream.set_read_timeout(None)?;
    Ok(gone)
}

fn answer(asked: &str, left: String) -> String {
    if asked == "stick" {
        STUCK.store(true, Ordering::SeqCst);
    }
    while STUCK.load(Ordering::SeqCst) {
        thread::park();
    }
    match asked.split_once(' ') {
        Some(("work", millis)) => {
            MOST.fetch_max(AT_WORK.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            thread::sleep(Duration::from_millis(millis.parse().unwrap_or(0)));
            AT_WORK.fetch_sub(1, Ordering::SeqCst);
            left
        }
        Some(("large", bytes)) => "x".repeat(bytes.parse().unwrap_or(0)),
        Some(("hang", "up")) => {
            HANGS_UP.store(true, Ordering::SeqCst);
            String::new()
        }
        _ if asked == "die" => process::exit(139),
        _ if asked == "gone" => GONE.load(Ordering::SeqCst).to_string(),
        _ if asked == "awaited" => AWAITED.load(Ordering::SeqCst).to_string(),
        _ if asked == "most" => MOST.load(Ordering::SeqCst).to_string(),
        _ => env::var("HOSTNAME").unwrap_or_default(),
    }
}
