//! The client of a server inside a container: HTTP/1.1 over sockets that the shim connects and hands out.
//!
//! Connections are kept and used again, each driven by whoever waits for its answer. The container needs no network: the
//! shim dials `$LONGSHORE_SOCKET` or `127.0.0.1:$PORT` inside, and the connected socket comes out with a frame.

mod answer;
mod body;
mod connection;
mod line;
mod multipart;
mod patient;
mod pool;
mod question;
mod server;
mod status;

pub(crate) use self::{
    answer::{Sink, Unread, Untaken, first_words, read},
    line::Hangup,
    multipart::{Coming, Part},
    question::{Again, Content, Question},
    server::{CallError, Health, HttpServer, NotReady, ServerEnd},
    status::{Trouble, meaning},
};
