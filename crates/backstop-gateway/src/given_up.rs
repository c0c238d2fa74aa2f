//! Attempts that were given up before they could fail or succeed. They may have been billed, so
//! they are accounted for; and they say nothing against the candidate, so they count as no failure.

use std::{
    cell::RefCell,
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::{
    Attempt, Fault, FaultKind, Name, Trail,
    context::{self, Traced},
};
use backstop_fallback::OUTRUN;
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower::Service;

/// What befell an attempt that was under way when the caller left.
const LEFT: Fault = Fault::new(FaultKind::TimedOut).because("the caller left");

thread_local! {
    /// Whose attempts were under way in the call that is being dropped, if one is.
    static UNDER_WAY: RefCell<Option<Vec<Name>>> = const { RefCell::new(None) };
}

/// The word for it, where an attempt was given up.
pub(crate) fn word(fault: Fault) -> Option<&'static str> {
    match fault {
        OUTRUN => Some("outrun"),
        LEFT => Some("caller_left"),
        _ => None,
    }
}

/// Follows a call to its end, or until it is dropped because the caller has left: in either case
/// `trail` then has what came of its attempts.
pub(crate) fn follow<F: Future>(call: F, began: Instant, trail: &mut Trail) -> Followed<'_, F> {
    Followed {
        call: Some(context::traced(call)),
        began,
        trail,
    }
}

pin_project! {
    /// A future made by [`follow`].
    pub(crate) struct Followed<'a, F> {
        #[pin]
        call: Option<Traced<F>>,
        began: Instant,
        trail: &'a mut Trail,
    }

    impl<F> PinnedDrop for Followed<'_, F> {
        fn drop(this: Pin<&mut Self>) {
            let mut this = this.project();
            if this.call.is_some() {
                **this.trail = trail_of_left(*this.began, || this.call.set(None));
            }
        }
    }
}

impl<F: Future> Future for Followed<'_, F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let mut this = self.project();
        let call = this.call.as_mut().as_pin_mut();
        call.expect("polled after completion")
            .poll(cx)
            .map(|(result, trail)| {
                **this.trail = trail;
                this.call.set(None);
                result
            })
    }
}

/// What had failed in a call that is dropped, and the attempts that were under way in it.
fn trail_of_left(began: Instant, drop_call: impl FnOnce()) -> Trail {
    context::begin_poll();
    UNDER_WAY.set(Some(Vec::new()));
    let mut trail = context::trail_of_dropped(drop_call);
    let before = trail.attempts().iter();
    let before = before.map(|it| it.wait.saturating_add(it.duration)).sum();
    for name in UNDER_WAY.take().unwrap_or_default() {
        let took = began.elapsed().saturating_sub(before);
        trail.push(Attempt::new(1, LEFT).took(took).on(name));
    }
    trail
}

/// A candidate whose attempts are known to be under way.
#[derive(Clone, Debug)]
pub(crate) struct Asked<S> {
    name: Name,
    inner: S,
}

impl<S> Asked<S> {
    pub(crate) const fn new(name: Name, inner: S) -> Self {
        Self { name, inner }
    }
}

impl<S: Service<Request>, Request> Service<Request> for Asked<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = Asking<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        Asking {
            response: self.inner.call(request),
            name: Some(self.name.clone()),
        }
    }
}

pin_project! {
    /// The future of [`Asked`].
    pub(crate) struct Asking<F> {
        #[pin]
        response: F,
        // Gone once there is an answer.
        name: Option<Name>,
    }

    impl<F> PinnedDrop for Asking<F> {
        fn drop(this: Pin<&mut Self>) {
            if let Some(name) = this.project().name.take() {
                UNDER_WAY.with_borrow_mut(|names| names.as_mut().map(|names| names.push(name)));
            }
        }
    }
}

impl<F: Future> Future for Asking<F> {
    type Output = F::Output;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<F::Output> {
        let this = self.project();
        let polled = this.response.poll(cx);
        if polled.is_ready() {
            *this.name = None;
        }
        polled
    }
}
