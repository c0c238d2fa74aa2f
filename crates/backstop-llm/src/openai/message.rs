//! Messages and their parts, as requests and answers have them alike.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{
    Audio, Citation, Dialect, Document, Error, Image, Json, Message, Part, Role, Source, Thinking,
    ToolCall, ToolResult,
    read::without_place,
    wire_text::{TextOr, lenient},
};

/// A message on the wire.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct WireMessage {
    #[serde(default)]
    pub(super) role: String,
    #[serde(default)]
    pub(super) content: Option<TextOr<Json>>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) name: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) refusal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tool_calls: Option<Vec<WireToolCall>>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) function_call: Option<WireFunctionCall>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) tool_call_id: Option<String>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Option::is_none"
    )]
    pub(super) reasoning_content: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    pub(super) reasoning: Option<String>,
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    pub(super) reasoning_details: Option<Vec<WireReasoning>>,
    #[serde(
        default,
        deserialize_with = "lenient",
        skip_serializing_if = "Vec::is_empty"
    )]
    pub(super) annotations: Vec<Json>,
}

/// A tool call on the wire.
#[derive(Deserialize, Serialize)]
pub(super) struct WireToolCall {
    #[serde(default, deserialize_with = "lenient")]
    id: String,
    #[serde(default, rename = "type", skip_deserializing)]
    kind: &'static str,
    #[serde(default)]
    function: Option<WireFunctionCall>,
}

/// Which function, and with what.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct WireFunctionCall {
    #[serde(default, deserialize_with = "lenient")]
    name: String,
    /// A string that holds JSON; with some servers the JSON itself.
    #[serde(default)]
    arguments: Option<Json>,
}

/// A piece of what was thought, as OpenRouter has it.
#[derive(Default, Deserialize)]
pub(super) struct WireReasoning {
    #[serde(default, deserialize_with = "lenient")]
    text: String,
    #[serde(default, deserialize_with = "lenient")]
    summary: String,
}

impl WireReasoning {
    pub(super) fn text(&self) -> &str {
        if self.text.is_empty() {
            &self.summary
        } else {
            &self.text
        }
    }
}

/// One part of a content that is a list.
#[derive(Default, Deserialize, Serialize)]
pub(super) struct WirePart {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    text: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    refusal: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    image_url: Option<WireImage>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file: Option<WireFile>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    input_audio: Option<WireAudio>,
    /// What Mistral thought: a list of text parts.
    #[serde(default, deserialize_with = "lenient", skip_serializing)]
    thinking: Option<TextOr<WireReasoning>>,
}

#[derive(Deserialize, Serialize)]
#[serde(from = "UrlOr")]
struct WireImage {
    url: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    detail: Option<String>,
}

/// Some callers write the URL itself where an object is due.
#[derive(Deserialize)]
#[serde(untagged)]
enum UrlOr {
    Url(String),
    Image { url: String, detail: Option<String> },
}

impl From<UrlOr> for WireImage {
    fn from(either: UrlOr) -> Self {
        match either {
            UrlOr::Url(url) => Self { url, detail: None },
            UrlOr::Image { url, detail } => Self { url, detail },
        }
    }
}

#[derive(Deserialize, Serialize)]
struct WireFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_data: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    filename: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    file_id: Option<String>,
}

#[derive(Deserialize, Serialize)]
struct WireAudio {
    data: String,
    format: String,
}

// ===== from the wire =====

/// Reads the text of a JSON string, or the JSON itself where it is none.
pub(super) fn text_or_json(raw: &RawValue) -> String {
    serde_json::from_str(raw.get()).unwrap_or_else(|_| match raw.get() {
        "null" => String::new(),
        json => json.to_owned(),
    })
}

impl WireFunctionCall {
    fn into_call(self, id: String) -> ToolCall {
        let arguments = self.arguments.map(|json| {
            json.read::<String>().unwrap_or_else(|_| {
                if json.is_null() {
                    String::new()
                } else {
                    json.to_string()
                }
            })
        });
        ToolCall::new(id, self.name, arguments.unwrap_or_default())
    }
}

/// Reads one part of a content.
pub(super) fn read_part(json: Json) -> Result<Part, Error> {
    let part: WirePart = json.read().map_err(|error| {
        Error::invalid(format!("messages: content: {}", without_place(&error)))
            .with_param("messages")
    })?;
    Ok(match part {
        WirePart {
            kind,
            text: Some(text),
            ..
        } if kind.ends_with("text") => Part::text(text),
        WirePart {
            refusal: Some(refusal),
            ..
        } => Part::Refusal(refusal),
        WirePart {
            image_url: Some(image),
            ..
        } => Part::Image(Image {
            source: Source::from_url(&image.url),
            detail: image.detail,
        }),
        WirePart {
            file:
                Some(WireFile {
                    file_data: Some(data),
                    filename,
                    file_id: None,
                }),
            ..
        } => Part::Document(Document {
            source: Source::from_url(&data),
            name: filename,
        }),
        WirePart {
            input_audio: Some(audio),
            ..
        } => Part::Audio(Audio {
            format: audio.format,
            data: audio.data,
        }),
        WirePart {
            thinking: Some(thought),
            ..
        } => Part::Thinking(Thinking {
            text: match thought {
                TextOr::Text(text) => text,
                TextOr::Parts(parts) => parts.iter().map(WireReasoning::text).collect(),
            },
            ..Thinking::default()
        }),
        _ => Part::Native {
            dialect: Dialect::OpenAi,
            json,
        },
    })
}

impl WireMessage {
    /// What the message holds, beside its role.
    pub(super) fn into_parts(self) -> Result<Vec<Part>, Error> {
        let mut parts = Vec::new();
        let thought = self.reasoning_content.or(self.reasoning).or_else(|| {
            let details = self.reasoning_details?;
            Some(details.iter().map(WireReasoning::text).collect())
        });
        if let Some(text) = thought.filter(|text| !text.is_empty()) {
            parts.push(Part::Thinking(Thinking {
                text,
                ..Thinking::default()
            }));
        }
        match self.content {
            Some(TextOr::Text(text)) if !text.is_empty() => parts.push(Part::text(text)),
            Some(TextOr::Parts(list)) => {
                for json in list {
                    parts.push(read_part(json)?);
                }
            }
            _ => {}
        }
        if let Some(refusal) = self.refusal.filter(|text| !text.is_empty()) {
            parts.push(Part::Refusal(refusal));
        }
        if let Some(Part::Text { citations, .. }) =
            parts.iter_mut().rev().find(|p| p.as_text().is_some())
        {
            citations.extend(self.annotations.iter().map(citation));
        }
        for call in self.tool_calls.unwrap_or_default() {
            let function = call.function.unwrap_or_default();
            parts.push(Part::ToolCall(function.into_call(call.id)));
        }
        if let Some(call) = self.function_call {
            parts.push(Part::ToolCall(call.into_call(String::new())));
        }
        Ok(parts)
    }

    /// The message in shared words.
    pub(super) fn into_message(self) -> Result<Message, Error> {
        let role = match self.role.as_str() {
            "assistant" => Role::Assistant,
            "developer" => Role::Developer,
            "system" => Role::System,
            "tool" | "function" => Role::Tool,
            "user" => Role::User,
            other => {
                let message = format!("messages: unknown role '{other}'");
                return Err(Error::invalid(message).with_param("messages"));
            }
        };
        let name = self.name.clone();
        let id = self.tool_call_id.clone();
        let mut content = self.into_parts()?;
        if role == Role::Tool {
            content = vec![Part::ToolResult(ToolResult {
                id: id.or_else(|| name.clone()).unwrap_or_default(),
                content,
                is_error: false,
            })];
        }
        Ok(Message {
            role,
            content,
            name,
        })
    }
}

/// Reads a `url_citation`; anything else is kept as it came.
pub(super) fn citation(json: &Json) -> Citation {
    #[derive(Default, Deserialize)]
    struct Annotation {
        #[serde(default)]
        url_citation: Url,
    }
    #[derive(Default, Deserialize)]
    struct Url {
        url: Option<String>,
        title: Option<String>,
    }
    let read: Annotation = json.read().unwrap_or_default();
    Citation {
        url: read.url_citation.url,
        title: read.url_citation.title,
        text: None,
        native: Some((Dialect::OpenAi, json.clone())),
    }
}

// ===== to the wire =====

/// Writes a citation as an annotation.
fn annotation(citation: &Citation) -> Option<Json> {
    match &citation.native {
        Some((Dialect::OpenAi, json)) => Some(json.clone()),
        _ => citation.url.as_ref().map(|url| {
            let title = citation.title.as_deref().unwrap_or_default();
            Json::of(&serde_json::json!({
                "type": "url_citation",
                "url_citation": { "url": url, "title": title, "start_index": 0, "end_index": 0 },
            }))
        }),
    }
}

/// Writes one part; none for what the dialect has no part for.
pub(super) fn write_part(part: &Part) -> Option<Json> {
    let mut wire = WirePart::default();
    wire.kind = match part {
        Part::Text { text, .. } => {
            wire.text = Some(text.clone());
            "text"
        }
        Part::Refusal(refusal) => {
            wire.refusal = Some(refusal.clone());
            "refusal"
        }
        Part::Image(image) => {
            wire.image_url = Some(WireImage {
                url: image.source.to_url(),
                detail: image.detail.clone(),
            });
            "image_url"
        }
        Part::Document(Document {
            source: Source::Text(text),
            ..
        }) => {
            wire.text = Some(text.clone());
            "text"
        }
        Part::Document(document) => {
            wire.file = Some(WireFile {
                file_data: Some(document.source.to_url()),
                filename: document.name.clone(),
                file_id: None,
            });
            "file"
        }
        Part::Audio(audio) => {
            wire.input_audio = Some(WireAudio {
                data: audio.data.clone(),
                format: audio.format.clone(),
            });
            "input_audio"
        }
        Part::Native {
            dialect: Dialect::OpenAi,
            json,
        } => return Some(json.clone()),
        _ => return None,
    }
    .to_owned();
    Some(Json::of(&wire))
}

/// Writes a content: a string where it is all text, else a list.
pub(super) fn write_content(parts: &[Part]) -> Option<TextOr<Json>> {
    let plain = |part: &&Part| !matches!(part, Part::Text { .. });
    let mut list = parts.iter().filter_map(write_part).peekable();
    list.peek()?;
    Some(match parts.iter().find(plain) {
        None if parts.len() == 1 => TextOr::Text(crate::text_of(parts)),
        _ => TextOr::Parts(list.collect()),
    })
}

/// Writes what an assistant's message holds.
pub(super) fn write_assistant(parts: &[Part]) -> WireMessage {
    let mut message = WireMessage {
        role: "assistant".to_owned(),
        ..WireMessage::default()
    };
    let mut said = Vec::new();
    let mut calls = Vec::new();
    for part in parts {
        match part {
            Part::ToolCall(call) => calls.push(WireToolCall {
                id: call.id.clone(),
                kind: "function",
                function: Some(WireFunctionCall {
                    name: call.name.clone(),
                    arguments: Some(Json::of(match call.arguments.as_str() {
                        "" => "{}",
                        arguments => arguments,
                    })),
                }),
            }),
            Part::Refusal(refusal) => {
                message.refusal.get_or_insert_default().push_str(refusal);
            }
            Part::Thinking(thinking) if !thinking.text.is_empty() => {
                message
                    .reasoning_content
                    .get_or_insert_default()
                    .push_str(&thinking.text);
            }
            Part::Text { citations, .. } => {
                message
                    .annotations
                    .extend(citations.iter().filter_map(annotation));
                said.push(part.clone());
            }
            _ => said.push(part.clone()),
        }
    }
    message.content = write_content(&said);
    message.tool_calls = (!calls.is_empty()).then_some(calls);
    message
}
