//! What one call comes to.

use ::metrics::{counter, histogram};
use backstop_core::{Attempt, Fault, FaultKind, ServedBy, Trail};
use backstop_llm::Usage;

use super::names::{ATTEMPT_DURATION, ATTEMPTS, CONTINUATIONS, DEGRADED, FALLBACKS, TOKENS};
use crate::{call::Call, given_up};

/// Notes what sets a call apart from one that went as it should: who failed, who stepped in for
/// whom, and whether the answer is a lesser one.
pub(super) fn note(call: &Call) {
    attempts(&call.trail);
    if let Some(served) = &call.served {
        served_by(call, served);
    }
}

/// Counts the attempts that failed, and who stepped in for whom.
fn attempts(trail: &Trail) {
    for attempt in trail.attempts() {
        let candidate = attempt.candidate.as_deref().unwrap_or("?").to_owned();
        let kind = outcome(attempt.fault);
        counter!(
            ATTEMPTS,
            "candidate" => candidate.clone(),
            "outcome" => kind,
            "status" => class(attempt.fault),
        )
        .increment(1);
        if attempt.number > 0 {
            histogram!(ATTEMPT_DURATION, "candidate" => candidate, "outcome" => kind)
                .record(attempt.duration);
        }
    }
    let mut failed = failed(trail);
    let mut from = failed.next();
    for to in failed {
        if let Some(from) = from.filter(|from| from.candidate != to.candidate) {
            fallback(
                from.candidate.as_deref(),
                to.candidate.as_deref(),
                from.fault.kind(),
            );
        }
        from = Some(to);
    }
}

/// The attempts that somebody stepped in for: nobody does for who was merely given up.
fn failed(trail: &Trail) -> impl DoubleEndedIterator<Item = &Attempt> {
    let attempts = trail.attempts().iter();
    attempts.filter(|it| given_up::word(it.fault).is_none())
}

/// The outcome of an attempt, in the words of the metrics.
pub(crate) fn outcome(fault: Fault) -> &'static str {
    given_up::word(fault).unwrap_or_else(|| fault.kind().label())
}

fn fallback(from: Option<&str>, to: Option<&str>, reason: FaultKind) {
    counter!(
        FALLBACKS,
        "from" => from.unwrap_or("?").to_owned(),
        "to" => to.unwrap_or("?").to_owned(),
        "reason" => reason.label(),
    )
    .increment(1);
}

fn served_by(call: &Call, served: &ServedBy) {
    let candidate = served.continued_by.last().unwrap_or(&served.name);
    if let Some(last) = failed(&call.trail).next_back() {
        if last.candidate.as_ref() != Some(candidate) {
            fallback(
                last.candidate.as_deref(),
                Some(candidate),
                last.fault.kind(),
            );
        }
    }
    let mut from = &served.name;
    for to in &served.continued_by {
        counter!(CONTINUATIONS, "from" => from.to_string(), "to" => to.to_string()).increment(1);
        from = to;
    }
    if served.degraded {
        counter!(DEGRADED, "model" => call.model.to_string()).increment(1);
    }
    if call.usage.is_some() {
        for (by, part) in call.parts.broken() {
            tokens(call, by, *part);
        }
    }
}

/// Counts what a candidate used whose answer another went on with.
fn tokens(call: &Call, candidate: &str, usage: Usage) {
    for (kind, tokens) in kinds(usage) {
        if tokens > 0 {
            counter!(
                TOKENS,
                "caller" => call.caller(),
                "candidate" => candidate.to_owned(),
                "model" => call.model.to_string(),
                "type" => kind,
            )
            .increment(tokens);
        }
    }
}

/// Tokens by their kinds.
pub(super) const fn kinds(usage: Usage) -> [(&'static str, u64); 4] {
    [
        ("input", usage.input),
        ("input_cached", usage.cached),
        ("output", usage.output),
        ("output_reasoning", usage.reasoning),
    ]
}

/// The status of a fault, in one of a few classes: those that speak of load stand apart.
pub(super) fn class(fault: Fault) -> &'static str {
    match fault.status() {
        Some(429) => "429",
        Some(529) => "529",
        Some(500..=599) => "5xx",
        Some(400..=499) => "4xx",
        Some(200..=299) => "2xx",
        _ => "none",
    }
}
