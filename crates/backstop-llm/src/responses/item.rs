//! Items: what a conversation is a list of, in requests and answers alike.

use serde::{Deserialize, Serialize};
use serde_json::json;

use super::whole::REDACTED;
use crate::openai::WireExtra;
use crate::{
    Audio, Citation, Dialect, Document, Error, Image, Json, Message, Part, Role, Signature, Source,
    Thinking, ToolCall, ToolResult,
    wire_text::{TextOr, lenient},
    wrong,
};

/// An item on the wire, the fields of all types that we know put together.
#[derive(Default, Deserialize)]
pub(super) struct WireItem {
    #[serde(rename = "type", default)]
    kind: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    pub(super) id: String,
    #[serde(default)]
    role: Option<String>,
    #[serde(default)]
    content: Option<TextOr<Json>>,
    #[serde(default, deserialize_with = "lenient")]
    call_id: String,
    #[serde(default, deserialize_with = "lenient")]
    name: String,
    #[serde(default, deserialize_with = "lenient")]
    arguments: String,
    #[serde(default)]
    output: Option<TextOr<Json>>,
    #[serde(default, deserialize_with = "lenient")]
    summary: Vec<Thought>,
    #[serde(default, deserialize_with = "lenient")]
    encrypted_content: Option<String>,
    /// What proves a call to its provider, as Google has it in OpenAI's other dialect.
    #[serde(default, deserialize_with = "lenient")]
    extra_content: Option<WireExtra>,
}

#[derive(Default, Deserialize)]
struct Thought {
    #[serde(default, deserialize_with = "lenient")]
    text: String,
}

/// One part of an item's content.
#[derive(Default, Deserialize)]
struct WirePart {
    #[serde(rename = "type", default)]
    kind: String,
    #[serde(default)]
    text: Option<String>,
    #[serde(default)]
    refusal: Option<String>,
    #[serde(default, deserialize_with = "lenient")]
    annotations: Vec<Json>,
    #[serde(default)]
    image_url: Option<ImageUrl>,
    #[serde(default)]
    detail: Option<String>,
    #[serde(default)]
    file_data: Option<String>,
    #[serde(default)]
    file_url: Option<String>,
    #[serde(default)]
    filename: Option<String>,
    #[serde(default)]
    input_audio: Option<WireAudio>,
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`image_url` should be a URL, or an object with a `url`"
)]
enum ImageUrl {
    Url(String),
    Object { url: String },
}

#[derive(Deserialize)]
struct WireAudio {
    data: String,
    format: String,
}

/// What kind of item it is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Call,
    Message,
    Native,
    Output,
    Reasoning,
}

// ===== from the wire =====

impl WireItem {
    pub(super) fn read(json: &Json) -> Result<Self, serde_json::Error> {
        json.read().or_else(|error| {
            let known = [
                "message",
                "function_call",
                "function_call_output",
                "reasoning",
            ];
            match json.kind() {
                // Items of other types may hold anything, under these names too.
                kind if !kind.is_empty() && !known.contains(&&*kind) => Ok(Self {
                    kind: Some(kind),
                    ..Self::default()
                }),
                _ => Err(error),
            }
        })
    }

    pub(super) fn kind(&self) -> Kind {
        match self.kind.as_deref() {
            None if self.role.is_some() => Kind::Message,
            Some("message") => Kind::Message,
            Some("function_call") => Kind::Call,
            Some("function_call_output") => Kind::Output,
            Some("reasoning") => Kind::Reasoning,
            _ => Kind::Native,
        }
    }

    /// The tool call that it is, without its arguments.
    pub(super) fn call(&self) -> (String, String) {
        let id = if self.call_id.is_empty() {
            &self.id
        } else {
            &self.call_id
        };
        (id.clone(), self.name.clone())
    }

    pub(super) fn arguments(&self) -> &str {
        &self.arguments
    }

    /// What was thought: the summaries, or with open models the thoughts themselves.
    pub(super) fn thought(&self) -> String {
        if self.summary.is_empty() {
            let text = |json: &Json| json.read::<Thought>().unwrap_or_default().text;
            return match &self.content {
                Some(TextOr::Parts(parts)) => parts.iter().map(text).collect(),
                Some(TextOr::Text(text)) => text.clone(),
                None => String::new(),
            };
        }
        let texts: Vec<_> = self.summary.iter().map(|part| part.text.as_str()).collect();
        texts.join("\n\n")
    }

    /// What proves a call to its provider.
    pub(super) fn proof(&self) -> Option<Signature> {
        self.extra_content.as_ref().map(WireExtra::read)
    }

    /// What proves the thought, or the whole thought where only its provider can read it.
    pub(super) fn sealed(&self) -> (Option<Signature>, Option<Signature>) {
        let read = |sealed: &str| Some(Signature::from_wire(Dialect::Responses, sealed));
        match self.encrypted_content.as_deref() {
            None | Some("") => (None, None),
            Some(sealed) => match sealed.strip_prefix(REDACTED) {
                Some(redacted) => (None, read(redacted)),
                None => (read(sealed), None),
            },
        }
    }

    /// The parts of an item that the model made.
    pub(super) fn into_parts(self, json: &Json) -> Result<Vec<Part>, Error> {
        Ok(match self.kind() {
            Kind::Call => {
                let ((id, name), proof) = (self.call(), self.proof());
                let mut call = ToolCall::new(id, name, self.arguments);
                call.signature = proof;
                vec![Part::ToolCall(call)]
            }
            Kind::Reasoning => {
                let (signature, redacted) = self.sealed();
                let thinking = Thinking {
                    text: self.thought(),
                    signature,
                    redacted,
                };
                if thinking == Thinking::default() {
                    Vec::new()
                } else {
                    vec![Part::Thinking(thinking)]
                }
            }
            Kind::Message => read_content(self.content)?,
            Kind::Native | Kind::Output => vec![Part::Native {
                dialect: Dialect::Responses,
                json: json.clone(),
            }],
        })
    }

    /// The item as a message of a conversation.
    pub(super) fn into_message(self, json: &Json) -> Result<Message, Error> {
        match self.kind() {
            Kind::Output => {
                let result = ToolResult::heard(self.call_id, read_content(self.output)?);
                Ok(Message::new(Role::Tool, vec![Part::ToolResult(result)]))
            }
            Kind::Message => {
                let role = match self.role.as_deref() {
                    Some("assistant") => Role::Assistant,
                    Some("developer") => Role::Developer,
                    Some("system") => Role::System,
                    Some("user") | None => Role::User,
                    Some(other) => {
                        let message = format!("input: unknown role '{other}'");
                        return Err(Error::invalid(message).with_param("input"));
                    }
                };
                Ok(Message::new(role, read_content(self.content)?))
            }
            _ => Ok(Message::new(Role::Assistant, self.into_parts(json)?)),
        }
    }
}

fn read_content(content: Option<TextOr<Json>>) -> Result<Vec<Part>, Error> {
    match content {
        None => Ok(Vec::new()),
        Some(TextOr::Text(text)) if text.is_empty() => Ok(Vec::new()),
        Some(TextOr::Text(text)) => Ok(vec![Part::text(text)]),
        Some(TextOr::Parts(list)) => list.into_iter().map(read_part).collect(),
    }
}

fn read_part(json: Json) -> Result<Part, Error> {
    let part: WirePart = wrong::read(Dialect::Responses, "input.content", json.get())?;
    Ok(match part {
        WirePart {
            text: Some(text),
            kind,
            annotations,
            ..
        } if kind.ends_with("text") => Part::Text {
            text,
            citations: annotations.iter().map(citation).collect(),
        },
        WirePart {
            refusal: Some(refusal),
            ..
        } => Part::Refusal(refusal),
        WirePart {
            image_url: Some(ImageUrl::Url(url) | ImageUrl::Object { url }),
            detail,
            ..
        } => Part::Image(Image {
            source: Source::from_url(&url),
            detail,
        }),
        WirePart {
            file_data: Some(data),
            filename,
            ..
        } => Part::Document(Document {
            source: Source::from_url(&data),
            name: filename,
        }),
        WirePart {
            file_url: Some(url),
            filename,
            ..
        } => Part::Document(Document {
            source: Source::Url(url),
            name: filename,
        }),
        WirePart {
            input_audio: Some(audio),
            ..
        } => Part::Audio(Audio {
            format: audio.format,
            data: audio.data,
        }),
        _ => Part::Native {
            dialect: Dialect::Responses,
            json,
        },
    })
}

/// Reads a `url_citation`; anything else is kept as it came.
pub(super) fn citation(json: &Json) -> Citation {
    #[derive(Default, Deserialize)]
    struct Annotation {
        url: Option<String>,
        title: Option<String>,
    }
    let read: Annotation = json.read().unwrap_or_default();
    Citation {
        url: read.url,
        title: read.title,
        text: None,
        native: Some((Dialect::Responses, json.clone())),
    }
}

// ===== to the wire =====

/// Writes a citation as an annotation.
pub(super) fn annotation(citation: &Citation) -> Option<Json> {
    match &citation.native {
        Some((Dialect::Responses, json)) => Some(json.clone()),
        _ => citation.url.as_ref().map(|url| {
            Json::of(&json!({
                "type": "url_citation", "url": url,
                "title": citation.title.as_deref().unwrap_or_default(),
                "start_index": 0, "end_index": 0,
            }))
        }),
    }
}

/// Writes a message as items: what the model said, thought and called for are items each.
pub(super) fn write_items(message: &Message) -> Vec<Json> {
    let mut items = Vec::new();
    let mut content = Vec::new();
    let flush = |content: &mut Vec<Json>, items: &mut Vec<Json>| {
        if !content.is_empty() {
            let role = match message.role {
                Role::Assistant => "assistant",
                Role::Developer => "developer",
                Role::System => "system",
                Role::Tool | Role::User => "user",
            };
            let said = std::mem::take(content);
            items.push(Json::of(&OutMessage {
                r#type: "message",
                role,
                content: said,
            }));
        }
    };
    for part in &message.content {
        let item = match part {
            Part::ToolCall(call) => Some(json!({
                "type": "function_call", "call_id": call.id, "name": call.name,
                "arguments": if call.arguments.is_empty() { "{}" } else { &call.arguments },
            })),
            Part::ToolResult(result) => Some(write_output(result)),
            Part::Thinking(thinking) => {
                // Thoughts of another provider's are of no use here, nor are they accepted.
                let own = |s: &Signature| s.for_dialect(Dialect::Responses).map(str::to_owned);
                match thinking.signature.as_ref().and_then(own) {
                    Some(sealed) => Some(json!({
                        "type": "reasoning", "summary": summary(&thinking.text),
                        "encrypted_content": sealed,
                    })),
                    None => continue,
                }
            }
            _ => None,
        };
        match item {
            Some(item) => {
                flush(&mut content, &mut items);
                items.push(Json::of(&item));
            }
            None => content.extend(write_part(part, message.role == Role::Assistant)),
        }
    }
    flush(&mut content, &mut items);
    items
}

#[derive(Serialize)]
struct OutMessage {
    r#type: &'static str,
    role: &'static str,
    content: Vec<Json>,
}

fn write_output(result: &ToolResult) -> serde_json::Value {
    let told = result.told();
    let plain = told.iter().all(|part| part.as_text().is_some());
    let output = if plain {
        crate::text_of(&told).into()
    } else {
        let parts = told.iter().filter_map(|part| write_part(part, false));
        let parts = parts
            .filter_map(|json| serde_json::from_str(json.get()).ok())
            .collect();
        serde_json::Value::Array(parts)
    };
    json!({ "type": "function_call_output", "call_id": result.id, "output": output })
}

/// A thought as the summaries that it is made of.
pub(super) fn summary(text: &str) -> Vec<serde_json::Value> {
    let part = |text: &str| json!({ "type": "summary_text", "text": text });
    if text.is_empty() {
        Vec::new()
    } else {
        vec![part(text)]
    }
}

fn write_part(part: &Part, said_by_model: bool) -> Option<Json> {
    let text = if said_by_model {
        "output_text"
    } else {
        "input_text"
    };
    let value = match part {
        Part::Text { text: words, .. } => json!({ "type": text, "text": words }),
        Part::Refusal(words) if said_by_model => json!({ "type": "refusal", "refusal": words }),
        Part::Refusal(words) => json!({ "type": text, "text": words }),
        Part::Image(image) => json!({
            "type": "input_image", "image_url": image.source.to_url(),
            "detail": image.detail.as_deref().unwrap_or("auto"),
        }),
        Part::Document(Document {
            source: Source::Text(words),
            ..
        }) => {
            json!({ "type": text, "text": words })
        }
        Part::Document(Document {
            source: Source::Url(url),
            ..
        }) => {
            json!({ "type": "input_file", "file_url": url })
        }
        Part::Document(document) => json!({
            "type": "input_file", "file_data": document.source.to_url(),
            "filename": document.name.as_deref().unwrap_or("document"),
        }),
        Part::Audio(audio) => json!({
            "type": "input_audio",
            "input_audio": { "data": audio.data, "format": audio.format },
        }),
        Part::Native {
            dialect: Dialect::Responses,
            json,
        } => return Some(json.clone()),
        _ => return None,
    };
    Some(Json::of(&value))
}
