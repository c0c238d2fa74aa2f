//! A provider's stream as it is read.

use std::{
    collections::VecDeque,
    pin::Pin,
    task::{Context, Poll, ready},
};

use backstop_core::{Fault, FaultKind, Name};
use futures_core::Stream;

use super::{Provider, alike::Alike, body::broken};
use crate::{
    Chunk, Dialect, Error, Event, Raw, Usage,
    dialect::Decoder,
    sse::{SseEvent, SseParser},
    transport::Body,
};

/// A provider's stream. It reads no faster than it is polled, so a slow caller slows the provider
/// down. Dropping it closes the connection, which cancels the provider's work.
pub(super) struct Upstream {
    body: Option<Body>,
    parser: SseParser,
    decoder: Box<dyn Decoder>,
    alike: Alike,
    dialect: Dialect,
    name: Name,
    provider: Provider,
    /// What was held back until the commit point.
    held: VecDeque<Chunk>,
    committed: bool,
    /// The model, by the provider's account.
    pub(super) model: Option<String>,
    usage: Option<Usage>,
    ended: bool,
}

impl Upstream {
    pub(super) fn new(
        begun: &[u8],
        body: Body,
        limit: usize,
        decoder: Box<dyn Decoder>,
        dialect: Dialect,
        name: Name,
        provider: Provider,
    ) -> Self {
        let mut parser = SseParser::with_limit(limit);
        parser.push(begun);
        Self {
            body: Some(body),
            parser,
            decoder,
            alike: Alike::default(),
            dialect,
            name,
            provider,
            held: VecDeque::new(),
            committed: false,
            model: None,
            usage: None,
            ended: false,
        }
    }

    /// The caller is about to see these chunks: from here on, what goes wrong is an interruption.
    pub(super) fn commit(&mut self, held: VecDeque<Chunk>, model: Option<String>) {
        self.held = held;
        self.model = model;
        self.committed = true;
    }

    /// Reads one event; none where it is of no interest to anyone.
    fn read(&mut self, event: SseEvent) -> Result<Chunk, Error> {
        let mut events = Vec::with_capacity(2);
        self.decoder.event(&event, &mut events)?;
        for event in &events {
            match event {
                Event::Usage(usage) => self.usage = Some(*usage),
                Event::End => self.ended = true,
                _ => {}
            }
        }
        let passes_on = self.decoder.passes_on();
        if passes_on {
            self.alike.learn(&event, &events, &mut *self.decoder);
        }
        let mut chunk = Chunk::new(events);
        chunk.raw = passes_on.then(|| Raw {
            dialect: self.dialect,
            bytes: event.raw,
        });
        Ok(chunk)
    }

    /// What an error means here: before the commit point what it says, after it an interruption.
    fn fail(&mut self, error: Error) -> Error {
        self.body = None;
        let error = error.without(&self.provider.inner.secrets);
        let error = error.with_provider(self.name.clone());
        let error = match self.usage {
            Some(usage) => error.with_usage(usage),
            None => error,
        };
        if !self.committed {
            return error;
        }
        let fault = Fault::new(FaultKind::Interrupted);
        error.with_fault(fault.because("the answer broke off"))
    }

    /// The connection is closed.
    fn close(&mut self) -> Option<Result<Chunk, Error>> {
        self.body = None;
        if self.ended {
            return None;
        }
        // Some servers forget the blank line after their last event.
        if let Some(event) = self.parser.finish() {
            match self.read(event) {
                Ok(chunk) if self.ended => return Some(Ok(chunk)),
                Ok(chunk) if self.decoder.is_whole() => self.held.push_back(chunk),
                Ok(_) => {}
                Err(error) => return Some(Err(self.fail(error))),
            }
        }
        if self.decoder.is_whole() {
            self.ended = true;
            self.held.push_back(Chunk::new(vec![Event::End]));
            return self.held.pop_front().map(Ok);
        }
        let error = Error::malformed("the stream ended before the answer did");
        Some(Err(self.fail(error)))
    }
}

impl Stream for Upstream {
    type Item = Result<Chunk, Error>;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let this = Pin::into_inner(self);
        loop {
            if let Some(chunk) = this.held.pop_front() {
                if this.held.is_empty() {
                    this.held = VecDeque::new();
                }
                return Poll::Ready(Some(Ok(chunk)));
            }
            let Some(body) = &mut this.body else {
                return Poll::Ready(None);
            };
            if this.ended {
                // Reading the end of the body gives the connection back to its pool; but nobody
                // waits for it.
                let _ = body.poll_data(cx);
                this.body = None;
                return Poll::Ready(None);
            }
            if let Some((bytes, text)) = this.alike.take(&mut this.parser) {
                let mut chunk = Chunk::new(vec![text]);
                chunk.raw = Some(Raw {
                    dialect: this.dialect,
                    bytes,
                });
                return Poll::Ready(Some(Ok(chunk)));
            }
            match this.parser.next_event() {
                Ok(Some(event)) => {
                    let chunk = match this.read(event) {
                        Ok(chunk) => chunk,
                        Err(error) => return Poll::Ready(Some(Err(this.fail(error)))),
                    };
                    return Poll::Ready(Some(Ok(chunk)));
                }
                Ok(None) => {}
                Err(error) => {
                    let error = Error::malformed(error.to_string()).with_source(error);
                    return Poll::Ready(Some(Err(this.fail(error))));
                }
            }
            match ready!(body.poll_into(cx, this.parser.buffer_mut())) {
                Ok(true) => {}
                Ok(false) => return Poll::Ready(this.close()),
                Err(error) => return Poll::Ready(Some(Err(this.fail(broken(error))))),
            }
        }
    }
}

impl std::fmt::Debug for Upstream {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstream")
    }
}
