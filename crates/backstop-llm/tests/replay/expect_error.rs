//! What kind of failure an error is, by its status and by what the providers' documentation says
//! of the words in it.

use backstop_core::FaultKind;
use backstop_llm::Dialect;
use serde_json::Value;

/// Words that tell what a status does not, in lower case; the first line that fits counts.
const WORDS: &[(FaultKind, &[&str])] = &[
    (
        FaultKind::QuotaExhausted,
        &[
            "insufficient_quota",
            "exceeded_current_quota_error",
            "exceeded your current quota",
            "credit balance is too low",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "insufficient balance",
            "insufficient_balance",
            "insufficient credits",
            "requires more credits",
            "balance is insufficient",
            "used all available credits",
            "credits are depleted",
            "specified api usage limits",
            "arrearage",
        ],
    ),
    (
        FaultKind::TooLarge,
        &[
            "context_length_exceeded",
            "exceed_context_size_error",
            "model_max_prompt_tokens_exceeded",
            "string_above_max_length",
            "request_too_large",
            "maximum context length",
            "maximum prompt length",
            "maximum number of tokens allowed",
            "prompt is too long",
            "prompt too long",
            "prompt exceeds max length",
            "input is too long",
            "exceed context limit",
            "exceeds the context window",
            "exceeds the available context size",
            "exceeds the model's context",
            "exceeds the context length",
            "exceeded max context length",
            "exceeded model token limit",
            "context window exceeds limit",
            "longer than the model's context length",
            "greater than the context length",
            "range of input length should be",
            "cannot exceed the total tokens limit",
            "reduce the length of the messages",
            "too many tokens: ",
            "`max_new_tokens` must be <=",
            "`inputs` must have less than",
            "max_model_len",
            "too many total text bytes",
        ],
    ),
    (
        FaultKind::Filtered,
        &[
            "\"content_filter\"",
            "content_policy_violation",
            "\"bio_policy\"",
            "responsibleaipolicyviolation",
            "moderation_blocked",
            "data_inspection_failed",
            "content filtering policy",
            "content management policy",
            "content violates usage guidelines",
            "violating our usage policy",
            "your input was flagged",
        ],
    ),
    (
        FaultKind::Missing,
        &[
            "model_not_found",
            "model_not_available",
            "model_not_supported",
            "not_found_error",
            "deploymentnotfound",
            "model_decommissioned",
            "invalid_model",
            "unknown_model",
            "is not a valid model",
            "model does not exist",
            "model not exist",
            "model not found",
            "no such model",
            "model identifier is invalid",
        ],
    ),
    (
        FaultKind::Denied,
        &[
            "invalid_api_key",
            "api_key_invalid",
            "incorrect api key",
            "invalid api key",
            "authentication_error",
            "permission_error",
            "organization has been disabled",
            "location is not supported",
        ],
    ),
    (
        FaultKind::Overloaded,
        &[
            "overloaded_error",
            "server_is_overloaded",
            "is overloaded",
            "currently overloaded",
            "at capacity",
            "over capacity",
        ],
    ),
    (
        FaultKind::RateLimited,
        &[
            "rate_limit_error",
            "rate_limit_exceeded",
            "resource_exhausted",
        ],
    ),
    (FaultKind::Malformed, &["tool_use_failed"]),
];

fn said(body: &str) -> Option<FaultKind> {
    let body = body.to_lowercase();
    let fits = |words: &&[&str]| words.iter().any(|word| body.contains(word));
    let line = WORDS.iter().find(|(_, words)| fits(words));
    line.map(|(kind, _)| *kind)
}

/// What an answer with this status is; none where it is no error.
pub(crate) fn of_status(status: u16, body: &str, dialect: Dialect) -> Option<FaultKind> {
    let kind = match status {
        200..300 => return None,
        0..=399 => FaultKind::Malformed,
        401 | 403 => FaultKind::Denied,
        402 => FaultKind::QuotaExhausted,
        404 => FaultKind::Missing,
        408 => FaultKind::TimedOut,
        409 | 425 => FaultKind::Unavailable,
        413 => FaultKind::TooLarge,
        429 => FaultKind::RateLimited,
        501 | 505 => FaultKind::Invalid,
        529 => FaultKind::Overloaded,
        500.. => FaultKind::Unavailable,
        _ => FaultKind::Invalid,
    };
    let of_words = said(body).filter(|said| match kind {
        // Google says the same of a minute's quota and of a day's, except in the quota's name.
        FaultKind::RateLimited if body.contains("quotaId") => false,
        FaultKind::RateLimited if dialect == Dialect::Anthropic => {
            *said == FaultKind::QuotaExhausted
        }
        FaultKind::Invalid | FaultKind::RateLimited | FaultKind::Unavailable => true,
        FaultKind::Denied if dialect == Dialect::Anthropic || dialect == Dialect::Gemini => false,
        FaultKind::Denied => matches!(said, FaultKind::Filtered | FaultKind::QuotaExhausted),
        _ => false,
    });
    if kind == FaultKind::RateLimited && body.contains("PerDay") {
        return Some(FaultKind::QuotaExhausted);
    }
    Some(of_words.unwrap_or(kind))
}

/// What an error is that came under a good status, or in a stream.
pub(crate) fn of_body(body: &str) -> FaultKind {
    of(body, Dialect::OpenAi)
}

/// The same, of Google's.
pub(crate) fn of_google(body: &str) -> FaultKind {
    of(body, Dialect::Gemini)
}

fn of(body: &str, dialect: Dialect) -> FaultKind {
    let json: Value = serde_json::from_str(body).unwrap_or_default();
    let json = if json.is_array() { &json[0] } else { &json };
    let named = [&json["error"], &json["error"][0], &json["errors"][0]];
    let error = named.into_iter().find(|it| it.is_object()).unwrap_or(json);
    if let Some(status) = status(error) {
        return of_status(status, body, dialect).unwrap_or(FaultKind::Malformed);
    }
    let kind = match error["type"].as_str().unwrap_or_default() {
        "invalid_request_error" | "BadRequestError" => FaultKind::Invalid,
        "api_error"
        | "server_error"
        | "timeout_error"
        | "internal_error"
        | "internal_server_error"
        | "InternalServerError"
        | "service_unavailable" => FaultKind::Unavailable,
        _ => FaultKind::Malformed,
    };
    said(body).unwrap_or(kind)
}

/// The status that an error names as its own, which some write as a text.
pub(crate) fn status(error: &Value) -> Option<u16> {
    let number = |code: &Value| match code {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|n| u16::try_from(n).ok()),
    };
    let codes = [&error["status_code"], &error["code"]];
    let mut codes = codes.into_iter().filter_map(number);
    codes.find(|code| (400..600).contains(code))
}
