//! What is told of a service that is not ready yet, and for how long that is waited for: as long as more of its replicas get ready.

use std::{collections::BTreeMap, time::Duration};

use longshore_client::v1::{ReplicaState, ReplicaView, ServiceView};
use tokio::time::Instant;

use crate::{
    amounts,
    exit::Exit,
    failure::Failure,
    views::{replica_line, replica_trouble},
};

/// Longest time between two lines that say how far it is, while it goes on.
const PACE: Duration = Duration::from_secs(5);

/// Replicas whose trouble is told one by one; of more that have the same, it is told how many they are.
const ONE_BY_ONE: usize = 4;

/// Different troubles that are told.
const TROUBLES: usize = 20;

/// A service that gets ready, as it was last seen.
pub(super) struct Readiness {
    name: String,
    /// How long nothing may happen.
    silence: Duration,
    began: Instant,
    /// The most replicas that were ready at once, and since when.
    most: usize,
    since: Instant,
    /// How many were told to be ready, and when.
    told: Option<(usize, Instant)>,
    /// Which troubles were told.
    troubles: Vec<String>,
}

impl Readiness {
    /// Nothing was seen of the service.
    pub(super) fn new(name: &str, silence: Duration, now: Instant) -> Self {
        Self { name: name.to_owned(), silence, began: now, most: 0, since: now, told: None, troubles: Vec::new() }
    }

    /// Takes in how it is now; what there is to say.
    pub(super) fn look(&mut self, service: &ServiceView, now: Instant) -> Vec<String> {
        let ready = count_ready(service);
        if ready > self.most {
            (self.most, self.since) = (ready, now);
        }
        let mut lines = Vec::new();
        if self.is_worth_a_line(ready, service.replicas.len(), now) {
            lines.push(self.how_far(ready, service.replicas.len(), now));
            self.told = Some((ready, now));
        }
        for trouble in troubles(service, ReplicaState::Failed) {
            if self.troubles.len() < TROUBLES && !self.troubles.contains(&trouble) {
                lines.push(trouble.clone());
                self.troubles.push(trouble);
            }
        }
        lines
    }

    /// Whether it is not waited for any longer: nothing has got ready for so long.
    pub(super) fn is_given_up(&self, now: Instant) -> bool {
        now.duration_since(self.since) >= self.silence
    }

    /// Why it is given up.
    pub(super) fn failure(&self, service: &ServiceView, now: Instant) -> Failure {
        let name = &self.name;
        let took = |time: Duration| amounts::took(u64::try_from(time.as_millis()).unwrap_or(u64::MAX));
        let mut message = format!("service {name} is not ready after {}", took(now.duration_since(self.began)));
        if self.most > 0 {
            message.push_str(&format!(
                ": {} of {} are, and no other has got ready for {}",
                amounts::count(count_ready(service) as u64),
                amounts::some(service.replicas.len() as u64, "replica"),
                took(self.silence)
            ));
        }
        let waiting = [ReplicaState::Unspecified, ReplicaState::Failed, ReplicaState::Starting, ReplicaState::Unplaced];
        for line in waiting.into_iter().flat_map(|state| troubles(service, state)).take(TROUBLES) {
            message.push_str(&format!("\n  {line}"));
        }
        Failure::new(Exit::Failed, message)
            .hint(format!("it keeps trying: longshore service show {name}; or remove it: longshore service rm {name}"))
    }

    /// At once where nothing was told, then after every tenth, and after some time.
    fn is_worth_a_line(&self, ready: usize, of: usize, now: Instant) -> bool {
        match self.told {
            None => true,
            Some((told, _)) if told == ready => false,
            Some((told, at)) => ready.abs_diff(told) >= of.div_ceil(10) || now.duration_since(at) >= PACE,
        }
    }

    fn how_far(&self, ready: usize, of: usize, now: Instant) -> String {
        let mut line =
            format!("{}: {} of {} ready", self.name, amounts::count(ready as u64), amounts::some(of as u64, "replica"));
        let took = now.duration_since(self.began);
        if took >= PACE && (1..of).contains(&ready) {
            let left = took.mul_f64((of - ready) as f64 / ready as f64).max(Duration::from_secs(1));
            line.push_str(&format!(", about {} left", humantime::format_duration(Duration::from_secs(left.as_secs()))));
        }
        line
    }
}

/// What keeps the replicas in that state from being ready: a line for each, or for many that say the same.
fn troubles(service: &ServiceView, state: ReplicaState) -> Vec<String> {
    let mut alike: BTreeMap<String, Vec<&ReplicaView>> = BTreeMap::new();
    for replica in service.replicas.iter().filter(|replica| replica.state() == state) {
        alike.entry(replica_trouble(replica)).or_default().push(replica);
    }
    let told = alike.into_iter().flat_map(|(trouble, replicas)| {
        if replicas.len() <= ONE_BY_ONE {
            return replicas.into_iter().map(replica_line).collect();
        }
        vec![format!("{}: {trouble}", amounts::some(replicas.len() as u64, "replica"))]
    });
    told.collect()
}

fn count_ready(service: &ServiceView) -> usize {
    service.replicas.iter().filter(|replica| replica.state() == ReplicaState::Ready).count()
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn replicas(ready: usize, failed: usize, message: &str) -> ServiceView {
        let of = |(shard, state): (u32, ReplicaState)| ReplicaView {
            shard,
            state: state.into(),
            message: if state == ReplicaState::Failed { message.to_owned() } else { String::new() },
            ..ReplicaView::default()
        };
        let states = (0..ready + failed).map(|n| if n < ready { ReplicaState::Ready } else { ReplicaState::Failed });
        ServiceView { replicas: (0_u32..).zip(states).map(of).collect(), ..ServiceView::default() }
    }

    #[tokio::test(start_paused = true)]
    async fn a_message_is_told_once_until_it_changes() {
        let now = Instant::now();
        let mut readiness = Readiness::new("find", SECOND, now);
        let first = readiness.look(&replicas(1, 1, "no image"), now);
        assert_eq!(first, ["find: 1 of 2 replicas ready", "shard 1, replica 0: failed: no image"]);
        assert!(readiness.look(&replicas(1, 1, "no image"), now).is_empty());
        assert_eq!(readiness.look(&replicas(1, 1, "no memory"), now).len(), 1);
    }

    #[tokio::test(start_paused = true)]
    async fn it_is_waited_for_as_long_as_more_replicas_get_ready() {
        let began = Instant::now();
        let mut readiness = Readiness::new("find", 10 * SECOND, began);
        for ready in 0..100 {
            let now = began + SECOND * 9 * u32::try_from(ready).unwrap();
            readiness.look(&replicas(ready, 100 - ready, "is on its way"), now);
            assert!(!readiness.is_given_up(now), "{ready}");
        }
        // One that comes and goes is no progress.
        let end = began + SECOND * 9 * 99;
        for second in 0..10 {
            readiness.look(&replicas(98 + second as usize % 2, 1, "comes and goes"), end + second * SECOND);
            assert!(!readiness.is_given_up(end + second * SECOND));
        }
        assert!(readiness.is_given_up(end + 10 * SECOND));
    }

    #[tokio::test(start_paused = true)]
    async fn how_far_it_is_is_told_now_and_then_and_how_long_still() {
        let began = Instant::now();
        let mut readiness = Readiness::new("find", 10 * SECOND, began);
        let mut told = Vec::new();
        for ready in 0..=1_000_usize {
            told.extend(readiness.look(&replicas(ready, 1_000 - ready, ""), began + SECOND / 50 * ready as u32));
        }
        assert_eq!(told.iter().filter(|line| line.contains("replicas ready")).count(), 11, "{told:?}");
        assert!(told.contains(&"find: 500 of 1,000 replicas ready, about 10s left".to_owned()), "{told:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_service_that_does_not_get_ready_says_what_its_replicas_say_and_that_of_many_in_one_line() {
        let now = Instant::now();
        let told = |service: &ServiceView| {
            let mut readiness = Readiness::new("find", 2 * SECOND, now);
            readiness.look(service, now);
            readiness.failure(service, now + 2 * SECOND).to_string()
        };
        assert_eq!(
            told(&replicas(0, 1, "no image")),
            "service find is not ready after 2.0s\n  shard 0, replica 0: failed: no image"
        );
        assert_eq!(
            told(&replicas(24, 1_000, "no image")),
            "service find is not ready after 2.0s: 24 of 1,024 replicas are, and no other has got ready for 2.0s\n  \
             1,000 replicas: failed: no image"
        );
    }
}
