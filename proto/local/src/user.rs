//! Who is at the other end of a socket: users by number, and those that stand for nobody.

use std::{fmt, os::fd::AsFd, sync::OnceLock};

use rustix::{net::sockopt::socket_peercred, process::geteuid};

/// What the kernel shows for users it cannot name, unless it is told otherwise (`/proc/sys/kernel/overflowuid`).
const OVERFLOW: u32 = 65_534;

/// A user of this machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct User(u32);

impl User {
    /// The superuser of this machine, or of the user namespace we are in.
    pub const ROOT: User = User(0);

    /// The user this process acts as; `None` when that number stands for everybody whom the kernel cannot name, such as
    /// the users of another user namespace: they could not be told from us.
    #[must_use]
    pub fn me() -> Option<Self> {
        Self::of(geteuid().as_raw())
    }

    /// The user of this number; `None` for the numbers that stand for nobody in particular.
    #[must_use]
    pub fn of(number: u32) -> Option<Self> {
        let names_nobody = number == overflow() || number == OVERFLOW || number == u32::MAX;
        (!names_nobody).then_some(Self(number))
    }

    /// The user at the other end of a connected unix socket, as it was when the connection was made; `None` when it cannot
    /// be named.
    #[must_use]
    pub fn at_other_end_of(socket: impl AsFd) -> Option<Self> {
        socket_peercred(socket).ok().and_then(|peer| Self::of(peer.uid.as_raw()))
    }

    /// Its number.
    #[must_use]
    pub fn number(self) -> u32 {
        self.0
    }
}

impl fmt::Display for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.write_str("root"),
            number => write!(f, "user {number}"),
        }
    }
}

/// The number that stands for users the kernel cannot name.
fn overflow() -> u32 {
    static NUMBER: OnceLock<u32> = OnceLock::new();
    *NUMBER.get_or_init(|| {
        let text = std::fs::read_to_string("/proc/sys/kernel/overflowuid").unwrap_or_default();
        text.trim().parse().unwrap_or(OVERFLOW)
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn numbers_that_stand_for_nobody_are_no_users() {
        for nobody in [OVERFLOW, overflow(), u32::MAX] {
            assert_eq!(User::of(nobody), None, "{nobody}");
        }
        assert_eq!(User::of(0), Some(User::ROOT));
        assert_eq!(User::of(1000).map(User::number), Some(1000));
    }

    #[test]
    fn the_other_end_is_known() {
        let (one, _other) = UnixStream::pair().unwrap();
        assert_eq!(User::at_other_end_of(&one), User::me());
        assert_eq!(User::at_other_end_of(std::fs::File::open("/dev/null").unwrap()), None);
    }
}
