//! Certificates renew themselves, long before they end.

use std::{sync::Arc, time::Duration};

use longshore_trust::{BACKDATED, Certificate, Clock, SharedIdentity};
use tokio::time::sleep;

use super::{
    connection::Coordinator,
    joining::{RenewError, renew},
};
use crate::{causes, home::Home, pauses::Pauses};

/// Longest sleep until the clock is looked at again: machines sleep too, and clocks are set.
const LOOK: Duration = Duration::from_secs(600);

/// First and longest pause after a renewal that did not work. There are weeks.
const PAUSES: (Duration, Duration) = (Duration::from_secs(10), Duration::from_secs(1_800));

/// Renews the identity whenever it is time, for as long as it is waited for.
pub(crate) async fn keep_renewed(coordinator: Coordinator, home: Arc<Home>, identity: SharedIdentity, clock: Clock) {
    let mut pauses = Pauses::apart(PAUSES.0, PAUSES.1);
    loop {
        let now = clock.current_time().map_or(0, |now| now.as_secs());
        let left = due(identity.get().certificate()).saturating_sub(now);
        if left > 0 {
            tokio::select! {
                () = sleep(Duration::from_secs(left).min(LOOK)) => continue,
                // By the coordinator's clock, which counts.
                () = coordinator.until_not_known() => {}
            }
        }
        match renew(&coordinator, &home, &identity).await {
            Ok(()) => {
                // What is asked for from now on shows it; the link goes on over the connection that it has.
                coordinator.dial_anew();
                pauses.reset();
                continue;
            }
            Err(RenewError::Unanswered(why)) => tracing::warn!(reason = why, "the certificate is not renewed yet"),
            Err(RenewError::Refused(error)) => {
                tracing::error!(
                    reason = causes::in_a_line(&error),
                    hint = error.hint(),
                    "the certificate is not renewed"
                );
            }
        }
        sleep(pauses.next()).await;
    }
}

/// When a certificate is to be renewed, in seconds of Unix time: between a third and two thirds of its life, each worker at
/// another point, so that they do not come all at once. Its number is the dice.
fn due(certificate: &Certificate) -> u64 {
    let dice = certificate.serial.last().copied().map_or(0, u64::from);
    // It is dated back for clocks that are behind; its life begins when it was made.
    let made = certificate.not_before + BACKDATED.as_secs();
    let third = certificate.not_after.saturating_sub(made) / 3;
    made + third + third * dice / 255
}

#[cfg(test)]
mod tests {
    use longshore_trust::Pin;

    use super::*;

    fn certificate(dice: u8) -> Certificate {
        Certificate {
            key: Pin([0; 32]),
            not_before: 1_000,
            not_after: 1_000 + 3_600 + 3_000,
            serial: vec![7, dice],
            name: None,
        }
    }

    #[test]
    fn renewals_are_spread_over_the_middle_third_of_a_certificates_life() {
        let all: Vec<_> = (0..=255).map(|dice| due(&certificate(dice))).collect();
        assert_eq!((all[0], all[255]), (5_600, 6_600));
        assert!(all.is_sorted() && all.windows(2).all(|two| two[1] - two[0] < 10));
    }
}
