//! The recordings, where there are any.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use backstop_llm::Dialect;
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// One exchange. Of a source that kept little, much is absent.
#[derive(Clone, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Recording {
    pub(crate) id: String,
    #[serde(deserialize_with = "known")]
    pub(crate) provider: String,
    #[serde(deserialize_with = "known")]
    api: String,
    model: Option<String>,
    #[serde(deserialize_with = "known")]
    tags: Vec<String>,
    #[serde(deserialize_with = "known")]
    request: Request,
    #[serde(deserialize_with = "known")]
    response: Response,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Request {
    #[serde(deserialize_with = "known")]
    method: String,
    #[serde(deserialize_with = "known")]
    url: String,
    #[serde(deserialize_with = "known")]
    body: String,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default)]
struct Response {
    status: Option<u16>,
    #[serde(deserialize_with = "known")]
    headers: BTreeMap<String, Value>,
    #[serde(deserialize_with = "known")]
    body: String,
    encoding: Option<String>,
    socket_error: Option<String>,
    chunked_terminator: Option<bool>,
}

/// A field whose `null` says as little as its absence.
fn known<'de, D: Deserializer<'de>, T: Default + Deserialize<'de>>(
    deserializer: D,
) -> Result<T, D::Error> {
    Option::deserialize(deserializer).map(Option::unwrap_or_default)
}

impl Recording {
    /// What was written by us, as if it had been recorded.
    pub(crate) fn written(body: String, streamed: bool) -> Self {
        let tags = streamed.then(|| "stream".to_owned());
        Self {
            tags: tags.into_iter().collect(),
            response: Response {
                status: Some(200),
                body,
                ..Response::default()
            },
            ..Self::default()
        }
    }

    /// What its provider speaks, or why it is not replayed.
    pub(crate) fn spoken(&self) -> Result<Dialect, String> {
        if self.response.status.is_none() {
            return Err("no answer came".to_owned());
        }
        if self.bytes().is_none() {
            return Err("its body is in an unknown encoding".to_owned());
        }
        let (dialect, path) = match self.api.as_str() {
            "chat.completions" => (Dialect::OpenAi, "/chat/completions"),
            "completions" => (Dialect::OpenAi, "/completions"),
            // Whatever is asked of a compatible server, its errors look alike.
            "health" | "unknown-path" => return Ok(Dialect::OpenAi),
            "messages" => (Dialect::Anthropic, "/messages"),
            "responses" => (Dialect::Responses, "/responses"),
            "generateContent" | "streamGenerateContent" => (Dialect::Gemini, "enerateContent"),
            // Vertex passes on whatever the publisher of the model speaks.
            "rawPredict" if self.is_by("anthropic") => (Dialect::Anthropic, "awPredict"),
            "rawPredict" => (Dialect::OpenAi, "awPredict"),
            "count_tokens" | "countTokens" => {
                return Err("counts are estimated here, without asking the provider".to_owned());
            }
            "models" => return Err("the models offered are those configured".to_owned()),
            "ollama.chat" => {
                return Err("Ollama is spoken to by its OpenAI-compatible interface".to_owned());
            }
            other => return Err(format!("{other} is not spoken")),
        };
        let method = self.request.method.as_str();
        let asked = self.request.url.split('?').next().unwrap_or_default();
        let beyond = asked.rsplit_once(path).map_or("", |(_, beyond)| beyond);
        if !matches!(method, "" | "POST") || !beyond.trim_matches('/').is_empty() {
            return Err("nothing is asked of a model".to_owned());
        }
        Ok(dialect)
    }

    fn is_by(&self, publisher: &str) -> bool {
        let url = &self.request.url;
        !url.contains("/publishers/") || url.contains(&format!("/publishers/{publisher}/"))
    }

    /// The request's body, where one was kept.
    pub(crate) fn asked(&self) -> &str {
        &self.request.body
    }

    /// The model that was asked.
    pub(crate) fn model(&self) -> String {
        let asked: Value = serde_json::from_str(self.asked()).unwrap_or_default();
        let named = asked["model"].as_str().map(str::to_owned);
        let named = named.or_else(|| self.model.clone());
        named.unwrap_or_else(|| "model".to_owned())
    }

    pub(crate) fn status(&self) -> u16 {
        self.response.status.unwrap_or_default()
    }

    pub(crate) const fn headers(&self) -> &BTreeMap<String, Value> {
        &self.response.headers
    }

    pub(crate) fn body(&self) -> String {
        String::from_utf8_lossy(&self.bytes().unwrap_or_default()).into_owned()
    }

    /// The answer's bytes; none where it isn't known how they are written down.
    pub(crate) fn bytes(&self) -> Option<Vec<u8>> {
        let body = &self.response.body;
        match self.response.encoding.as_deref() {
            None => Some(body.clone().into_bytes()),
            Some("base64") => STANDARD.decode(body).ok(),
            Some(_) => None,
        }
    }

    /// Whether a stream was asked for or, where it isn't known what was, came.
    pub(crate) fn is_streamed(&self) -> bool {
        let asked: Value = serde_json::from_str(self.asked()).unwrap_or_default();
        let path = self.request.url.split('?').next().unwrap_or_default();
        let tagged = self.asked().is_empty() && self.tags.iter().any(|tag| tag == "stream");
        let body = self.body();
        let first = body.lines().find(|line| !line.trim().is_empty());
        let of_events = ["data:", "event:", "id:", "retry:", ":", "\u{feff}"];
        asked["stream"] == true
            || path.to_ascii_lowercase().contains(":stream")
            || tagged
            || first.is_some_and(|line| of_events.iter().any(|start| line.starts_with(start)))
    }

    /// Whether the connection broke before the end of the body.
    pub(crate) fn is_cut(&self) -> bool {
        self.response.socket_error.is_some() || self.response.chunked_terminator == Some(false)
    }
}

fn folder() -> PathBuf {
    std::env::var_os("BACKSTOP_SHARED")
        .map_or_else(
            || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared"),
            PathBuf::from,
        )
        .join("recordings")
}

/// Every recording, in the order of their names; none where the folder is not there.
pub(crate) fn recordings() -> Vec<Recording> {
    let Ok(providers) = std::fs::read_dir(folder()) else {
        println!(
            "no recordings to replay: {} is not there",
            folder().display()
        );
        return Vec::new();
    };
    let mut found: Vec<Recording> = providers
        .filter_map(|entry| std::fs::read_dir(entry.ok()?.path()).ok())
        .flatten()
        .filter_map(|entry| Some(entry.ok()?.path()))
        .filter(|path| path.extension().is_some_and(|ext| ext == "json"))
        .map(|path| {
            let text = std::fs::read_to_string(&path).expect("a recording is readable");
            serde_json::from_str(&text).unwrap_or_else(|e| panic!("{}: {e}", path.display()))
        })
        .collect();
    found.sort_by(|a, b| (&a.provider, &a.id).cmp(&(&b.provider, &b.id)));
    found
}
