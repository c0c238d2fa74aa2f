use serde_json::json;

use crate::{
    dialect::{
        Failure, Route,
        fields::{insert, whole_seconds},
    },
    problem::Problem,
};

pub(in crate::dialect) fn failure(
    problem: &Problem,
    route: Option<&Route>,
    model: &str,
) -> Failure {
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
        Problem::NoSuchModel if route == Some(&Route::Responses) => (
            400,
            INVALID,
            Some("model_not_found"),
            format!("The requested model '{model}' does not exist."),
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
        Problem::ContextLength if route == Some(&Route::Responses) => Some("input"),
        Problem::ContextLength => Some("messages"),
        Problem::NoSuchModel if route == Some(&Route::Responses) => Some("model"),
        _ => None,
    };
    let body = json!({
        "error": { "message": message, "type": kind, "param": param, "code": code },
    });
    let mut failure = Failure::new(
        status,
        "application/json; charset=utf-8",
        format!("{body:#}\n"),
    );
    if let Problem::RateLimited(wait) = problem {
        insert(
            &mut failure.headers,
            "retry-after",
            &whole_seconds(*wait).to_string(),
        );
        insert(
            &mut failure.headers,
            "retry-after-ms",
            &wait.as_millis().to_string(),
        );
    }
    failure
}
