//! A connection over HTTP/1.

mod framing;
mod head;

use std::{
    future::{Future, poll_fn},
    io::{self, IoSlice},
    pin::{Pin, pin},
    task::{Context, Poll, Waker, ready},
};

use backstop_core::BoxError;
use bytes::{Buf, Bytes, BytesMut};
use http::StatusCode;
use hyper_util::rt::TokioIo;
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, ReadBuf},
    task::unconstrained,
};

pub(super) use self::head::headers;
use self::{
    framing::Framing,
    head::{Head, Progress},
};
use super::{Headers, Request, connect::Io};

/// How much is read at a time at first: some events of a stream, or the head of an answer.
const READ: usize = 4 * 1024;

/// How much is read at a time at most.
const MAX_READ: usize = 64 * 1024;

/// Where less room is left than this, more is made before the next read.
const MIN_ROOM: usize = 1024;

/// A connection over HTTP/1, which reads and writes only when it is polled.
///
/// A general client hands what it reads from a task of its own to whoever waits for it, with room
/// for both to be ahead. Here both are one, so that an open stream holds nothing but what has come
/// and was not taken yet.
pub(super) struct Http1 {
    io: TokioIo<Box<dyn Io>>,
    /// What has come, and was not taken yet.
    read: BytesMut,
    /// How much to read next.
    room: usize,
    /// How far the head of the answer has been read.
    progress: Progress,
    /// The request's head and body, as far as they are to be written yet.
    rest: [Bytes; 2],
    /// Whether the other side may have seen any of the request.
    begun: bool,
    /// That of the answer under way.
    framing: Framing,
    /// Whether it can be used for another request.
    stays: bool,
}

impl Http1 {
    pub(super) fn new(io: Box<dyn Io>) -> Self {
        Self {
            io: TokioIo::new(io),
            read: BytesMut::new(),
            room: READ,
            progress: Progress::default(),
            rest: Default::default(),
            begun: false,
            framing: Framing::Ended,
            stays: true,
        }
    }

    /// Whether it can be used for another request.
    pub(super) fn rests(&mut self) -> bool {
        // What has come must be seen however much the task has read before: where many connections
        // were closed as they rested, the last would else seem to be open.
        let rests = unconstrained(poll_fn(|cx| Poll::Ready(self.has_come_to_rest(cx))));
        // Nobody waits for what may come.
        let polled = pin!(rests).poll(&mut Context::from_waker(Waker::noop()));
        matches!(polled, Poll::Ready(true))
    }

    fn has_come_to_rest(&mut self, cx: &mut Context<'_>) -> bool {
        // The end of a body may have come after all that is in it.
        let ended = matches!(self.poll_ready(cx), Poll::Ready(Ok(0)));
        let is_done = self.read.is_empty() && self.rest.iter().all(Bytes::is_empty);
        if !(ended && is_done && self.stays) {
            return false;
        }
        // A connection that rests needs no room.
        (self.read, self.room) = (BytesMut::new(), READ);
        // Nothing may come before the next request: what does is the end, or nonsense.
        let mut byte = [0];
        Pin::new(&mut self.io)
            .poll_read(cx, &mut ReadBuf::new(&mut byte))
            .is_pending()
    }

    /// Takes a request, to be written when the answer is waited for.
    pub(super) fn begin(&mut self, request: &Request) {
        self.rest = [head::write(request).into(), request.body().clone()];
        self.begun = false;
        // Up to its head, nothing is known of the answer but that it has not ended: who is not
        // waited for any longer must not be answered in place of the next.
        self.framing = Framing::UntilClosed;
    }

    /// Whether the other side can't have seen anything of the request.
    pub(super) const fn is_unseen(&self) -> bool {
        !self.begun
    }

    /// Writes the request, and waits for the head of its answer.
    pub(super) fn poll_answer(
        &mut self,
        cx: &mut Context<'_>,
    ) -> Poll<io::Result<(StatusCode, Headers)>> {
        let written = self.poll_write(cx);
        // Who takes no more of a request may still have said why.
        match (self.poll_head(cx), written) {
            (Poll::Pending, Poll::Ready(Err(error))) => Poll::Ready(Err(error)),
            (answered, _) => answered,
        }
    }

    /// Waits for more of the answer's body. Says how many bytes of it have come, or none when it has
    /// ended.
    pub(super) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        // An answer may begin before the whole request has come. What becomes of the answer is told
        // by what comes of it, whatever becomes of the request.
        let _ = self.poll_write(cx);
        loop {
            let count = self.framing.skip(&mut self.read)?;
            if count > 0 || self.framing.has_ended() {
                return Poll::Ready(Ok(count));
            }
            if ready!(self.poll_read(cx))? == 0 {
                self.stays = false;
                self.framing.close()?;
            }
        }
    }

    /// The bytes of the body that [`poll_ready`](Self::poll_ready) has told of.
    pub(super) fn take(&mut self, count: usize) -> Bytes {
        self.framing.took(count);
        self.read.split_to(count).freeze()
    }

    /// Adds them, and all others that came with them.
    pub(super) fn take_into(&mut self, mut count: usize, out: &mut BytesMut) {
        // Room for all of it at once, rather than for one chunk after the other.
        out.reserve(self.read.len());
        while count > 0 {
            out.extend_from_slice(&self.read[..count]);
            self.read.advance(count);
            self.framing.took(count);
            // What is wrong after them spoils none of them, and is told when more is waited for.
            count = self.framing.skip(&mut self.read).unwrap_or_default();
        }
    }

    fn poll_head(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(StatusCode, Headers)>> {
        loop {
            if let Some(head) = head::read(&mut self.read, &mut self.progress)? {
                let Head {
                    status,
                    headers,
                    framing,
                    stays,
                } = head;
                self.framing = framing;
                self.stays &= stays;
                return Poll::Ready(Ok((status, headers)));
            }
            if ready!(self.poll_read(cx))? == 0 {
                return Poll::Ready(Err(io::ErrorKind::UnexpectedEof.into()));
            }
        }
    }

    fn poll_read(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<usize>> {
        if self.read.capacity() - self.read.len() < MIN_ROOM {
            let left = usize::try_from(self.framing.left()).unwrap_or(MAX_READ);
            self.read.reserve(self.room.max(left.min(MAX_READ)));
        }
        let room = self.read.capacity() - self.read.len();
        let polled = pin!(self.io.read_buf(&mut self.read)).poll(cx);
        if polled.is_pending() && self.read.is_empty() {
            // A stream whose next piece is waited for, as it is most of its time, needs no room.
            self.read = BytesMut::new();
        }
        let count = ready!(polled)?;
        if count == room {
            self.room = (self.room * 2).min(MAX_READ);
        }
        Poll::Ready(Ok(count))
    }

    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let written = ready!(self.poll_rest(cx));
        if written.is_err() {
            self.rest = Default::default();
            self.stays = false;
        }
        Poll::Ready(written)
    }

    /// Writes what is left of the request.
    fn poll_rest(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let [head, body] = &mut self.rest;
        while head.has_remaining() || body.has_remaining() {
            let slices = [IoSlice::new(head), IoSlice::new(body)];
            let count = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, &slices))?;
            if count == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.begun = true;
            let of_head = count.min(head.len());
            head.advance(of_head);
            body.advance(count - of_head);
            if !body.has_remaining() && !head.has_remaining() {
                // What was asked is not kept for as long as the answer takes.
                (*head, *body) = Default::default();
            }
        }
        Pin::new(&mut self.io).poll_flush(cx)
    }
}

/// What has come is no HTTP/1.
fn malformed(what: impl Into<BoxError>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
