//! A plain HTTP client, and what the tests ask with it.

use std::{future::Future, time::Duration};

use backstop_simulator::{Dialect, Pace, Simulator};
use serde_json::{Value, json};

/// Nothing here takes a second; a test that waits this long waits for ever.
pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    let limit = Duration::from_secs(30);
    tokio::time::timeout(limit, future)
        .await
        .expect("the test should not have to wait")
}

pub(crate) async fn start(dialect: Dialect) -> Simulator {
    Simulator::builder(dialect)
        .pace(Pace::INSTANT)
        .start()
        .await
        .unwrap()
}

/// One of the APIs, as the tests call it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Api {
    Chat,
    Responses,
    Messages,
    Generate,
    /// Gemini's stream without `alt=sse`.
    GenerateArray,
}

pub(crate) const APIS: [Api; 5] = [
    Api::Chat,
    Api::Responses,
    Api::Messages,
    Api::Generate,
    Api::GenerateArray,
];

impl Api {
    pub(crate) fn dialect(self) -> Dialect {
        match self {
            Self::Chat | Self::Responses => Dialect::OpenAi,
            Self::Messages => Dialect::Anthropic,
            Self::Generate | Self::GenerateArray => Dialect::Gemini,
        }
    }

    /// A request for a reply to "Hi there".
    pub(crate) fn request(self, simulator: &Simulator, stream: bool) -> reqwest::RequestBuilder {
        let said = json!([{"role": "user", "content": "Hi there"}]);
        let (path, body) = match self {
            Self::Chat => (
                "/v1/chat/completions",
                json!({"model": "m", "messages": said, "stream": stream}),
            ),
            Self::Responses => (
                "/v1/responses",
                json!({"model": "m", "input": said, "stream": stream}),
            ),
            Self::Messages => (
                "/v1/messages",
                json!({"model": "m", "messages": said, "max_tokens": 500, "stream": stream}),
            ),
            Self::Generate | Self::GenerateArray => {
                let path = match (stream, self) {
                    (false, _) => "/v1beta/models/m:generateContent",
                    (true, Self::Generate) => "/v1beta/models/m:streamGenerateContent?alt=sse",
                    (true, _) => "/v1beta/models/m:streamGenerateContent",
                };
                (
                    path,
                    json!({"contents": [{"role": "user", "parts": [{"text": "Hi there"}]}]}),
                )
            }
        };
        post(simulator, path, &body)
    }

    /// What comes of it.
    pub(crate) async fn send(self, simulator: &Simulator, stream: bool) -> reqwest::Response {
        within(self.request(simulator, stream).send())
            .await
            .unwrap()
    }

    /// The text of a plain reply.
    pub(crate) fn text(self, reply: &Value) -> String {
        let text = match self {
            Self::Chat => &reply["choices"][0]["message"]["content"],
            Self::Responses => &reply["output"][0]["content"][0]["text"],
            Self::Messages => &reply["content"][0]["text"],
            Self::Generate | Self::GenerateArray => {
                &reply["candidates"][0]["content"]["parts"][0]["text"]
            }
        };
        text.as_str()
            .unwrap_or_else(|| panic!("no text in {reply}"))
            .to_owned()
    }

    /// The text of what came of a stream.
    pub(crate) fn streamed_text(self, stream: &str) -> String {
        let events = match self {
            Self::GenerateArray => elements(stream),
            _ => events(stream),
        };
        let pieces = events.iter().filter_map(|event| match self {
            Self::Chat => event["choices"][0]["delta"]["content"].as_str(),
            Self::Responses if event["type"] == "response.output_text.delta" => {
                event["delta"].as_str()
            }
            Self::Messages => event["delta"]["text"].as_str(),
            Self::Generate | Self::GenerateArray => {
                event["candidates"][0]["content"]["parts"][0]["text"].as_str()
            }
            Self::Responses => None,
        });
        pieces.collect()
    }

    /// Whether a stream came to the end that says so.
    pub(crate) fn ended_well(self, stream: &str) -> bool {
        match self {
            Self::Chat => {
                stream.contains("\"finish_reason\":\"") && stream.ends_with("data: [DONE]\n\n")
            }
            Self::Responses => stream.contains("event: response.completed\n"),
            Self::Messages => stream.contains("event: message_stop\n"),
            Self::Generate => stream.contains("\"finishReason\":\"STOP\""),
            Self::GenerateArray => {
                stream.contains("\"finishReason\": \"STOP\"") && stream.ends_with(']')
            }
        }
    }
}

/// A request with further fields.
pub(crate) fn with(mut request: Value, further: &Value) -> Value {
    for (key, value) in further.as_object().unwrap() {
        request[key] = value.clone();
    }
    request
}

pub(crate) fn post(simulator: &Simulator, path: &str, body: &Value) -> reqwest::RequestBuilder {
    // A client of its own for each request, so that none waits in a pool for the next.
    reqwest::Client::new()
        .post(format!("{}{path}", simulator.url()))
        .header("anthropic-version", "2023-06-01")
        .json(body)
}

pub(crate) async fn get(simulator: &Simulator, path: &str) -> Value {
    let url = format!("{}{path}", simulator.url());
    let request = reqwest::Client::new()
        .get(url)
        .header("anthropic-version", "2023-06-01");
    within(async { request.send().await.unwrap().json().await.unwrap() }).await
}

/// Posts, and returns the status and the body.
pub(crate) async fn ask(simulator: &Simulator, path: &str, body: Value) -> (u16, Value) {
    within(async {
        let response = post(simulator, path, &body).send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    })
    .await
}

/// Posts, and returns the whole of a stream.
pub(crate) async fn stream(simulator: &Simulator, path: &str, body: Value) -> String {
    within(async {
        post(simulator, path, &body)
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap()
    })
    .await
}

/// Reads a body to its end, and says whether that was a good one.
pub(crate) async fn read(mut response: reqwest::Response) -> (String, Result<(), reqwest::Error>) {
    let mut seen = Vec::new();
    let end = within(async {
        loop {
            match response.chunk().await {
                Ok(Some(chunk)) => seen.extend_from_slice(&chunk),
                Ok(None) => break Ok(()),
                Err(error) => break Err(error),
            }
        }
    })
    .await;
    (String::from_utf8(seen).unwrap(), end)
}

/// The data of each server-sent event that is JSON.
pub(crate) fn events(stream: &str) -> Vec<Value> {
    let data = stream
        .lines()
        .filter_map(|line| line.strip_prefix("data: "));
    data.filter_map(|data| serde_json::from_str(data).ok())
        .collect()
}

/// The elements of a JSON array, of which the end may be missing.
fn elements(stream: &str) -> Vec<Value> {
    let elements = stream.trim_start_matches('[').split("\n,\r\n");
    let elements = elements.map(|element| element.trim_end_matches(']'));
    elements
        .filter_map(|element| serde_json::from_str(element).ok())
        .collect()
}
