//! Who a user is: names are looked up in the image's own lists, as `docker run --user` does it.
//!
//! It is done before anything runs, so these are the image's bytes and no run's; they may be hostile all the same.

use std::fs::File;
use std::io::Read;

use longshore_shim::{MAX_GROUPS, User};
use rustix::fs::{CWD, FileType, Mode, OFlags, fstat, openat};

const PASSWD: &str = "/etc/passwd";
const GROUP: &str = "/etc/group";

/// Longest list that is read, in bytes.
const LIST_BYTES: u64 = 4 << 20;

/// Finds a user of this image: `name`, `uid`, `name:group`, or any mixture of names and numbers. A number that the lists do
/// not know is taken as it is, with group 0, as Docker does.
///
/// # Errors
/// When a name is not in the lists.
pub fn look_up(user: &str) -> Result<User, String> {
    find(user, &read(PASSWD), &read(GROUP))
}

/// A list that is not there, or no plain file, has nobody in it.
fn read(path: &str) -> String {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::NOCTTY | OFlags::CLOEXEC;
    let Ok(file) = openat(CWD, path, flags, Mode::empty()) else { return String::new() };
    if !fstat(&file).is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile) {
        return String::new();
    }
    let mut bytes = Vec::new();
    // What was read until an error is what there is.
    let _ = File::from(file).take(LIST_BYTES).read_to_end(&mut bytes);
    String::from_utf8_lossy(&bytes).into_owned()
}

fn find(wanted: &str, passwd: &str, group: &str) -> Result<User, String> {
    let (user, wanted_group) = match wanted.split_once(':') {
        Some((user, group)) => (user, Some(group)),
        None => (wanted, None),
    };
    let number = number(user);
    let entry = passwd.lines().filter_map(Entry::read).find(|entry| entry.name == user || Some(entry.uid) == number);
    let uid = match (&entry, number) {
        (Some(entry), _) => entry.uid,
        (None, Some(uid)) => uid,
        (None, None) => return Err(format!("there is no user {user:?} in {PASSWD} of the image")),
    };
    match wanted_group {
        Some(wanted) => Ok(User { uid, gid: gid(wanted, group)?, groups: Vec::new() }),
        None => {
            let gid = entry.as_ref().map_or(0, |entry| entry.gid);
            let groups = entry.map(|entry| groups_of(entry.name, gid, group)).unwrap_or_default();
            Ok(User { uid, gid, groups })
        }
    }
}

/// `name:password:uid:gid:…`
struct Entry<'a> {
    name: &'a str,
    uid: u32,
    gid: u32,
}

impl<'a> Entry<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split(':');
        let name = fields.next().filter(|name| !name.is_empty())?;
        let (uid, gid) = (fields.nth(1)?, fields.next()?);
        Some(Self { name, uid: number(uid)?, gid: number(gid)? })
    }
}

/// `name:password:gid:member,member`
fn groups(list: &str) -> impl Iterator<Item = (&str, u32, &str)> {
    list.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, gid) = (fields.next().filter(|name| !name.is_empty())?, fields.nth(1)?);
        Some((name, number(gid)?, fields.next().unwrap_or_default()))
    })
}

fn gid(wanted: &str, list: &str) -> Result<u32, String> {
    let number = number(wanted);
    let known = groups(list).find(|(name, gid, _)| *name == wanted || Some(*gid) == number);
    known
        .map(|(_, gid, _)| gid)
        .or(number)
        .ok_or_else(|| format!("there is no group {wanted:?} in {GROUP} of the image"))
}

fn groups_of(name: &str, own: u32, list: &str) -> Vec<u32> {
    let has = |members: &str| members.split(',').any(|member| member.trim() == name);
    let theirs = groups(list).filter(|(_, gid, members)| *gid != own && has(members));
    theirs.map(|(_, gid, _)| gid).take(MAX_GROUPS).collect()
}

/// User numbers are what fits 31 bits: the rest mean "unchanged" or "nobody knows" somewhere.
fn number(text: &str) -> Option<u32> {
    text.parse().ok().filter(|number| *number <= i32::MAX as u32)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PASSWD: &str = "root:x:0:0::/:/bin/sh\n\nbad line\napp:x:1234:50::/work:/bin/sh\nalias:x:0:7::/:\n";
    const GROUP: &str = "root:x:0:\nstaff:x:50:app\naudio:x:29:other,app\nwheel:x:10:\n";

    fn found(user: &str) -> (u32, u32, Vec<u32>) {
        let User { uid, gid, groups } = find(user, PASSWD, GROUP).unwrap();
        (uid, gid, groups)
    }

    #[test]
    fn users_are_found_as_docker_finds_them() {
        assert_eq!(found("app"), (1234, 50, vec![29]));
        assert_eq!(found("1234"), (1234, 50, vec![29]), "a number that is in the list is that entry");
        assert_eq!(found("app:wheel"), (1234, 10, vec![]));
        assert_eq!(found("77"), (77, 0, vec![]));
        assert_eq!(found("77:88"), (77, 88, vec![]));
        assert_eq!(found("root:29"), (0, 29, vec![]));
    }

    #[test]
    fn a_name_for_the_number_of_root_is_told_as_what_it_is() {
        assert_eq!(found("alias"), (0, 7, vec![]));
    }

    #[test]
    fn a_name_that_is_nobody_is_named() {
        assert!(find("nobody-here", PASSWD, GROUP).unwrap_err().contains("nobody-here"));
        assert!(find("app:no-such", PASSWD, GROUP).unwrap_err().contains("no-such"));
        assert!(find("4294967295", PASSWD, GROUP).is_err());
        assert!(find("-1", "", "").is_err());
    }
}
