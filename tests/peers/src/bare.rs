//! The services under the layers: they do nothing, so that what is counted is the layers.

use std::{
    fmt,
    marker::PhantomData,
    pin::Pin,
    sync::atomic::{AtomicBool, Ordering},
    task::{Context, Poll},
};

use tower_service::Service;

/// A request: a number, and whether the service is to be pending once before it answers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call(u64);

impl Call {
    const PENDS: u32 = 63;

    pub(crate) fn new(id: u64, pends: bool) -> Self {
        Self(id | u64::from(pends) << Self::PENDS)
    }

    fn pends(self) -> bool {
        self.0 >> Self::PENDS != 0
    }
}

/// A response that can be made of a request.
pub(crate) trait Answer {
    fn answer(call: Call) -> Self;
}

impl Answer for u64 {
    fn answer(call: Call) -> Self {
        call.0
    }
}

impl Answer for http::Response<u64> {
    fn answer(call: Call) -> Self {
        Self::new(call.0)
    }
}

/// What a service that is down answers.
#[derive(Debug)]
pub(crate) struct Down;

impl fmt::Display for Down {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("down")
    }
}

impl std::error::Error for Down {}

/// How a service behaves.
pub(crate) trait Manner {
    fn is_down(&self) -> bool;
}

/// Every call is answered.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Up;

impl Manner for Up {
    fn is_down(&self) -> bool {
        false
    }
}

/// No call is answered.
impl Manner for Down {
    fn is_down(&self) -> bool {
        true
    }
}

impl Clone for Down {
    fn clone(&self) -> Self {
        Self
    }
}

/// The first call fails, the second is answered, and so on, over all clones.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Flaky(&'static AtomicBool);

impl Flaky {
    pub(crate) fn new() -> Self {
        Self(Box::leak(Box::new(AtomicBool::new(true))))
    }
}

impl Manner for Flaky {
    fn is_down(&self) -> bool {
        let down = self.0.load(Ordering::Relaxed);
        self.0.store(!down, Ordering::Relaxed);
        down
    }
}

/// A service that does nothing but answer: with an `R`, or with an error of the type `E`.
pub(crate) struct Bare<R = u64, M = Up, E = Down> {
    manner: M,
    answers: PhantomData<fn() -> Result<R, E>>,
}

impl<R, M, E> Bare<R, M, E> {
    pub(crate) fn new(manner: M) -> Self {
        Self {
            manner,
            answers: PhantomData,
        }
    }
}

impl<R, M: Clone, E> Clone for Bare<R, M, E> {
    fn clone(&self) -> Self {
        Self::new(self.manner.clone())
    }
}

impl<R: Answer, M: Manner, E: From<Down>> Service<Call> for Bare<R, M, E> {
    type Response = R;
    type Error = E;
    type Future = Pause<R, E>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), E>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, call: Call) -> Self::Future {
        Pause {
            call,
            pends: call.pends(),
            is_down: self.manner.is_down(),
            answers: PhantomData,
        }
    }
}

/// The answer, after at most one pause.
pub(crate) struct Pause<R, E> {
    call: Call,
    pends: bool,
    is_down: bool,
    answers: PhantomData<fn() -> Result<R, E>>,
}

impl<R: Answer, E: From<Down>> Future for Pause<R, E> {
    type Output = Result<R, E>;

    fn poll(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Self::Output> {
        if self.pends {
            // Nobody is woken: whoever measures polls again by itself.
            self.pends = false;
            return Poll::Pending;
        }
        Poll::Ready(if self.is_down {
            Err(Down.into())
        } else {
            Ok(R::answer(self.call))
        })
    }
}
