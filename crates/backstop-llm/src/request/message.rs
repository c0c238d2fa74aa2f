//! A conversation: messages and what they are made of.

use std::borrow::Cow;

use crate::{Dialect, Json};

/// Who speaks.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Role {
    /// The model.
    Assistant,
    /// The operator, as newer models of OpenAI have it; elsewhere the same as [`Role::System`].
    Developer,
    /// The operator.
    System,
    /// The result of a tool.
    Tool,
    /// The person.
    User,
}

impl Role {
    pub(crate) const fn is_operator(self) -> bool {
        matches!(self, Self::Developer | Self::System)
    }
}

/// One message of a conversation.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Who speaks.
    pub role: Role,
    /// What is said.
    pub content: Vec<Part>,
    /// The speaker's name, where there are several of one role.
    pub name: Option<String>,
}

impl Message {
    /// A message of these parts.
    #[must_use]
    pub const fn new(role: Role, content: Vec<Part>) -> Self {
        Self {
            role,
            content,
            name: None,
        }
    }

    /// A message of plain text.
    #[must_use]
    pub fn text(role: Role, text: impl Into<String>) -> Self {
        Self::new(role, vec![Part::text(text)])
    }

    /// Whether it holds what a provider of another dialect than this has signed, which a provider
    /// of this one must not be sent.
    #[must_use]
    pub fn has_foreign_signature(&self, dialect: Dialect) -> bool {
        self.content.iter().any(|part| {
            let signatures = match part {
                Part::Thinking(thinking) => [&thinking.signature, &thinking.redacted],
                Part::ToolCall(call) => [&call.signature, &None],
                _ => return false,
            };
            signatures
                .into_iter()
                .flatten()
                .any(|signature| signature.dialect != dialect)
        })
    }

    /// The text of all its text parts.
    #[must_use]
    pub fn to_text(&self) -> String {
        text_of(&self.content)
    }
}

/// The text of all text parts, joined without anything between them.
#[must_use]
pub fn text_of(parts: &[Part]) -> String {
    parts.iter().filter_map(Part::as_text).collect()
}

/// One part of a message, in a request as in an answer.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Part {
    /// Sound.
    Audio(Audio),
    /// A file to be read: a PDF, say.
    Document(Document),
    /// A picture.
    Image(Image),
    /// A part that only one dialect knows, kept as it came: a web search that the provider runs
    /// itself, a file stored there.
    Native {
        /// The dialect that knows it.
        dialect: Dialect,
        /// The part.
        json: Json,
    },
    /// What the model said instead of an answer.
    Refusal(String),
    /// Text.
    Text {
        /// The text.
        text: String,
        /// What it is based on.
        citations: Vec<Citation>,
    },
    /// What the model thought before it answered.
    Thinking(Thinking),
    /// The model asks for a tool.
    ToolCall(ToolCall),
    /// What the tool gave.
    ToolResult(ToolResult),
}

impl Part {
    /// Plain text.
    #[must_use]
    pub fn text(text: impl Into<String>) -> Self {
        Self::Text {
            text: text.into(),
            citations: Vec::new(),
        }
    }

    /// The text, where it is text.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        match self {
            Self::Text { text, .. } => Some(text),
            _ => None,
        }
    }
}

/// Where the bytes of an image, a document or a sound are.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Source {
    /// Here, in base64.
    Base64 {
        /// `image/png`.
        media_type: String,
        /// The base64 text.
        data: String,
    },
    /// Here, as plain text.
    Text(String),
    /// At this address.
    Url(String),
}

impl Source {
    /// Reads a URL, taking the bytes out of a `data:` URL.
    #[must_use]
    pub fn from_url(url: &str) -> Self {
        let inline = url
            .strip_prefix("data:")
            .and_then(|rest| rest.split_once(','))
            .and_then(|(head, data)| Some((head.strip_suffix(";base64")?, data)));
        match inline {
            Some((media_type, data)) => Self::Base64 {
                media_type: media_type.to_owned(),
                data: data.to_owned(),
            },
            None => Self::Url(url.to_owned()),
        }
    }

    /// The source as one URL, a `data:` URL where the bytes are here.
    #[must_use]
    pub fn to_url(&self) -> String {
        match self {
            Self::Base64 { media_type, data } => format!("data:{media_type};base64,{data}"),
            Self::Text(text) => text.clone(),
            Self::Url(url) => url.clone(),
        }
    }
}

/// A picture.
#[derive(Clone, Debug, PartialEq)]
pub struct Image {
    /// Where it is.
    pub source: Source,
    /// How closely to look, in OpenAI's words: `low`, `high`, `auto`.
    pub detail: Option<String>,
}

/// A file to be read.
#[derive(Clone, Debug, PartialEq)]
pub struct Document {
    /// Where it is.
    pub source: Source,
    /// Its name.
    pub name: Option<String>,
}

/// Sound.
#[derive(Clone, Debug, PartialEq)]
pub struct Audio {
    /// `wav` or `mp3`.
    pub format: String,
    /// The base64 text.
    pub data: String,
}

/// What the model thought.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Thinking {
    /// The thought, or a summary of it; empty where the provider keeps it to itself.
    pub text: String,
    /// What proves to the provider that the thought is its own; a next turn must bring it along.
    pub signature: Option<Signature>,
    /// The whole thought, encrypted, instead of its text.
    pub redacted: Option<Signature>,
}

/// An opaque token of one provider, of no use to any other.
///
/// Through the front of another dialect it travels with its origin written before it, so that it
/// is found again when the conversation comes back, and is never sent to a provider that would
/// reject it.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Signature {
    /// Whose it is.
    pub dialect: Dialect,
    /// The token.
    pub value: String,
}

impl Signature {
    const MARK: &'static str = "backstop.";

    /// A token of this dialect's provider.
    #[must_use]
    pub fn new(dialect: Dialect, value: impl Into<String>) -> Self {
        Self {
            dialect,
            value: value.into(),
        }
    }

    /// The token as it is written in a message of dialect `front`.
    #[must_use]
    pub fn to_wire(&self, front: Dialect) -> String {
        if self.dialect == front {
            self.value.clone()
        } else {
            format!("{}{}.{}", Self::MARK, self.dialect, self.value)
        }
    }

    /// Reads a token found in a message of dialect `front`.
    #[must_use]
    pub fn from_wire(front: Dialect, wire: &str) -> Self {
        wire.strip_prefix(Self::MARK)
            .and_then(|rest| rest.split_once('.'))
            .and_then(|(name, value)| Some(Self::new(name.parse().ok()?, value)))
            .unwrap_or_else(|| Self::new(front, wire))
    }

    /// The token, where a provider of this dialect will know it.
    #[must_use]
    pub fn for_dialect(&self, dialect: Dialect) -> Option<&str> {
        (self.dialect == dialect).then_some(&self.value)
    }
}

/// The model asks for a tool.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolCall {
    /// What the result will name.
    pub id: String,
    /// Which tool.
    pub name: String,
    /// Its arguments, a JSON text as the model wrote it; it may be no valid JSON.
    pub arguments: String,
    /// What the provider wants to see again with the call.
    pub signature: Option<Signature>,
}

impl ToolCall {
    /// A call of the tool `name`.
    #[must_use]
    pub fn new(
        id: impl Into<String>,
        name: impl Into<String>,
        arguments: impl Into<String>,
    ) -> Self {
        Self {
            id: id.into(),
            name: name.into(),
            arguments: arguments.into(),
            signature: None,
        }
    }

    /// The arguments as a JSON object, for dialects that want one: `{}` where there are none, and
    /// under the key `arguments` where the model wrote something that is no object.
    #[must_use]
    pub fn object(&self) -> Json {
        let text = self.arguments.trim();
        if text.is_empty() || text == "null" {
            return Json::of(&serde_json::Map::new());
        }
        match Json::parse(text) {
            Ok(json) if text.starts_with('{') => json,
            Ok(json) => Json::of(&std::collections::BTreeMap::from([("arguments", json)])),
            Err(_) => Json::of(&std::collections::BTreeMap::from([("arguments", text)])),
        }
    }
}

/// What a tool gave.
#[derive(Clone, Debug, PartialEq)]
pub struct ToolResult {
    /// Which call it answers.
    pub id: String,
    /// What it gave: text, and with some dialects images.
    pub content: Vec<Part>,
    /// Whether it failed.
    pub is_error: bool,
}

impl ToolResult {
    /// How a text says that the tool failed, in a dialect that has no word for it.
    const FAILED: &'static str = "Error: ";

    /// What it gave, for a dialect that has no word for failure: the text says so instead.
    pub(crate) fn told(&self) -> Cow<'_, [Part]> {
        if !self.is_error {
            return Cow::Borrowed(&self.content);
        }
        let mut content = self.content.clone();
        match content.first_mut() {
            Some(Part::Text { text, .. }) => text.insert_str(0, Self::FAILED),
            _ => content.insert(0, Part::text(Self::FAILED.trim_end())),
        }
        Cow::Owned(content)
    }

    /// Reads what [`told`](Self::told) wrote, and what tools write themselves when they fail.
    pub(crate) fn heard(id: String, mut content: Vec<Part>) -> Self {
        let is_error = match content.first_mut() {
            Some(Part::Text { text, .. }) if text == Self::FAILED.trim_end() => {
                content.remove(0);
                true
            }
            Some(Part::Text { text, .. }) if text.starts_with(Self::FAILED) => {
                text.drain(..Self::FAILED.len());
                true
            }
            _ => false,
        };
        Self {
            id,
            content,
            is_error,
        }
    }
}

/// What a text is based on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Citation {
    /// Where it stands.
    pub url: Option<String>,
    /// What that is called.
    pub title: Option<String>,
    /// The words cited.
    pub text: Option<String>,
    /// The citation as it came, and the dialect that it came in.
    pub native: Option<(Dialect, Json)>,
}
