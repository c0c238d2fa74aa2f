//! Errors: read from a provider, written to a caller.

use backstop_core::{Fault, FaultKind, HttpStatus};
use bytes::Bytes;
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::{Value, value::RawValue};

use crate::{
    Error, Json,
    error::{
        view::{AttemptView, UsageView, attempts},
        words,
    },
    lenient,
};

/// An error in any of the shapes that compatible servers have for one: the fields of an object
/// under `error`, or those at the top.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Fields {
    message: Option<Value>,
    detail: Option<Value>,
    msg: Option<Value>,
    #[serde(rename = "type")]
    kind: Option<Value>,
    error_type: Option<Value>,
    code: Option<Value>,
    error_code: Option<Value>,
    param: Option<Value>,
    status_code: Option<Value>,
    #[serde(deserialize_with = "lenient::object_or_default")]
    innererror: Inner,
    #[serde(deserialize_with = "lenient::object_or_default")]
    metadata: Metadata,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Inner {
    #[serde(deserialize_with = "lenient::scalar")]
    code: Option<String>,
}

/// What OpenRouter tells of the provider that failed it.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Metadata {
    /// What that provider answered.
    #[serde(deserialize_with = "lenient::scalar")]
    raw: Option<String>,
}

/// A string, or anything else as its JSON.
fn word(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        Value::String(text) => Some(text.clone()),
        other => Some(other.to_string()),
    }
}

fn number(value: &Value) -> Option<u16> {
    match value {
        Value::String(text) => text.parse().ok(),
        other => other.as_u64().and_then(|n| u16::try_from(n).ok()),
    }
}

/// Whether the error beside an answer says that there is one: servers that leave no field out
/// write an empty one.
pub(crate) fn says(error: &RawValue) -> bool {
    !matches!(error.get(), "null" | "false" | "\"\"" | "{}" | "[]")
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
            let text: String = serde_json::from_str(&body).unwrap_or(body);
            let text = text.trim();
            let is_page = text.starts_with('<') || text.is_empty();
            return Self {
                message: (!is_page).then(|| text.into()),
                ..Self::default()
            };
        };
        let outer: Self = serde_json::from_str(&body).unwrap_or_default();
        let names = ["error", "errors"];
        let inner = names.iter().find_map(|name| object.get(name));
        let inner = inner.map(|raw| serde_json::from_str(raw.get()).unwrap_or_default());
        let inner = match inner {
            Some(Value::Array(list)) => list.into_iter().next(),
            inner => inner,
        };
        match inner {
            Some(Value::String(text)) => Self {
                message: Some(text.into()),
                ..outer
            },
            Some(inner @ Value::Object(_)) => serde_json::from_value(inner).unwrap_or(outer),
            _ => outer,
        }
    }

    /// The first of these that is there, in words.
    fn first(fields: &[&Option<Value>]) -> Option<String> {
        fields
            .iter()
            .find_map(|field| field.as_ref().and_then(word))
    }
}

/// What an error answer means; without a status where it came under a good one or in a stream.
pub(crate) fn classify(status: Option<StatusCode>, body: &[u8]) -> Error {
    let fields = Fields::read(body);
    let message = Fields::first(&[&fields.message, &fields.detail, &fields.msg]);
    let kind = Fields::first(&[&fields.kind, &fields.error_type]);
    let code = Fields::first(&[&fields.code, &fields.error_code]);
    let inner = fields.innererror.code;
    let own = [&fields.status_code, &fields.code]
        .into_iter()
        .flatten()
        .filter_map(number)
        .find(|code| (400..600).contains(code));
    let texts = [message.clone(), fields.metadata.raw];
    let text = texts.into_iter().flatten().collect::<Vec<_>>().join(" ");
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
