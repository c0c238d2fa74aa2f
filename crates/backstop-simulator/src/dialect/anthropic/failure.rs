use bytes::Bytes;
use serde_json::json;

use super::reply::event;
use crate::{
    dialect::{
        Failure, Stamp,
        fields::{insert, whole_seconds},
    },
    problem::Problem,
};

pub(in crate::dialect) fn failure(problem: &Problem, model: &str, stamp: &Stamp) -> Failure {
    let (status, kind, message): (u16, &str, String) = match problem {
        Problem::Invalid { message, .. } => (400, "invalid_request_error", message.clone()),
        Problem::NoKey => (
            401,
            "authentication_error",
            "x-api-key header is required".into(),
        ),
        Problem::WrongKey | Problem::InvalidKey => {
            (401, "authentication_error", "invalid x-api-key".into())
        }
        Problem::Forbidden => (
            403,
            "permission_error",
            "Your API key does not have permission to use the specified resource.".into(),
        ),
        Problem::NoSuchModel => (404, "not_found_error", format!("model: {model}")),
        Problem::NoSuchPath => (404, "not_found_error", "Not Found".into()),
        Problem::ContextLength => (
            400,
            "invalid_request_error",
            "prompt is too long: 200021 tokens > 200000 maximum".into(),
        ),
        Problem::BodyTooLarge => (
            413,
            "request_too_large",
            "Request exceeds the maximum size".into(),
        ),
        Problem::Filtered => (
            400,
            "invalid_request_error",
            "Output blocked by content filtering policy".into(),
        ),
        Problem::RateLimited(_) => (
            429,
            "rate_limit_error",
            "This request would exceed your organization's rate limit of 4,000 requests per \
             minute. For details, refer to: https://docs.claude.com/en/api/rate-limits."
                .into(),
        ),
        Problem::Quota => (
            400,
            "invalid_request_error",
            "Your credit balance is too low to access the Anthropic API. Please go to Plans & \
             Billing to upgrade or purchase credits."
                .into(),
        ),
        Problem::Prefill => (
            400,
            "invalid_request_error",
            "This model does not support assistant message prefill. The conversation must end \
             with a user message."
                .into(),
        ),
        Problem::Server => (500, "api_error", "Internal server error".into()),
        Problem::Unavailable => (503, "api_error", "Service unavailable".into()),
        Problem::Overloaded => (529, "overloaded_error", "Overloaded".into()),
        Problem::TimedOut => (504, "timeout_error", "Request timed out".into()),
    };
    let body = json!({
        "type": "error",
        "error": { "type": kind, "message": message },
        "request_id": stamp.request_id,
    });
    let mut failure = Failure::new(status, "application/json", body.to_string());
    let again = matches!(status, 429 | 503 | 504 | 529);
    insert(
        &mut failure.headers,
        "x-should-retry",
        if again { "true" } else { "false" },
    );
    if let Problem::RateLimited(wait) = problem {
        let seconds = whole_seconds(*wait).to_string();
        insert(&mut failure.headers, "retry-after", &seconds);
    }
    failure
}

pub(in crate::dialect) fn error_event() -> Bytes {
    event(&json!({
        "type": "error",
        "error": { "details": null, "type": "overloaded_error", "message": "Overloaded" },
    }))
}
