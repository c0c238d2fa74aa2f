//! The circuit that a case is replayed against, and what is in flight through it.

use std::{
    collections::{HashMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
    sync::{
        Arc, Mutex,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use backstop_circuit_breaker::{
    Cause, CircuitBreaker, Isolation, Listener, Permit, State, Transition,
};
use backstop_core::{FaultKind, Name, Reason};

use super::settings::Settings;
use crate::{
    fields::Fields,
    outcome::{Replay, failed, unknown},
};

/// What the circuit told of itself.
#[derive(Debug, Default)]
pub(super) struct Log {
    pub(super) transitions: Mutex<Vec<Transition>>,
    pub(super) exceeded: AtomicU64,
    /// Since the last transition.
    pub(super) refused: AtomicU64,
}

impl Listener for Log {
    fn on_transition(&self, _: &Name, transition: &Transition) {
        self.refused.store(0, Ordering::Relaxed);
        self.transitions.lock().expect("no panic").push(*transition);
    }

    fn on_exceeded(&self, _: &Name, _: Cause) {
        self.exceeded.fetch_add(1, Ordering::Relaxed);
    }

    fn on_refused(&self, _: &Name, _: Reason) {
        self.refused.fetch_add(1, Ordering::Relaxed);
    }
}

pub(super) type Heard = Arc<Log>;

/// A circuit, its clock being tokio's paused one.
pub(super) struct Subject {
    pub(super) breaker: CircuitBreaker<Heard>,
    pub(super) log: Heard,
    /// Admitted by `admit`, not yet reported by `record`.
    pub(super) pending: VecDeque<Permit<Heard>>,
    /// In flight by name.
    pub(super) calls: HashMap<String, Permit<Heard>>,
    /// In flight without a name.
    pub(super) crowd: Vec<Permit<Heard>>,
    pub(super) isolations: HashMap<u64, Isolation<Heard>>,
    /// Calls that ended without a verdict.
    pub(super) excluded: u64,
}

impl Subject {
    pub(super) async fn new(settings: &Settings) -> Self {
        let log = Heard::default();
        let subject = Self {
            breaker: settings.policy.listener(log.clone()).breaker("case"),
            log,
            pending: VecDeque::new(),
            calls: HashMap::new(),
            crowd: Vec::new(),
            isolations: HashMap::new(),
            excluded: 0,
        };
        advance(settings.start).await;
        subject
    }

    pub(super) fn admit(&self) -> Option<Permit<Heard>> {
        self.breaker.try_acquire().ok()
    }

    /// One call, which takes no time.
    pub(super) fn call(&mut self, outcome: Outcome) -> bool {
        let permit = self.admit();
        let admitted = permit.is_some();
        if let Some(permit) = permit {
            self.report(permit, outcome);
        }
        admitted
    }

    pub(super) fn report(&mut self, permit: Permit<Heard>, outcome: Outcome) {
        match outcome {
            Outcome::Success => permit.success(),
            Outcome::Failure(kind) => permit.failure(kind),
            Outcome::Left => {
                self.excluded += 1;
                drop(permit);
            }
            Outcome::Panic => {
                let _ = catch_unwind(AssertUnwindSafe(|| {
                    let _held = permit;
                    resume_unwind(Box::new("a call that panics"));
                }));
            }
            Outcome::Neutral => {
                self.excluded += 1;
                permit.ignore();
            }
        }
    }

    pub(super) fn state(&self) -> &'static str {
        match self.breaker.state() {
            State::Closed => "CLOSED",
            State::Disabled => "DISABLED",
            // Isolated or forced open are one state.
            State::ForcedOpen if !self.isolations.is_empty() => "ISOLATED",
            State::ForcedOpen => "FORCED_OPEN",
            State::HalfOpen => "HALF_OPEN",
            State::MetricsOnly => "METRICS_ONLY",
            State::Open => "OPEN",
            _ => "?",
        }
    }

    /// Enters a state by hand; false where that is no legal thing to do.
    pub(super) fn force(&self, state: &str) -> Replay<bool> {
        match state {
            "CLOSED" => self.breaker.close(),
            "DISABLED" => self.breaker.disable(),
            "FORCED_OPEN" | "ISOLATED" => self.breaker.force_open(),
            "HALF_OPEN" => {
                self.breaker.half_open();
                return Ok(self.breaker.state() == State::HalfOpen);
            }
            "METRICS_ONLY" => self.breaker.metrics_only(),
            "OPEN" => self.breaker.open(),
            state => return unknown(format!("state {state:?}")),
        }
        Ok(true)
    }

    /// How the last change of state came about.
    pub(super) fn last_cause(&self) -> Option<Cause> {
        let transitions = self.log.transitions.lock().expect("no panic");
        transitions.last().map(|transition| transition.cause)
    }

    pub(super) fn transitions(&self) -> Vec<Transition> {
        self.log.transitions.lock().expect("no panic").clone()
    }
}

pub(super) async fn advance(by: Duration) {
    if !by.is_zero() {
        tokio::time::advance(by).await;
    }
}

/// What a call comes to.
#[derive(Clone, Copy, Debug)]
pub(super) enum Outcome {
    Success,
    Failure(FaultKind),
    Neutral,
    /// The caller dropped the call.
    Left,
    Panic,
}

impl Outcome {
    pub(super) const FAILURE: Self = Self::Failure(FaultKind::Unavailable);

    /// The outcome of a step, with its cause.
    pub(super) fn of(step: &Fields<'_>) -> Replay<Self> {
        let outcome = step.must("outcome", Fields::str)?;
        Ok(match (outcome, step.str("cause")?) {
            ("success", None) => Self::Success,
            ("failure", None) => Self::FAILURE,
            ("failure", Some("attempt_timeout")) => Self::Failure(FaultKind::TimedOut),
            ("failure", Some("panic")) | ("panic", None) => Self::Panic,
            ("neutral", None) => Self::Neutral,
            ("neutral", Some("caller_cancel")) => Self::Left,
            ("neutral", Some("local_rejection")) => Self::Failure(FaultKind::Refused),
            ("neutral", Some("http_429")) => Self::Failure(FaultKind::RateLimited),
            (outcome, cause) => return unknown(format!("outcome {outcome:?} by {cause:?}")),
        })
    }

    /// The outcomes that a sequence of letters stands for.
    pub(super) fn letters(text: &str) -> Replay<Vec<Self>> {
        text.chars()
            .filter(|letter| *letter != ' ')
            .map(|letter| match letter {
                'S' => Ok(Self::Success),
                'F' => Ok(Self::FAILURE),
                'T' => Ok(Self::Failure(FaultKind::TimedOut)),
                letter => unknown(format!("outcome {letter:?}")),
            })
            .collect()
    }
}

/// The whole number that a share of `of` is nearest to.
pub(super) fn portion(share: f64, of: u64) -> Replay<u64> {
    let portion = (share * of as f64).round();
    if portion >= 0.0 {
        Ok(portion as u64)
    } else {
        failed(format!("a share of {share}"))
    }
}
