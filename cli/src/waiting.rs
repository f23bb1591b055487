//! What is said while a coordinator is waited for.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use longshore_client::{Patience, Waiting};

use crate::printer::Printer;

/// For how long a coordinator that goes away is waited for, unless it is said.
pub const WAIT: Duration = Duration::from_secs(60);

/// For how long one that has not answered yet is: as long as a restart takes, for perhaps there is none.
pub const FIRST_WAIT: Duration = Duration::from_secs(10);

/// Shortest time between two lines about one absence.
const PACE: Duration = Duration::from_secs(10);

/// Waits for the coordinator at `address` for so long if it has not answered yet, for so long if it has, and says so on
/// standard error.
pub fn patience(printer: &Printer, address: &str, first: Duration, bound: Duration) -> Patience {
    let (printer, address) = (printer.clone(), address.to_owned());
    let said = Mutex::new(None);
    Patience::new(bound, move |waiting| {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(line) = line(&address, &waiting, &mut said) {
            printer.note(&line);
        }
    })
    .at_first(first)
}

/// The line that is due, if one is. `said` is at what length of the absence one was said last.
fn line(address: &str, waiting: &Waiting<'_>, said: &mut Option<Duration>) -> Option<String> {
    let seconds = |time: Duration| format!("{}s", time.as_secs());
    let is_due = |since: Duration, said: &Option<Duration>| said.is_none_or(|at| since < at || since >= at + PACE);
    match *waiting {
        Waiting::Away { since, bound, why } => {
            let first = said.is_none() || said.is_some_and(|at| since < at);
            if !is_due(since, said) {
                return None;
            }
            *said = Some(since);
            let so_far = if first { String::new() } else { format!("{} of ", seconds(since)) };
            let bound = seconds(bound);
            Some(format!(
                "waiting for the coordinator at {address} ({so_far}{bound}; Ctrl-C ends this command, what was submitted goes on)\n  {why}"
            ))
        }
        Waiting::Silent { since } => {
            if !is_due(since, said) {
                return None;
            }
            *said = Some(since);
            let since = seconds(since);
            Some(format!(
                "nothing comes from the coordinator at {address} ({since}; Ctrl-C ends this command, what was submitted goes on)"
            ))
        }
        Waiting::Back { after } => {
            said.take().map(|_| format!("the coordinator at {address} answers again, after {}", seconds(after)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_absence_is_told_at_once_then_now_and_then_and_its_end() {
        let mut said = None;
        let bound = Duration::from_secs(60);
        let mut told = |waiting| line("a:1", &waiting, &mut said);
        let away = |s| Waiting::Away { since: Duration::from_secs(s), bound, why: "nobody listens" };
        let first = told(away(0)).unwrap();
        assert!(first.contains("waiting for the coordinator at a:1 (60s; Ctrl-C"), "{first}");
        assert!(first.ends_with("\n  nobody listens"), "{first}");
        assert_eq!(told(away(9)), None);
        assert!(told(away(10)).unwrap().contains("(10s of 60s;"));
        assert_eq!(told(away(11)), None);
        let back = told(Waiting::Back { after: Duration::from_secs(12) }).unwrap();
        assert_eq!(back, "the coordinator at a:1 answers again, after 12s");
        assert_eq!(told(Waiting::Back { after: Duration::ZERO }), None);
    }

    #[test]
    fn a_connection_in_which_nothing_comes_is_told() {
        let silent = Waiting::Silent { since: Duration::from_secs(12) };
        let text = line("a:1", &silent, &mut None).unwrap();
        assert!(text.starts_with("nothing comes from the coordinator at a:1 (12s;"), "{text}");
    }
}
