//! When a streamed call is held to have succeeded.

use std::{collections::VecDeque, future::poll_fn, pin::Pin, time::Duration};

use futures_core::Stream;
use tokio::time::{Instant, timeout_at};

use super::upstream::Upstream;
use crate::{Chunk, Completion, Error, Event, FinishReason, Usage};

/// When a streamed call is held to have succeeded: until then its events are held back, and
/// whatever goes wrong is an ordinary failure, which can be retried or answered by another
/// candidate. From then on the caller has seen the beginning of the answer.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub enum Commit {
    /// As soon as the provider accepts the request.
    AtOnce,
    /// When so many characters of text or thought have come.
    Characters(usize),
    /// When the first content has come.
    #[default]
    FirstContent,
    /// So long after the first content.
    Held(Duration),
}

/// What a whole answer is held against.
pub(super) type Check = Box<dyn Fn(&Completion) -> Result<(), Error> + Send + Sync>;

/// Reads a stream up to its commit point, or to its end where the whole of it is to be checked.
pub(super) async fn commit(
    mut upstream: Upstream,
    at: Commit,
    check: Option<Check>,
) -> Result<Upstream, Error> {
    let at = if check.is_some() {
        Commit::Characters(usize::MAX)
    } else {
        at
    };
    let mut held = VecDeque::new();
    let mut progress = Progress::default();
    let mut until = None;
    while !progress.has_reached(at) {
        let next = poll_fn(|cx| Pin::new(&mut upstream).poll_next(cx));
        let chunk = match until {
            None => next.await,
            Some(instant) => match timeout_at(instant, next).await {
                Ok(chunk) => chunk,
                Err(_) => break,
            },
        };
        let Some(chunk) = chunk.transpose()? else {
            break;
        };
        progress.note(&chunk);
        held.push_back(chunk);
        if let (Commit::Held(wait), true, None) = (at, progress.content, until) {
            until = Instant::now().checked_add(wait);
        }
    }
    if progress.is_empty_answer() {
        return Err(Error::malformed("the answer is empty"));
    }
    if let Some(check) = check {
        let events = held.iter().flat_map(|chunk| &chunk.events);
        check(&events.cloned().collect())?;
    }
    upstream.commit(held, progress.model);
    Ok(upstream)
}

/// How far a stream has come.
#[derive(Default)]
struct Progress {
    content: bool,
    characters: usize,
    ended: bool,
    model: Option<String>,
    finish: Option<FinishReason>,
    usage: Option<Usage>,
}

impl Progress {
    fn note(&mut self, chunk: &Chunk) {
        for event in &chunk.events {
            self.content |= event.is_content();
            match event {
                Event::Start { model, .. } => self.model = Some(model.clone()),
                Event::Text { delta, .. } | Event::Thinking { delta, .. } => {
                    self.characters += delta.chars().count();
                }
                Event::Finish { reason, .. } => self.finish = Some(reason.clone()),
                Event::Usage(usage) => self.usage = Some(*usage),
                Event::End => self.ended = true,
                _ => {}
            }
        }
    }

    fn has_reached(&self, at: Commit) -> bool {
        self.ended
            || match at {
                Commit::AtOnce => true,
                Commit::FirstContent => self.content,
                Commit::Characters(n) => self.content && self.characters >= n,
                Commit::Held(wait) => self.content && wait.is_zero(),
            }
    }

    fn is_empty_answer(&self) -> bool {
        let finish = self.finish.as_ref();
        self.ended && !self.content && finish.is_none_or(|f| is_empty_answer(f, self.usage))
    }
}

/// Whether an answer without content is none at all. A model may well have nothing to say, but
/// then its provider counts the tokens that it took to say so.
pub(super) fn is_empty_answer(finish: &FinishReason, usage: Option<Usage>) -> bool {
    *finish == FinishReason::Stop && usage.is_none_or(|usage| usage.output == 0)
}
