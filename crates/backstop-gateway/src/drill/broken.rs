//! An answer that breaks off after some pieces of content.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::{Fault, FaultKind};
use backstop_llm::{ChatStream, Chunk, Error};
use futures_core::Stream;

/// What a cut answer ends with, as one that is really cut does.
const CUT: Fault = Fault::new(FaultKind::Interrupted).because("the answer broke off");

/// An answer that breaks off after some pieces.
pub(super) struct Broken {
    stream: ChatStream,
    pieces: usize,
    stalls: bool,
}

impl Broken {
    /// It ends with an error.
    pub(super) const fn cut(stream: ChatStream, pieces: usize) -> Self {
        Self {
            stream,
            pieces,
            stalls: false,
        }
    }

    /// Nothing more comes.
    pub(super) const fn stalled(stream: ChatStream, pieces: usize) -> Self {
        Self {
            stream,
            pieces,
            stalls: true,
        }
    }
}

impl Stream for Broken {
    type Item = Result<Chunk, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.pieces > 0 {
            let polled = Pin::new(&mut self.stream).poll_next(cx);
            // A provider's opening words and signs of life say nothing yet.
            if let Poll::Ready(Some(Ok(chunk))) = &polled {
                self.pieces -= usize::from(chunk.is_content());
            }
            return polled;
        }
        if self.stalls {
            // Nobody wakes it again: that is what it is for.
            return Poll::Pending;
        }
        Poll::Ready(Some(Err(Error::new(CUT, "This is a drill."))))
    }
}
