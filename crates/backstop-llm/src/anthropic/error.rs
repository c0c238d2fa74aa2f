//! Errors: read from a provider, written to a caller.

use backstop_core::{Fault, FaultKind, HttpStatus};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    Error,
    error::{
        view::{AttemptView, UsageView, attempts},
        words,
    },
    lenient,
};

#[derive(Default, Deserialize)]
struct Wire {
    #[serde(default, deserialize_with = "lenient::any")]
    error: Inner,
    #[serde(default, deserialize_with = "lenient::any")]
    request_id: Option<String>,
}

#[derive(Default, Deserialize)]
struct Inner {
    #[serde(default, rename = "type", deserialize_with = "lenient::any")]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient::any")]
    message: Option<String>,
    #[serde(default, deserialize_with = "lenient::any")]
    details: Details,
}

#[derive(Default, Deserialize)]
struct Details {
    #[serde(default, deserialize_with = "lenient::any")]
    error_code: Option<String>,
}

/// What an error answer means; without a status where it came in a stream.
pub(super) fn classify(status: Option<StatusCode>, body: &[u8]) -> Error {
    let wire: Wire = serde_json::from_slice(body).unwrap_or_default();
    let Inner {
        kind,
        message,
        details,
    } = wire.error;
    let text = message.as_deref().unwrap_or_default();
    let named = words::kind_of(&[details.error_code.as_deref(), kind.as_deref()], text);
    let of_status = status.and_then(HttpStatus::kind);
    let fault = Fault::new(match (of_status, named) {
        (None, Some(named)) => named,
        (None, None) => words::kind_without_status(kind.as_deref(), None),
        // A used-up balance and a prompt that is too long both come as a plain 400.
        (Some(FaultKind::Invalid | FaultKind::Unavailable), Some(named)) => named,
        // A limit on spending comes as a limit on the rate of calls.
        (Some(FaultKind::RateLimited), Some(FaultKind::QuotaExhausted)) => {
            FaultKind::QuotaExhausted
        }
        (Some(of_status), _) => of_status,
    });
    let mut error = Error::new(
        match status {
            Some(status) => fault.with_status(status.as_u16()),
            None => fault,
        },
        message.as_deref().unwrap_or("the provider gave no reason"),
    );
    if let Some(kind) = kind {
        error = error.with_kind(kind);
    }
    if let Some(id) = wire.request_id {
        error = error.with_request_id(id);
    }
    error
}

// ===== to a caller =====

#[derive(Serialize)]
struct Body<'a> {
    r#type: &'static str,
    error: Out<'a>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageView>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptView<'a>>,
}

#[derive(Serialize)]
struct Out<'a> {
    r#type: &'a str,
    message: &'a str,
}

pub(super) fn render(error: &Error) -> Bytes {
    let kind = match (error.fault().kind(), error.fault().status()) {
        (FaultKind::Invalid, Some(404)) => "not_found_error",
        (FaultKind::Invalid, Some(413)) => "request_too_large",
        (FaultKind::Invalid, Some(401)) => "authentication_error",
        (FaultKind::Invalid, Some(403)) => "permission_error",
        (FaultKind::Invalid | FaultKind::TooLarge | FaultKind::Filtered, _) => {
            "invalid_request_error"
        }
        (FaultKind::RateLimited, _) => "rate_limit_error",
        (FaultKind::Overloaded | FaultKind::Refused, _) => "overloaded_error",
        (FaultKind::TimedOut, _) => "timeout_error",
        _ => "api_error",
    };
    let body = Body {
        r#type: "error",
        error: Out {
            r#type: kind,
            message: &error.caller_message(),
        },
        usage: error.usage().map(UsageView::from),
        attempts: error.trail().map(attempts).unwrap_or_default(),
    };
    serde_json::to_vec(&body).unwrap_or_default().into()
}
