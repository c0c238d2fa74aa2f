//! A chat response's tail: its stream.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
};

use backstop_core::{End, Fault, FaultKind, Tail, UntilEnd, Watch, context};
use futures_core::Stream;

use crate::{ChatBody, ChatResponse, ChatStream, Chunk, Error};

/// The response keeps its type: the watch sits inside its boxed stream. A whole answer has no
/// tail, so its watch is told at once that it has completed.
impl<W> Tail<ChatResponse, W> for UntilEnd
where
    W: Watch<Error> + Send + 'static,
{
    type Response = ChatResponse;

    fn attach(&self, response: ChatResponse, watch: W) -> ChatResponse {
        response.map_body(|body| match body {
            ChatBody::Stream(stream) => ChatBody::Stream(ChatStream::new(Watched {
                stream,
                watch: Some(Box::pin(watch)),
            })),
            whole => {
                pin!(watch).on_end(End::Completed);
                whole
            }
        })
    }
}

/// A stream with a watch on it.
struct Watched<W> {
    stream: ChatStream,
    /// Gone once it has been told how the stream ended.
    watch: Option<Pin<Box<W>>>,
}

impl<W: Watch<Error>> Stream for Watched<W> {
    type Item = Result<Chunk, Error>;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Chunk, Error>>> {
        let Self { stream, watch } = &mut *self;
        let Some(watching) = watch else {
            return Pin::new(stream).poll_next(cx);
        };
        let polled = watching
            .as_mut()
            .around(|| Pin::new(&mut *stream).poll_next(cx));
        let (end, item) = match polled {
            Poll::Ready(Some(Ok(chunk))) => {
                // A ping is no item: a provider that only says that it is alive has stalled.
                if chunk.is_content() {
                    watching.as_mut().on_item();
                }
                // Whoever reads the stream may stop at its end marker.
                let end = chunk.is_end().then_some(End::Completed);
                (end, Some(Ok(chunk)))
            }
            Poll::Ready(Some(Err(error))) => (Some(End::Failed(error.fault())), Some(Err(error))),
            Poll::Ready(None) => (Some(End::Completed), None),
            Poll::Pending => match watching.as_mut().poll_cut(cx) {
                Poll::Ready(error) => {
                    let fault =
                        context::fault().unwrap_or_else(|| Fault::new(FaultKind::Interrupted));
                    // What is cut is not waited for: the provider's work is cancelled here.
                    *stream = ChatStream::new(Empty);
                    (Some(End::Failed(fault)), Some(Err(error)))
                }
                Poll::Pending => return Poll::Pending,
            },
        };
        if let Some(end) = end {
            watching.as_mut().on_end(end);
            *watch = None;
        }
        Poll::Ready(item)
    }
}

/// A stream with nothing in it.
struct Empty;

impl Stream for Empty {
    type Item = Result<Chunk, Error>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        Poll::Ready(None)
    }
}
