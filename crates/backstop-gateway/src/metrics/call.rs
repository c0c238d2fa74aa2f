//! What one call comes to.

use ::metrics::{counter, histogram};
use backstop_core::{Fault, FaultKind, Trail};
use backstop_llm::Usage;

use super::names::{
    ATTEMPT_DURATION, ATTEMPTS, CONTINUATIONS, DEGRADED, FALLBACKS, FIRST_TOKEN, OVERHEAD,
    REQUEST_DURATION, REQUESTS, TOKENS, TOKENS_PER_SECOND,
};
use crate::call::{Call, Outcome};

/// Notes everything about one call, when it is over.
pub(super) fn note(call: &Call) {
    counter!(
        REQUESTS,
        "caller" => call.caller(),
        "front" => call.front.as_str(),
        "model" => call.model.to_string(),
        "outcome" => call.outcome.label(),
        "status" => call.status_label(),
    )
    .increment(1);
    let taken = call.started.elapsed();
    histogram!(REQUEST_DURATION, "model" => call.model.to_string(), "streamed" => streamed(call))
        .record(taken);
    if let Some(overhead) = call.overhead {
        histogram!(OVERHEAD).record(overhead);
    }
    attempts(&call.trail);
    if let Some(served) = &call.served {
        served_by(call, served.continued_by.last().unwrap_or(&served.name));
    }
}

fn streamed(call: &Call) -> &'static str {
    if call.streamed { "true" } else { "false" }
}

/// Counts the attempts that failed, and who stepped in for whom.
fn attempts(trail: &Trail) {
    for attempt in trail.attempts() {
        let candidate = attempt.candidate.as_deref().unwrap_or("?").to_owned();
        let kind = attempt.fault.kind().label();
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
    for pair in trail.attempts().windows(2) {
        if let [from, to] = pair {
            if from.candidate != to.candidate {
                fallback(
                    from.candidate.as_deref(),
                    to.candidate.as_deref(),
                    from.fault.kind(),
                );
            }
        }
    }
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

/// Counts the attempt that succeeded, or broke off after its first content.
fn served_by(call: &Call, candidate: &str) {
    let name = || candidate.to_owned();
    let (outcome, status) = match call.outcome {
        Outcome::Failed(fault) => (fault.kind().label(), class(fault)),
        _ => ("ok", "2xx"),
    };
    counter!(ATTEMPTS, "candidate" => name(), "outcome" => outcome, "status" => status)
        .increment(1);
    if let Some(last) = call.trail.last() {
        if last.candidate.as_deref() != Some(candidate) {
            fallback(
                last.candidate.as_deref(),
                Some(candidate),
                last.fault.kind(),
            );
        }
    }
    if let Some(served) = &call.served {
        let mut from = &served.name;
        for to in &served.continued_by {
            counter!(CONTINUATIONS, "from" => from.to_string(), "to" => to.to_string())
                .increment(1);
            from = to;
        }
        if served.degraded {
            counter!(DEGRADED, "model" => call.model.to_string()).increment(1);
        }
    }
    let taken = call.started.elapsed();
    let first = call.answered.unwrap_or(taken);
    if call.streamed {
        histogram!(FIRST_TOKEN, "candidate" => name()).record(call.first_token(first));
    }
    let Some(usage) = call.usage else { return };
    let speaking = taken.saturating_sub(first).as_secs_f64();
    if call.streamed && speaking > 0.0 && matches!(call.outcome, Outcome::Completed) {
        histogram!(TOKENS_PER_SECOND, "candidate" => name()).record(usage.output as f64 / speaking);
    }
    for (by, part) in call.parts.broken() {
        tokens(call, by, *part);
    }
    tokens(call, candidate, call.parts.rest(usage));
}

/// Counts what a candidate used.
fn tokens(call: &Call, candidate: &str, usage: Usage) {
    for (kind, tokens) in [
        ("input", usage.input),
        ("input_cached", usage.cached),
        ("output", usage.output),
        ("output_reasoning", usage.reasoning),
    ] {
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

/// The status of a fault, in one of a few classes: those that speak of load stand apart.
fn class(fault: Fault) -> &'static str {
    match fault.status() {
        Some(429) => "429",
        Some(529) => "529",
        Some(500..=599) => "5xx",
        Some(400..=499) => "4xx",
        Some(200..=299) => "2xx",
        _ => "none",
    }
}
