//! Errors, read from a provider.

use backstop_core::{Fault, FaultKind, HttpStatus, RetryHint};
use http::StatusCode;
use serde::Deserialize;

use crate::{Error, Json, error::words, lenient};

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default, deserialize_with = "lenient::any")]
    error: Fields,
}

#[derive(Default, Deserialize)]
struct Fields {
    #[serde(default, deserialize_with = "lenient::any")]
    code: Option<u16>,
    #[serde(default, deserialize_with = "lenient::any")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient::any")]
    status: Option<String>,
    #[serde(default, deserialize_with = "lenient::any")]
    details: Vec<Detail>,
}

/// One of Google's typed details, the fields of all types that matter here put together.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Detail {
    #[serde(default, deserialize_with = "lenient::any")]
    reason: Option<String>,
    #[serde(default, deserialize_with = "lenient::any")]
    retry_delay: Option<String>,
    #[serde(default, deserialize_with = "lenient::any")]
    violations: Vec<Violation>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Violation {
    #[serde(default, deserialize_with = "lenient::any")]
    quota_id: String,
}

impl Fields {
    /// Reads an error body, which in a stream may be wrapped in a list.
    fn read(body: &[u8]) -> Self {
        let list: Vec<Json> = serde_json::from_slice(body).unwrap_or_default();
        let body: Body = match list.first() {
            Some(json) => json.read().unwrap_or_default(),
            None => serde_json::from_slice(body).unwrap_or_default(),
        };
        body.error
    }
}

/// What an error answer means; without a status where it came under a good one or in a stream.
pub(super) fn classify(status: Option<StatusCode>, body: &[u8]) -> Error {
    let fields = Fields::read(body);
    let message = fields.message.as_deref().unwrap_or_default();
    let reason = fields
        .details
        .iter()
        .find_map(|detail| detail.reason.as_deref());
    let status = status.map(|status| status.as_u16()).or(fields.code);
    let of_status = status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .and_then(HttpStatus::kind);
    let named = words::kind_of(&[reason, fields.status.as_deref()], message);

    // The words are the same for a day's quota that is used up and for a minute's; only the name
    // of the quota tells them apart.
    let quotas = fields.details.iter().flat_map(|detail| &detail.violations);
    let quotas: Vec<_> = quotas
        .map(|violation| violation.quota_id.as_str())
        .collect();
    let daily = quotas.iter().any(|id| id.contains("PerDay"));
    let kind = match (of_status, named) {
        (Some(FaultKind::RateLimited), _) if daily => FaultKind::QuotaExhausted,
        (Some(FaultKind::RateLimited), _) if !quotas.is_empty() => FaultKind::RateLimited,
        (
            Some(FaultKind::Invalid | FaultKind::RateLimited | FaultKind::Unavailable),
            Some(named),
        ) => named,
        (Some(kind), _) => kind,
        (None, Some(named)) => named,
        (None, None) => words::kind_without_status(None, status),
    };
    let mut fault = Fault::new(kind);
    if let Some(status) = status {
        fault = fault.with_status(status);
    }
    let delay = fields
        .details
        .iter()
        .find_map(|detail| detail.retry_delay.as_deref());
    let mut error = Error::new(
        fault,
        if message.is_empty() {
            "the provider gave no reason"
        } else {
            message
        },
    );
    if let Some(delay) = delay.filter(|_| !daily) {
        error = error.with_hint(RetryHint::from_delay(delay));
    }
    if let Some(reason) = reason {
        error = error.with_code(reason);
    }
    if let Some(status) = &fields.status {
        error = error.with_kind(status.clone());
    }
    error
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kind(status: u16, body: &str) -> FaultKind {
        let status = StatusCode::from_u16(status).unwrap();
        classify(Some(status), body.as_bytes()).fault().kind()
    }

    #[test]
    fn a_key_that_is_not_valid_is_no_mistake_of_the_callers() {
        let body = r#"{"error":{"code":400,"message":"API key not valid. Please pass a valid API key.",
            "status":"INVALID_ARGUMENT","details":[{"@type":"x","reason":"API_KEY_INVALID"}]}}"#;
        assert_eq!(kind(400, body), FaultKind::Denied);
    }

    #[test]
    fn a_daily_quota_is_no_rate_limit() {
        let body = |id: &str| {
            format!(
                r#"{{"error":{{"code":429,"message":"quota","status":"RESOURCE_EXHAUSTED","details":[
                {{"violations":[{{"quotaId":"{id}"}}]}},{{"retryDelay":"3.5s"}}]}}}}"#
            )
        };
        assert_eq!(
            kind(429, &body("RequestsPerDayPerProject")),
            FaultKind::QuotaExhausted
        );
        let minute = body("RequestsPerMinutePerProject");
        let error = classify(Some(StatusCode::TOO_MANY_REQUESTS), minute.as_bytes());
        assert_eq!(error.fault().kind(), FaultKind::RateLimited);
        let wait = std::time::Duration::from_millis(3500);
        assert_eq!(error.fault().retry_after(), Some(wait));
    }

    #[test]
    fn an_error_in_a_list_is_an_error() {
        let body = r#"[{"error":{"code":503,"message":"The model is overloaded.","status":"UNAVAILABLE"}}]"#;
        assert_eq!(
            classify(None, body.as_bytes()).fault().kind(),
            FaultKind::Overloaded
        );
    }
}
