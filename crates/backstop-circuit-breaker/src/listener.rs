//! What a circuit tells of itself.

use std::{fmt, time::Duration};

use backstop_core::{Name, Reason};
use tokio::time::Instant;

/// The state of a circuit.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
#[repr(u8)]
pub enum State {
    /// Calls pass and are counted.
    Closed = 0,
    /// Calls pass and nothing is counted.
    Disabled = 1,
    /// No call passes until someone says so: isolated, or forced open.
    ForcedOpen = 2,
    /// A few probes pass, to find out whether the service is back.
    HalfOpen = 3,
    /// Calls pass and are counted, and nothing opens the circuit.
    MetricsOnly = 4,
    /// No call passes until a wait is over.
    Open = 5,
}

impl State {
    /// The state as one lower-case token, fit for a metric label: `half_open`.
    #[must_use]
    pub const fn label(self) -> &'static str {
        match self {
            Self::Closed => "closed",
            Self::Disabled => "disabled",
            Self::ForcedOpen => "forced_open",
            Self::HalfOpen => "half_open",
            Self::MetricsOnly => "metrics_only",
            Self::Open => "open",
        }
    }

    pub(crate) const fn from_bits(bits: u64) -> Self {
        match bits {
            0 => Self::Closed,
            1 => Self::Disabled,
            2 => Self::ForcedOpen,
            3 => Self::HalfOpen,
            4 => Self::MetricsOnly,
            _ => Self::Open,
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::ForcedOpen => "forced open",
            Self::HalfOpen => "half-open",
            Self::MetricsOnly => "metrics only",
            other => other.label(),
        })
    }
}

/// Why a circuit changed its state.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Cause {
    /// A single failure of a kind that opens the circuit at once.
    AtOnce,
    /// Someone said so.
    ByHand,
    /// So many failures in a row.
    ConsecutiveFailures,
    /// Too many of the calls in the window failed.
    FailureRate,
    /// It was half-open for too long without a verdict.
    HalfOpenTooLong,
    /// A probe failed, or more probes than may.
    ProbeFailed,
    /// Enough probes succeeded.
    ProbesSucceeded,
    /// A snapshot was restored.
    Restored,
    /// Too many of the calls in the window were slow.
    SlowCallRate,
    /// The wait was over.
    WaitOver,
}

impl Cause {
    /// The cause in words fit for a log line: `consecutive failures`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AtOnce => "a failure that opens at once",
            Self::ByHand => "by hand",
            Self::ConsecutiveFailures => "consecutive failures",
            Self::FailureRate => "failure rate",
            Self::HalfOpenTooLong => "half-open for too long",
            Self::ProbeFailed => "probe failed",
            Self::ProbesSucceeded => "probes succeeded",
            Self::Restored => "restored",
            Self::SlowCallRate => "slow call rate",
            Self::WaitOver => "wait over",
        }
    }
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A circuit changed its state.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Transition {
    /// The state that it left.
    pub from: State,
    /// The state that it entered.
    pub to: State,
    /// Why.
    pub cause: Cause,
    /// The generation that began: one more than the last with every change.
    pub generation: u32,
    /// How long it will be open, where it opened.
    pub wait: Option<Duration>,
    /// When.
    pub at: Instant,
}

impl fmt::Display for Transition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} to {}: {}", self.from, self.to, self.cause)
    }
}

/// Hears of what happens to a circuit.
///
/// It is called outside any lock: it may ask the circuit and change it. Transitions come in order,
/// each once; while one thread tells of them the others go on with their calls, so a slow listener
/// stalls nobody but the call that it is told by.
///
/// Give it to the policy, before the circuit is made: [`Policy::listener`](crate::Policy::listener).
pub trait Listener {
    /// The circuit `name` changed its state.
    fn on_transition(&self, name: &Name, transition: &Transition) {
        let _ = (name, transition);
    }

    /// The circuit `name` would have opened, had it not been set to count only. Told once, until
    /// the state changes.
    fn on_exceeded(&self, name: &Name, cause: Cause) {
        let _ = (name, cause);
    }

    /// The circuit `name` refused a call.
    fn on_refused(&self, name: &Name, reason: Reason) {
        let _ = (name, reason);
    }
}

impl Listener for () {}

impl<L: Listener + ?Sized> Listener for std::sync::Arc<L> {
    fn on_transition(&self, name: &Name, transition: &Transition) {
        (**self).on_transition(name, transition);
    }

    fn on_exceeded(&self, name: &Name, cause: Cause) {
        (**self).on_exceeded(name, cause);
    }

    fn on_refused(&self, name: &Name, reason: Reason) {
        (**self).on_refused(name, reason);
    }
}
