use std::{
    error::Error,
    fmt,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker, ready},
};

use backstop_core::BoxError;
use bytes::{Buf, Bytes};
use http::{HeaderMap, Request};
use http_body::{Body, Frame, SizeHint};

use crate::CloneRequest;

/// A body that can be sent again. What is read of it is kept, up to a limit, and every clone
/// begins at the beginning.
///
/// It is read only as far as the clone that is farthest ahead, so that the first attempt streams.
/// Where it turns out longer than the limit, that clone goes on with it alone, and what was kept
/// is let go: the body is sent once, and [`is_whole`](Self::is_whole) tells that it can't be sent
/// again. Clones can be read in any order, and at the same time.
///
/// A body that isn't `Unpin` is to be boxed first.
///
/// ```
/// use backstop_retry::{Replay, ReplayBody, RetryLayer};
/// use http::{Request, Response};
/// use tower::{BoxError, ServiceBuilder, service_fn};
///
/// # type Incoming = http_body_util::Full<bytes::Bytes>;
/// let service = ServiceBuilder::new()
///     .map_request(|request: Request<Incoming>| request.map(ReplayBody::new))
///     .layer(RetryLayer::new().clone_request(Replay::new()))
///     .service(service_fn(|request: Request<ReplayBody<Incoming>>| async {
///         Ok::<_, BoxError>(Response::new(request.into_body()))
///     }));
/// # fn is_service<S: tower::Service<Request<Incoming>>>(_: S) {}
/// # is_service(service);
/// ```
#[derive(Debug)]
pub struct ReplayBody<B> {
    tape: Arc<Mutex<Tape<B>>>,
    // How many of the kept frames this clone has handed out.
    position: usize,
    // The body itself, once this clone goes on alone.
    alone: Option<B>,
}

/// The body, and what has been read of it.
#[derive(Debug)]
struct Tape<B> {
    kept: Vec<Kept>,
    // How many more bytes may be kept.
    room: usize,
    rest: Rest<B>,
    // The clones that wait for the next frame: the body itself remembers only the last that asked.
    waiting: Vec<Waker>,
}

#[derive(Clone, Debug)]
enum Kept {
    Data(Bytes),
    Trailers(HeaderMap),
}

/// What comes after the kept frames.
#[derive(Debug)]
enum Rest<B> {
    Body(B),
    End,
    Lost(NotWhole),
}

impl<B: Body> ReplayBody<B> {
    /// How many bytes are kept unless told otherwise: 64 KiB.
    pub const LIMIT: usize = 64 * 1024;

    /// A body of which up to [`LIMIT`](Self::LIMIT) bytes are kept.
    #[must_use]
    pub fn new(body: B) -> Self {
        Self::with_limit(body, Self::LIMIT)
    }

    /// A body of which up to `limit` bytes are kept. One that is known to be longer is not kept at
    /// all.
    #[must_use]
    pub fn with_limit(body: B, limit: usize) -> Self {
        let (rest, alone) = match usize::try_from(body.size_hint().lower()) {
            Ok(size) if size <= limit => (Rest::Body(body), None),
            _ => (Rest::Lost(NotWhole::OVERLONG), Some(body)),
        };
        let tape = Tape {
            kept: Vec::new(),
            room: limit,
            rest,
            waiting: Vec::new(),
        };
        Self {
            tape: Arc::new(Mutex::new(tape)),
            position: 0,
            alone,
        }
    }
}

impl<B> ReplayBody<B> {
    /// Whether a clone made of this body can be sent from beginning to end.
    #[must_use]
    pub fn is_whole(&self) -> bool {
        !matches!(self.tape().rest, Rest::Lost(_))
    }

    fn tape(&self) -> MutexGuard<'_, Tape<B>> {
        // Nothing is left half done where the body's own code can panic.
        self.tape.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<B> Tape<B> {
    fn wait(&mut self, own: &Waker) {
        if !self.waiting.iter().any(|waker| waker.will_wake(own)) {
            self.waiting.push(own.clone());
        }
    }

    /// Nothing is kept any more, and the body goes on with the clone that has come this far.
    fn give_up(&mut self) -> Option<B> {
        self.kept = Vec::new();
        match std::mem::replace(&mut self.rest, Rest::Lost(NotWhole::OVERLONG)) {
            Rest::Body(body) => Some(body),
            Rest::End | Rest::Lost(_) => None,
        }
    }
}

impl<B> Clone for ReplayBody<B> {
    /// The same body, from its beginning.
    fn clone(&self) -> Self {
        Self {
            tape: self.tape.clone(),
            position: 0,
            alone: None,
        }
    }
}

impl<B> Drop for ReplayBody<B> {
    /// The body may remember this clone as the one to wake: another takes its turn.
    fn drop(&mut self) {
        // The lock is let go first: who is woken may want it.
        let waiting = std::mem::take(&mut self.tape().waiting);
        waiting.into_iter().for_each(Waker::wake);
    }
}

impl<B> Body for ReplayBody<B>
where
    B: Body + Unpin,
    B::Error: Into<BoxError>,
{
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        let this = self.get_mut();
        if let Some(body) = &mut this.alone {
            let frame = ready!(Pin::new(body).poll_frame(cx));
            return Poll::Ready(frame.map(|frame| {
                frame
                    .map(|frame| frame.map_data(|mut data| data.copy_to_bytes(data.remaining())))
                    .map_err(Into::into)
            }));
        }

        let mut guard = this.tape.lock().unwrap_or_else(PoisonError::into_inner);
        let tape = &mut *guard;
        if let Some(kept) = tape.kept.get(this.position) {
            this.position += 1;
            return Poll::Ready(Some(Ok(kept.clone().into())));
        }
        let body = match &mut tape.rest {
            Rest::Body(body) => body,
            Rest::End => return Poll::Ready(None),
            Rest::Lost(error) => return Poll::Ready(Some(Err((*error).into()))),
        };
        let Poll::Ready(frame) = Pin::new(body).poll_frame(cx) else {
            tape.wait(cx.waker());
            return Poll::Pending;
        };
        let waiting = std::mem::take(&mut tape.waiting);
        let frame = match frame.map(|frame| frame.map(Kept::try_from)) {
            None => {
                tape.rest = Rest::End;
                None
            }
            Some(Err(error)) => {
                tape.rest = Rest::Lost(NotWhole::BROKEN);
                Some(Err(error.into()))
            }
            // A kind of frame that is yet to be invented is passed on, but can't be kept.
            Some(Ok(Err(frame))) => {
                this.alone = tape.give_up();
                Some(Ok(frame))
            }
            // It takes up none of the room, so that any number of them would be kept.
            Some(Ok(Ok(Kept::Data(data)))) if data.is_empty() => Some(Ok(Frame::data(data))),
            Some(Ok(Ok(kept))) => {
                match tape.room.checked_sub(kept.len()) {
                    Some(room) => {
                        tape.room = room;
                        tape.kept.push(kept.clone());
                        this.position += 1;
                    }
                    None => this.alone = tape.give_up(),
                }
                Some(Ok(kept.into()))
            }
        };
        // The lock is let go first: who is woken may want it.
        drop(guard);
        let others = waiting
            .into_iter()
            .filter(|waker| !waker.will_wake(cx.waker()));
        others.for_each(Waker::wake);
        Poll::Ready(frame)
    }

    fn is_end_stream(&self) -> bool {
        if let Some(body) = &self.alone {
            return body.is_end_stream();
        }
        let tape = self.tape();
        self.position == tape.kept.len()
            && match &tape.rest {
                Rest::Body(body) => body.is_end_stream(),
                Rest::End => true,
                Rest::Lost(_) => false,
            }
    }

    fn size_hint(&self) -> SizeHint {
        if let Some(body) = &self.alone {
            return body.size_hint();
        }
        let tape = self.tape();
        let mut hint = match &tape.rest {
            Rest::Body(body) => body.size_hint(),
            Rest::End => SizeHint::with_exact(0),
            Rest::Lost(_) => return SizeHint::default(),
        };
        let kept = tape.kept.iter().skip(self.position).map(Kept::len);
        let kept: u64 = kept.map(|size| size as u64).sum();
        if let Some(upper) = hint.upper() {
            hint.set_upper(upper.saturating_add(kept));
        }
        hint.set_lower(hint.lower().saturating_add(kept));
        hint
    }
}

impl Kept {
    fn len(&self) -> usize {
        match self {
            Self::Data(data) => data.len(),
            Self::Trailers(_) => 0,
        }
    }
}

impl<D: Buf> TryFrom<Frame<D>> for Kept {
    type Error = Frame<Bytes>;

    fn try_from(frame: Frame<D>) -> Result<Self, Frame<Bytes>> {
        let frame = frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
        match frame.into_data() {
            Ok(data) => Ok(Self::Data(data)),
            Err(frame) => frame.into_trailers().map(Self::Trailers),
        }
    }
}

impl From<Kept> for Frame<Bytes> {
    fn from(kept: Kept) -> Self {
        match kept {
            Kept::Data(data) => Self::data(data),
            Kept::Trailers(trailers) => Self::trailers(trailers),
        }
    }
}

/// A request body can't be sent again. Only a body that is sent against
/// [`ReplayBody::is_whole`] brings this error.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct NotWhole(&'static str);

impl NotWhole {
    const OVERLONG: Self = Self("it is longer than what is kept of it");
    const BROKEN: Self = Self("it broke off when it was first sent");
}

impl fmt::Display for NotWhole {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the request body can't be sent again: {}", self.0)
    }
}

impl Error for NotWhole {}

/// Copies requests whose body is a [`ReplayBody`]. One with a body that can't be sent again is
/// sent once.
#[derive(Clone, Copy, Debug, Default)]
#[non_exhaustive]
pub struct Replay;

impl Replay {
    /// The rule, which has nothing to configure.
    #[must_use]
    pub const fn new() -> Self {
        Self
    }
}

impl<B> CloneRequest<Request<ReplayBody<B>>> for Replay {
    fn clone_request(&self, request: &Request<ReplayBody<B>>) -> Option<Request<ReplayBody<B>>> {
        request.body().is_whole().then(|| request.clone())
    }

    fn is_whole(&self, copy: &Request<ReplayBody<B>>) -> bool {
        copy.body().is_whole()
    }
}
