//! The ways to ask, and how an answer is read in each: what it says, and whether it is whole.

#![allow(dead_code, reason = "each test file uses a part of it")]

use serde_json::{Value, json};

/// A way to ask: the path, and whether the answer is to come in pieces.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Front {
    pub(crate) path: &'static str,
    pub(crate) streamed: bool,
}

const fn front(path: &'static str, streamed: bool) -> Front {
    Front { path, streamed }
}

/// Every way to ask.
pub(crate) const FRONTS: [Front; 6] = [
    front("/v1/chat/completions", false),
    front("/v1/chat/completions", true),
    front("/v1/messages", false),
    front("/v1/messages", true),
    front("/v1/responses", false),
    front("/v1/responses", true),
];

/// What was read of an answer.
#[derive(Debug, Default)]
pub(crate) struct Read {
    pub(crate) text: String,
    /// Whether it says that it is complete.
    pub(crate) ended: bool,
    pub(crate) error: bool,
}

impl Front {
    /// A request that this front takes.
    pub(crate) fn body(self, text: &str) -> Value {
        if self.path.ends_with("responses") {
            json!({ "model": "smart", "input": text, "stream": self.streamed })
        } else {
            json!({
                "model": "smart", "max_tokens": 100, "stream": self.streamed,
                "messages": [{ "role": "user", "content": text }],
            })
        }
    }

    /// Reads an answer.
    pub(crate) fn read(self, body: &str) -> Read {
        if self.streamed {
            self.read_stream(body)
        } else {
            self.read_whole(body)
        }
    }

    fn read_whole(self, body: &str) -> Read {
        let json: Value = serde_json::from_str(body).unwrap_or_default();
        let (text, ended) = match self.path {
            "/v1/messages" => (
                &json["content"][0]["text"],
                json["stop_reason"] == "end_turn",
            ),
            "/v1/responses" => {
                let message = json["output"].as_array().and_then(|items| items.last());
                let text = message.map_or(&Value::Null, |item| &item["content"][0]["text"]);
                (text, json["status"] == "completed")
            }
            _ => {
                let choice = &json["choices"][0];
                (
                    &choice["message"]["content"],
                    choice["finish_reason"] == "stop",
                )
            }
        };
        Read {
            text: text.as_str().unwrap_or_default().to_owned(),
            ended,
            error: json["error"].is_object(),
        }
    }

    fn read_stream(self, body: &str) -> Read {
        let mut read = Read::default();
        for data in body.lines().filter_map(|line| line.strip_prefix("data:")) {
            let data = data.trim();
            let json: Value = serde_json::from_str(data).unwrap_or_default();
            let kind = json["type"].as_str().unwrap_or_default();
            read.error |= json["error"].is_object() || matches!(kind, "error" | "response.failed");
            let (delta, end) = match self.path {
                "/v1/messages" => (&json["delta"]["text"], kind == "message_stop"),
                "/v1/responses" => {
                    let delta = if kind == "response.output_text.delta" {
                        &json["delta"]
                    } else {
                        &Value::Null
                    };
                    (delta, kind == "response.completed")
                }
                _ => (&json["choices"][0]["delta"]["content"], data == "[DONE]"),
            };
            read.text.push_str(delta.as_str().unwrap_or_default());
            read.ended |= end;
        }
        read
    }
}
