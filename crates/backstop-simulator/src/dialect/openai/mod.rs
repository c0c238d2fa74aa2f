//! OpenAI's Chat Completions and Responses.

pub(super) mod chat;
mod failure;
pub(super) mod responses;

use http::{HeaderMap, Method};
use serde_json::{Value, json};

pub(super) use self::failure::failure;
use super::{
    Route, Stamp,
    fields::{header_map, insert},
};
use crate::ask::{Format, ToolChoice};

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

/// The choice of a tool, which names one at this place.
fn tool_choice(body: &Value, name: &str) -> ToolChoice {
    let Some(choice) = body.get("tool_choice") else {
        return ToolChoice::Auto;
    };
    match (choice.as_str(), choice.pointer(name)) {
        (Some("required"), _) => ToolChoice::Required,
        (Some("none"), _) => ToolChoice::None,
        (_, Some(Value::String(name))) => ToolChoice::Named(name.clone()),
        _ => ToolChoice::Auto,
    }
}

/// The form of a reply, which has its schema at this place.
fn format(format: Option<&Value>, schema: &str) -> Format {
    let kind = format.and_then(|format| format.get("type")?.as_str());
    match (kind, format.and_then(|format| format.pointer(schema))) {
        (Some("json_schema"), Some(schema)) => Format::Schema(schema.clone()),
        (Some("json_object" | "json_schema"), _) => Format::Json,
        _ => Format::Text,
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

pub(super) fn models(models: &[String], stamp: &Stamp) -> Value {
    let data: Vec<Value> = models.iter().map(|id| model(id, stamp)).collect();
    json!({ "object": "list", "data": data })
}

pub(super) fn model(id: &str, stamp: &Stamp) -> Value {
    json!({ "id": id, "object": "model", "created": stamp.created, "owned_by": "system" })
}
