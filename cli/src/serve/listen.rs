//! Opens every address a coordinator is to be reached at, and says where that is.

use std::{io, net::SocketAddr};

use anyhow::{Context as _, Result};
use longshore_coordinator::{Listening, Local, PublicCertificate};
use longshore_local::Entrance;
use tokio::net::TcpListener;

use crate::{args::servers::ServingArgs, exit::Exit, failure::Failure};

/// Where a coordinator is reached.
#[derive(Debug)]
pub struct Doors {
    /// From this machine: for a worker of the same process and for its own user. Where no port is listened on, the socket
    /// is found by this address all the same.
    pub local: String,
    /// All that are listened on; those of this machine first, and in the order they were asked for.
    addresses: Vec<String>,
    /// How its own user and others come in, for each local one.
    words: Vec<String>,
}

/// Opens all that is asked for. Whoever is the coordinator's own user comes in by a socket in any case: where no loopback
/// address is asked for, by one that belongs to the port of the first other.
pub async fn all(args: &ServingArgs) -> Result<(Listening, Doors)> {
    let (mut local, mut secure) = (Vec::new(), Vec::new());
    let mut doors = Doors { local: String::new(), addresses: Vec::new(), words: Vec::new() };
    let mut others = Vec::new();
    for at in &args.listen {
        let listener = listen(at.address).await?;
        let address = listener.local_addr()?;
        if at.secure {
            others.push((format!("https://{address}"), address));
            secure.push(listener);
        } else {
            doors.addresses.push(format!("http://{address}"));
            local.push(Local { entrance: entrance(address)?, port: Some(listener) });
        }
    }
    doors.local = doors.addresses.first().cloned().unwrap_or_default();
    if local.is_empty() {
        let port = others.first().map_or(0, |(_, address)| address.port());
        let address = SocketAddr::from(([127, 0, 0, 1], port));
        doors.local = format!("http://{address}");
        local.push(Local { entrance: entrance(address)?, port: None });
    }
    doors.addresses.extend(others.into_iter().map(|(shown, _)| shown));
    doors.words = local.iter().map(word).collect();
    let public = args.tls_cert.as_deref().zip(args.tls_key.as_deref());
    let public = public.map(|(certificate, key)| PublicCertificate::open(certificate, key));
    let public = public.transpose().map_err(|error| {
        let failure = Failure::usage("the certificate for browsers cannot be used");
        anyhow::Error::new(error).context(failure)
    })?;
    Ok((Listening { local, secure, hostnames: args.hostname.clone(), public }, doors))
}

impl Doors {
    /// The addresses on standard output, one a line, for scripts: the first is of this machine if there is one. The rest is
    /// for people.
    pub fn announce(&self, about: &str) {
        use std::io::Write as _;
        eprintln!("longshore {} is up: {about}", env!("CARGO_PKG_VERSION"));
        for word in &self.words {
            eprintln!("for its own user and root: {word}");
        }
        let mut out = io::stdout().lock();
        // Nobody may be reading.
        let _ = self.addresses.iter().try_for_each(|address| writeln!(out, "{address}")).and_then(|()| out.flush());
    }
}

/// How the coordinator's own user comes in, and others with its token.
fn entrance(address: SocketAddr) -> Result<Entrance> {
    Entrance::open(address).map_err(|error| {
        let hint = "LONGSHORE_RUNTIME_DIR names a directory to use for its socket";
        anyhow::Error::new(error).context(Failure::new(Exit::Failed, "nobody could be let in").hint(hint))
    })
}

fn word(local: &Local) -> String {
    let entrance = &local.entrance;
    match local.port {
        Some(_) => format!("socket {}, token in {}", entrance.socket().display(), entrance.token_file().display()),
        None => format!("socket {}", entrance.socket().display()),
    }
}

async fn listen(address: SocketAddr) -> Result<TcpListener> {
    match TcpListener::bind(address).await {
        Ok(listener) => Ok(listener),
        Err(error) if error.kind() == io::ErrorKind::AddrInUse => {
            let failure = Failure::new(Exit::Failed, format!("something listens on {address} already"))
                .hint("is another `longshore up` running? choose another port with --listen");
            Err(failure.into())
        }
        Err(error) => Err(error).with_context(|| format!("cannot listen on {address}")),
    }
}
