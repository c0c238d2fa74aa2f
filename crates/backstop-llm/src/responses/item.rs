//! Items: what a conversation is a list of, in requests and answers alike, read.

use std::fmt;

use serde::Deserialize;

use super::whole::REDACTED;
use crate::openai::WireExtra;
use crate::{
    Audio, Citation, Dialect, Document, Error, Image, Json, Message, Part, Role, Signature, Source,
    Thinking, ToolCall, ToolResult, lenient, wire_text::TextOr, wrong,
};

/// An item on the wire, the fields of all types that we know put together.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(super) struct WireItem {
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    pub(super) id: String,
    role: Option<String>,
    content: Option<TextOr<Json>>,
    #[serde(deserialize_with = "lenient::any")]
    call_id: String,
    #[serde(deserialize_with = "lenient::any")]
    name: String,
    #[serde(deserialize_with = "lenient::any")]
    arguments: String,
    output: Option<TextOr<Json>>,
    #[serde(deserialize_with = "lenient::any")]
    summary: Vec<Thought>,
    #[serde(deserialize_with = "lenient::any")]
    encrypted_content: Option<String>,
    /// What proves a call to its provider, as Google has it in OpenAI's other dialect.
    #[serde(deserialize_with = "lenient::any")]
    extra_content: Option<WireExtra>,
}

#[derive(Default, Deserialize)]
struct Thought {
    #[serde(default, deserialize_with = "lenient::any")]
    text: String,
}

/// One part of an item's content.
#[derive(Default, Deserialize)]
#[serde(default)]
struct WirePart {
    #[serde(rename = "type")]
    kind: String,
    text: Option<String>,
    refusal: Option<String>,
    #[serde(deserialize_with = "lenient::any")]
    annotations: Vec<Json>,
    image_url: Option<ImageUrl>,
    detail: Option<String>,
    file_data: Option<String>,
    file_url: Option<String>,
    filename: Option<String>,
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

impl WireItem {
    pub(super) fn read(json: &Json) -> Result<Self, serde_json::Error> {
        json.read().or_else(|error| {
            let known = [
                "message",
                "function_call",
                "function_call_output",
                "reasoning",
            ];
            match json.word("type") {
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

    /// The parts of an item that the model made; in a request it is at this place among them.
    pub(super) fn into_parts(self, at: usize, json: &Json) -> Result<Vec<Part>, Error> {
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
            Kind::Message => read_content(format_args!("input[{at}].content"), self.content)?,
            Kind::Native | Kind::Output => vec![Part::Native {
                dialect: Dialect::Responses,
                json: json.clone(),
            }],
        })
    }

    /// The item as a message of a conversation; it is at this place in the request.
    pub(super) fn into_message(self, at: usize, json: &Json) -> Result<Message, Error> {
        match self.kind() {
            Kind::Output => {
                let output = read_content(format_args!("input[{at}].output"), self.output)?;
                let result = ToolResult::heard(self.call_id, output);
                Ok(Message::new(Role::Tool, vec![Part::ToolResult(result)]))
            }
            Kind::Message => {
                let role = match self.role.as_deref() {
                    Some("assistant") => Role::Assistant,
                    Some("developer") => Role::Developer,
                    Some("system") => Role::System,
                    Some("user") | None => Role::User,
                    Some(other) => {
                        return Err(wrong::unknown_role(
                            Dialect::Responses,
                            format_args!("input[{at}]"),
                            other,
                        ));
                    }
                };
                let content = read_content(format_args!("input[{at}].content"), self.content)?;
                Ok(Message::new(role, content))
            }
            _ => Ok(Message::new(Role::Assistant, self.into_parts(at, json)?)),
        }
    }
}

fn read_content(
    place: fmt::Arguments<'_>,
    content: Option<TextOr<Json>>,
) -> Result<Vec<Part>, Error> {
    match content {
        None => Ok(Vec::new()),
        Some(TextOr::Text(text)) if text.is_empty() => Ok(Vec::new()),
        Some(TextOr::Text(text)) => Ok(vec![Part::text(text)]),
        Some(TextOr::Parts(list)) => {
            let list = list.into_iter().enumerate();
            let read = list.map(|(i, json)| read_part(format_args!("{place}[{i}]"), json));
            read.collect()
        }
    }
}

fn read_part(place: fmt::Arguments<'_>, json: Json) -> Result<Part, Error> {
    let part: WirePart = wrong::read(Dialect::Responses, place, json.get())?;
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
