//! The clients: they want things, ask again when no answer comes, and believe what they are told.

use longshore_core::{Input, JobId, JobSpec, Reply, RequestId, ServicePlan};

use super::{World, agenda::Event, faults::Fault, oracle::Check, script, worker::sixteen};

/// How long a client waits for an answer.
const PATIENCE_MS: u64 = 2_000;
/// Service names: few, so that deployments meet.
const NAMES: &[&str] = &["find", "rank", "suggest"];

/// What a client wants.
#[derive(Debug, Clone)]
pub enum Wish {
    /// A job.
    Submit {
        /// The idempotency key; empty for none, and then it asks only once.
        key: String,
        /// The job.
        spec: JobSpec,
        /// Its items.
        inputs: u64,
    },
    /// The end of a job.
    Cancel(JobId),
    /// Another try of what failed.
    Retry(JobId),
    /// A service.
    Deploy {
        /// Its name.
        name: String,
        /// Its plan.
        plan: ServicePlan,
        /// Its full specification.
        detail: [u8; 32],
    },
    /// The end of a service.
    Remove(String),
}

/// A client.
#[derive(Debug)]
pub struct Client {
    /// What it will still want.
    pub wishes: u64,
    asking: Option<(Wish, RequestId)>,
    turn: u64,
    jobs: Vec<JobId>,
}

impl Client {
    /// A client that has asked for nothing.
    #[must_use]
    pub fn new(wishes: u64) -> Self {
        Self { wishes, asking: None, turn: 0, jobs: Vec::new() }
    }

    /// Whether it wants nothing more.
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.wishes == 0 && self.asking.is_none()
    }
}

impl World {
    pub(super) fn client_acts(&mut self, number: usize, turn: u64) -> Check {
        if self.clients[number].turn != turn {
            return Ok(());
        }
        if let Some((wish, _)) = self.clients[number].asking.take() {
            match &wish {
                Wish::Submit { key, .. } if key.is_empty() => {}
                Wish::Submit { .. } => {
                    self.coverage.saw("a submission repeated");
                    return self.asks(number, wish);
                }
                _ => return self.asks(number, wish),
            }
        }
        if self.clients[number].wishes == 0 {
            return Ok(());
        }
        self.clients[number].wishes -= 1;
        let wish = self.wishes(number);
        self.asks(number, wish)
    }

    fn wishes(&mut self, number: usize) -> Wish {
        let job = self.dice.pick(&self.clients[number].jobs).copied();
        let name = (*self.dice.pick(NAMES).unwrap_or(&"find")).to_owned();
        match (self.dice.below(20), job) {
            (0..=2, Some(job)) => Wish::Cancel(job),
            (3..=6, Some(job)) => Wish::Retry(job),
            (7..=9, _) => Wish::Deploy {
                name,
                plan: script::service(&mut self.dice),
                detail: [u8::try_from(self.dice.below(250)).unwrap_or(0); 32],
            },
            (10..=11, Some(_)) => Wish::Remove(name),
            (roll, _) => {
                let (spec, inputs) = script::job(&mut self.dice);
                let key =
                    if roll == 19 { String::new() } else { format!("client-{number}-{}", self.clients[number].wishes) };
                Wish::Submit { key, spec, inputs }
            }
        }
    }

    fn asks(&mut self, number: usize, wish: Wish) -> Check {
        self.made_requests += 1;
        let request = RequestId(self.made_requests);
        let client = &mut self.clients[number];
        client.turn += 1;
        client.asking = Some((wish.clone(), request));
        let event = Event::Client(number, client.turn);
        self.agenda.plan(self.now_ms + PATIENCE_MS, event);
        match &mut self.coordinator {
            Some(coordinator) if coordinator.stalled_until_ms <= self.now_ms => {
                coordinator.askers.insert(request, (number, wish.clone()));
            }
            _ => return Ok(()),
        }
        let input = self.request(request, wish);
        self.feed(input)
    }

    fn request(&mut self, request: RequestId, wish: Wish) -> Input {
        match wish {
            Wish::Submit { key, spec, inputs } => {
                self.made_jobs += 1;
                Input::Submit { request, job: JobId(sixteen(7, self.made_jobs)), key, spec, inputs, detail: [0; 32] }
            }
            Wish::Cancel(job) => Input::Cancel { request, job, reason: "a client asked".to_owned() },
            Wish::Retry(job) => Input::Retry { request, job },
            Wish::Deploy { name, plan, detail } => Input::Deploy { request, name, plan, detail },
            Wish::Remove(name) => Input::Remove { request, name },
        }
    }

    /// An answer leaves the coordinator. From here on it is a promise, whether it arrives or not.
    pub(super) fn answer(&mut self, request: RequestId, reply: &Reply) {
        let asker = self.coordinator.as_mut().and_then(|coordinator| coordinator.askers.remove(&request));
        let Some((number, wish)) = asker else {
            return;
        };
        self.say(|| format!("client {number} is answered {reply:?}"));
        self.oracle.promises.answered(&wish, reply);
        let lossy = self.profile.faults.contains(&Fault::AnswerLost) && self.faults_are_on();
        if lossy && self.dice.chance(20) {
            self.coverage.saw("an answer lost");
            return;
        }
        let client = &mut self.clients[number];
        if client.asking.take_if(|(_, it)| *it == request).is_none() {
            // It has asked again since.
            return;
        }
        if let Reply::Submitted { job, .. } = reply {
            self.coverage.saw("an acknowledged submission");
            client.jobs.push(*job);
        }
        client.turn += 1;
        let event = Event::Client(number, client.turn);
        let at_ms = self.now_ms + self.dice.between(10, 2_500);
        self.agenda.plan(at_ms, event);
    }
}
