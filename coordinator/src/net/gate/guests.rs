//! For whom a connection is held open: those who were known on it. It ends when one of them is known no more, whether or not
//! its other end takes what is said: what nobody takes is never asked for, so nothing of it would end by itself.

use std::sync::{Mutex, MutexGuard, PoisonError};

use futures_util::future::select_all;
use tokio::sync::Notify;

use crate::members::standing::{Seat, Standing};

/// Those who were known on one connection.
#[derive(Debug, Default)]
pub(super) struct Guests {
    seated: Mutex<Vec<(Standing, Seat)>>,
    came: Notify,
}

impl Guests {
    /// One of them is known on this connection; false if so many connections are theirs already.
    pub fn seat(&self, standing: &Standing, most: usize) -> bool {
        let mut seated = self.lock();
        if seated.iter().any(|(own, _)| own.is_of(standing)) {
            return true;
        }
        let Some(seat) = standing.seat(most) else { return false };
        seated.push((standing.clone(), seat));
        self.came.notify_one();
        true
    }

    /// Until one of them is known no more.
    pub async fn one_ended(&self) {
        loop {
            let ends: Vec<_> = self.lock().iter().map(|(standing, _)| Box::pin(standing.clone().ended())).collect();
            if ends.is_empty() {
                self.came.notified().await;
                continue;
            }
            tokio::select! {
                _ = select_all(ends) => return,
                () = self.came.notified() => {}
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(Standing, Seat)>> {
        self.seated.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;
    use crate::members::standing::Term;

    #[tokio::test]
    async fn it_is_over_when_one_of_all_who_came_is_known_no_more() {
        let (first, second) = (Term::until(0), Term::until(0));
        let guests = Guests::default();
        assert!(guests.one_ended().now_or_never().is_none());
        assert!(guests.seat(&first.standing(), 1) && guests.seat(&second.standing(), 1));
        assert!(guests.one_ended().now_or_never().is_none());
        second.end();
        guests.one_ended().await;
    }

    #[tokio::test]
    async fn each_has_so_many_connections_and_no_more_and_one_that_ends_makes_room() {
        let (one, other) = (Term::until(0), Term::until(0));
        let [first, second, third] = [(); 3].map(|()| Guests::default());
        assert!(first.seat(&one.standing(), 2) && first.seat(&one.standing(), 2) && second.seat(&one.standing(), 2));
        assert!(!third.seat(&one.standing(), 2) && third.seat(&other.standing(), 2));
        drop(first);
        assert!(third.seat(&one.standing(), 2));
    }
}
