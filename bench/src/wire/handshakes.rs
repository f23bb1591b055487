//! Many who come at once: TCP, TLS, and the proof of who the coordinator is.

use std::{fs, time::Instant};

use anyhow::{Context, Result};
use longshore_trust::{SNI, Token, Trusted, config, pki_types::ServerName, system_clock};
use tokio::{net::TcpStream, task::JoinSet};
use tokio_rustls::TlsConnector;

use super::flags::WireArgs;
use crate::{
    contender::Contender,
    jobs,
    longshore::{Entry, Longshore, Work},
    run::{Run, count},
    setup::Setup,
};

/// A coordinator that many call at the same moment.
pub struct Handshakes {
    setup: Setup,
    connections: usize,
    running: Option<Longshore>,
}

impl Handshakes {
    /// So many.
    pub fn new(args: &WireArgs) -> Self {
        Self { setup: args.setup.clone(), connections: args.handshakes, running: None }
    }
}

impl Contender for Handshakes {
    fn name(&self) -> String {
        format!("{} handshakes at once", self.connections)
    }

    fn does(&self) -> String {
        "each a TCP connection and a TLS handshake with a pinned authority; both ends are on this machine".to_owned()
    }

    fn start(&mut self) -> Result<()> {
        self.running = Some(Longshore::coordinator(Entry::Tls, &self.setup, Work::default())?);
        Ok(())
    }

    fn run(&mut self) -> Result<Run> {
        let ours = self.running.as_ref().context("not started")?;
        let token = fs::read_to_string(ours.token().context("no token")?)?;
        let pin = Token::parse(&token)?.pin();
        let connector = TlsConnector::from(config(Trusted::Pin(pin), system_clock()));
        let host = ours.address().trim_start_matches("https://").to_owned();
        let began = Instant::now();
        jobs::runtime()?.block_on(async {
            let mut shaking = JoinSet::new();
            for _ in 0..self.connections {
                let (connector, host) = (connector.clone(), host.clone());
                shaking.spawn(async move {
                    let stream = TcpStream::connect(host).await?;
                    connector.connect(ServerName::try_from(SNI)?, stream).await.map_err(anyhow::Error::from)
                });
            }
            // All stay until the last is there.
            shaking.join_all().await.into_iter().collect::<Result<Vec<_>>>().map(drop)
        })?;
        Ok(Run::rate("handshakes/s", count(self.connections), began.elapsed()))
    }
}
