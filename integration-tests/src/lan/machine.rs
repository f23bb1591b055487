//! One machine on the switch, and what can go wrong with its line.

use std::{net::Ipv4Addr, ops::Deref};

use crate::{network::Network, real::TestEnv};

/// The name of a machine's only link.
pub(super) const LINK: &str = "line";

/// Where its own rules are.
const TABLE: &str = "inet trouble";

/// A machine. What is typed and started in its [`TestEnv`] is typed and started there.
#[derive(Debug)]
pub struct Machine {
    /// For messages.
    pub name: String,
    /// On the switch.
    pub address: Ipv4Addr,
    net: Network,
    env: TestEnv,
}

impl Deref for Machine {
    type Target = TestEnv;

    fn deref(&self) -> &TestEnv {
        &self.env
    }
}

impl Machine {
    pub(super) fn new(name: &str, address: Ipv4Addr, net: Network, env: TestEnv) -> Self {
        net.run("ip", &["address", "add", &format!("{address}/24"), "dev", LINK]);
        net.run("ip", &["link", "set", LINK, "up"]);
        let env = env.moved_into(net.clone());
        Self { name: name.to_owned(), address, net, env }
    }

    /// Its network, for sockets of the test's own.
    pub fn network(&self) -> &Network {
        &self.net
    }

    /// It hears nothing from the other any more, while the other hears it.
    pub fn is_deaf_to(&self, other: &Self) {
        self.rule(&format!("ip saddr {} drop", other.address));
    }

    /// Neither hears the other any more.
    pub fn is_cut_off_from(&self, other: &Self) {
        self.is_deaf_to(other);
        other.is_deaf_to(self);
    }

    /// So many of a hundred packets that come to it are lost; less than all.
    pub fn loses(&self, percent: u8) {
        self.rule(&format!("iifname {LINK} numgen random mod 100 < {percent} drop"));
    }

    /// Packets larger than this are lost on their way to it, without a word to whoever sends them.
    pub fn swallows_above(&self, bytes: u16) {
        self.rule(&format!("iifname {LINK} meta length > {bytes} drop"));
    }

    /// It sends at this rate at most, `256kbit` perhaps.
    pub fn sends_at(&self, rate: &str) {
        self.net.run(
            "tc",
            &["qdisc", "replace", "dev", LINK, "root", "tbf", "rate", rate, "burst", "32kb", "latency", "400ms"],
        );
    }

    /// Packets it sends are at most so large.
    pub fn shrinks_to(&self, bytes: u16) {
        self.net.run("ip", &["link", "set", LINK, "mtu", &bytes.to_string()]);
    }

    /// All is well with its line again.
    pub fn heals(&self) {
        self.net.run("nft", &["flush", "ruleset"]);
        self.net.inside(|| {
            // There may be no bound to take off.
            let _ = std::process::Command::new("tc").args(["qdisc", "del", "dev", LINK, "root"]).output();
        });
        self.shrinks_to(1_500);
    }

    fn rule(&self, rule: &str) {
        let hook = "{ type filter hook input priority 0; policy accept; }";
        let rules = format!("add table {TABLE}\nadd chain {TABLE} input {hook}\nadd rule {TABLE} input {rule}\n");
        self.net.run("nft", &[&rules]);
    }
}
