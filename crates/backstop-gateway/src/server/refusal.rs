//! Errors, each in its caller's own language.

use std::time::Duration;

use axum::body::Body;
use backstop_core::{Fault, FaultKind};
use backstop_llm::{Error, dialect::Front};
use backstop_served_by::edge;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};

use super::app::CALLS;
use crate::callers::Over;

const SHOULD_RETRY: &str = "x-should-retry";

/// Writes an error as a response.
pub(super) fn refuse(front: &dyn Front, error: &Error) -> Response<Body> {
    let mut response = Response::new(Body::from(front.error(error)));
    *response.status_mut() = error.caller_status();
    let headers = response.headers_mut();
    headers.insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json"),
    );
    if let Some(trail) = error.trail() {
        edge::write_trail(headers, trail);
    }
    if let Some(wait) = error.retry_after() {
        retry_after(headers, wait);
    }
    if !error.may_pass() {
        // Clients retry some of these statuses by themselves, for nothing.
        headers.insert(SHOULD_RETRY, HeaderValue::from_static("false"));
    }
    response
}

/// Says when to try again: in whole seconds, as HTTP has it, and in milliseconds for clients that
/// know of them.
fn retry_after(headers: &mut HeaderMap, wait: Duration) {
    let seconds = wait.as_secs() + u64::from(wait.subsec_nanos() > 0);
    headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
    headers.insert("retry-after-ms", HeaderValue::from(millis));
}

/// The request can't be answered, whoever is asked.
fn invalid(status: StatusCode, message: impl AsRef<str>) -> Error {
    let fault = Fault::new(FaultKind::Invalid).with_status(status.as_u16());
    Error::new(fault, message).with_kind("invalid_request_error")
}

/// The caller's key is missing or unknown.
pub(super) fn unauthorized(presented: bool) -> Error {
    let message = if presented {
        "The API key is not known here."
    } else {
        "An API key is needed, in `x-api-key`, or in `authorization` after the word Bearer."
    };
    invalid(StatusCode::UNAUTHORIZED, message)
        .with_kind("authentication_error")
        .with_code("invalid_api_key")
}

/// A page that someone on this machine looks at would call for itself, at the operator's expense.
pub(super) fn foreign_page() -> Error {
    let message = "A page of another site asked the browser for this. \
                   It may where callers need a key, and it has one.";
    invalid(StatusCode::FORBIDDEN, message).with_kind("permission_error")
}

/// Nothing of that name is configured, or not for this caller.
pub(super) fn unknown_model(name: &str) -> Error {
    invalid(
        StatusCode::NOT_FOUND,
        format!("The model `{name}` does not exist, or this key may not use it."),
    )
    .with_kind("not_found_error")
    .with_code("model_not_found")
    .with_param("model")
}

/// There is nothing at this path.
pub(super) fn unknown_path(method: &http::Method, path: &str) -> Error {
    let mut message = format!("There is nothing at {method} {path}.");
    // A base URL that lacks its `/v1`, has it twice, or ends in a slash.
    let asked = path.trim_end_matches('/');
    let mut calls = CALLS.iter().map(|(known, _)| *known);
    if let Some(meant) = calls.find(|it| *it != path && asked.ends_with(&it["/v1".len()..])) {
        message.push_str(&format!(" Was {meant} meant?"));
    }
    invalid(StatusCode::NOT_FOUND, message).with_kind("not_found_error")
}

/// There is something at this path, but not for this method.
pub(super) fn wrong_method(method: &http::Method, path: &str) -> Error {
    invalid(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("{path} does not take {method}."),
    )
    .with_code("method_not_allowed")
}

/// The body is larger than this many bytes.
pub(super) fn too_large(limit: usize) -> Error {
    invalid(
        StatusCode::PAYLOAD_TOO_LARGE,
        format!("The request is larger than {limit} bytes."),
    )
    .with_kind("request_too_large")
    .with_code("request_too_large")
}

/// The body did not come in time, or broke off.
pub(super) fn no_body(what: &str) -> Error {
    invalid(StatusCode::REQUEST_TIMEOUT, what)
}

/// The body can't be read: because it is compressed, perhaps.
pub(super) fn unread(error: Error, headers: &HeaderMap) -> Error {
    match headers.get(header::CONTENT_ENCODING) {
        Some(encoding) if encoding != "identity" => invalid(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            "The request's body has a `content-encoding`, and is read here only without one.",
        ),
        _ => error,
    }
}

/// The caller is over a limit of its own.
pub(super) fn over(over: Over) -> Error {
    let fault = Fault::new(FaultKind::RateLimited)
        .with_status(429)
        .with_retry_after(over.retry_after);
    Error::new(fault, over.to_string())
        .with_kind("rate_limit_error")
        .with_code("rate_limit_exceeded")
}

/// The gateway has as much to do as it takes on.
pub(super) fn busy() -> Error {
    let fault = Fault::new(FaultKind::Refused)
        .because("too many requests at a time")
        .with_retry_after(Duration::from_secs(1));
    Error::new(
        fault,
        "The gateway has as many requests running as it takes on.",
    )
    .with_kind("overloaded_error")
    .with_code("overloaded")
}
