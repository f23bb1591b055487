//! Several machines in one: each has a network of its own and an address on a switch that misbehaves when it is told to.
//!
//! A machine is a network namespace and a [`TestEnv`]: what is started there is the real program, which finds neither the
//! network of this machine nor the other machines' files. The kernel removes it all when the test ends, however it ends.
//! Only root can make one; without root, or without `ip`, `nft` and `tc`, tests are skipped and say so, unless
//! `LONGSHORE_REQUIRE_DOCKER=1` asks for everything that a machine of ours has.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

mod machine;
mod tap;

use std::{
    net::Ipv4Addr,
    process::Command,
    sync::atomic::{AtomicU8, Ordering},
};

pub use machine::Machine;
pub use tap::Tap;

use crate::{network::Network, real::TestEnv};

/// What the machines are connected to.
#[derive(Debug)]
pub struct Lan {
    switch: Network,
    machines: AtomicU8,
}

/// The bridge inside the switch.
const BRIDGE: &str = "switch";

impl Lan {
    /// An empty one; `None` where none can be made.
    ///
    /// # Panics
    /// When none can be made and `LONGSHORE_REQUIRE_DOCKER=1`.
    pub fn new() -> Option<Self> {
        let required = std::env::var_os("LONGSHORE_REQUIRE_DOCKER").is_some_and(|value| value == "1");
        match lacking() {
            Some(what) if required => panic!("no machines can be made: {what}"),
            Some(what) => {
                eprintln!("skipped, as no machines can be made: {what}");
                return None;
            }
            None => {}
        }
        let switch = Network::new();
        switch.run("ip", &["link", "add", BRIDGE, "type", "bridge"]);
        switch.run("ip", &["link", "set", BRIDGE, "up"]);
        Some(Self { switch, machines: AtomicU8::new(0) })
    }

    /// Another machine, on which programs run as plain processes.
    pub fn machine(&self, name: &str) -> Machine {
        self.join(name, TestEnv::process())
    }

    /// Another machine, which has the Docker Engine of this one; `None` where there is none.
    pub fn machine_with_docker(&self, name: &str) -> Option<Machine> {
        Some(self.join(name, TestEnv::docker()?))
    }

    fn join(&self, name: &str, env: TestEnv) -> Machine {
        let number = self.machines.fetch_add(1, Ordering::Relaxed) + 1;
        let net = Network::new();
        let (port, path) = (format!("port{number}"), net.path());
        let peer = ["peer", "name", machine::LINK, "netns", &path];
        self.switch.run("ip", &[&["link", "add", &port, "type", "veth"], peer.as_slice()].concat());
        self.switch.run("ip", &["link", "set", &port, "master", BRIDGE, "up"]);
        Machine::new(name, Ipv4Addr::new(10, 77, 0, number), net, env)
    }

    /// Writes down everything that passes the switch from now on.
    pub fn tap(&self) -> Tap {
        Tap::open(&self.switch)
    }
}

/// What there is not, of what is needed.
fn lacking() -> Option<String> {
    if !rustix::process::geteuid().is_root() {
        return Some("only root can".to_owned());
    }
    let there = |tool: &str| Command::new(tool).arg("-V").output().is_ok();
    ["ip", "nft", "tc", "unshare"].into_iter().find(|tool| !there(tool)).map(|tool| format!("there is no `{tool}`"))
}
