//! What OpenAI's Chat Completions and Responses share: paths, headers, errors, models.

use http::{HeaderMap, Method};
use serde_json::{Value, json};

use super::{Failure, Route, Stamp, header_map, insert};
use crate::problem::Problem;

/// Servers that speak OpenAI's dialect put it under all sorts of prefixes, so that only the end of
/// the path counts. Azure's names the model.
pub(super) fn route(method: &Method, path: &str) -> Option<Route> {
    match *method {
        Method::POST => {
            if let Some(prefix) = path.strip_suffix("/chat/completions") {
                let deployment = prefix
                    .split_once("/deployments/")
                    .map(|(_, name)| name.to_owned());
                return Some(Route::Chat { deployment });
            }
            path.ends_with("/responses").then_some(Route::Responses)
        }
        Method::GET if path.ends_with("/models") => Some(Route::Models),
        Method::GET => path
            .split_once("/models/")
            .map(|(_, id)| Route::Model(id.to_owned())),
        _ => None,
    }
}

pub(super) fn headers(stamp: &Stamp) -> HeaderMap {
    let mut headers = header_map([
        ("openai-processing-ms", "5"),
        ("openai-version", "2020-10-01"),
        ("x-ratelimit-limit-requests", "10000"),
        ("x-ratelimit-limit-tokens", "200000"),
        ("x-ratelimit-remaining-requests", "9999"),
        ("x-ratelimit-remaining-tokens", "199883"),
        ("x-ratelimit-reset-requests", "6ms"),
        ("x-ratelimit-reset-tokens", "34ms"),
    ]);
    insert(&mut headers, "x-request-id", &stamp.request_id);
    headers
}

pub(super) fn failure(problem: &Problem, model: &str) -> Failure {
    const INVALID: &str = "invalid_request_error";
    let (status, kind, code, message): (u16, &str, Option<&str>, String) = match problem {
        Problem::Invalid { message, .. } => (400, INVALID, None, message.clone()),
        Problem::NoKey => (
            401,
            INVALID,
            None,
            "You didn't provide an API key. You need to provide your API key in an Authorization \
             header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
                .into(),
        ),
        Problem::WrongKey | Problem::InvalidKey => (
            401,
            INVALID,
            Some("invalid_api_key"),
            "Incorrect API key provided. You can find your API key at \
             https://platform.openai.com/account/api-keys."
                .into(),
        ),
        Problem::Forbidden => (
            403,
            INVALID,
            None,
            "You are not allowed to sample from this model".into(),
        ),
        Problem::NoSuchModel => (
            404,
            INVALID,
            Some("model_not_found"),
            format!("The model `{model}` does not exist or you do not have access to it."),
        ),
        Problem::NoSuchPath => (
            404,
            INVALID,
            Some("unknown_url"),
            "Unknown request URL".into(),
        ),
        Problem::ContextLength => (
            400,
            INVALID,
            Some("context_length_exceeded"),
            "This model's maximum context length is 128000 tokens. However, your messages \
             resulted in 128021 tokens. Please reduce the length of the messages."
                .into(),
        ),
        Problem::BodyTooLarge => (413, INVALID, None, "Request body is too large".into()),
        Problem::Filtered => (
            400,
            INVALID,
            Some("content_policy_violation"),
            "Your request was rejected as a result of our safety system.".into(),
        ),
        Problem::RateLimited(wait) => (
            429,
            "requests",
            Some("rate_limit_exceeded"),
            format!(
                "Rate limit reached for {model} on requests per min (RPM): Limit 3, Used 3, \
                 Requested 1. Please try again in {}s. Visit \
                 https://platform.openai.com/account/rate-limits to learn more.",
                wait.as_secs_f64(),
            ),
        ),
        Problem::Quota => (
            429,
            "insufficient_quota",
            Some("insufficient_quota"),
            "You exceeded your current quota, please check your plan and billing details. For \
             more information on this error, read the docs: \
             https://platform.openai.com/docs/guides/error-codes/api-errors."
                .into(),
        ),
        Problem::Prefill => (
            400,
            INVALID,
            None,
            "This model does not support assistant message prefill. The conversation must end \
             with a user message."
                .into(),
        ),
        Problem::Server => (
            500,
            "server_error",
            None,
            "The server had an error while processing your request. Sorry about that!".into(),
        ),
        Problem::Unavailable => (
            503,
            "server_error",
            None,
            "The server is temporarily unable to handle your request. Please try again later."
                .into(),
        ),
        Problem::Overloaded => (
            529,
            "server_error",
            Some("server_is_overloaded"),
            "The engine is currently overloaded, please try again later.".into(),
        ),
        Problem::TimedOut => (504, "server_error", None, "The request timed out.".into()),
    };
    let param = match problem {
        Problem::Invalid { param, .. } => *param,
        Problem::ContextLength => Some("messages"),
        _ => None,
    };
    let body = json!({
        "error": { "message": message, "type": kind, "param": param, "code": code },
    });
    let mut failure = super::failure(
        status,
        "application/json; charset=utf-8",
        format!("{body:#}\n").into(),
    );
    if let Problem::RateLimited(wait) = problem {
        insert(
            &mut failure.headers,
            "retry-after",
            &super::whole_seconds(*wait).to_string(),
        );
        insert(
            &mut failure.headers,
            "retry-after-ms",
            &wait.as_millis().to_string(),
        );
    }
    failure
}

pub(super) fn models(models: &[String], stamp: &Stamp) -> Value {
    let data: Vec<Value> = models.iter().map(|id| model(id, stamp)).collect();
    json!({ "object": "list", "data": data })
}

pub(super) fn model(id: &str, stamp: &Stamp) -> Value {
    json!({ "id": id, "object": "model", "created": stamp.created, "owned_by": "system" })
}
