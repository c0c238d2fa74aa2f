//! Anthropic's Messages.

mod failure;
mod reply;
mod request;
mod rules;

use http::{HeaderMap, Method};
use serde_json::{Value, json};

pub(super) use self::{
    failure::{error_event, failure},
    reply::{frames, ping, whole},
    request::{For, read},
};
use super::{
    Route, Stamp,
    fields::{header, header_map, insert},
};
use crate::problem::Problem;

pub(super) fn route(method: &Method, path: &str) -> Option<Route> {
    let path = &path[path.rfind("/v1/")? + "/v1".len()..];
    match (method, path) {
        (&Method::POST, "/messages") => Some(Route::Messages),
        (&Method::POST, "/messages/count_tokens") => Some(Route::CountTokens { model: None }),
        (&Method::GET, "/models") => Some(Route::Models),
        (&Method::GET, path) => path
            .strip_prefix("/models/")
            .map(|id| Route::Model(id.to_owned())),
        _ => None,
    }
}

/// Only the form is looked at: newer versions are as good as those that were known when this was
/// written.
pub(super) fn check_version(headers: &HeaderMap) -> Result<(), Problem> {
    const NAME: &str = "anthropic-version";
    let version = header(headers, NAME)
        .ok_or_else(|| Problem::invalid("anthropic-version: header is required", NAME))?;
    let date = version.len() == 10 && version.bytes().all(|b| b.is_ascii_digit() || b == b'-');
    if date {
        return Ok(());
    }
    let message = format!("anthropic-version: {version:?} is not a valid version");
    Err(Problem::invalid(message, NAME))
}

pub(super) fn headers(stamp: &Stamp) -> HeaderMap {
    let mut headers = header_map([
        ("anthropic-ratelimit-requests-limit", "4000"),
        ("anthropic-ratelimit-requests-remaining", "3999"),
        ("anthropic-ratelimit-requests-reset", "1970-01-01T00:00:00Z"),
        ("anthropic-ratelimit-tokens-limit", "2400000"),
        ("anthropic-ratelimit-tokens-remaining", "2399000"),
        ("anthropic-ratelimit-tokens-reset", "1970-01-01T00:00:00Z"),
    ]);
    insert(&mut headers, "request-id", &stamp.request_id);
    headers
}

pub(super) fn models(models: &[String]) -> Value {
    json!({
        "data": models.iter().map(|id| model(id)).collect::<Vec<_>>(),
        "first_id": models.first(),
        "has_more": false,
        "last_id": models.last(),
    })
}

pub(super) fn model(id: &str) -> Value {
    json!({ "created_at": "1970-01-01T00:00:00Z", "display_name": id, "id": id, "type": "model" })
}

pub(super) fn count(tokens: u64) -> Value {
    json!({ "input_tokens": tokens })
}
