//! The names of the metrics, what they mean and what they are put into.

use ::metrics::{Unit, describe_counter, describe_gauge, describe_histogram};

pub(super) const REQUESTS: &str = "backstop_requests_total";
pub(super) const ATTEMPTS: &str = "backstop_attempts_total";
pub(super) const ATTEMPT_DURATION: &str = "backstop_attempt_duration_seconds";
pub(super) const FALLBACKS: &str = "backstop_fallbacks_total";
pub(super) const CONTINUATIONS: &str = "backstop_continuations_total";
pub(super) const DEGRADED: &str = "backstop_degraded_total";
pub(super) const IN_FLIGHT: &str = "backstop_requests_in_flight";
pub(super) const REQUEST_DURATION: &str = "backstop_request_duration_seconds";
pub(super) const FIRST_TOKEN: &str = "backstop_first_token_seconds";
pub(super) const TOKENS_PER_SECOND: &str = "backstop_output_tokens_per_second";
pub(super) const TOKENS: &str = "backstop_tokens_total";
pub(super) const OVERHEAD: &str = "backstop_overhead_seconds";
pub(super) const CIRCUIT: &str = "backstop_circuit_state";
pub(super) const BUDGET: &str = "backstop_retry_budget_remaining";
pub(super) const REFUSALS: &str = "backstop_refusals_total";
pub(super) const RELOADS: &str = "backstop_config_reloads_total";

/// From an answer out of memory to one that takes its time.
pub(super) const SECONDS: [f64; 14] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 300.0,
];

/// What the gateway adds by itself is measured in microseconds.
pub(super) const OVERHEAD_SECONDS: [f64; 10] = [
    0.000_01, 0.000_025, 0.000_05, 0.000_1, 0.000_25, 0.000_5, 0.001, 0.005, 0.025, 0.1,
];

pub(super) const RATES: [f64; 10] = [
    5.0, 10.0, 20.0, 40.0, 60.0, 80.0, 120.0, 200.0, 400.0, 1_000.0,
];

/// Tells the recorder what each is.
pub(super) fn describe() {
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
        (
            REFUSALS,
            "Requests that were refused before any candidate was chosen: no key, a limit, no such model.",
        ),
        (RELOADS, "Attempts to reload the config."),
    ] {
        describe_counter!(name, text);
    }
    describe_gauge!(IN_FLIGHT, "Requests that are running.");
    describe_gauge!(BUDGET, "Second tries that the budget has left.");
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
