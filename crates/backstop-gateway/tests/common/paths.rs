//! The paths of the fronts, what each is asked, and how each ends a stream.

#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};

pub(crate) const PATHS: [&str; 3] = ["/v1/chat/completions", "/v1/messages", "/v1/responses"];

/// A hello to one front, and this besides.
pub(crate) fn asking(path: &str, more: &Value) -> Value {
    let mut body = match path {
        "/v1/responses" => json!({ "model": "smart", "input": "Hello!" }),
        _ => json!({
            "model": "smart", "max_tokens": 100,
            "messages": [{ "role": "user", "content": "Hello!" }],
        }),
    };
    for (name, value) in more.as_object().into_iter().flatten() {
        body[name] = value.clone();
    }
    body
}

/// A tool of this name.
pub(crate) fn tool(path: &str, name: &str) -> Value {
    let schema = json!({ "type": "object" });
    match path {
        "/v1/messages" => json!({ "name": name, "input_schema": schema }),
        "/v1/responses" => json!({ "type": "function", "name": name, "parameters": schema }),
        _ => json!({ "type": "function", "function": { "name": name, "parameters": schema } }),
    }
}

/// Whether an event says that the answer is whole.
pub(crate) fn is_end_marker(data: &str) -> bool {
    data == "[DONE]"
        || ["message_stop", "response.completed"]
            .iter()
            .any(|kind| data.contains(&format!("\"type\":\"{kind}\"")))
}

/// Whether an event is the error that a front ends a broken stream with.
pub(crate) fn is_error(path: &str, event: &Value) -> bool {
    match path {
        "/v1/messages" => event["type"] == "error" && event["error"]["message"].is_string(),
        "/v1/responses" => {
            event["type"] == "response.failed" && event["response"]["error"]["message"].is_string()
        }
        _ => event["error"]["message"].is_string() && event["error"]["type"].is_string(),
    }
}
