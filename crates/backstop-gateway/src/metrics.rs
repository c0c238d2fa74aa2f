//! What is counted and measured, in Prometheus' words.
//!
//! Each gateway has a recorder of its own, so that several can live in one process. Labels take
//! their values from the config and from fixed lists, never from a caller.

use std::fmt;

use ::metrics::{
    Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram,
    with_local_recorder,
};
use metrics_exporter_prometheus::{
    BuildError, Matcher, PrometheusBuilder, PrometheusHandle, PrometheusRecorder,
};

use backstop_circuit_breaker::State;
use backstop_core::{Fault, FaultKind, Trail};

use crate::{
    account::{Call, Outcome},
    ledger::Entry,
};

const REQUESTS: &str = "backstop_requests_total";
const ATTEMPTS: &str = "backstop_attempts_total";
const ATTEMPT_DURATION: &str = "backstop_attempt_duration_seconds";
const FALLBACKS: &str = "backstop_fallbacks_total";
const CONTINUATIONS: &str = "backstop_continuations_total";
const DEGRADED: &str = "backstop_degraded_total";
const IN_FLIGHT: &str = "backstop_requests_in_flight";
const REQUEST_DURATION: &str = "backstop_request_duration_seconds";
const FIRST_TOKEN: &str = "backstop_first_token_seconds";
const TOKENS_PER_SECOND: &str = "backstop_output_tokens_per_second";
const TOKENS: &str = "backstop_tokens_total";
const OVERHEAD: &str = "backstop_overhead_seconds";
const SPEND: &str = "backstop_spend";
const CIRCUIT: &str = "backstop_circuit_state";
const RELOADS: &str = "backstop_config_reloads_total";

/// From an answer out of memory to one that takes its time.
const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// What the gateway adds by itself is measured in microseconds.
const OVERHEAD_SECONDS: [f64; 10] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1,
];

const RATES: [f64; 10] = [
    5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0, 400.0, 1_000.0,
];

/// The recorder of one gateway.
pub(crate) struct Metrics {
    recorder: PrometheusRecorder,
    handle: PrometheusHandle,
}

impl Metrics {
    pub(crate) fn new() -> Result<Self, BuildError> {
        let named = |name: &str| Matcher::Full(name.to_owned());
        let recorder = PrometheusBuilder::new()
            .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)?
            .set_buckets_for_metric(named(OVERHEAD), &OVERHEAD_SECONDS)?
            .set_buckets_for_metric(named(TOKENS_PER_SECOND), &RATES)?
            .build_recorder();
        with_local_recorder(&recorder, describe);
        Ok(Self {
            handle: recorder.handle(),
            recorder,
        })
    }

    /// Everything, in Prometheus' text format.
    pub(crate) fn render(&self) -> String {
        self.handle.render()
    }

    /// Puts samples into their buckets. Until then they pile up, so it is done every few seconds,
    /// whether anyone asks for the metrics or not.
    pub(crate) fn upkeep(&self) {
        self.handle.run_upkeep();
    }

    pub(crate) fn in_flight(&self, now: usize) {
        self.record(|| gauge!(IN_FLIGHT).set(now as f64));
    }

    /// The state of one candidate's circuit: 0 closed, 1 half-open, 2 open.
    pub(crate) fn circuit(&self, candidate: &str, state: State) {
        let state = match state {
            State::HalfOpen => 1,
            State::Open | State::ForcedOpen => 2,
            _ => 0,
        };
        self.record(|| gauge!(CIRCUIT, "candidate" => candidate.to_owned()).set(state));
    }

    pub(crate) fn reload(&self, accepted: bool) {
        let result = if accepted { "accepted" } else { "refused" };
        self.record(|| counter!(RELOADS, "result" => result).increment(1));
    }

    /// Everything about one call, when it is over.
    pub(crate) fn call(&self, call: &Call, ledger: &[Entry]) {
        self.record(|| {
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
            spend(call, ledger);
            if let Some(served) = &call.served {
                served_by(call, served.continued_by.last().unwrap_or(&served.name));
            }
        });
    }

    fn record(&self, record: impl FnOnce()) {
        with_local_recorder(&self.recorder, record);
    }
}

fn streamed(call: &Call) -> &'static str {
    if call.streamed { "true" } else { "false" }
}

/// Counts what attempts cost, and what they may have.
fn spend(call: &Call, ledger: &[Entry]) {
    for entry in ledger {
        let Some(cost) = entry.cost.filter(|cost| *cost > 0.0) else {
            continue;
        };
        // A gauge that only grows: counters here hold whole numbers.
        gauge!(
            SPEND,
            "billed" => entry.billed.label(),
            "caller" => call.caller(),
            "candidate" => entry.candidate.to_string(),
            "model" => call.model.to_string(),
        )
        .increment(cost);
    }
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
                "candidate" => name(),
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

fn describe() {
    for (name, text) in [
        (REQUESTS, "Requests of callers, by how they ended."),
        (
            ATTEMPTS,
            "Attempts on candidates, by how they ended; a candidate passed over counts as one.",
        ),
        (
            FALLBACKS,
            "Changes from one candidate to the next, by the failure that caused them.",
        ),
        (
            CONTINUATIONS,
            "Streams that broke off and were continued by another candidate.",
        ),
        (DEGRADED, "Answers from a lesser tier."),
        (
            TOKENS,
            "Tokens used. Cached ones are part of the input, reasoning of the output.",
        ),
        (RELOADS, "Attempts to reload the config."),
    ] {
        describe_counter!(name, text);
    }
    describe_gauge!(IN_FLIGHT, "Requests that are running.");
    describe_gauge!(
        CIRCUIT,
        "State of a candidate's circuit: 0 closed, 1 half-open, 2 open."
    );
    for (name, text) in [
        (
            REQUEST_DURATION,
            "From a request's first byte to its answer's last.",
        ),
        (ATTEMPT_DURATION, "How long attempts took that failed."),
        (
            FIRST_TOKEN,
            "From asking a candidate to its answer's first content.",
        ),
        (
            OVERHEAD,
            "Time that the gateway itself took, before and after asking.",
        ),
    ] {
        describe_histogram!(name, Unit::Seconds, text);
    }
    describe_histogram!(
        TOKENS_PER_SECOND,
        "Output tokens per second, after the first."
    );
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}
