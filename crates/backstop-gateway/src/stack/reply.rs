//! A candidate that always answers, with the same text.

use std::{
    future::{Ready, ready},
    sync::Arc,
    task::{Context, Poll},
};

use backstop_llm::{
    ChatBody, ChatRequest, ChatResponse, ChatStream, Choice, Completion, Error, FinishReason, Part,
    Usage,
};
use tower::Service;

/// The model that a fixed answer claims to be.
const MODEL: &str = "static";

/// Answers everything with one text.
#[derive(Clone, Debug)]
pub(super) struct FixedReply {
    completion: Arc<Completion>,
}

impl FixedReply {
    pub(super) fn new(text: &str) -> Self {
        let mut choice = Choice::new(0, FinishReason::Stop);
        choice.content.push(Part::text(text));
        let mut completion = Completion::default();
        completion.id = "static".to_owned();
        completion.model = MODEL.to_owned();
        completion.choices.push(choice);
        completion.usage = Some(Usage::new(0, 0));
        Self {
            completion: Arc::new(completion),
        }
    }
}

impl Service<ChatRequest> for FixedReply {
    type Response = ChatResponse;
    type Error = Error;
    type Future = Ready<Result<ChatResponse, Error>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: ChatRequest) -> Self::Future {
        let body = if request.is_streamed() {
            ChatBody::Stream(ChatStream::of((*self.completion).clone()))
        } else {
            ChatBody::Whole(self.completion.clone(), None)
        };
        ready(Ok(ChatResponse::new(MODEL.into(), body)))
    }
}
