//! Links among what a run left: which file each of them stands for.
//!
//! Nothing is followed on the disk. What a link says is worked out among the names that were found, so it cannot lead to
//! anything else, whoever changes what meanwhile. A link to a directory is refused, so no name leads through one.

use std::{
    collections::{HashMap, HashSet},
    fmt,
};

use super::error::{CollectError, refused, shown};

/// Most links that are gone through to a file: as many as Linux allows.
const HOPS: usize = 40;

/// Most steps of one link, from directory to directory: several times as many as there can be directories above a file. A run
/// may leave thousands of links, and working one out shall cost little.
const STEPS: usize = 128;

/// What becomes of links among the outputs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) enum Links {
    /// Each arrives as the file it leads to, under its own name.
    #[default]
    Follow,
    /// They refuse the attempt.
    Refuse,
    /// Symbolic ones are left out. Names of one file cannot be told apart: they arrive.
    Skip,
}

/// A symbolic link that was found.
#[derive(Debug)]
pub(super) struct Link {
    /// Below the run's directory.
    pub path: String,
    /// What it says.
    pub target: Vec<u8>,
}

/// What else was found, by paths below the run's directory.
pub(super) struct Beside<'a> {
    /// Files, each with its number.
    pub files: HashMap<&'a str, usize>,
    pub dirs: HashSet<&'a str>,
    /// The run's directory, as the inside calls it.
    pub inside: &'a str,
}

/// Why a link stands for nothing.
#[derive(Debug, Clone, Copy)]
enum Astray {
    Outside,
    Nowhere,
    Directory,
    Round,
    Long,
    Far,
}

impl fmt::Display for Astray {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Outside => "which leads out of the output directory",
            Self::Nowhere => "which is not there",
            Self::Directory => "which is a directory",
            Self::Round => "which goes round in circles",
            Self::Long => return write!(f, "which leads through more than {HOPS} links in a row"),
            Self::Far => "which has too many steps",
        })
    }
}

/// The number of the file that each of the links stands for.
///
/// # Errors
/// When one of them stands for none.
pub(super) fn resolve(links: &[Link], beside: &Beside<'_>) -> Result<Vec<usize>, CollectError> {
    let places: HashMap<&str, usize> = links.iter().enumerate().map(|(at, link)| (link.path.as_str(), at)).collect();
    let mut known = vec![None; links.len()];
    for (at, link) in links.iter().enumerate() {
        beside.follow(at, links, &places, &mut known).map_err(|astray| {
            let target = shown(&String::from_utf8_lossy(&link.target));
            let link = shown(&link.path);
            refused(format!("{link} is a link to {target}, {astray} (`links: skip` leaves links out)"))
        })?;
    }
    Ok(known.into_iter().flatten().collect())
}

impl Beside<'_> {
    fn follow(
        &self,
        mut at: usize,
        links: &[Link],
        places: &HashMap<&str, usize>,
        known: &mut [Option<usize>],
    ) -> Result<(), Astray> {
        let mut passed = Vec::new();
        let file = loop {
            if let Some(file) = known[at] {
                break file;
            }
            if passed.contains(&at) {
                return Err(Astray::Round);
            }
            if passed.len() == HOPS {
                return Err(Astray::Long);
            }
            passed.push(at);
            let path = self.lead(&links[at])?;
            if let Some(file) = self.files.get(path.as_str()) {
                break *file;
            }
            match places.get(path.as_str()) {
                None if self.is_dir(&path) => return Err(Astray::Directory),
                None => return Err(Astray::Nowhere),
                Some(next) => at = *next,
            }
        };
        passed.into_iter().for_each(|link| known[link] = Some(file));
        Ok(())
    }

    /// Where a link leads, below the run's directory.
    fn lead(&self, link: &Link) -> Result<String, Astray> {
        // Names that are not UTF-8 are refused.
        let target = std::str::from_utf8(&link.target).map_err(|_| Astray::Nowhere)?;
        if target.starts_with('/') {
            let below = below(target, self.inside).ok_or(Astray::Outside)?;
            return self.walk(String::new(), below.into_iter());
        }
        let parent = link.path.rsplit_once('/').map_or("", |(parent, _)| parent);
        self.walk(parent.to_owned(), target.split('/'))
    }

    fn walk<'t>(&self, mut path: String, steps: impl Iterator<Item = &'t str>) -> Result<String, Astray> {
        for (taken, step) in steps.filter(|step| !step.is_empty() && *step != ".").enumerate() {
            if taken == STEPS {
                return Err(Astray::Far);
            }
            if !self.is_dir(&path) {
                return Err(Astray::Nowhere);
            }
            match (step, path.rfind('/')) {
                ("..", _) if path.is_empty() => return Err(Astray::Outside),
                ("..", slash) => path.truncate(slash.unwrap_or(0)),
                (_, _) if path.is_empty() => path.push_str(step),
                (_, _) => {
                    path.push('/');
                    path.push_str(step);
                }
            }
        }
        Ok(path)
    }

    fn is_dir(&self, path: &str) -> bool {
        path.is_empty() || self.dirs.contains(path)
    }
}

/// What is behind `dir` in an absolute path that begins with it; none when it does not.
fn below<'t>(path: &'t str, dir: &str) -> Option<Vec<&'t str>> {
    let mut steps = Vec::new();
    for step in path.split('/').filter(|step| !step.is_empty() && *step != ".") {
        match step {
            ".." => drop(steps.pop()),
            step => steps.push(step),
        }
    }
    let mut rest = steps.into_iter();
    let begins = dir.split('/').filter(|step| !step.is_empty()).all(|step| rest.next() == Some(step));
    begins.then(|| rest.collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The files that links stand for, or why one stands for none.
    fn led(links: &[(&str, &str)], files: &[&str], dirs: &[&str]) -> Result<Vec<String>, String> {
        let links: Vec<Link> = links
            .iter()
            .map(|(path, target)| Link { path: (*path).to_owned(), target: target.as_bytes().to_vec() })
            .collect();
        let beside = Beside {
            files: files.iter().zip(0..).map(|(path, at)| (*path, at)).collect(),
            dirs: dirs.iter().copied().collect(),
            inside: "/longshore/out/run",
        };
        let numbers = resolve(&links, &beside).map_err(|error| error.to_string())?;
        Ok(numbers.into_iter().map(|at| files[at].to_owned()).collect())
    }

    #[test]
    fn links_lead_to_files_beside_them_below_and_above_and_through_each_other() {
        let links = [
            ("lib.so", "lib.so.1"),
            ("lib", "./lib.so"),
            ("d/up", "../lib.so.1"),
            ("d/round", "..//d/e/../e/f"),
            ("down", "d/e/f"),
            ("whole", "/longshore/out/run/d/e/f"),
            ("odd", "/longshore/./out/x/../run//lib.so"),
        ];
        let files = ["lib.so.1", "d/e/f"];
        let expected = ["lib.so.1", "lib.so.1", "lib.so.1", "d/e/f", "d/e/f", "d/e/f", "lib.so.1"];
        assert_eq!(led(&links, &files, &["d", "d/e"]).unwrap(), expected);
    }

    #[test]
    fn a_link_that_stands_for_no_file_is_told_with_its_target() {
        for (target, why) in [
            ("/etc/shadow", "leads out"),
            ("../f", "leads out"),
            ("d/../../run/f", "leads out"),
            ("/longshore/out/run/../other/f", "leads out"),
            ("/longshore/out/runs/f", "leads out"),
            ("/longshore/out", "leads out"),
            ("nowhere", "is not there"),
            ("f/../f", "is not there"),
            ("gone/../f", "is not there"),
            ("", "is a directory"),
            (".", "is a directory"),
            ("d", "is a directory"),
            ("/longshore/out/run", "is a directory"),
            ("x", "goes round"),
            ("d/../x", "goes round"),
        ] {
            let error = led(&[("x", target)], &["f"], &["d"]).unwrap_err();
            assert!(error.starts_with(&format!("\"x\" is a link to \"{target}\", which {why}")), "{error}");
            assert!(error.ends_with("(`links: skip` leaves links out)"), "{error}");
        }
        let far = "d/../".repeat(STEPS / 2);
        assert!(led(&[("x", &format!("{far}f"))], &["f"], &["d"]).unwrap_err().contains("too many steps"));
        assert_eq!(led(&[("x", &format!("{}.//f", &far[5..]))], &["f"], &["d"]).unwrap(), ["f"]);
        let round = led(&[("a", "b"), ("b", "c"), ("c", "a")], &["f"], &[]).unwrap_err();
        assert!(round.starts_with("\"a\" is a link to \"b\", which goes round"), "{round}");
    }

    #[test]
    fn a_long_line_of_links_is_followed_as_far_as_linux_does() {
        let line = |length: usize| {
            let names: Vec<String> = (0..=length).map(|at| format!("{at}")).collect();
            let links: Vec<(&str, &str)> = names.windows(2).map(|two| (two[0].as_str(), two[1].as_str())).collect();
            led(&links, &[names[length].as_str()], &[]).map(|files| files.len())
        };
        assert_eq!(line(HOPS).unwrap(), HOPS);
        let long = line(HOPS + 1).unwrap_err();
        assert!(long.contains("leads through more than 40 links in a row"), "{long}");
    }
}
