//! What kind of failure an answer is.

use backstop_core::{FaultKind, RetryHint};
use backstop_llm::Dialect;
use http::{HeaderMap, StatusCode, header::RETRY_AFTER};
use serde_json::{Value, json};

use crate::{
    fields::Fields,
    file::Case,
    outcome::{Replay, expect, unknown},
};

/// Errors of providers: a rate limit, which is over soon, is told from a quota that is used up.
pub(crate) fn replay(case: &Case) -> Replay {
    for row in &case.rows {
        provider(&Fields::of(row))?;
    }
    Fields::of(&case.config).end()
}

fn provider(row: &Fields<'_>) -> Replay {
    let provider = row.must("provider", Fields::str)?;
    let Ok(dialect) = provider.parse::<Dialect>() else {
        return unknown(format!("provider {provider:?}"));
    };
    let code = row.must("status", Fields::u64)? as u16;
    let status = StatusCode::from_u16(code).expect("a status");
    let mut headers = HeaderMap::new();
    if let Some(Value::String(wait)) = row.get("retry_after") {
        headers.insert(RETRY_AFTER, wait.parse().expect("a header"));
    }
    let (kind, why) = (row.str("type")?, row.str("error_code")?);
    let body = match (row.str("code")?, row.str("body")?) {
        (Some(code), None) => {
            json!({ "error": { "message": "no", "type": code, "code": code } })
        }
        (None, Some(said)) => gemini(code, said)?,
        (None, None) => json!({
            "type": "error",
            "error": { "type": kind, "message": "no", "details": { "error_code": why } },
        }),
        both => return unknown(format!("body {both:?}")),
    };
    let error = dialect
        .wire()
        .error(status, &headers, body.to_string().as_bytes());
    let fault = RetryHint::from_headers(&headers).apply(error.fault());
    let class = row.must("klass", Fields::str)?;
    let is = match class {
        "throttled" => fault.kind() == FaultKind::RateLimited,
        "fatal_key" | "fatal_key_until_reset" => fault.kind() == FaultKind::QuotaExhausted,
        "transient" => matches!(fault.kind(), FaultKind::Overloaded | FaultKind::Unavailable),
        class => return unknown(format!("klass {class:?}")),
    };
    if !is {
        return expect(class, format!("{fault:?}"), class.to_owned());
    }
    if let Some(seconds) = row.u64("retry_after_s")? {
        let wait = fault.retry_after().map(|wait| wait.as_secs());
        expect("retry_after_s", wait, Some(seconds))?;
    }
    row.end()
}

/// An error of Google's, of which the case tells the one part that matters.
fn gemini(code: u16, said: &str) -> Replay<Value> {
    let status = "RESOURCE_EXHAUSTED";
    Ok(match said.strip_prefix("RetryInfo.retryDelay=") {
        Some(delay) => json!({ "error": {
            "code": code, "status": status, "message": "Please retry later.",
            "details": [{ "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": delay }],
        }}),
        None => json!({ "error": {
            "code": code, "status": status,
            "message": format!("You exceeded your current quota: {said}"),
            "details": [{
                "@type": "type.googleapis.com/google.rpc.QuotaFailure",
                "violations": [{ "quotaId": "GenerateRequestsPerDayPerProjectPerModel" }],
            }],
        }}),
    })
}
