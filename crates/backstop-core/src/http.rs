//! What HTTP tells: statuses as verdicts, and bodies as tails.

use std::{
    pin::{Pin, pin},
    task::{Context, Poll},
};

use ::http::{Response, StatusCode};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

use crate::{Classify, End, Fault, FaultKind, RetryHint, Tail, UntilEnd, Verdict, Watch};

/// The verdict of an HTTP status; an error is a failure to connect.
///
/// A 4xx is the caller's ([`FaultKind::Invalid`]) but for those that speak of us, of load or of
/// time: see [`FaultKind`]. Among those are 401, 403 and 404, which open a circuit breaker at once
/// unless it is told otherwise: as they should for a key or a model that is gone, and should not for
/// a page that never was. What the response says of trying again, in `retry-after` and its like,
/// goes into the fault.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct HttpStatus;

impl HttpStatus {
    /// The classifier, which has nothing to configure.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }

    /// What kind of failure a status is; none for one below 400.
    #[must_use]
    pub const fn kind(status: StatusCode) -> Option<FaultKind> {
        Some(match status.as_u16() {
            0..=399 => return None,
            401 | 403 => FaultKind::Denied,
            402 => FaultKind::QuotaExhausted,
            404 => FaultKind::Missing,
            408 => FaultKind::TimedOut,
            409 | 425 => FaultKind::Unavailable,
            413 => FaultKind::TooLarge,
            429 => FaultKind::RateLimited,
            // Neither is transient: the service will not do this however often it is asked.
            501 | 505 => FaultKind::Invalid,
            529 => FaultKind::Overloaded,
            500.. => FaultKind::Unavailable,
            _ => FaultKind::Invalid,
        })
    }

    /// The fault that a response is, with what its headers say of trying again.
    #[must_use]
    pub fn fault<B>(response: &Response<B>) -> Option<Fault> {
        let kind = Self::kind(response.status())?;
        let fault = Fault::new(kind).with_status(response.status().as_u16());
        Some(RetryHint::from_headers(response.headers()).apply(fault))
    }
}

impl<B, Err> Classify<Response<B>, Err> for HttpStatus {
    fn classify(&self, result: Result<&Response<B>, &Err>) -> Verdict {
        match result {
            Ok(response) => Self::fault(response).map_or(Verdict::Success, Verdict::Failure),
            Err(_) => Verdict::Failure(Fault::new(FaultKind::Connect)),
        }
    }
}

impl<B, W> Tail<Response<B>, W> for UntilEnd
where
    B: Body,
    W: Watch<B::Error>,
{
    type Response = Response<Watched<B, W>>;

    fn attach(&self, response: Response<B>, watch: W) -> Self::Response {
        let mut watch = Some(watch);
        // Whoever sends a body that is empty may see so, and never ask it for its end. What gRPC
        // would say in the trailers is then in the headers.
        if response.body().is_end_stream() {
            let failed = trailer_fault(response.headers()).map(End::Failed);
            let watch = pin!(watch.take());
            finish::<W, B::Error>(watch, failed.unwrap_or(End::Completed));
        }
        response.map(|body| Watched { body, watch })
    }
}

pin_project! {
    /// A body with a watch on it. Size hint, end and trailers are the body's own.
    #[derive(Debug)]
    pub struct Watched<B, W> {
        #[pin]
        body: B,
        // Gone once it has been told how the body ended.
        #[pin]
        watch: Option<W>,
    }
}

impl<B, W> Watched<B, W> {
    /// The body itself.
    pub const fn get_ref(&self) -> &B {
        &self.body
    }
}

impl<B, W> Body for Watched<B, W>
where
    B: Body,
    W: Watch<B::Error>,
{
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        let mut this = self.project();
        let Some(mut watch) = this.watch.as_mut().as_pin_mut() else {
            return this.body.poll_frame(cx);
        };
        let interrupted = End::Failed(Fault::new(FaultKind::Interrupted));
        let end = match watch.as_mut().around(|| this.body.as_mut().poll_frame(cx)) {
            Poll::Ready(Some(Ok(frame))) => {
                watch.on_item();
                let failed = frame
                    .trailers_ref()
                    .and_then(trailer_fault)
                    .map(End::Failed);
                // Whoever reads a body may stop at its last frame without asking for the end.
                let ended = this.body.is_end_stream().then_some(End::Completed);
                if let Some(end) = failed.or(ended) {
                    finish::<W, B::Error>(this.watch, end);
                }
                return Poll::Ready(Some(Ok(frame)));
            }
            Poll::Ready(Some(Err(error))) => {
                finish::<W, B::Error>(this.watch, interrupted);
                return Poll::Ready(Some(Err(error)));
            }
            Poll::Ready(None) => End::Completed,
            Poll::Pending => match watch.poll_cut(cx) {
                Poll::Ready(error) => {
                    let fault = crate::context::fault();
                    finish::<W, B::Error>(this.watch, fault.map_or(interrupted, End::Failed));
                    return Poll::Ready(Some(Err(error)));
                }
                Poll::Pending => return Poll::Pending,
            },
        };
        finish::<W, B::Error>(this.watch, end);
        Poll::Ready(None)
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

fn finish<W: Watch<E>, E>(mut watch: Pin<&mut Option<W>>, end: End) {
    if let Some(watch) = watch.as_mut().as_pin_mut() {
        watch.on_end(end);
    }
    watch.set(None);
}

/// gRPC says how a call ended in the trailers, after a status of 200.
fn trailer_fault(trailers: &::http::HeaderMap) -> Option<Fault> {
    let code = trailers.get("grpc-status")?.to_str().ok()?.parse().ok()?;
    grpc_kind(code).map(|kind| Fault::new(kind).with_status(code))
}

/// What kind of failure a gRPC status code is; none where the call succeeded or was cancelled by
/// its caller.
pub(crate) const fn grpc_kind(code: u16) -> Option<FaultKind> {
    Some(match code {
        0 | 1 => return None,
        3 | 6 | 9 | 10 | 11 | 12 => FaultKind::Invalid,
        4 => FaultKind::TimedOut,
        5 => FaultKind::Missing,
        7 | 16 => FaultKind::Denied,
        8 => FaultKind::RateLimited,
        _ => FaultKind::Unavailable,
    })
}
