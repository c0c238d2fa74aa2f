//! What is asked of a model.

mod message;
mod options;

use std::{ops::Range, sync::Arc};

use backstop_core::Name;
use bytes::Bytes;
use http::Extensions;

pub use self::{
    message::{
        Audio, Citation, Document, Image, Message, Part, Role, Signature, Source, Thinking,
        ToolCall, ToolResult, text_of,
    },
    options::{Function, Reasoning, ReasoningMode, ResponseFormat, Sampling, Tool, ToolChoice},
};
use crate::{Dialect, Error, Json, object::Object};

/// A request in words that all dialects share.
///
/// `default()` is an empty request; set what is needed. [`ChatRequest`] wraps one for its way
/// through the layers.
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Chat {
    /// The model asked for.
    pub model: String,
    /// The conversation, system prompts included.
    pub messages: Vec<Message>,
    /// What the model may call.
    pub tools: Vec<Tool>,
    /// Whether it must.
    pub tool_choice: Option<ToolChoice>,
    /// Whether it may call several at once.
    pub parallel_tool_calls: Option<bool>,
    /// The form of the answer.
    pub format: ResponseFormat,
    /// How tokens are chosen.
    pub sampling: Sampling,
    /// How many tokens the answer may have.
    pub max_tokens: Option<u64>,
    /// Texts at which the answer ends.
    pub stop: Vec<String>,
    /// How much to think.
    pub reasoning: Option<Reasoning>,
    /// Who is asking, for the provider's protection against abuse.
    pub user: Option<String>,
    /// Whether the answer comes in pieces.
    pub stream: bool,
    /// Whether the caller wants the usage told at the end of the pieces; only OpenAI's dialect
    /// asks.
    pub include_usage: bool,
    /// Whether the model goes on with the last message, which is the assistant's, instead of
    /// beginning a new one. A provider that begins with such a message anyway needs no telling.
    pub continue_final_message: bool,
    /// Top-level fields that this vocabulary does not know, as they came.
    pub extra: Vec<(String, Json)>,
    /// The dialect that the unknown fields are of.
    pub extra_dialect: Option<Dialect>,
}

impl Chat {
    /// The text of all system and developer messages, a blank line between them.
    #[must_use]
    pub fn system_text(&self) -> Option<String> {
        let texts: Vec<_> = self
            .messages
            .iter()
            .filter(|message| message.role.is_operator())
            .map(Message::to_text)
            .collect();
        (!texts.is_empty()).then(|| texts.join("\n\n"))
    }

    /// How much is to be said, which only OpenAI's two dialects have a word for.
    pub(crate) fn verbosity(&self, target: Dialect) -> Option<&Json> {
        let knows = |dialect| matches!(dialect, Dialect::OpenAi | Dialect::Responses);
        let said = self.extra.iter().find(|(name, _)| name == "verbosity");
        let shared = knows(target) && self.extra_dialect.is_some_and(knows);
        said.filter(|_| shared).map(|(_, json)| json)
    }

    /// The unknown fields, where they are of this dialect.
    #[must_use]
    pub fn extra_for(&self, dialect: Dialect) -> &[(String, Json)] {
        if self.extra_dialect == Some(dialect) {
            &self.extra
        } else {
            &[]
        }
    }
}

/// A request on its way through the layers: cheap to clone, whatever its size.
///
/// It holds the request in shared words and, where it came in by a front, the very bytes that the
/// caller sent. A provider of the caller's own dialect is sent those bytes, with only the fields
/// changed that have to be; any other is sent a translation.
///
/// ```
/// use backstop_llm::ChatRequest;
///
/// let request = ChatRequest::new("gpt-5.5")
///     .system("Answer in one sentence.")
///     .user("Why is the sky blue?")
///     .max_tokens(200);
/// assert_eq!(request.chat().messages.len(), 2);
/// ```
#[derive(Clone, Debug)]
pub struct ChatRequest {
    chat: Arc<Chat>,
    original: Option<Original>,
    resume: Option<Arc<Resume>>,
    avoid: Option<Arc<[Name]>>,
    continuation_refused: bool,
    extensions: Extensions,
}

/// What the caller sent, byte for byte.
#[derive(Clone, Debug)]
pub struct Original {
    /// The dialect it is in.
    pub dialect: Dialect,
    /// The body.
    pub body: Bytes,
    /// Where in the body the model's name is, where that is known: mostly it is all that changes.
    pub(crate) model: Option<Range<usize>>,
}

impl Original {
    /// The body, to be changed in a few fields.
    pub(crate) fn object(&self) -> Result<Object<'_>, Error> {
        Object::parse(&self.body)
            .map_err(|error| Error::invalid(format!("the body is not JSON: {error}")))
    }
}

/// An answer that broke off and is to be continued.
#[derive(Clone, Debug, PartialEq)]
pub struct Resume {
    /// What has been said already.
    pub partial: String,
    /// How many tokens the rest may have, where there is a limit.
    pub max_tokens: Option<u64>,
}

impl ChatRequest {
    /// A request to this model, with nothing said yet.
    #[must_use]
    pub fn new(model: impl Into<String>) -> Self {
        Self::from(Chat {
            model: model.into(),
            ..Chat::default()
        })
    }

    /// A request that came in by a front: `chat` is what `body` says.
    ///
    /// The body is not kept where it holds what a provider of another dialect has signed: it is
    /// then written anew for every provider.
    #[must_use]
    pub fn parsed(mut chat: Chat, dialect: Dialect, body: Bytes) -> Self {
        // They were read into the room of what is larger, and are held for as long as the answer
        // takes.
        chat.messages.shrink_to_fit();
        let foreign = |message: &Message| message.has_foreign_signature(dialect);
        let keep = !chat.messages.iter().any(foreign);
        let mut request = Self::from(chat);
        request.original = keep.then_some(Original {
            dialect,
            body,
            model: None,
        });
        request
    }

    /// The same, whose body has the model's name here.
    pub(crate) fn naming_model_at(mut self, place: Option<Range<usize>>) -> Self {
        if let Some(original) = &mut self.original {
            original.model = place;
        }
        self
    }

    /// Adds a system prompt.
    #[must_use]
    pub fn system(self, text: impl Into<String>) -> Self {
        self.message(Message::text(Role::System, text))
    }

    /// Adds what a person says.
    #[must_use]
    pub fn user(self, text: impl Into<String>) -> Self {
        self.message(Message::text(Role::User, text))
    }

    /// Adds what the model has said.
    #[must_use]
    pub fn assistant(self, text: impl Into<String>) -> Self {
        self.message(Message::text(Role::Assistant, text))
    }

    /// Adds a message.
    #[must_use]
    pub fn message(mut self, message: Message) -> Self {
        self.chat_mut().messages.push(message);
        self
    }

    /// Adds a tool.
    #[must_use]
    pub fn tool(mut self, function: Function) -> Self {
        self.chat_mut().tools.push(Tool::Function(function));
        self
    }

    /// Limits the answer to this many tokens.
    #[must_use]
    pub fn max_tokens(mut self, tokens: u64) -> Self {
        self.chat_mut().max_tokens = Some(tokens);
        self
    }

    /// Asks for the answer in pieces.
    #[must_use]
    pub fn streamed(mut self) -> Self {
        self.chat_mut().stream = true;
        self
    }

    /// The request in shared words.
    #[must_use]
    pub fn chat(&self) -> &Chat {
        &self.chat
    }

    /// The request, to be changed. What the caller sent is no longer what is asked, so every
    /// provider is sent a translation from here on.
    pub fn chat_mut(&mut self) -> &mut Chat {
        self.original = None;
        Arc::make_mut(&mut self.chat)
    }

    /// Takes unknown top-level fields off the request, by their names. All else of what the caller
    /// sent stays as it came.
    pub fn drop_fields(&mut self, dropped: impl Fn(&str) -> bool) {
        let extra = &mut Arc::make_mut(&mut self.chat).extra;
        let (off, left) = std::mem::take(extra)
            .into_iter()
            .partition::<Vec<_>, _>(|(name, _)| dropped(name));
        *extra = left;
        self.original = self.original.take().and_then(|original| {
            let mut object = Object::parse(&original.body).ok()?;
            off.iter().for_each(|(name, _)| object.remove(name));
            let body = object.to_vec().into();
            Some(Original {
                dialect: original.dialect,
                body,
                model: None,
            })
        });
    }

    /// The model asked for.
    #[must_use]
    pub fn model(&self) -> &str {
        &self.chat.model
    }

    /// Whether the answer comes in pieces.
    #[must_use]
    pub fn is_streamed(&self) -> bool {
        self.chat.stream
    }

    /// What the caller sent, where it came in by a front and has not been changed.
    #[must_use]
    pub const fn original(&self) -> Option<&Original> {
        self.original.as_ref()
    }

    /// The request, to be answered from where an answer broke off.
    #[must_use]
    pub fn resuming(mut self, resume: Resume) -> Self {
        self.resume = Some(Arc::new(resume));
        self
    }

    /// What has been said already, where this is to be continued.
    #[must_use]
    pub fn resume(&self) -> Option<&Resume> {
        self.resume.as_deref()
    }

    /// The request, whose answer is not to be continued by another candidate if it breaks off.
    #[must_use]
    pub const fn refusing_continuation(mut self) -> Self {
        self.continuation_refused = true;
        self
    }

    /// Whether the answer must not be continued by another candidate.
    #[must_use]
    pub const fn is_continuation_refused(&self) -> bool {
        self.continuation_refused
    }

    /// The request, not to be answered by the candidate of this name: it refuses without a call.
    #[must_use]
    pub fn avoiding(mut self, name: Name) -> Self {
        let names = self.avoid.iter().flat_map(|names| names.iter().cloned());
        self.avoid = Some(names.chain([name]).collect());
        self
    }

    /// Whether the candidate of this name must not answer.
    #[must_use]
    pub fn avoids(&self, name: &str) -> bool {
        self.avoid
            .as_ref()
            .is_some_and(|names| names.iter().any(|avoided| **avoided == *name))
    }

    /// What else travels with the request. A clone of the request clones it.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What else travels with the request, to be changed.
    pub const fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }
}

impl From<Chat> for ChatRequest {
    fn from(chat: Chat) -> Self {
        Self {
            chat: Arc::new(chat),
            original: None,
            resume: None,
            avoid: None,
            continuation_refused: false,
            extensions: Extensions::new(),
        }
    }
}
