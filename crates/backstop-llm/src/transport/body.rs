//! An answer's body.

use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll, ready},
};

use backstop_core::BoxError;
use bytes::{Bytes, BytesMut};
use http_body::Body as _;
use hyper::body::Incoming;

use super::connection::Lease;

/// An answer's body, which reads its connection as it is read.
pub(crate) struct Body(Held);

/// What it has of the connection, and leaves when it is dropped.
enum Held {
    /// All of it.
    Http1(Lease),
    /// One of its streams.
    Http2(
        Incoming,
        #[expect(dead_code, reason = "it is counted")] Arc<()>,
    ),
}

impl Body {
    pub(super) const fn http1(lease: Lease) -> Self {
        Self(Held::Http1(lease))
    }

    pub(super) const fn http2(incoming: Incoming, stream: Arc<()>) -> Self {
        Self(Held::Http2(incoming, stream))
    }

    /// The next bytes; none where it has ended.
    pub(crate) fn poll_data(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Option<Bytes>, BoxError>> {
        match &mut self.0 {
            Held::Http1(lease) => {
                let http1 = lease.http1();
                let count = ready!(http1.poll_ready(cx))?;
                Poll::Ready(Ok((count > 0).then(|| http1.take(count))))
            }
            Held::Http2(incoming, _) => poll_incoming(incoming, cx),
        }
    }

    /// Adds what has come by now; says whether it has not ended yet.
    pub(crate) fn poll_into(
        &mut self,
        cx: &mut Context<'_>,
        out: &mut BytesMut,
    ) -> Poll<Result<bool, BoxError>> {
        match &mut self.0 {
            Held::Http1(lease) => {
                let http1 = lease.http1();
                let count = ready!(http1.poll_ready(cx))?;
                http1.take_into(count, out);
                Poll::Ready(Ok(count > 0))
            }
            Held::Http2(incoming, _) => {
                let data = ready!(poll_incoming(incoming, cx))?;
                out.extend_from_slice(data.as_deref().unwrap_or_default());
                Poll::Ready(Ok(data.is_some()))
            }
        }
    }
}

fn poll_incoming(
    incoming: &mut Incoming,
    cx: &mut Context<'_>,
) -> Poll<Result<Option<Bytes>, BoxError>> {
    loop {
        let Some(frame) = ready!(Pin::new(&mut *incoming).poll_frame(cx)).transpose()? else {
            return Poll::Ready(Ok(None));
        };
        // What follows a body is of no interest.
        if let Ok(data) = frame.into_data() {
            return Poll::Ready(Ok(Some(data)));
        }
    }
}
