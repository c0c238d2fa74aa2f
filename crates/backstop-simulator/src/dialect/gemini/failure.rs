use bytes::Bytes;
use serde_json::{Value, json};

use super::reply::{event, response_id};
use crate::{
    dialect::{Failure, Framing, Route},
    problem::Problem,
};

const JSON: &str = "application/json; charset=UTF-8";

pub(in crate::dialect) fn failure(
    problem: &Problem,
    route: Option<&Route>,
    model: &str,
) -> Failure {
    let (status, word, message): (u16, &str, String) = match problem {
        Problem::Invalid { message, .. } => (400, "INVALID_ARGUMENT", message.clone()),
        Problem::NoKey => (
            403,
            "PERMISSION_DENIED",
            "Method doesn't allow unregistered callers (callers without established identity). \
             Please use API Key or other form of API consumer identity to call this API."
                .into(),
        ),
        Problem::WrongKey => (
            401,
            "UNAUTHENTICATED",
            "Request had invalid authentication credentials. Expected OAuth 2 access token, login \
             cookie or other valid authentication credential."
                .into(),
        ),
        Problem::InvalidKey => (
            400,
            "INVALID_ARGUMENT",
            "API key not valid. Please pass a valid API key.".into(),
        ),
        Problem::Forbidden => (
            403,
            "PERMISSION_DENIED",
            "The caller does not have permission".into(),
        ),
        Problem::NoSuchModel => (
            404,
            "NOT_FOUND",
            format!(
                "models/{model} is not found for API version v1beta, or is not supported for \
                 generateContent. Call ListModels to see the list of available models and their \
                 supported methods."
            ),
        ),
        Problem::NoSuchPath => (404, "NOT_FOUND", "Requested entity was not found.".into()),
        Problem::ContextLength => (
            400,
            "INVALID_ARGUMENT",
            "The input token count (1048597) exceeds the maximum number of tokens allowed \
             (1048576)."
                .into(),
        ),
        Problem::BodyTooLarge => (
            413,
            "INVALID_ARGUMENT",
            "Request payload size exceeds the limit.".into(),
        ),
        Problem::Filtered => return blocked(route, model),
        Problem::RateLimited(wait) => (
            429,
            "RESOURCE_EXHAUSTED",
            format!(
                "You exceeded your current quota, please check your plan and billing details. \
                 Please retry in {}s.",
                wait.as_secs_f64()
            ),
        ),
        Problem::Quota => (
            429,
            "RESOURCE_EXHAUSTED",
            "You exceeded your current quota, please check your plan and billing details. For \
             more information on this error, head to: \
             https://ai.google.dev/gemini-api/docs/rate-limits."
                .into(),
        ),
        Problem::Prefill => (
            400,
            "INVALID_ARGUMENT",
            "Please ensure that the conversation ends with a user turn.".into(),
        ),
        Problem::Server => (500, "INTERNAL", "An internal error has occurred.".into()),
        Problem::Unavailable => (
            503,
            "UNAVAILABLE",
            "The model is overloaded. Please try again later.".into(),
        ),
        Problem::Overloaded => (
            529,
            "UNAVAILABLE",
            "The model is overloaded. Please try again later.".into(),
        ),
        Problem::TimedOut => (
            504,
            "DEADLINE_EXCEEDED",
            "Deadline expired before operation could complete.".into(),
        ),
    };
    let mut error = json!({ "code": status, "message": message, "status": word });
    if let Some(details) = details(problem, model) {
        error["details"] = details;
    }
    let body = json!({ "error": error });
    Failure::new(status, JSON, format!("{body:#}\n"))
}

fn details(problem: &Problem, model: &str) -> Option<Value> {
    let violation = |quota: &str| {
        json!({
            "@type": "type.googleapis.com/google.rpc.QuotaFailure",
            "violations": [{
                "quotaMetric": "generativelanguage.googleapis.com/generate_content_requests",
                "quotaId": quota,
                "quotaDimensions": { "location": "global", "model": model },
                "quotaValue": "20",
            }],
        })
    };
    match problem {
        Problem::RateLimited(wait) => Some(json!([
            violation("GenerateRequestsPerMinutePerProjectPerModel"),
            {
                "@type": "type.googleapis.com/google.rpc.RetryInfo",
                "retryDelay": format!("{}s", wait.as_secs_f64()),
            },
        ])),
        Problem::Quota => Some(json!([
            violation("GenerateRequestsPerDayPerProjectPerModel-FreeTier"),
            { "@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "36s" },
        ])),
        Problem::InvalidKey => Some(json!([{
            "@type": "type.googleapis.com/google.rpc.ErrorInfo",
            "reason": "API_KEY_INVALID",
            "domain": "googleapis.com",
            "metadata": { "service": "generativelanguage.googleapis.com" },
        }])),
        _ => None,
    }
}

/// A prompt that was blocked is no error to Gemini: 200, and no candidates, in the frame of a reply.
fn blocked(route: Option<&Route>, model: &str) -> Failure {
    let body = json!({
        "promptFeedback": { "blockReason": "PROHIBITED_CONTENT" },
        "usageMetadata": { "promptTokenCount": 8, "totalTokenCount": 8 },
        "modelVersion": model,
        "responseId": response_id(),
    });
    let framing = match route {
        Some(Route::Generate { framing, .. }) => *framing,
        _ => None,
    };
    match framing {
        Some(Framing::Events) => Failure::new(200, "text/event-stream", event(&body)),
        Some(Framing::Array) => Failure::new(200, JSON, format!("[{body:#}\n]")),
        None => Failure::new(200, JSON, format!("{body:#}\n")),
    }
}

/// A stream that fails turns into a plain error object, with no `data:` before it; in an array it
/// is one more element.
pub(in crate::dialect) fn error_event(framing: Framing, first: bool) -> Bytes {
    let error = failure(&Problem::Unavailable, None, "").body;
    match framing {
        Framing::Events => error,
        Framing::Array => {
            let begin: &[u8] = if first { b"[" } else { b"" };
            [begin, &error, b"]"].concat().into()
        }
    }
}
