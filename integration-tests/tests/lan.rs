//! Several machines: coordinator, workers and clients, each with an address of its own, and lines that fail.

#![allow(clippy::unwrap_used, reason = "a test may fail where it stands")]

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    thread,
    time::Duration,
};

use integration_tests::lan::{Lan, Machine};

/// How long a connection is waited for that does not come.
const SOON: Duration = Duration::from_millis(500);

/// Whether what is said on one machine is heard on the other.
fn hears(one: &Machine, other: &Machine) -> bool {
    let listener = other.network().inside(|| TcpListener::bind((other.address, 0))).unwrap();
    let address: SocketAddr = listener.local_addr().unwrap();
    thread::scope(|scope| {
        let heard = scope.spawn(move || {
            listener.set_nonblocking(false).unwrap();
            let mut said = String::new();
            listener.accept().unwrap().0.read_to_string(&mut said).unwrap();
            said
        });
        let connected = one.network().inside(|| TcpStream::connect_timeout(&address, SOON));
        let reached = connected.is_ok();
        // The listener is let go from its own machine, which hears itself.
        let connected = connected.or_else(|_| other.network().inside(|| TcpStream::connect(address)));
        connected.unwrap().write_all(b"canary").unwrap();
        assert_eq!(heard.join().unwrap(), "canary");
        reached
    })
}

#[test]
fn a_line_does_what_it_is_told() {
    let Some(lan) = Lan::new() else { return };
    let tap = lan.tap();
    let (one, other) = (lan.machine("one"), lan.machine("other"));
    assert!(hears(&one, &other) && hears(&other, &one));
    other.is_deaf_to(&one);
    assert!(!hears(&one, &other));
    other.heals();
    one.is_cut_off_from(&other);
    assert!(!hears(&one, &other) && !hears(&other, &one));
    one.heals();
    other.heals();
    one.sends_at("1mbit");
    one.shrinks_to(600);
    assert!(hears(&one, &other) && hears(&other, &one));
    one.heals();
    other.swallows_above(60);
    assert!(hears(&one, &other), "a connection fits");
    other.loses(30);
    other.heals();
    let passed = tap.close();
    assert!(passed.windows(6).any(|bytes| bytes == b"canary"), "a tap that sees nothing proves nothing");
}
