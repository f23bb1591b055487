//! What it costs to find out who calls: requests that end at the gate, over one plain connection each.

use std::{
    fs,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};
use bytes::Bytes;
use http::{
    Request, StatusCode,
    header::{AUTHORIZATION, HOST},
};
use http_body_util::{BodyExt as _, Empty};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::flags::WireArgs;
use crate::{
    contender::Contender,
    jobs,
    longshore::{Entry, Longshore, Work},
    run::{Run, count},
    setup::Setup,
};

/// What is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shown {
    /// Nothing, and nothing is asked: `/healthz`.
    Nothing,
    /// The token of the entrance, for something that is not there.
    Entrance,
    /// A person's token, for the same.
    Person,
}

impl Shown {
    /// Each of them.
    pub const ALL: [Self; 3] = [Self::Nothing, Self::Entrance, Self::Person];
}

/// A coordinator that is asked.
pub struct Gate {
    shown: Shown,
    setup: Setup,
    lasting: Duration,
    running: Option<Longshore>,
}

impl Gate {
    /// By whoever shows this.
    pub fn showing(shown: Shown, args: &WireArgs) -> Self {
        let (setup, lasting) = (args.setup.clone(), Duration::from_secs(args.seconds));
        Self { shown, setup, lasting, running: None }
    }

    async fn ask(&self, host: &str, token: Option<&str>) -> Result<Run> {
        let stream = TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        let (path, status) = match self.shown {
            Shown::Nothing => ("/healthz", StatusCode::OK),
            Shown::Entrance | Shown::Person => ("/v1/nothing", StatusCode::NOT_FOUND),
        };
        let (began, mut requests) = (Instant::now(), 0);
        while began.elapsed() < self.lasting {
            sender.ready().await?;
            let mut request = Request::get(path).header(HOST, host);
            if let Some(token) = token {
                request = request.header(AUTHORIZATION, format!("Bearer {}", token.trim()));
            }
            let answer = sender.send_request(request.body(Empty::<Bytes>::new())?).await?;
            ensure!(answer.status() == status, "{}", answer.status());
            answer.into_body().collect().await?;
            requests += 1;
        }
        let took = began.elapsed();
        Ok(Run { wall_s: took.as_secs_f64(), ..Run::default() }
            .with("µs a request", took.as_secs_f64() * 1e6 / count(requests)))
    }
}

impl Contender for Gate {
    fn name(&self) -> String {
        match self.shown {
            Shown::Nothing => "health, for everybody",
            Shown::Entrance => "nothing that is there, with the entrance's token",
            Shown::Person => "nothing that is there, with a person's token",
        }
        .to_owned()
    }

    fn does(&self) -> String {
        "GET over HTTP/1.1, one after the other: what is more than for health is the token, the table and the words of \
         the refusal"
            .to_owned()
    }

    fn start(&mut self) -> Result<()> {
        self.running = Some(Longshore::coordinator(Entry::Port, &self.setup, Work::default())?);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let ours = self.running.as_ref().context("not started")?;
        let token = match self.shown {
            Shown::Nothing => None,
            Shown::Entrance => Some(fs::read_to_string(ours.token().context("no token")?)?),
            Shown::Person => Some(fs::read_to_string(ours.token_of_person()?)?),
        };
        let host = ours.address().trim_start_matches("http://");
        jobs::runtime()?.block_on(self.ask(host, token.as_deref()))
    }
}
