//! Which builds of a coordinator and a worker work together.
//!
//! Each version does with its neighbours, in both directions, so that one end can be updated before the other. As long as
//! the major number is 0 neighbours are next to each other by the minor number, afterwards by the major one.

use semver::Version;

/// Why two builds do not work together.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Apart {
    /// One of them says what is no version.
    #[error("{0:?} is not the version of a longshore program")]
    NoVersion(String),
    /// One is too old for the other.
    #[error(
        "version {older} of the {behind} does not work with version {newer} of the {ahead}: neighbouring versions do; \
         update the {behind}"
    )]
    TooOld {
        /// Who has to be updated.
        behind: &'static str,
        /// Its version.
        older: Version,
        /// Who is ahead.
        ahead: &'static str,
        /// Its version.
        newer: Version,
    },
}

/// Whether a worker and a coordinator of these versions work together.
///
/// # Errors
/// When they do not.
pub fn together(worker: &str, coordinator: &str) -> Result<(), Apart> {
    let (worker, coordinator) = (parsed(worker)?, parsed(coordinator)?);
    if step(&worker, &coordinator) <= 1 {
        return Ok(());
    }
    Err(if worker < coordinator {
        Apart::TooOld { behind: "worker", older: worker, ahead: "coordinator", newer: coordinator }
    } else {
        Apart::TooOld { behind: "coordinator", older: coordinator, ahead: "worker", newer: worker }
    })
}

/// How many versions lie between them, and one more.
fn step(one: &Version, other: &Version) -> u64 {
    if (one.major, other.major) == (0, 0) {
        return one.minor.abs_diff(other.minor);
    }
    one.major.abs_diff(other.major)
}

fn parsed(version: &str) -> Result<Version, Apart> {
    // What is no version may be anything; it is shown to people.
    let shown = || version.chars().filter(|char| !char.is_control()).take(32).collect();
    Version::parse(version).map_err(|_| Apart::NoVersion(shown()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neighbours_work_together_both_ways() {
        let pairs = [
            ("0.1.0", "0.1.0"),
            ("0.1.9", "0.1.0"),
            ("0.1.0", "0.2.0"),
            ("0.9.3", "0.10.0"),
            ("0.3.0-rc.1", "0.2.7"),
            ("0.2.0+build.7", "0.1.0"),
            ("0.12.0", "1.0.0"),
            ("1.0.0", "1.9.0"),
            ("1.9.0", "2.0.1"),
        ];
        for (one, other) in pairs {
            assert_eq!((together(one, other), together(other, one)), (Ok(()), Ok(())), "{one} and {other}");
        }
    }

    #[test]
    fn others_do_not_and_it_is_said_who_is_to_be_updated() {
        for (older, newer) in [("0.1.0", "0.3.0"), ("0.9.9", "0.11.0"), ("1.9.0", "3.0.0"), ("0.9.0", "2.0.0")] {
            let old_worker = together(older, newer).unwrap_err().to_string();
            let expected =
                format!("version {older} of the worker does not work with version {newer} of the coordinator");
            assert!(old_worker.starts_with(&expected) && old_worker.ends_with("update the worker"), "{old_worker}");
            let old_coordinator = together(newer, older).unwrap_err().to_string();
            let expected =
                format!("version {older} of the coordinator does not work with version {newer} of the worker");
            assert!(old_coordinator.starts_with(&expected), "{old_coordinator}");
            assert!(old_coordinator.ends_with("update the coordinator"), "{old_coordinator}");
        }
    }

    #[test]
    fn what_is_no_version_is_refused_and_shown_cut() {
        for none in ["", "1", "0.1", "v0.1.0", "0.1.0 ", "0.1.x", "-1.0.0", "latest", "99999999999999999999.0.0"] {
            assert_eq!(together(none, "0.1.0"), Err(Apart::NoVersion(none.to_owned())));
            assert!(together("0.1.0", none).is_err());
        }
        let long = format!("\u{1b}[31m{}", "x".repeat(1_000));
        let Err(Apart::NoVersion(shown)) = together(&long, "0.1.0") else { panic!("{long:?}") };
        assert_eq!(shown.len(), 32);
    }
}
