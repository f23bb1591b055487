//! Whose a TCP port on loopback is.

use std::{
    io,
    net::{IpAddr, SocketAddr},
};

use procfs::net::{TcpNetEntry, TcpState};

/// Numbers of the users who listen where a connection to `address` arrives.
///
/// # Errors
/// When the kernel's tables cannot be read.
pub fn users(address: SocketAddr) -> io::Result<Vec<u32>> {
    let table = |entries: procfs::ProcResult<Vec<TcpNetEntry>>| entries.map_err(io::Error::other);
    let mut entries = table(procfs::net::tcp())?;
    // Without IPv6 there is no such table.
    entries.extend(procfs::net::tcp6().unwrap_or_default());
    let takes = |entry: &TcpNetEntry| entry.state == TcpState::Listen && takes(entry.local_address, address);
    Ok(entries.iter().filter(|entry| takes(entry)).map(|entry| entry.uid).collect())
}

/// Whether what listens at `listener` is given connections to `address`.
fn takes(listener: SocketAddr, address: SocketAddr) -> bool {
    let (listens, wanted) = (listener.ip().to_canonical(), address.ip().to_canonical());
    let any = match listener.ip() {
        IpAddr::V4(ip) => ip.is_unspecified() && wanted.is_ipv4(),
        // Unless it says otherwise it takes both.
        IpAddr::V6(ip) => ip.is_unspecified(),
    };
    listener.port() == address.port() && (any || listens == wanted)
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use rustix::process::geteuid;

    use super::*;

    #[test]
    fn our_own_listener_is_ours_and_a_free_port_nobodys() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        assert_eq!(users(address).unwrap(), [geteuid().as_raw()]);
        let beside = SocketAddr::from(([127, 9, 8, 7], address.port()));
        assert_eq!(users(beside).unwrap(), Vec::<u32>::new());
    }

    #[test]
    fn a_listener_takes_its_own_address_or_all() {
        let taken = |listener: &str, address: &str| takes(listener.parse().unwrap(), address.parse().unwrap());
        assert!(taken("0.0.0.0:1", "127.0.0.1:1") && taken("[::]:1", "127.0.0.1:1") && taken("[::]:1", "[::1]:1"));
        assert!(taken("[::ffff:127.0.0.1]:1", "127.0.0.1:1"));
        assert!(
            !taken("0.0.0.0:1", "[::1]:1")
                && !taken("0.0.0.0:2", "127.0.0.1:1")
                && !taken("127.0.0.2:1", "127.0.0.1:1")
        );
    }
}
