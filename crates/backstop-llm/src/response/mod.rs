//! What a model answers, whole or in pieces.

mod collect;
mod completion;
mod event;
mod replay;
mod stream;
mod usage;

use std::{fmt, sync::Arc};

use backstop_core::{Name, ServedBy, Stamp};
use http::{Extensions, HeaderMap};

pub(crate) use self::event::{push_text, push_thought};
pub use self::{
    collect::Collector,
    completion::{Choice, Completion},
    event::{Chunk, Event, Raw},
    stream::ChatStream,
    usage::{FinishReason, Usage},
};
use crate::{Error, transport::Headers};

/// An answer on its way through the layers, whole or in pieces.
#[derive(Debug)]
pub struct ChatResponse {
    body: ChatBody,
    model: Name,
    served_by: Option<ServedBy>,
    headers: Headers,
    extensions: Extensions,
}

/// The answer itself.
#[non_exhaustive]
pub enum ChatBody {
    /// In pieces.
    Stream(ChatStream),
    /// Whole, with the bytes it came in where a provider sent it.
    Whole(Arc<Completion>, Option<Raw>),
}

impl ChatResponse {
    /// A whole answer.
    #[must_use]
    pub fn whole(completion: Completion) -> Self {
        let model = Name::from(completion.model.as_str());
        Self::new(model, ChatBody::Whole(Arc::new(completion), None))
    }

    /// An answer in pieces, by this model.
    #[must_use]
    pub fn stream(model: impl Into<Name>, stream: ChatStream) -> Self {
        Self::new(model.into(), ChatBody::Stream(stream))
    }

    /// An answer by this model.
    #[must_use]
    pub fn new(model: Name, body: ChatBody) -> Self {
        Self {
            body,
            model,
            served_by: None,
            headers: Headers::default(),
            extensions: Extensions::new(),
        }
    }

    /// The model that answered, by its provider's own account.
    #[must_use]
    pub const fn model(&self) -> &Name {
        &self.model
    }

    /// The answer.
    #[must_use]
    pub const fn body(&self) -> &ChatBody {
        &self.body
    }

    /// The answer.
    #[must_use]
    pub fn into_body(self) -> ChatBody {
        self.body
    }

    /// The same response with another body.
    #[must_use]
    pub fn map_body(mut self, map: impl FnOnce(ChatBody) -> ChatBody) -> Self {
        self.body = map(self.body);
        self
    }

    /// The same response with its stream, if it is one, made into another.
    #[must_use]
    pub fn map_stream(self, map: impl FnOnce(ChatStream) -> ChatStream) -> Self {
        self.map_body(|body| match body {
            ChatBody::Stream(stream) => ChatBody::Stream(map(stream)),
            whole => whole,
        })
    }

    /// Whether it comes in pieces.
    #[must_use]
    pub const fn is_stream(&self) -> bool {
        matches!(self.body, ChatBody::Stream(_))
    }

    /// Who served it, once a served-by layer has said so.
    #[must_use]
    pub const fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_ref()
    }

    /// The provider's response headers: rate limits and request ids.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        self.headers.map()
    }

    /// The provider's response headers, to be changed.
    pub fn headers_mut(&mut self) -> &mut HeaderMap {
        self.headers.map_mut()
    }

    /// The same response, with the provider's headers.
    pub(crate) fn with_headers(mut self, headers: Headers) -> Self {
        self.headers = headers;
        self
    }

    /// What else travels with the response.
    #[must_use]
    pub const fn extensions(&self) -> &Extensions {
        &self.extensions
    }

    /// What else travels with the response, to be changed.
    pub const fn extensions_mut(&mut self) -> &mut Extensions {
        &mut self.extensions
    }

    /// The whole answer; one in pieces is waited for.
    ///
    /// # Errors
    ///
    /// The stream broke off.
    pub async fn completion(self) -> Result<Completion, Error> {
        match self.body {
            ChatBody::Whole(completion, _) => Ok(Arc::unwrap_or_clone(completion)),
            ChatBody::Stream(stream) => stream.collect().await,
        }
    }

    /// The text of the whole answer.
    ///
    /// # Errors
    ///
    /// The stream broke off.
    pub async fn text(self) -> Result<String, Error> {
        Ok(self.completion().await?.text())
    }
}

impl Stamp for ChatResponse {
    fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_ref()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.served_by.as_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.served_by = Some(stamp);
    }
}

impl fmt::Debug for ChatBody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stream(_) => f.write_str("Stream(..)"),
            Self::Whole(completion, _) => f.debug_tuple("Whole").field(completion).finish(),
        }
    }
}
