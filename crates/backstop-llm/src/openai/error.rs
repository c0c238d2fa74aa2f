//! Errors: read from a provider, written to a caller.

use backstop_core::{Fault, FaultKind, HttpStatus};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};

use crate::{
    Error, Json,
    error::{
        view::{AttemptView, UsageView, attempts},
        words,
    },
};

/// An error in any of the shapes that compatible servers have for one: the fields of an object
/// under `error`, or those at the top.
#[derive(Default, Deserialize)]
struct Fields {
    message: Option<serde_json::Value>,
    detail: Option<serde_json::Value>,
    #[serde(rename = "type")]
    kind: Option<serde_json::Value>,
    code: Option<serde_json::Value>,
    param: Option<serde_json::Value>,
    status_code: Option<serde_json::Value>,
    innererror: Option<Inner>,
}

#[derive(Default, Deserialize)]
struct Inner {
    code: Option<String>,
}

/// A string, or anything else as its JSON.
fn word(value: &serde_json::Value) -> Option<String> {
    match value {
        serde_json::Value::Null => None,
        serde_json::Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn number(value: &serde_json::Value) -> Option<u16> {
    match value {
        serde_json::Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|n| u16::try_from(n).ok()),
    }
}

impl Fields {
    /// Reads an error body; one that is no JSON, as a proxy's page, is taken as a text.
    fn read(body: &[u8]) -> Self {
        // A list of one error is how some servers fail a stream.
        let body = match serde_json::from_slice::<Vec<Json>>(body) {
            Ok(list) => list.first().map(|json| json.get().to_owned()),
            Err(_) => std::str::from_utf8(body).ok().map(str::to_owned),
        }
        .unwrap_or_default();
        let Ok(object) = crate::object::Object::parse(body.as_bytes()) else {
            let text = body.trim();
            let is_page = text.starts_with('<') || text.is_empty();
            return Self {
                message: (!is_page).then(|| text.into()),
                ..Self::default()
            };
        };
        let outer: Self = serde_json::from_str(&body).unwrap_or_default();
        match object
            .get("error")
            .map(|raw| serde_json::from_str(raw.get()))
        {
            Some(Ok(serde_json::Value::String(text))) => Self {
                message: Some(text.into()),
                ..outer
            },
            Some(Ok(inner @ serde_json::Value::Object(_))) => {
                serde_json::from_value(inner).unwrap_or(outer)
            }
            _ => outer,
        }
    }
}

/// What an error answer means; without a status where it came under a good one or in a stream.
pub(crate) fn classify(status: Option<StatusCode>, body: &[u8]) -> Error {
    let fields = Fields::read(body);
    let message = fields
        .message
        .as_ref()
        .or(fields.detail.as_ref())
        .and_then(word);
    let kind = fields.kind.as_ref().and_then(word);
    let code = fields.code.as_ref().and_then(word);
    let inner = fields.innererror.and_then(|inner| inner.code);
    let own = [&fields.status_code, &fields.code]
        .into_iter()
        .flatten()
        .filter_map(number)
        .find(|code| (400..600).contains(code));
    let text = message.clone().unwrap_or_default();
    let named = words::kind_of(&[inner.as_deref(), code.as_deref(), kind.as_deref()], &text);
    let status = status.map(|status| status.as_u16());
    let fault = Fault::new(fault_kind(status.or(own), named, kind.as_deref()));
    let mut error = Error::new(
        match status.or(own) {
            Some(status) => fault.with_status(status),
            None => fault,
        },
        message.unwrap_or_else(|| "the provider gave no reason".to_owned()),
    );
    // A request that is larger than a whole minute's tokens will never be let through, and a
    // server that lacks what it takes to read a picture or a tool fails every time.
    let lower = text.to_ascii_lowercase();
    if lower.contains("request too large") || lower.contains("mmproj") || lower.contains("--jinja")
    {
        let never = error.fault().with_should_retry(false);
        error = error.with_fault(never);
    }
    if let Some(kind) = kind {
        error = error.with_kind(kind);
    }
    if let Some(code) = code {
        error = error.with_code(code);
    }
    if let Some(param) = fields.param.as_ref().and_then(word) {
        error = error.with_param(param);
    }
    error
}

fn fault_kind(status: Option<u16>, named: Option<FaultKind>, kind: Option<&str>) -> FaultKind {
    let of_status = status
        .and_then(|status| StatusCode::from_u16(status).ok())
        .and_then(HttpStatus::kind);
    match (of_status, named) {
        (None, Some(named)) => named,
        (None, None) => words::kind_without_status(kind, status),
        // Words refine a status that says little; what a status says outright stands.
        (
            Some(FaultKind::Invalid | FaultKind::RateLimited | FaultKind::Unavailable),
            Some(named),
        ) => named,
        (Some(FaultKind::Denied), Some(FaultKind::Filtered | FaultKind::QuotaExhausted)) => {
            named.unwrap_or(FaultKind::Denied)
        }
        (Some(of_status), _) => of_status,
    }
}

// ===== to a caller =====

#[derive(Serialize)]
struct Body<'a> {
    error: Out<'a>,
}

#[derive(Serialize)]
struct Out<'a> {
    message: &'a str,
    r#type: &'a str,
    param: Option<&'a str>,
    code: Option<&'a str>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    attempts: Vec<AttemptView<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<UsageView>,
}

pub(crate) fn render(error: &Error) -> Bytes {
    let message = error.caller_message();
    let root = error.root();
    let (kind, code) = match error.fault().kind() {
        FaultKind::Invalid => (root.kind().unwrap_or("invalid_request_error"), root.code()),
        FaultKind::TooLarge => ("invalid_request_error", Some("context_length_exceeded")),
        FaultKind::Filtered => ("invalid_request_error", Some("content_filter")),
        FaultKind::RateLimited => ("requests", Some("rate_limit_exceeded")),
        FaultKind::Overloaded => ("server_error", Some("overloaded")),
        FaultKind::TimedOut => ("server_error", Some("timeout")),
        FaultKind::Interrupted => ("server_error", Some("stream_interrupted")),
        FaultKind::Refused => ("server_error", Some("unavailable")),
        _ => ("server_error", None),
    };
    let body = Body {
        error: Out {
            message: &message,
            r#type: kind,
            param: root.param(),
            code,
            attempts: error.trail().map(attempts).unwrap_or_default(),
            usage: error.usage().map(UsageView::from),
        },
    };
    serde_json::to_vec(&body).unwrap_or_default().into()
}
