//! The first bytes of a connection, which must come in time.

use std::{
    io::{self, IoSlice},
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    time::{Sleep, sleep},
};

/// What HTTP/2 begins with.
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// A connection that is given up where its first bytes don't come in time.
///
/// The server tells HTTP/1 from HTTP/2 by them, and waits for as long as they may be either. Only
/// then do its own limits begin.
pub(super) struct Opening<I> {
    inner: I,
    /// How many bytes of the preface have come.
    known: usize,
    /// Gone once it is clear which it is.
    limit: Option<Pin<Box<Sleep>>>,
}

impl<I> Opening<I> {
    pub(super) fn new(inner: I, limit: Duration) -> Self {
        Self {
            inner,
            known: 0,
            limit: Some(Box::pin(sleep(limit))),
        }
    }

    /// Some more bytes came.
    fn came(&mut self, bytes: &[u8]) {
        let expected = &PREFACE[self.known..];
        let same = expected.iter().zip(bytes).take_while(|(a, b)| a == b);
        let same = same.count();
        self.known += same;
        if same < bytes.len() || self.known == PREFACE.len() {
            self.limit = None;
        }
    }
}

impl<I: AsyncRead + Unpin> AsyncRead for Opening<I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let before = buffer.filled().len();
        let polled = Pin::new(&mut this.inner).poll_read(cx, buffer);
        if let Some(limit) = &mut this.limit {
            match &polled {
                Poll::Ready(_) => this.came(&buffer.filled()[before..]),
                Poll::Pending if limit.as_mut().poll(cx).is_ready() => {
                    return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
                }
                Poll::Pending => {}
            }
        }
        polled
    }
}

impl<I: AsyncWrite + Unpin> AsyncWrite for Opening<I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write(cx, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.inner).poll_write_vectored(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.inner.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt, duplex};

    use super::*;

    const LIMIT: Duration = Duration::from_secs(5);

    /// What is read of a connection on which only this comes.
    async fn read(sent: &[u8]) -> io::Result<usize> {
        let (mut there, here) = duplex(64);
        there.write_all(sent).await.unwrap();
        let mut opening = Opening::new(here, LIMIT);
        let mut buffer = [0; 64];
        let mut read = 0;
        while read < sent.len() {
            read += opening.read(&mut buffer).await?;
        }
        let more = tokio::time::timeout(2 * LIMIT, opening.read(&mut buffer)).await;
        more.unwrap_or(Ok(0)).map(|_| read)
    }

    #[tokio::test(start_paused = true)]
    async fn what_may_yet_be_either_is_given_up() {
        for sent in [&b""[..], b"P", b"PRI * HTTP/2.0\r\n\r\nSM"] {
            let error = read(sent).await.expect_err("it is not waited for");
            assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_clear_is_left_to_the_servers_own_limits() {
        for sent in [&b"G"[..], b"POST / HTTP", b"PRX", PREFACE] {
            assert_eq!(read(sent).await.expect("it is waited for"), sent.len());
        }
    }
}
