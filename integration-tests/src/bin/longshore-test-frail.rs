//! A server for leaves that does what servers should not: it ends, hangs and sticks when it is asked to.
//!
//! `die` ends it at once; `stick` is never answered, nor is anything after it, and `/healthz` says 503 from then on; `work MS` takes
//! so long, and is answered with the time that was left when it came; `most` says how many were at work at once. Anything else is
//! answered with the process's host. After `hang up`, every connection is closed once it has been silent for 5 ms, as that of a
//! server with a short idle timeout.

use std::{
    env,
    io::{self, BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    process,
    sync::atomic::{AtomicBool, AtomicUsize, Ordering},
    thread,
    time::Duration,
};

static STUCK: AtomicBool = AtomicBool::new(false);
static HANGS_UP: AtomicBool = AtomicBool::new(false);
static AT_WORK: AtomicUsize = AtomicUsize::new(0);
static MOST: AtomicUsize = AtomicUsize::new(0);

fn main() -> io::Result<()> {
    let port = env::var("PORT").ok().and_then(|port| port.parse().ok()).unwrap_or(8080);
    for stream in TcpListener::bind(("127.0.0.1", port))?.incoming() {
        let stream = stream?;
        thread::spawn(move || drop(serve(stream)));
    }
    Ok(())
}

fn serve(mut stream: TcpStream) -> io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    loop {
        if HANGS_UP.load(Ordering::SeqCst) {
            stream.set_read_timeout(Some(Duration::from_millis(5)))?;
        }
        let mut first = String::new();
        if reader.read_line(&mut first)? == 0 {
            return Ok(());
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
        let (status, answer) = match first.starts_with("GET ") {
            true if STUCK.load(Ordering::SeqCst) => ("503 Service Unavailable", String::new()),
            true => ("200 OK", String::new()),
            false => ("200 OK", answer(&String::from_utf8_lossy(&body), left)),
        };
        let length = answer.len();
        stream.write_all(format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{answer}").as_bytes())?;
    }
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
        Some(("hang", "up")) => {
            HANGS_UP.store(true, Ordering::SeqCst);
            String::new()
        }
        _ if asked == "die" => process::exit(139),
        _ if asked == "most" => MOST.load(Ordering::SeqCst).to_string(),
        _ => env::var("HOSTNAME").unwrap_or_default(),
    }
}
