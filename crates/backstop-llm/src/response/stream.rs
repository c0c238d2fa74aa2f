//! A stream of chunks.

use std::{
    fmt,
    future::poll_fn,
    pin::Pin,
    task::{Context, Poll},
};

use futures_core::Stream;

use super::{Chunk, Collector, Completion};
use crate::Error;

/// A streamed answer: chunks, and then either a clean end, after a chunk with
/// [`Event::End`](super::Event::End), or one error.
///
/// A stream that ends without that chunk and without an error does not exist: whoever makes one
/// turns a missing end into an error. Dropping it cancels the provider's work.
pub struct ChatStream {
    inner: Pin<Box<dyn Stream<Item = Result<Chunk, Error>> + Send>>,
}

impl ChatStream {
    /// Wraps a stream that keeps the rules above.
    pub fn new<S>(stream: S) -> Self
    where
        S: Stream<Item = Result<Chunk, Error>> + Send + 'static,
    {
        Self {
            inner: Box::pin(stream),
        }
    }

    /// The next chunk; none once the answer is whole or an error has been returned.
    pub async fn next(&mut self) -> Option<Result<Chunk, Error>> {
        poll_fn(|cx| self.inner.as_mut().poll_next(cx)).await
    }

    /// Waits for the whole answer.
    ///
    /// # Errors
    ///
    /// The stream broke off. The error tells the usage up to there, where that is known.
    pub async fn collect(mut self) -> Result<Completion, Error> {
        let mut collector = Collector::new();
        while let Some(chunk) = self.next().await {
            for event in chunk?.events {
                collector.push(event);
            }
        }
        Ok(collector.finish())
    }
}

impl Stream for ChatStream {
    type Item = Result<Chunk, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, Error>>> {
        self.inner.as_mut().poll_next(cx)
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.inner.size_hint()
    }
}

impl fmt::Debug for ChatStream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ChatStream")
    }
}
