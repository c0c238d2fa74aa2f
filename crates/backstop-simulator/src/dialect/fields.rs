//! What every dialect needs to read fields and to write them.

use std::{ops::RangeInclusive, time::Duration};

use http::{HeaderMap, HeaderName, HeaderValue};
use serde_json::Value;

use crate::{ask::Tool, problem::Problem};

pub(super) fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

pub(super) fn bearer(headers: &HeaderMap) -> Option<&str> {
    header(headers, "authorization")?.strip_prefix("Bearer ")
}

/// Headers of fixed names and values, and some with values made for the answer.
pub(super) fn header_map<const N: usize>(fixed: [(&'static str, &'static str); N]) -> HeaderMap {
    let fixed = fixed.map(|(name, value)| {
        (
            HeaderName::from_static(name),
            HeaderValue::from_static(value),
        )
    });
    HeaderMap::from_iter(fixed)
}

pub(super) fn insert(headers: &mut HeaderMap, name: &'static str, value: &str) {
    if let Ok(value) = HeaderValue::from_str(value) {
        headers.insert(HeaderName::from_static(name), value);
    }
}

/// Whole seconds, rounded up, as `retry-after` has them.
pub(super) fn whole_seconds(wait: Duration) -> u64 {
    wait.as_secs() + u64::from(wait.subsec_nanos() > 0)
}

/// A JSON string with its quotes and escapes.
pub(super) fn quoted(text: &str) -> String {
    serde_json::to_string(text).unwrap_or_default()
}

/// A list of strings, or one alone.
pub(super) fn strings(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(one)) => vec![one.clone()],
        Some(Value::Array(list)) => list
            .iter()
            .filter_map(Value::as_str)
            .map(str::to_owned)
            .collect(),
        _ => Vec::new(),
    }
}

pub(super) fn is_true(body: &Value, field: &str) -> bool {
    body.get(field).and_then(Value::as_bool).unwrap_or(false)
}

/// A field, unless it is absent or null.
pub(super) fn field<'a>(value: &'a Value, name: &str) -> Option<&'a Value> {
    value.get(name).filter(|value| !value.is_null())
}

pub(super) fn text_field(value: &Value, name: &str) -> Option<String> {
    value.get(name)?.as_str().map(str::to_owned)
}

/// The elements of a list, none where there is no list.
pub(super) fn list<'a>(value: &'a Value, name: &str) -> &'a [Value] {
    value
        .get(name)
        .and_then(Value::as_array)
        .map_or(&[], Vec::as_slice)
}

/// A tool of this name, whose schema is in one of these fields.
pub(super) fn tool(tool: &Value, schemas: &[&str]) -> Option<Tool> {
    let schema = schemas.iter().find_map(|name| field(tool, name));
    Some(Tool {
        name: text_field(tool, "name")?,
        schema: schema.cloned().unwrap_or_default(),
    })
}

/// JSON in pieces of a few characters, as a model writes it.
pub(super) fn json_pieces(text: &str) -> impl Iterator<Item = &str> {
    const LENGTH: usize = 8;
    let mut rest = text;
    std::iter::from_fn(move || {
        let end = rest
            .char_indices()
            .nth(LENGTH)
            .map_or(rest.len(), |(place, _)| place);
        let (piece, after) = rest.split_at(end);
        rest = after;
        (!piece.is_empty()).then_some(piece)
    })
}

/// Refuses a number that is out of its range, in these words.
pub(super) fn check_range(
    body: &Value,
    name: &'static str,
    range: RangeInclusive<f64>,
    words: impl FnOnce(f64) -> String,
) -> Result<(), Problem> {
    match body.get(name).and_then(Value::as_f64) {
        Some(value) if !range.contains(&value) => Err(Problem::invalid(words(value), name)),
        _ => Ok(()),
    }
}
