//! How one candidate has done lately.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use backstop_core::FaultKind;
use serde::Serialize;

/// How many minutes are looked back on.
const MINUTES: u64 = 60;

/// How many figures a percentile is made of.
const SAMPLES: usize = 512;

/// How one candidate has done lately.
#[derive(Debug, Default)]
pub(super) struct Candidate {
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

impl Candidate {
    /// It answered a call, in this minute.
    pub(super) fn served(&mut self, minute: u64) {
        self.minute(minute).served += 1;
    }

    /// A call went past it without asking it.
    pub(super) fn passed_over(&mut self, minute: u64) {
        self.minute(minute).passed_over += 1;
    }

    /// An attempt on it failed.
    pub(super) fn failed(&mut self, minute: u64, kind: FaultKind) {
        *self.minute(minute).failed.entry(kind).or_default() += 1;
    }

    /// A stream of it began so soon.
    pub(super) fn began(&mut self, after: Duration) {
        push(&mut self.first_token, after);
    }

    /// A stream of it had so many tokens a second.
    pub(super) fn spoke(&mut self, rate: f64) {
        push(&mut self.tokens_per_second, rate);
    }

    /// How fast it lately spoke, half of the time.
    pub(super) fn tokens_per_second(&self) -> Option<f64> {
        let rates: Vec<f64> = self.tokens_per_second.iter().copied().collect();
        percentile(&rates, 0.50)
    }

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

    /// What is shown of it.
    pub(super) fn summary(&self, now: u64) -> Summary {
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
        summary.tokens_per_second = self.tokens_per_second();
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
