//! Why an item was given up that had tries left, in words.

use longshore_core::{GivenUp, Losses};
use longshore_proto::v1::{Failure, FailureClass, Outcome};

/// Puts into an outcome why the item was given up: it is `given up after 3 losses: ...`. One that was given up by a coordinator
/// which did not keep that says what little is known.
pub fn tell(outcome: &mut Outcome, given_up: Option<&GivenUp>) {
    let last = outcome.failure.take();
    let Some(given_up) = given_up else {
        outcome.failure = Some(last.unwrap_or_else(|| lost("given up: the workers that ran it went away each time")));
        return;
    };
    outcome.attempt = given_up.attempts;
    let mut message = words(&given_up.losses);
    let mut failure = last.unwrap_or_else(|| lost(""));
    if !failure.message.is_empty() {
        message.push_str("; the last: ");
        message.push_str(&failure.message);
    }
    failure.message = message;
    outcome.failure = Some(failure);
}

fn lost(message: &str) -> Failure {
    Failure { class: FailureClass::SlotLost.into(), message: message.to_owned(), ..Failure::default() }
}

fn words(losses: &Losses) -> String {
    let count = losses.slots.saturating_add(losses.workers);
    let what = match (losses.slots, losses.workers) {
        (_, 0) => "its container ended under it",
        (0, _) => "workers went down with nothing but it on them",
        _ => "its container ended under it, and workers went down with nothing but it on them",
    };
    let mut names: Vec<&str> = Vec::new();
    for on in &losses.on {
        if !names.contains(&on.name.as_str()) {
            names.push(&on.name);
        }
    }
    let place = match names.as_slice() {
        [] => String::new(),
        [one] => format!(" (on worker {one})"),
        some => format!(" (on workers {})", some.join(", ")),
    };
    let losses = if count == 1 { "loss" } else { "losses" };
    format!("given up after {count} {losses}: {what}{place}; `retry.losses` or --max-losses bears more")
}

#[cfg(test)]
mod tests {
    use longshore_core::{LostOn, WorkerId};

    use super::*;

    fn given_up(slots: u32, workers: u32, on: &[&str]) -> GivenUp {
        let on = on.iter().map(|name| LostOn { worker: WorkerId([1; 16]), name: (*name).to_owned() }).collect();
        GivenUp { attempts: 7, losses: Losses { slots, workers, others: 2, on } }
    }

    #[test]
    fn who_gives_up_says_after_how_much_where_and_what_bears_more() {
        let mut outcome = Outcome::default();
        tell(&mut outcome, Some(&given_up(0, 3, &["a", "b", "a"])));
        let failure = outcome.failure.unwrap();
        assert_eq!((outcome.attempt, failure.class()), (7, FailureClass::SlotLost));
        assert_eq!(
            failure.message,
            "given up after 3 losses: workers went down with nothing but it on them (on workers a, b); `retry.losses` or \
             --max-losses bears more"
        );
    }

    #[test]
    fn what_was_said_of_the_last_loss_is_kept() {
        let mut outcome =
            Outcome { failure: Some(lost("the container ended with exit code 137")), ..Outcome::default() };
        tell(&mut outcome, Some(&given_up(1, 0, &["a"])));
        let said = outcome.failure.unwrap().message;
        assert!(said.starts_with("given up after 1 loss: its container ended under it (on worker a);"), "{said}");
        assert!(said.ends_with("; the last: the container ended with exit code 137"), "{said}");
    }

    #[test]
    fn a_failure_that_is_no_loss_is_told_as_it_was_and_one_without_words_as_a_loss() {
        let exit = Failure { message: "exit code 3".to_owned(), ..Failure::default() };
        let mut outcome = Outcome { failure: Some(exit.clone()), attempt: 2, ..Outcome::default() };
        tell(&mut outcome, None);
        assert_eq!((outcome.failure, outcome.attempt), (Some(exit), 2));
        let mut outcome = Outcome::default();
        tell(&mut outcome, None);
        assert!(outcome.failure.unwrap().message.contains("went away each time"));
    }
}
