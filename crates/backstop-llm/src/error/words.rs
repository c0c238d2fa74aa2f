//! What kind of failure a provider's words speak of, where its status alone doesn't tell.

use backstop_core::FaultKind;

/// Words that name a kind of failure, whoever says them. A code or type is looked for as a whole,
/// a phrase anywhere in the message, in lower case.
struct Words {
    kind: FaultKind,
    codes: &'static [&'static str],
    phrases: &'static [&'static str],
}

/// The first line that fits counts: a quota that is used up also comes as a rate limit.
const WORDS: &[Words] = &[
    Words {
        kind: FaultKind::QuotaExhausted,
        codes: &[
            "insufficient_quota",
            "billing_error",
            "billing_hard_limit_reached",
            "billing_not_active",
            "enforced_spend_limit_reached",
            "insufficient_balance",
            "quota_exceeded",
            "exceeded_current_quota_error",
            "arrearage",
        ],
        phrases: &[
            "exceeded your current quota",
            "credit balance is too low",
            "insufficient balance",
            "insufficient credits",
            "requires more credits",
            "balance is insufficient",
            "used all available credits",
            "credits are depleted",
            "specified api usage limits",
        ],
    },
    Words {
        kind: FaultKind::TooLarge,
        codes: &[
            "context_length_exceeded",
            "exceed_context_size_error",
            "request_too_large",
            "model_max_prompt_tokens_exceeded",
            "string_above_max_length",
        ],
        phrases: &[
            "maximum context length",
            "maximum prompt length",
            "exceed context limit",
            "exceeds the context length",
            "exceeded model token limit",
            "context window exceeds limit",
            "greater than the context length",
            "range of input length should be",
            "cannot exceed the total tokens limit",
            "too many tokens: ",
            "`max_new_tokens` must be <=",
            "`inputs` must have less than",
            "prompt exceeds max length",
            "exceeds the available context size",
            "exceeded max context length",
            "exceeds the context window",
            "exceed the context window",
            "exceeds the model's context",
            "context length exceeded",
            "longer than the model's context length",
            "prompt is too long",
            "prompt too long",
            "input is too long",
            "max_model_len",
            "maximum number of tokens allowed",
            "reduce the length of the messages",
            "too many total text bytes",
        ],
    },
    Words {
        kind: FaultKind::Filtered,
        codes: &[
            "content_filter",
            "content_policy_violation",
            "image_content_policy_violation",
            "bio_policy",
            "responsibleaipolicyviolation",
            "moderation_blocked",
            "data_inspection_failed",
        ],
        phrases: &[
            "content filtering policy",
            "content management policy",
            "content violates usage guidelines",
            "flagged by moderation",
            "violating our usage policy",
            "your input was flagged",
        ],
    },
    Words {
        kind: FaultKind::Missing,
        codes: &[
            "model_not_found",
            "not_found_error",
            "deploymentnotfound",
            "model_decommissioned",
            "invalid_model",
            "model_not_available",
            "model_not_supported",
            "unknown_model",
        ],
        phrases: &[
            "is not a valid model",
            "model does not exist",
            "model not exist",
            "model identifier is invalid",
            "no such model",
            "model not found",
            "unknown model",
            "has been decommissioned",
        ],
    },
    Words {
        kind: FaultKind::Denied,
        codes: &[
            "invalid_api_key",
            "authentication_error",
            "permission_error",
            "api_key_invalid",
            "permission_denied",
            "unauthenticated",
        ],
        phrases: &[
            "incorrect api key",
            "invalid api key",
            "api key not valid",
            "organization has been disabled",
            "location is not supported",
        ],
    },
    Words {
        kind: FaultKind::Overloaded,
        codes: &[
            "overloaded_error",
            "server_is_overloaded",
            "engine_overloaded",
            "engine_overloaded_error",
        ],
        phrases: &[
            "is overloaded",
            "currently overloaded",
            "is at capacity",
            "at full capacity",
            "over capacity",
        ],
    },
    Words {
        kind: FaultKind::RateLimited,
        codes: &[
            "rate_limit_exceeded",
            "rate_limit_error",
            "ratelimitreached",
            "too_many_requests",
            "too_many_requests_error",
            "rate_limit_reached_error",
            "resource_exhausted",
        ],
        phrases: &["rate limit reached"],
    },
    // The model wrote a tool call that its server could not read: another try or model may do.
    Words {
        kind: FaultKind::Malformed,
        codes: &["tool_use_failed"],
        phrases: &[],
    },
];

/// The kind that the codes, or else the message, name.
pub(crate) fn kind_of(codes: &[Option<&str>], message: &str) -> Option<FaultKind> {
    let named = WORDS.iter().find(|words| {
        codes.iter().flatten().any(|code| {
            words
                .codes
                .iter()
                .any(|known| code.eq_ignore_ascii_case(known))
        })
    });
    let message = message.to_ascii_lowercase();
    let said = || {
        WORDS
            .iter()
            .find(|words| words.phrases.iter().any(|phrase| message.contains(phrase)))
    };
    // A message is more exact than a code that only repeats the status: a prompt that is too long
    // is an `invalid_request_error` to some, and a used-up balance a rate limit to others.
    match (named, said()) {
        (Some(named), Some(said)) if is_general(named.kind) => Some(said.kind),
        (Some(named), _) => Some(named.kind),
        (None, said) => said.map(|said| said.kind),
    }
}

/// Whether a kind says little more than its status.
const fn is_general(kind: FaultKind) -> bool {
    matches!(
        kind,
        FaultKind::RateLimited | FaultKind::Denied | FaultKind::Missing
    )
}

/// The kind of an error that came without a status, by its type: in a stream, or under a 200.
pub(crate) fn kind_without_status(kind: Option<&str>, code: Option<u16>) -> FaultKind {
    if let Some(kind) = code
        .and_then(|code| http::StatusCode::from_u16(code).ok())
        .and_then(backstop_core::HttpStatus::kind)
    {
        return kind;
    }
    match kind {
        Some("invalid_request_error" | "BadRequestError") => FaultKind::Invalid,
        Some(
            "api_error"
            | "server_error"
            | "timeout_error"
            | "internal_error"
            | "internal_server_error"
            | "InternalServerError"
            | "service_unavailable",
        ) => FaultKind::Unavailable,
        _ => FaultKind::Malformed,
    }
}
