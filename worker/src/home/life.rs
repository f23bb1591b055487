//! The last life in a directory that was welcome at a coordinator.
//!
//! Whoever holds the lock of a directory knows that no other life is in it. So the life that is written down there has ended,
//! if it was written there: the file says in which directory, by its number on its device, and in which run of the machine,
//! since another directory may have these numbers on a machine that was cloned.

use std::{
    fs::{self, File},
    io::{self, Write as _},
    os::unix::fs::MetadataExt as _,
    path::Path,
};

use uuid::Uuid;

/// The file.
pub(super) const FILE: &str = "worker-life";
pub(super) const ASIDE: &str = "worker-life.new";

/// Where the kernel has the name of this run of the machine.
const BOOT: &str = "/proc/sys/kernel/random/boot_id";

/// The life that was kept in this directory and has ended.
pub(super) fn ended(dir: &Path, lock: &File) -> Option<Uuid> {
    let text = fs::read_to_string(dir.join(FILE)).ok()?;
    let (life, place) = text.split_once('\n')?;
    (place == self::place(lock).ok()?).then(|| Uuid::parse_str(life).ok()).flatten()
}

/// Keeps a life that lives in this directory.
pub(super) fn keep(dir: &Path, lock: &File, life: Uuid) -> io::Result<()> {
    let mut file = File::create(dir.join(ASIDE))?;
    write!(file, "{life}\n{}", place(lock)?)?;
    // Nothing is synced: after a crash of the machine nothing is told of it anyway.
    fs::rename(dir.join(ASIDE), dir.join(FILE))
}

/// Forgets this life; what is kept of another stays. Nothing is synced: see [`keep`].
pub(super) fn forget(dir: &Path, lock: &File, life: Uuid) -> io::Result<()> {
    if ended(dir, lock) == Some(life) { fs::remove_file(dir.join(FILE)) } else { Ok(()) }
}

fn place(lock: &File) -> io::Result<String> {
    let (boot, dir) = (fs::read_to_string(BOOT)?, lock.metadata()?);
    Ok(format!("{} {} {}\n", boot.trim(), dir.dev(), dir.ino()))
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::{super::Home, *};

    #[test]
    fn a_life_that_was_welcome_is_known_to_the_next_one_in_its_directory() {
        let base = tempfile::tempdir().unwrap();
        let home = Home::open(base.path()).unwrap();
        assert_eq!(home.previous(), None);
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        home.keep_life(first).unwrap();
        drop(home);
        let home = Home::open(base.path()).unwrap();
        assert_eq!(home.previous(), Some(first));
        drop(home);
        let home = Home::open(base.path()).unwrap();
        assert_eq!(home.previous(), Some(first), "the one between was not welcome");
        home.keep_life(second).unwrap();
        drop(home);
        assert_eq!(Home::open(base.path()).unwrap().previous(), Some(second));
    }

    #[test]
    fn a_life_that_ended_in_order_is_forgotten_but_not_an_earlier_one_that_did_not() {
        let base = tempfile::tempdir().unwrap();
        let (first, second) = (Uuid::new_v4(), Uuid::new_v4());
        let home = Home::open(base.path()).unwrap();
        home.forget_life(first).unwrap();
        home.keep_life(first).unwrap();
        home.forget_life(second).unwrap();
        drop(home);
        let home = Home::open(base.path()).unwrap();
        assert_eq!(home.previous(), Some(first));
        home.keep_life(second).unwrap();
        home.forget_life(second).unwrap();
        drop(home);
        assert_eq!(Home::open(base.path()).unwrap().previous(), None);
    }

    #[test]
    fn a_copy_of_a_directory_knows_of_no_life() {
        let base = tempfile::tempdir().unwrap();
        let (first, copy) = (base.path().join("first"), base.path().join("copy"));
        let home = Home::open(&first).unwrap();
        home.keep_life(Uuid::new_v4()).unwrap();
        assert!(Command::new("cp").arg("-a").args([&first, &copy]).status().unwrap().success());
        let copied = Home::open(&copy).unwrap();
        assert_eq!((copied.id(), copied.previous()), (home.id(), None));
    }

    #[test]
    fn nothing_is_known_after_another_start_of_the_machine_or_from_a_file_that_makes_no_sense() {
        let base = tempfile::tempdir().unwrap();
        let (life, path) = (Uuid::new_v4(), base.path().join(FILE));
        Home::open(base.path()).unwrap().keep_life(life).unwrap();
        let kept = fs::read_to_string(&path).unwrap();
        let boot = fs::read_to_string(BOOT).unwrap();
        let earlier = kept.replace(boot.trim(), &Uuid::new_v4().to_string());
        for text in [&earlier, "", "\n", &kept[..kept.len() - 1], &kept[1..], &format!("{kept}x")] {
            fs::write(&path, text).unwrap();
            assert_eq!(Home::open(base.path()).unwrap().previous(), None, "{text:?}");
        }
        fs::write(&path, &kept).unwrap();
        assert_eq!(Home::open(base.path()).unwrap().previous(), Some(life));
    }
}
