//! An answer's body.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use hyper::body::Incoming;

use super::connection::Lease;

/// An answer's body, which reads its connection as it is read.
pub(crate) struct Body {
    // Dropped first: the connection is done with the answer then, and may be used for another.
    incoming: Incoming,
    held: Held,
}

/// What an answer has of its connection.
pub(super) enum Held {
    /// All of it.
    Http1(Lease),
    /// One of its streams.
    Http2(#[expect(dead_code, reason = "it is counted")] Arc<()>),
}

impl Body {
    pub(super) const fn new(incoming: Incoming, held: Held) -> Self {
        Self { incoming, held }
    }
}

impl http_body::Body for Body {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        let Self { incoming, held } = &mut *self;
        let polled = Pin::new(&mut *incoming).poll_frame(cx);
        match held {
            Held::Http1(lease) if polled.is_pending() => {
                lease.poll(cx);
                Pin::new(incoming).poll_frame(cx)
            }
            _ => polled,
        }
    }

    fn is_end_stream(&self) -> bool {
        self.incoming.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.incoming.size_hint()
    }
}
