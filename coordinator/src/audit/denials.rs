//! What was denied, added up by who, what and why for a second: whoever knocks all the time does not fill the disk.

use std::{
    collections::{HashMap, hash_map::Entry},
    net::IpAddr,
    time::{Duration, Instant},
};

use serde::Serialize;

use super::line::Line;
use crate::{api::caller::Origin, limits};

/// How long denials are added up.
const PACE: Duration = Duration::from_secs(1);

/// Namespaces and resources that a line names when it stands for more than one denial.
const NAMED: usize = 4;

/// The first denial of a caller, with the namespaces and resources of others like it, and how many there were.
#[derive(Debug, Serialize)]
pub struct Denial {
    #[serde(flatten)]
    first: Line,
    count: u64,
}

/// What is told apart: nothing of it but the principal is chosen by who was denied.
type Key = (String, Option<IpAddr>, &'static str, String);

/// Denials since the last were written.
#[derive(Debug, Default)]
pub struct Denials {
    by_kind: HashMap<Key, Denial>,
    /// Those for which there was no room.
    others: Option<Denial>,
    since: Option<Instant>,
}

impl Denials {
    /// Somebody was denied something, for a reason of this kind.
    pub fn add(&mut self, kind: &'static str, line: Line) {
        self.since.get_or_insert_with(Instant::now);
        let has_room = self.by_kind.len() < limits::AUDIT_TOLD_APART;
        match self.by_kind.entry((line.principal.clone(), line.peer, kind, line.method.clone())) {
            Entry::Occupied(known) => {
                let Denial { first, count } = known.into_mut();
                *count += 1;
                also(&mut first.resource, line.resource);
                also(first.namespace.get_or_insert_default(), line.namespace.unwrap_or_default());
            }
            Entry::Vacant(new) if has_room => drop(new.insert(Denial { first: line, count: 1 })),
            Entry::Vacant(_) => self.others.get_or_insert_with(others).count += 1,
        }
    }

    /// What is to be written now, if it is time or they are the last.
    pub fn due(&mut self, last: bool) -> Vec<Denial> {
        if !last && self.since.is_none_or(|since| since.elapsed() < PACE) {
            return Vec::new();
        }
        self.since = None;
        self.by_kind.drain().map(|(_, denial)| denial).chain(self.others.take()).collect()
    }
}

fn others() -> Denial {
    let reason = "more was denied within a second than is told apart".to_owned();
    let origin = Origin { via: "any", from: None };
    let first = Line::new("others".to_owned(), origin, None, "", String::new(), "denied", Some(reason));
    Denial { first, count: 0 }
}

/// Names one more, as long as there are few.
fn also(named: &mut String, one: String) {
    const MORE: &str = ", …";
    if one.is_empty() || named.ends_with(MORE) || named.split(", ").any(|known| known == one) {
        return;
    }
    match named.split(", ").count() {
        _ if named.is_empty() => *named = one,
        NAMED.. => named.push_str(MORE),
        _ => {
            named.push_str(", ");
            named.push_str(&one);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn line(who: &str, namespace: &str, resource: &str) -> Line {
        let (namespace, why) = (Some(namespace.to_owned()), Some("may not".to_owned()));
        Line::new(who.to_owned(), Origin::default(), namespace, "/x", resource.to_owned(), "denied", why)
    }

    #[test]
    fn a_line_for_many_names_a_few_of_what_they_were_about() {
        let mut denials = Denials::default();
        for at in 0..9 {
            denials.add("role", line("ann", &format!("n{}", at % 3), &format!("token {at}")));
        }
        denials.add("namespace", line("ann", "n0", ""));
        assert!(denials.due(false).is_empty());
        let mut due = denials.due(true);
        due.sort_unstable_by_key(|denial| denial.count);
        let [other, many] = due.try_into().unwrap();
        assert_eq!((other.count, many.count), (1, 9));
        assert_eq!(many.first.namespace.as_deref(), Some("n0, n1, n2"));
        assert_eq!(many.first.resource, "token 0, token 1, token 2, token 3, …");
    }

    #[test]
    fn whoever_is_one_too_many_shares_a_line_with_others() {
        let mut denials = Denials::default();
        for at in 0..10_000 {
            denials.add("role", line(&at.to_string(), "n", ""));
        }
        let due = denials.due(true);
        assert_eq!(due.len(), limits::AUDIT_TOLD_APART + 1);
        assert_eq!(due.iter().map(|denial| denial.count).sum::<u64>(), 10_000);
        assert!(denials.due(true).is_empty());
    }
}
