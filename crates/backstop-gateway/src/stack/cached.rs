//! A candidate that answers as it was answered before, when the same was asked.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use backstop_cache::Cache;
use backstop_core::{Name, ServedBy, Stamp};
use backstop_llm::{ChatBody, ChatRequest, ChatResponse, ChatStream, Completion, Error};
use sha2::{Digest, Sha256};
use tower::Service;

/// How many answers of one model are kept.
const ANSWERS: u64 = 1_000;

/// The last good answers of one model, by what was asked and by whom.
#[derive(Clone, Debug)]
pub(crate) struct Answers {
    max_age: Duration,
    cache: Cache<Question, Arc<Completion>>,
}

/// What was asked, and by whom: nobody is given what was said to another.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub(crate) struct Question([u8; 32]);

impl Question {
    pub(crate) fn of(request: &ChatRequest, caller: Option<&str>) -> Self {
        let mut chat = request.chat().clone();
        // Whole or in pieces, it is the same answer.
        chat.stream = false;
        chat.include_usage = false;
        let mut hash = Sha256::new();
        hash.update(caller.unwrap_or_default());
        hash.update([0]);
        hash.update(format!("{chat:?}"));
        Self(hash.finalize().into())
    }
}

impl Answers {
    pub(super) fn new(name: Name, max_age: Duration) -> Self {
        Self {
            max_age,
            cache: Cache::new(name, ANSWERS, max_age),
        }
    }

    pub(super) const fn max_age(&self) -> Duration {
        self.max_age
    }

    /// Keeps an answer, in place of an older one.
    pub(crate) fn keep(&self, question: Question, answer: Arc<Completion>) {
        self.cache.insert(question, answer);
    }
}

/// Answers from [`Answers`].
#[derive(Clone, Debug)]
pub(super) struct CachedReply {
    name: Name,
    answers: Answers,
}

impl CachedReply {
    pub(super) const fn new(name: Name, answers: Answers) -> Self {
        Self { name, answers }
    }

    fn answer(&self, request: &ChatRequest) -> Option<ChatResponse> {
        let question = request.extensions().get::<Question>()?;
        let (completion, age) = self.answers.cache.get(question)?;
        let model = Name::from(completion.model.as_str());
        let body = if request.is_streamed() {
            ChatBody::Stream(ChatStream::of(Arc::unwrap_or_clone(completion)))
        } else {
            ChatBody::Whole(completion, None)
        };
        let mut response = ChatResponse::new(model, body);
        let mut stamp = ServedBy::new(self.name.clone()).degraded();
        stamp.age = Some(age);
        stamp.trail = backstop_core::context::trail();
        response.stamp(stamp);
        Some(response)
    }
}

impl Service<ChatRequest> for CachedReply {
    type Response = ChatResponse;
    type Error = Error;
    type Future = Ready<Result<ChatResponse, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ChatRequest) -> Self::Future {
        ready(
            self.answer(&request)
                .ok_or_else(|| Error::refused("was not asked this before")),
        )
    }
}
