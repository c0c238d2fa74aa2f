//! What an admitted call holds, and what came of it.

use std::time::Duration;

/// An admitted call's claim on its circuit: the generation that let it in, and its part in it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Token {
    pub(crate) generation: u32,
    pub(crate) part: Part,
    /// When the call began, where that matters.
    pub(crate) began: u64,
    /// Whether the call is counted among those in flight.
    pub(crate) flying: bool,
    /// Whether it took too long to commit, once it has committed.
    pub(crate) slow: Option<bool>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Part {
    /// A call of a closed circuit.
    Plain,
    /// One of the probes of a half-open circuit, by number.
    Probe(u32),
    /// The tail of a probe that has been judged: it can only fail now.
    Tail,
}

impl Token {
    #[inline]
    pub(crate) const fn plain(generation: u32) -> Self {
        Self {
            generation,
            part: Part::Plain,
            began: 0,
            flying: false,
            slow: None,
        }
    }

    /// Whether the circuit keeps something for the call that must be given back.
    pub(crate) const fn is_kept(&self) -> bool {
        self.flying || matches!(self.part, Part::Probe(_))
    }
}

/// What came of a call, as the circuit counts it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Outcome {
    /// A failure that opens the circuit by itself, for so long at least.
    AtOnce(u64),
    /// A failure; if the circuit opens by it, then for so long at least.
    Failure(u64),
    /// The service asked to be left alone, for so long if it said.
    HoldOff(Option<u64>),
    Neutral,
    Success,
}

/// Why a call is refused.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) reason: &'static str,
    /// In microseconds; none where only a person can tell.
    pub(crate) retry_after: Option<u64>,
}

impl Refusal {
    pub(crate) const HALF_OPEN: &'static str = "circuit half-open";
    pub(crate) const HELD_OFF: &'static str = "held off";
    pub(crate) const ISOLATED: &'static str = "isolated";
    pub(crate) const OPEN: &'static str = "circuit open";

    pub(crate) fn wait(&self) -> Option<Duration> {
        self.retry_after.map(Duration::from_micros)
    }
}
