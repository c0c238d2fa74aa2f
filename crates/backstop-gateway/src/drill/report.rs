//! What a drill showed.

use std::{collections::BTreeMap, fmt, time::Duration};

use tokio::time::Instant;

use super::load::{Asked, Outcome};

/// One phase of a drill.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Phase {
    /// What the first candidate's provider did.
    pub name: &'static str,
    /// How many answers each candidate gave, by the name of who began them.
    pub served: BTreeMap<String, u64>,
    /// How many requests were answered with an error, and the last one.
    pub failed: (u64, Option<String>),
    /// How many were not answered, or not wholly and without a word on it; and the last one.
    pub lost: (u64, Option<String>),
    /// How long the slowest took.
    pub slowest: Duration,
    /// From the beginning of the phase to the first whole answer of a request that began in it.
    pub first_answer: Option<Duration>,
}

impl Phase {
    pub(super) fn new(name: &'static str, began: Instant, all: &[Asked]) -> Self {
        let mut phase = Self {
            name,
            ..Self::default()
        };
        for asked in all {
            let took = asked.ended.saturating_duration_since(asked.began);
            phase.slowest = phase.slowest.max(took);
            match &asked.outcome {
                Outcome::Served(by) => {
                    *phase.served.entry(by.clone()).or_default() += 1;
                    if asked.began >= began {
                        let answered = asked.ended.saturating_duration_since(began);
                        let first = phase.first_answer.get_or_insert(answered);
                        *first = answered.min(*first);
                    }
                }
                Outcome::Failed(why) => phase.failed = (phase.failed.0 + 1, Some(why.clone())),
                Outcome::Lost(why) => phase.lost = (phase.lost.0 + 1, Some(why.clone())),
            }
        }
        phase
    }

    /// The heading over the lines of all phases.
    pub const HEADING: &str =
        "phase        requests   errors   lost    slowest   first answer   served by";
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let served: u64 = self.served.values().sum();
        write!(
            f,
            "{:<12} {:>8} {:>8} {:>6} {:>7} ms {:>14}   ",
            self.name,
            served + self.failed.0 + self.lost.0,
            self.failed.0,
            self.lost.0,
            self.slowest.as_millis(),
            self.first_answer
                .map_or_else(|| "none".to_owned(), |it| format!("{} ms", it.as_millis())),
        )?;
        for (i, (candidate, count)) in self.served.iter().enumerate() {
            let separator = if i > 0 { ", " } else { "" };
            write!(f, "{separator}{candidate} {count}")?;
        }
        Ok(())
    }
}

/// What a drill showed.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Report {
    /// The phases, in order.
    pub phases: Vec<Phase>,
    /// From the end of the outage until the first candidate served again, if it did.
    pub recovery: Option<Duration>,
    /// The longest that the first answer took after something began to fail, if anyone stepped in.
    pub failover: Option<Duration>,
}

impl Report {
    pub(super) fn add(&mut self, phase: Phase, first: &str) {
        let by_others = phase.served.keys().any(|by| by != first);
        if let (true, Some(answered)) = (by_others, phase.first_answer) {
            self.failover = self.failover.max(Some(answered));
        }
        self.phases.push(phase);
    }

    /// How many requests were lost.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.phases.iter().map(|phase| phase.lost.0).sum()
    }

    /// How many requests were answered with an error.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.phases.iter().map(|phase| phase.failed.0).sum()
    }

    /// Whether every request got a whole answer, and the first candidate serves again.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.lost() == 0 && self.failed() == 0 && self.recovery.is_some()
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.failover {
            Some(after) => writeln!(
                f,
                "failover: first answer {} ms after it began at most",
                after.as_millis()
            )?,
            None => writeln!(f, "failover: nobody stepped in for the first candidate")?,
        }
        match self.recovery {
            Some(after) => writeln!(
                f,
                "recovery: the first candidate served again after {:.1} s",
                after.as_secs_f64()
            )?,
            None => writeln!(f, "recovery: the first candidate did not serve again")?,
        }
        for phase in &self.phases {
            for why in [&phase.lost.1, &phase.failed.1].into_iter().flatten() {
                writeln!(f, "{}: {why}", phase.name)?;
            }
        }
        match (self.lost(), self.failed()) {
            (0, 0) => write!(f, "nothing was lost"),
            (lost, failed) => write!(f, "{lost} lost, {failed} answered with an error"),
        }
    }
}
