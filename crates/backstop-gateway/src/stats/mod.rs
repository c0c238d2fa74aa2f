//! How each candidate has done lately, for people to look at.
//!
//! Metrics are for a system that keeps them; this is what can be seen without one. It holds the
//! last hour by the minute, and some of the latest figures, and no more.

mod candidate;

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backstop_core::{Attempt, Name};
use serde::Serialize;
use tokio::time::Instant;

use self::candidate::Candidate;
pub(crate) use self::candidate::Summary;
use crate::{
    call::{Call, Outcome},
    given_up,
};

/// How many failures are listed.
const FAILURES: usize = 50;

/// How many candidates are known at most: reloads may bring ever new names.
const CANDIDATES: usize = 1_000;

/// How each candidate has done lately.
#[derive(Debug)]
pub(crate) struct Stats {
    started: Instant,
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    candidates: BTreeMap<Name, Candidate>,
    failures: VecDeque<(Instant, Name, Attempt)>,
}

/// One failure.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Failure {
    seconds_ago: u64,
    candidate: String,
    model: String,
    kind: &'static str,
    status: Option<u16>,
    reason: String,
}

impl Failure {
    fn new(ago: Duration, model: &Name, attempt: &Attempt) -> Self {
        let mut attempt = attempt.clone();
        let candidate = attempt.candidate.take();
        Self {
            seconds_ago: ago.as_secs(),
            candidate: candidate.as_deref().unwrap_or("?").to_owned(),
            model: model.to_string(),
            kind: attempt.fault.kind().label(),
            status: attempt.fault.status(),
            // Without the candidate's name, which it would begin with.
            reason: attempt.to_string(),
        }
    }
}

impl Stats {
    pub(crate) fn new() -> Self {
        Self {
            started: Instant::now(),
            inner: Mutex::default(),
        }
    }

    /// When the gateway started.
    pub(crate) const fn started(&self) -> Instant {
        self.started
    }

    /// How fast a candidate lately spoke, half of the time.
    pub(crate) fn tokens_per_second(&self, name: &Name) -> Option<f64> {
        self.lock().candidates.get(name)?.tokens_per_second()
    }

    /// Takes in one call that is over.
    pub(crate) fn call(&self, call: &Call) {
        let now = call.started + call.taken;
        let minute = self.minute(now);
        let mut inner = self.lock();
        let failed = call.trail.attempts().iter();
        for attempt in failed.filter(|it| given_up::word(it.fault).is_none()) {
            inner.failed(minute, now, call, attempt);
        }
        let Some(served) = &call.served else { return };
        let last = served.continued_by.last().unwrap_or(&served.name);
        if let Outcome::Failed(fault) = call.outcome {
            let broken = Attempt::new(1, fault).on(last.clone());
            inner.failed(minute, now, call, &broken);
            return;
        }
        let Some(candidate) = inner.candidate(last) else {
            return;
        };
        candidate.served(minute);
        let (true, Some(answered)) = (call.streamed, call.answered) else {
            return;
        };
        candidate.began(call.first_token(answered));
        let speaking = call.taken.saturating_sub(answered);
        if let (false, Some(usage)) = (speaking.is_zero(), call.usage) {
            candidate.spoke(usage.output as f64 / speaking.as_secs_f64());
        }
    }

    /// How a candidate has done.
    pub(crate) fn candidate(&self, name: &str) -> Summary {
        let minute = self.minute(Instant::now());
        let inner = self.lock();
        let candidate = inner.candidates.get(name);
        candidate.map_or_else(Summary::default, |candidate| candidate.summary(minute))
    }

    /// The last failures, the latest first.
    pub(crate) fn failures(&self) -> Vec<Failure> {
        let now = Instant::now();
        let inner = self.lock();
        let failures = inner.failures.iter().rev();
        failures
            .map(|(at, model, attempt)| {
                Failure::new(now.saturating_duration_since(*at), model, attempt)
            })
            .collect()
    }

    fn minute(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.started).as_secs() / 60
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    fn candidate(&mut self, name: &Name) -> Option<&mut Candidate> {
        if self.candidates.len() >= CANDIDATES && !self.candidates.contains_key(name) {
            return None;
        }
        Some(self.candidates.entry(name.clone()).or_default())
    }

    fn failed(&mut self, minute: u64, now: Instant, call: &Call, attempt: &Attempt) {
        let Some(name) = &attempt.candidate else {
            return;
        };
        if let Some(candidate) = self.candidate(name) {
            if attempt.number == 0 {
                candidate.passed_over(minute);
            } else {
                candidate.failed(minute, attempt.fault.kind());
            }
        }
        // What is passed over without being called has failed before, and would fill the list.
        if attempt.number > 0 {
            if self.failures.len() == FAILURES {
                self.failures.pop_front();
            }
            let failure = (now, call.model.clone(), attempt.clone());
            self.failures.push_back(failure);
        }
    }
}
