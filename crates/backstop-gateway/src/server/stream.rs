//! A streamed answer as the body of a response.

use std::{
    convert::Infallible,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use backstop_core::{Fault, FaultKind, ServedBy};
use backstop_llm::{ChatStream, Chunk, Error, Event, dialect::Encoder};
use bytes::Bytes;
use futures_core::Stream;
use http_body::Frame;
use tokio::{
    sync::futures::OwnedNotified,
    time::{Instant, Sleep, sleep},
};

use super::clock;
use crate::account::Account;

/// How much is put together into one write at most. What the provider sent in one go is passed on
/// in one go; a caller who reads slowly makes it wait, not pile up here.
const WRITE: usize = 16 << 10;

/// A silence of this long is broken by a comment, so that nothing on the way to the caller takes
/// the connection for dead.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// The answer is broken off because the gateway stops.
const STOPPING: Fault = Fault::new(FaultKind::Interrupted).because("the gateway is stopping");

/// Encodes a stream as it comes. The last thing that it writes is the end marker, or an error.
pub(super) struct StreamBody {
    /// Gone once it has ended.
    stream: Option<ChatStream>,
    encoder: Box<dyn Encoder>,
    served: Option<ServedBy>,
    account: Account,
    silence: Pin<Box<Sleep>>,
    /// Resolves when the gateway can't wait any longer for the end.
    stopping: Pin<Box<OwnedNotified>>,
    out: Vec<u8>,
}

impl StreamBody {
    pub(super) fn new(
        stream: ChatStream,
        encoder: Box<dyn Encoder>,
        served: Option<ServedBy>,
        account: Account,
    ) -> Self {
        let stopping = account.stopping();
        Self {
            stream: Some(stream),
            encoder,
            served,
            account,
            silence: Box::pin(sleep(KEEP_ALIVE)),
            stopping: Box::pin(stopping.notified_owned()),
            out: Vec::new(),
        }
    }

    /// Takes in what the provider has sent by now. Ready once the stream has ended, or there is
    /// enough for one write.
    fn poll_fill(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        while self.out.len() < WRITE {
            let Some(stream) = &mut self.stream else {
                return Poll::Ready(());
            };
            match ready!(Pin::new(stream).poll_next(cx)) {
                Some(Ok(mut chunk)) => {
                    date(&mut chunk);
                    self.account.chunk(&chunk);
                    if let Some(served) = &chunk.served {
                        self.served = Some(served.clone());
                    }
                    let last = chunk.is_end();
                    if let (true, Some(served)) = (last, &self.served) {
                        self.encoder.served(served, &mut self.out);
                    }
                    self.encoder.chunk(&chunk, &mut self.out);
                    if last {
                        self.stream = None;
                        self.account.completed();
                    }
                }
                Some(Err(error)) => self.fail(&error),
                None => self.fail(&Error::malformed(
                    "The answer ended without its end marker.",
                )),
            }
        }
        Poll::Ready(())
    }

    fn fail(&mut self, error: &Error) {
        self.stream = None;
        self.encoder.error(error, &mut self.out);
        self.account.failed(error);
    }
}

/// Gives the beginning of an answer a time, where its dialect has none.
fn date(chunk: &mut Chunk) {
    for event in &mut chunk.events {
        if let Event::Start { created, .. } = event {
            created.get_or_insert_with(clock::seconds);
        }
    }
}

impl http_body::Body for StreamBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let this = &mut *self;
        // An attempt that goes on with the answer belongs to the call.
        let span = this.account.call_mut().span.clone();
        let _entered = span.enter();
        let filled = this.poll_fill(cx);
        if this.out.is_empty() {
            if filled.is_ready() {
                return Poll::Ready(None);
            }
            if this.stopping.as_mut().poll(cx).is_ready() {
                this.fail(&Error::new(STOPPING, "The gateway is stopping."));
                let bytes = Bytes::from(std::mem::take(&mut this.out));
                return Poll::Ready(Some(Ok(Frame::data(bytes))));
            }
            ready!(this.silence.as_mut().poll(cx));
            this.out.extend_from_slice(b": keep-alive\n\n");
        }
        this.silence.as_mut().reset(Instant::now() + KEEP_ALIVE);
        let bytes = Bytes::from(std::mem::take(&mut this.out));
        Poll::Ready(Some(Ok(Frame::data(bytes))))
    }

    fn is_end_stream(&self) -> bool {
        self.stream.is_none() && self.out.is_empty()
    }
}
