//! How each candidate has done lately, for people to look at.
//!
//! Metrics are for a system that keeps them; this is what can be seen without one. It holds the
//! last hour by the minute, and some of the latest figures, and no more.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use backstop_core::{Attempt, FaultKind, Name};
use serde::Serialize;
use tokio::time::Instant;

use crate::account::{Call, Outcome};

/// How many minutes are looked back on.
const MINUTES: u64 = 60;

/// How many figures a percentile is made of.
const SAMPLES: usize = 512;

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

#[derive(Debug, Default)]
struct Candidate {
    minutes: VecDeque<Minute>,
    first_token: VecDeque<Duration>,
    tokens_per_second: VecDeque<f64>,
}

#[derive(Debug, Default)]
struct Minute {
    number: u64,
    served: u64,
    passed_over: u64,
    failed: BTreeMap<FaultKind, u64>,
}

/// What a candidate has done within the last hour.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct Summary {
    /// Calls that it answered.
    served: u64,
    /// Calls that went past it without asking it: its circuit was open, say.
    passed_over: u64,
    /// Attempts on it that failed, by kind.
    failed: BTreeMap<&'static str, u64>,
    /// The part of all attempts that failed, from 0 to 1.
    error_rate: f64,
    first_token_p50_ms: Option<f64>,
    first_token_p95_ms: Option<f64>,
    tokens_per_second: Option<f64>,
    /// Answered and failed in each of the last 60 minutes, the latest last.
    minutes: Vec<(u64, u64)>,
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
        let inner = self.lock();
        let rates = &inner.candidates.get(name)?.tokens_per_second;
        percentile(&rates.iter().copied().collect::<Vec<_>>(), 0.5)
    }

    /// Takes in one call that is over.
    pub(crate) fn call(&self, call: &Call) {
        let now = Instant::now();
        let minute = self.minute(now);
        let mut inner = self.lock();
        for attempt in call.trail.attempts() {
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
        candidate.minute(minute).served += 1;
        let (true, Some(answered)) = (call.streamed, call.answered) else {
            return;
        };
        push(&mut candidate.first_token, call.first_token(answered));
        let speaking = call.started.elapsed().saturating_sub(answered);
        if let (false, Some(usage)) = (speaking.is_zero(), call.usage) {
            let rate = usage.output as f64 / speaking.as_secs_f64();
            push(&mut candidate.tokens_per_second, rate);
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
            let minute = candidate.minute(minute);
            if attempt.number == 0 {
                minute.passed_over += 1;
            } else {
                *minute.failed.entry(attempt.fault.kind()).or_default() += 1;
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

impl Candidate {
    fn minute(&mut self, number: u64) -> &mut Minute {
        if self.minutes.back().is_none_or(|last| last.number < number) {
            self.minutes.push_back(Minute {
                number,
                ..Minute::default()
            });
            self.minutes.retain(|it| it.number + MINUTES > number);
        }
        let last = self.minutes.len() - 1;
        &mut self.minutes[last]
    }

    fn summary(&self, now: u64) -> Summary {
        let mut summary = Summary::default();
        let mut failed = 0;
        let recent = || self.minutes.iter().filter(|it| it.number + MINUTES > now);
        for minute in recent() {
            summary.served += minute.served;
            summary.passed_over += minute.passed_over;
            for (kind, count) in &minute.failed {
                *summary.failed.entry(kind.label()).or_default() += count;
                failed += count;
            }
        }
        let all = summary.served + failed;
        summary.error_rate = if all == 0 {
            0.0
        } else {
            failed as f64 / all as f64
        };
        let millis: Vec<f64> = self
            .first_token
            .iter()
            .map(|it| it.as_secs_f64() * 1e3)
            .collect();
        summary.first_token_p50_ms = percentile(&millis, 0.50);
        summary.first_token_p95_ms = percentile(&millis, 0.95);
        let rates: Vec<f64> = self.tokens_per_second.iter().copied().collect();
        summary.tokens_per_second = percentile(&rates, 0.50);
        let first = now.saturating_sub(MINUTES - 1);
        summary.minutes = (first..=now)
            .map(|number| {
                recent()
                    .find(|it| it.number == number)
                    .map_or((0, 0), |it| (it.served, it.failed.values().sum()))
            })
            .collect();
        summary
    }
}

fn push<T>(samples: &mut VecDeque<T>, sample: T) {
    if samples.len() == SAMPLES {
        samples.pop_front();
    }
    samples.push_back(sample);
}

/// The value that so great a part of the samples does not exceed.
fn percentile(samples: &[f64], part: f64) -> Option<f64> {
    let mut sorted = samples.to_vec();
    sorted.sort_by(f64::total_cmp);
    let rank = (sorted.len() as f64 * part).ceil() as usize;
    sorted.get(rank.saturating_sub(1)).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_percentile_is_one_of_the_samples() {
        let samples: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        assert_eq!(percentile(&samples, 0.5), Some(50.0));
        assert_eq!(percentile(&samples, 0.95), Some(95.0));
        assert_eq!(percentile(&[7.0], 0.95), Some(7.0));
        assert_eq!(percentile(&[], 0.5), None);
    }

    #[test]
    fn who_is_passed_over_has_not_failed() {
        let mut candidate = Candidate::default();
        let minute = candidate.minute(0);
        minute.served = 3;
        minute.passed_over = 90;
        minute.failed.insert(FaultKind::Overloaded, 1);
        let summary = candidate.summary(0);
        assert_eq!(summary.passed_over, 90);
        assert_eq!(summary.error_rate, 0.25);
        assert_eq!(summary.minutes, [(3, 1)]);
    }

    #[test]
    fn what_is_over_an_hour_old_is_forgotten() {
        let mut candidate = Candidate::default();
        candidate.minute(0).served = 5;
        candidate.minute(59).served = 1;
        assert_eq!(candidate.summary(59).served, 6);
        assert_eq!(candidate.summary(60).served, 1);
        candidate.minute(200).served = 2;
        assert_eq!(candidate.minutes.len(), 1);
        assert_eq!(candidate.summary(200).minutes.len(), 60);
        assert_eq!(candidate.summary(200).minutes.last(), Some(&(2, 0)));
    }
}
