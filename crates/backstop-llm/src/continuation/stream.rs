//! The stream.

use std::{
    collections::VecDeque,
    future::{Future, poll_fn},
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{Attempt, Name, ServedBy, Stamp, Trail, context};
use futures_core::Stream;
use tokio::time::Instant;
use tower_service::Service;

use super::{ContinueLayer, progress::Progress, seam::Seam};
use crate::{
    ChatBody, ChatRequest, ChatResponse, ChatStream, Chunk, Error, Event, response::push_text,
};

/// A stream that is gone on with when it breaks off.
pub(super) struct Continued<S> {
    state: State,
    request: ChatRequest,
    service: S,
    progress: Progress,
    /// Where the present part meets the one before; none in the first part.
    seam: Option<Seam>,
    served: Option<ServedBy>,
    /// Chunks made here, to be passed on before anything else.
    ready: VecDeque<Chunk>,
    began: Instant,
    times: u32,
}

enum State {
    /// A candidate answers.
    Answering(ChatStream),
    /// Another one is asked, because of this error.
    Asking(Asking, Error),
    Over,
}

type Asking = Pin<Box<dyn Future<Output = (Result<ChatResponse, Error>, Trail)> + Send>>;

impl<S> Continued<S> {
    pub(super) fn new(
        stream: ChatStream,
        request: ChatRequest,
        service: S,
        served: Option<ServedBy>,
        config: ContinueLayer,
    ) -> Self {
        Self {
            state: State::Answering(stream),
            request,
            service,
            progress: Progress::new(config.max_partial),
            seam: None,
            served,
            ready: VecDeque::new(),
            began: Instant::now(),
            times: config.times,
        }
    }

    /// Takes note of a chunk, and makes it part of one answer with those before it.
    fn pass_on(&mut self, mut chunk: Chunk) -> Chunk {
        if let Some(seam) = &mut self.seam {
            // The bytes name another answer than the one that the caller is reading.
            chunk.raw = None;
            chunk.events = join(std::mem::take(&mut chunk.events), seam);
        }
        for event in &mut chunk.events {
            self.progress.note(event);
        }
        chunk
    }

    /// The error that ends the answer: that which broke it, with what is known of the whole.
    fn give_up(&mut self, error: Error) -> Error {
        self.state = State::Over;
        let mut error = error.with_usage(self.progress.usage(self.request.chat()));
        if let Some(served) = &self.served {
            error.stamp(served.clone());
        }
        error
    }

    /// Who failed just now, as it is called among the candidates.
    fn failed(&self, error: &Error) -> Option<Name> {
        let served = self.served.as_ref();
        let last = served.map(|served| served.continued_by.last().unwrap_or(&served.name));
        last.or(error.provider()).cloned()
    }

    /// Notes the attempt that failed, so that who reads the answer learns of it.
    fn record(&mut self, name: Option<&Name>, error: &Error) {
        let mut attempt = Attempt::new(1, error.fault()).took(self.began.elapsed());
        if let Some(name) = name {
            attempt = attempt.on(name.clone());
            let served = self
                .served
                .get_or_insert_with(|| ServedBy::new(name.clone()));
            served.trail.push(attempt);
        }
    }
}

impl<S> Continued<S>
where
    S: Service<ChatRequest, Response = ChatResponse, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    /// The answer broke off: asks for the rest of it, where that can be done.
    fn interrupted(&mut self, error: Error) -> Result<(), Error> {
        let resume = self.progress.resume(self.request.chat(), &error);
        let late = context::deadline().is_some_and(|deadline| deadline.has_passed(Instant::now()));
        let (Some(resume), false, 1..) = (resume, late, self.times) else {
            return Err(self.give_up(error));
        };
        self.times -= 1;
        let failed = self.failed(&error);
        self.record(failed.as_ref(), &error);
        for name in failed.iter().chain(error.provider()) {
            if !self.request.avoids(name) {
                self.request = self.request.clone().avoiding(name.clone());
            }
        }
        let request = self.request.clone().resuming(resume);
        let mut service = self.service.clone();
        let asking = context::traced(async move {
            poll_fn(|cx| service.poll_ready(cx)).await?;
            service.call(request).await
        });
        self.state = State::Asking(Box::pin(asking), error);
        Ok(())
    }

    /// Another candidate goes on, or none does.
    fn answered(
        &mut self,
        answer: Result<ChatResponse, Error>,
        trail: &Trail,
        error: Error,
    ) -> Result<(), Error> {
        let mut response = match answer {
            Ok(response) => response,
            Err(refusal) => {
                let trail = refusal.trail().unwrap_or(trail);
                if let Some(served) = &mut self.served {
                    served.trail.append(trail.clone());
                }
                return Err(self.give_up(error));
            }
        };
        let by = Stamp::served_by_mut(&mut response).map(|stamp| stamp.clone());
        let name = by
            .as_ref()
            .map_or_else(|| response.model().clone(), |by| by.name.clone());
        let served = self
            .served
            .get_or_insert_with(|| ServedBy::new(name.clone()));
        served.continued_by.push(name);
        served.degraded |= by.as_ref().is_some_and(|by| by.degraded);
        // The stamp has the whole trail; without one it is what was seen from here.
        let trail = by.as_ref().map_or(trail, |by| &by.trail);
        served.trail.append(trail.clone());
        self.ready.push_back(Chunk {
            served: Some(served.clone()),
            ..Chunk::default()
        });
        self.seam = Some(Seam::new(&self.progress.text));
        self.progress.go_on(self.request.chat());
        self.began = Instant::now();
        self.state = State::Answering(match response.into_body() {
            ChatBody::Stream(stream) => stream,
            ChatBody::Whole(completion, _) => {
                ChatStream::of(std::sync::Arc::unwrap_or_clone(completion))
            }
        });
        Ok(())
    }
}

/// Nothing in it is pinned in place: the service is only cloned from.
impl<S> Unpin for Continued<S> {}

/// The events of a continuation, without its beginning and what it repeats.
fn join(events: Vec<Event>, seam: &mut Seam) -> Vec<Event> {
    let mut joined = Vec::with_capacity(events.len() + 1);
    for event in events {
        match event {
            Event::Start { .. } => {}
            Event::Text { choice: 0, delta } => push_text(0, seam.push(delta), &mut joined),
            // A sign of life and a count decide nothing.
            Event::Ping | Event::Usage(_) => joined.push(event),
            event => {
                push_text(0, seam.finish(), &mut joined);
                joined.push(event);
            }
        }
    }
    joined
}

impl<S> Stream for Continued<S>
where
    S: Service<ChatRequest, Response = ChatResponse, Error = Error> + Clone + Send + 'static,
    S::Future: Send,
{
    type Item = Result<Chunk, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = &mut *self;
        loop {
            if let Some(chunk) = this.ready.pop_front() {
                return Poll::Ready(Some(Ok(chunk)));
            }
            let next = match &mut this.state {
                State::Answering(stream) => match ready!(Pin::new(stream).poll_next(cx)) {
                    Some(Ok(chunk)) => return Poll::Ready(Some(Ok(this.pass_on(chunk)))),
                    Some(Err(error)) => this.interrupted(error),
                    None => return Poll::Ready(None),
                },
                State::Asking(asking, _) => {
                    let (answer, trail) = ready!(asking.as_mut().poll(cx));
                    match std::mem::replace(&mut this.state, State::Over) {
                        State::Asking(_, error) => this.answered(answer, &trail, error),
                        _ => return Poll::Ready(None),
                    }
                }
                State::Over => return Poll::Ready(None),
            };
            if let Err(error) = next {
                return Poll::Ready(Some(Err(error)));
            }
        }
    }
}
