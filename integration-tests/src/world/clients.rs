//! What clients do: they ask, ask again when no answer comes, and believe what they are told.

use longshore_core::{
    Change, Control, Input, JobId, JobSpec, JobView, Meaning, Reply, RequestId, Require, ServiceName,
};

use super::{
    agenda::Event,
    client::Wish,
    coordinator::Look,
    count,
    dice::Dice,
    fault::Fault,
    kept::Kept,
    oracle::{Check, demand},
    script,
    state::World,
    worker::sixteen,
};

/// How long a client waits for an answer.
const PATIENCE_MS: u64 = 2_000;
/// Service names: few, so that deployments meet.
const NAMES: &[&str] = &["find", "rank", "suggest"];

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
        if let Some(undo) = self.clients[number].undo.take() {
            return self.asks(number, Wish::Control(undo));
        }
        if self.clients[number].wishes == 0 {
            return Ok(());
        }
        self.clients[number].wishes -= 1;
        let wish = match self.controls(number) {
            Some(control) => {
                self.clients[number].undo = undo(&control);
                Wish::Control(control)
            }
            None => self.wishes(number),
        };
        self.asks(number, wish)
    }

    fn wishes(&mut self, number: usize) -> Wish {
        let job = self.dice.pick(&self.clients[number].jobs).copied();
        let name = (*self.dice.pick(NAMES).unwrap_or(&"find")).to_owned();
        if number + 1 == self.clients.len() {
            return Wish::Members(self.members_wish());
        }
        let namespace = self.clients[number].namespace.clone();
        let name = ServiceName { namespace: namespace.clone(), name };
        match (self.dice.below(20), job) {
            (0..=2, Some(job)) => Wish::Cancel(job),
            (3..=6, Some(job)) => Wish::Retry(job),
            (7..=9, _) => Wish::Deploy {
                name,
                plan: script::service(&mut self.dice),
                detail: [u8::try_from(self.dice.below(250)).unwrap_or(0); 32],
            },
            (10..=11, Some(_)) => Wish::Remove(name),
            (12..=14, Some(job)) => Wish::Look(job),
            (roll, _) => {
                let (mut spec, inputs) = script::job(&mut self.dice);
                self.runs_after(number, &mut spec);
                let wishes = self.clients[number].wishes;
                // Clients of two namespaces use the same keys.
                let key = match roll {
                    19 => String::new(),
                    15..=18 if self.profile.controls => "anybody's".to_owned(),
                    _ if number < script::NAMESPACES.len() => format!("wish-{wishes}"),
                    _ => format!("client-{number}-{wishes}"),
                };
                Wish::Submit { namespace, key, spec, inputs }
            }
        }
    }

    /// What a client wants of a job or a worker that is there, in worlds in which they do; by dice of their own.
    fn controls(&self, number: usize) -> Option<Control> {
        let client = &self.clients[number];
        let mut dice = Dice::of(&[self.seed, 6, number as u64, client.wishes]);
        if !self.profile.controls || !dice.chance(50) {
            return None;
        }
        let worker = dice.pick(&self.workers).map(|worker| worker.id);
        let job = dice.pick(&client.jobs).copied();
        let few = u32::try_from(dice.below(4)).unwrap_or(0);
        Some(match (dice.below(10), job, worker) {
            (0..=2, Some(job), _) => Control::Pause { job, why: "a client asked".to_owned(), stop: dice.chance(50) },
            (3, Some(job), _) => {
                let change = Change { priority: Some(few.cast_signed()), max_parallel: vec![(0, few)] };
                Control::Change { job, change }
            }
            (4..=6, Some(job), _) => Control::Remove { job, force: dice.chance(50) },
            (7, Some(job), _) => Control::Resume { job },
            (8..=9, _, Some(worker)) => Control::Drain { worker },
            _ => return None,
        })
    }

    /// Some jobs are to run after others that the client knows of.
    fn runs_after(&self, number: usize, spec: &mut JobSpec) {
        let client = &self.clients[number];
        let mut dice = Dice::of(&[self.seed, 8, number as u64, client.wishes]);
        if self.profile.controls
            && dice.chance(40)
            && let Some(job) = dice.pick(&client.jobs)
        {
            if dice.chance(70) { &mut spec.after } else { &mut spec.after_any }.push(*job);
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
        if let Wish::Look(job) = wish {
            return self.looks(request, job);
        }
        if let Some(input) = self.request(request, wish) {
            self.feed(|drive, now| drop(drive.request(now, input)))?;
        }
        Ok(())
    }

    /// Asks how a job is; a coordinator that has no room says so.
    fn looks(&mut self, request: RequestId, job: JobId) -> Check {
        let told = self.feed(|drive, _| {
            let view = drive.core().job_view(job);
            Some(drive.tell(Box::new(Look { request, view })).is_ok())
        })?;
        if told == Some(false) {
            self.coverage.saw("a look refused because the disk is full");
            self.looked_in_vain(request);
        }
        Ok(())
    }

    /// A client that looked is shown a job. What it sees, no crash may undo.
    pub(super) fn is_shown(&mut self, look: Look) -> Check {
        let asker = self.coordinator.as_mut().and_then(|coordinator| coordinator.askers.remove(&look.request));
        if let Some(view) = &look.view {
            self.coverage.saw("a job looked at");
            shows_what_is_durable(self.disk.kept(), view)?;
        }
        if let Some((number, _)) = asker {
            self.is_answered(number, look.request);
        }
        Ok(())
    }

    /// A client that wanted to look is told that it cannot, and asks again later if it still wants to.
    pub(super) fn looked_in_vain(&mut self, request: RequestId) {
        if let Some(coordinator) = &mut self.coordinator {
            coordinator.askers.remove(&request);
        }
    }

    fn request(&mut self, request: RequestId, wish: Wish) -> Option<Input> {
        Some(match wish {
            Wish::Submit { namespace, key, spec, inputs } => {
                self.made_jobs += 1;
                let job = JobId(sixteen(7, self.made_jobs));
                let meaning = Some(meaning(&spec, inputs));
                let groups = script::groups(&spec, inputs);
                Input::Submit { request, job, namespace, key, spec, inputs, groups, detail: [0; 32], meaning }
            }
            Wish::Cancel(job) => Input::Cancel { request, job, reason: "a client asked".to_owned() },
            Wish::Retry(job) => Input::Retry { request, job, only: None },
            Wish::Deploy { name, plan, detail } => Input::Deploy { request, name, plan, detail },
            Wish::Remove(name) => Input::Remove { request, name },
            Wish::Members(ask) => Input::Members { request, ask },
            Wish::Control(ask) => Input::Control { request, ask },
            Wish::Look(_) => return None,
        })
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
        if self.is_answered(number, request)
            && let Reply::Submitted { job, .. } = reply
        {
            self.coverage.saw("an acknowledged submission");
            self.clients[number].jobs.push(*job);
        }
    }

    /// An answer has reached a client; answers whether it still waited.
    fn is_answered(&mut self, number: usize, request: RequestId) -> bool {
        let client = &mut self.clients[number];
        if client.asking.take_if(|(_, it)| *it == request).is_none() {
            // It has asked again since.
            return false;
        }
        client.turn += 1;
        let event = Event::Client(number, client.turn);
        let at_ms = self.now_ms + self.dice.between(10, 2_500);
        self.agenda.plan(at_ms, event);
        true
    }
}

/// What a client does later so that things come to an end.
fn undo(control: &Control) -> Option<Control> {
    match control {
        Control::Pause { job, .. } => Some(Control::Resume { job: *job }),
        Control::Drain { worker } => Some(Control::Undrain { worker: *worker }),
        _ => None,
    }
}

/// What a job is, as far as it may be another's.
fn meaning(spec: &JobSpec, inputs: u64) -> Meaning {
    let stages = u8::try_from(spec.stages.len()).unwrap_or(u8::MAX);
    Meaning { spec: [stages; 32], inputs: [u8::try_from(inputs).unwrap_or(u8::MAX); 32] }
}

/// Whatever a view says has happened is durable. Successes are final; failures may be undone by another try, but a client
/// is not told of one that a crash could undo.
fn shows_what_is_durable(kept: &Kept, view: &JobView) -> Check {
    let id = view.record.id;
    demand!(kept.job(id).is_some(), "{id} is shown and not durable");
    for (shown, durable) in view.stages.iter().zip(count::stages(kept, id)) {
        // What was gathered of less may be withdrawn in the batch after the one that the view has waited for.
        let is_final =
            view.record.spec.stages.iter().all(|stage| !stage.kind.require().is_some_and(Require::is_partial));
        demand!(
            !is_final || shown.succeeded <= durable.succeeded,
            "{id} is shown with {shown:?}, durable is {durable:?}"
        );
    }
    Ok(())
}
