//! Retries: waits, chance, budgets, and what services say about trying again.

mod aws;
mod backoff;
mod budget;
mod chance;
mod defects;
mod retry_after;

use crate::{
    file::Case,
    outcome::{Replay, differs, unknown},
};

pub(crate) fn replay(case: &Case) -> Replay {
    match case.model.as_str() {
        "aws-token-bucket" => aws::steps(case),
        "aws-timings" => aws::timings(case),
        "quota-rules" => aws::quota(case),
        "backoff-cap" | "backoff-const" | "backoff-exp" | "backoff-linear" | "backoff-overflow"
        | "jitter-formulas" | "property" => backoff::replay(case),
        "budget" => budget::replay(case),
        "config-valid" => budget::config(case),
        "retry-after" => retry_after::replay(case),
        "regression" => defects::replay(case),
        "scripted-server" | "token-throttle" => differs(
            "a budget here is spent to its last token; gRPC's stops at half of it, and counts \
             failures that are not retried",
        ),
        "commit" => differs(
            "gRPC's client tells the server of earlier attempts in a header; a layer sets none. \
             When nothing may be retried any more is replayed by reg-22",
        ),
        "transparent" => differs(
            "what was never sent is sent again by the HTTP client below; a layer counts every \
             attempt it makes",
        ),
        "response-table" => differs(
            "a pushback is a floor for one wait here and does not reset the backoff; a hedge is \
             the next candidate, not the same service again",
        ),
        model => unknown(format!("model {model:?} of retry")),
    }
}
