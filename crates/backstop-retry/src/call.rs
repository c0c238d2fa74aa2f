use std::{
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{Attempt, Classify, Fault, FaultKind, Spent, Verdict, Withdrawal, context};
use pin_project_lite::pin_project;
use tokio::time::{Instant, Sleep, sleep};
use tower_service::Service;

use crate::{Backoff, CloneRequest, asked::Asked, policy::Policy, waits::Waits};

/// Why a failure was not tried again although it would have been.
const SENT_ONCE: &str = "failed, and the request could be sent only once";

/// What one call carries from attempt to attempt. `E` is the service's error.
pub(crate) struct Call<S, Request, E, C, B, R> {
    number: u32,
    asked: Asked,
    // Whether results are another retry's to judge, further out.
    is_within: bool,
    policy: Arc<Policy<C, B, R>>,
    // For the next attempt; none where there can't be one.
    service: Option<S>,
    request: Option<Request>,
    // None until a failure is to be tried again. It is twice as large as all the rest, which a call
    // that succeeds would move about in vain; and a wait outweighs an allocation by far.
    further: Option<Pin<Box<Further<B, E>>>>,
}

pin_project! {
    #[project = FurtherProj]
    /// What is known of a call once it is tried again.
    struct Further<B, E> {
        waits: Waits<B>,
        // The wait before the coming attempt, and then the present one.
        wait: Duration,
        // None while an attempt is under way.
        #[pin]
        timer: Option<Sleep>,
        // For the coming attempt. It goes back where it came from if that is never made.
        withdrawal: Option<Withdrawal>,
        // What the present attempt cost.
        spent: Option<Spent>,
        // What there is to return if the coming attempt can't be made. A response has been let go
        // by then, and what it held with it.
        last: Option<Last<E>>,
    }
}

/// An error, and the fault that a layer further in left behind it.
struct Last<E> {
    error: E,
    left: Option<Fault>,
}

impl<S, Request, E, C, B, R> Call<S, Request, E, C, B, R> {
    /// A call within an attempt of another retry, which passes through.
    pub(crate) fn within(number: u32, asked: Asked, policy: Arc<Policy<C, B, R>>) -> Self {
        Self {
            number,
            asked,
            is_within: true,
            policy,
            service: None,
            request: None,
            further: None,
        }
    }

    /// A call that has made its first attempt.
    #[inline]
    pub(crate) fn first(
        asked: Asked,
        policy: Arc<Policy<C, B, R>>,
        service: Option<S>,
        request: Option<Request>,
    ) -> Self {
        Self {
            number: 1,
            asked,
            is_within: false,
            policy,
            service,
            request,
            further: None,
        }
    }

    /// Which attempt is under way.
    #[inline]
    pub(crate) const fn number(&self) -> u32 {
        self.number
    }

    /// The present attempt doesn't end at once.
    #[inline]
    pub(crate) fn pending(&mut self) {
        if !self.is_within {
            self.asked.pending();
        }
    }

    /// What went wrong with the present attempt, where that is this retry's to judge. A success
    /// settles what it cost.
    #[inline]
    pub(crate) fn fault<Res>(&mut self, result: Result<&Res, &E>) -> Option<Fault>
    where
        C: Classify<Res, E>,
    {
        if self.is_within {
            return None;
        }
        let policy = &self.policy;
        let verdict = policy.classify.judge(result);
        if let Verdict::Failure(fault) = verdict {
            return Some(fault);
        }
        if let (Verdict::Success, Some(budget)) = (verdict, &policy.rules.budget) {
            let further = self.further.as_mut();
            let spent = further.and_then(|further| further.as_mut().project().spent.take());
            budget.success(spent);
        }
        None
    }

    /// The present attempt failed: it is recorded. Whether there is to be another; that is paid for
    /// already.
    pub(crate) fn failed(&mut self, fault: &Fault) -> bool
    where
        B: Backoff,
        R: CloneRequest<Request>,
    {
        self.plan(fault).is_some()
    }

    fn plan(&mut self, fault: &Fault) -> Option<()>
    where
        B: Backoff,
        R: CloneRequest<Request>,
    {
        let (number, rules) = (self.number, &self.policy.rules);
        let (wait, spent) = match &mut self.further {
            Some(further) => (further.wait, further.as_mut().project().spent.take()),
            None => (Duration::ZERO, None),
        };
        if let (FaultKind::Refused, Some(spent), Some(budget)) =
            (fault.kind(), spent, &rules.budget)
        {
            budget.refund(spent);
        }
        let now = Instant::now();
        let is_allowed = rules.allow(fault, number);
        let copy = self.request.as_ref();
        if is_allowed && !copy.is_some_and(|copy| self.policy.requests.is_whole(copy)) {
            let fault = fault.because(fault.reason().unwrap_or(SENT_ONCE));
            self.asked.failed(number, wait, fault, now);
            return None;
        }
        self.asked.failed(number, wait, *fault, now);
        if !is_allowed || !context::may_attempt() {
            return None;
        }
        let further = self
            .further
            .get_or_insert_with(|| Box::pin(Further::new(&self.policy)));
        let further = further.as_mut().project();
        *further.wait = further.waits.next(fault, rules)?;
        if !rules.fits(*further.wait, now) {
            return None;
        }
        *further.withdrawal = rules.pay(fault.kind()).ok()?;
        Some(())
    }

    /// Begins the wait for the coming attempt. An error is kept for then.
    pub(crate) fn wait(&mut self, error: Option<E>) {
        let left = context::fault();
        context::clear_fault();
        let mut further = self.planned();
        let timer = sleep(*further.wait);
        further.timer.set(Some(timer));
        *further.last = error.map(|error| Last { error, left });
    }

    /// Waits for the time of the coming attempt.
    pub(crate) fn poll_wait(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let timer = self.planned().timer.as_pin_mut();
        timer.expect("polled after completion").poll(cx)
    }

    fn planned(&mut self) -> FurtherProj<'_, B, E> {
        let further = self.further.as_mut().expect("it was planned for");
        further.as_mut().project()
    }

    /// Whether there is an error to return.
    pub(crate) fn has_error(&self) -> bool {
        let further = self.further.as_ref();
        further.is_some_and(|further| further.last.is_some())
    }

    /// The error that was kept.
    pub(crate) fn take_error(&mut self) -> Option<E> {
        let last = self.planned().last.take()?;
        if let Some(fault) = last.left {
            context::leave_fault(fault);
        }
        Some(last.error)
    }

    /// Whether the service would take another call just now.
    pub(crate) fn is_ready(&self, cx: &mut Context<'_>) -> bool
    where
        S: Service<Request> + Clone,
    {
        // A clone is asked, and what it reserves let go: a place is not held while waiting.
        let mut service = self.service.clone();
        service
            .as_mut()
            .is_some_and(|service| matches!(service.poll_ready(cx), Poll::Ready(Ok(()))))
    }

    /// The service for the coming attempt, once it is ready.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), E>>
    where
        S: Service<Request, Error = E>,
        C: Classify<S::Response, E>,
    {
        let service = self.service.as_mut().expect("it was planned for");
        let ready = service.poll_ready(cx);
        if let Poll::Ready(Err(error)) = &ready {
            if let Verdict::Failure(fault) = self.policy.classify.judge(Err(error)) {
                context::record(Attempt::passed_over(fault));
            }
        }
        ready
    }

    /// Whether it is too late for another attempt.
    pub(crate) fn is_late(&self) -> bool {
        !self.policy.rules.fits(Duration::ZERO, Instant::now())
    }

    /// Makes another attempt, on a service that is ready.
    pub(crate) fn attempt(&mut self) -> S::Future
    where
        S: Service<Request>,
        R: CloneRequest<Request>,
    {
        let Policy {
            requests, rules, ..
        } = &*self.policy;
        let request = self.request.take().expect("it was planned for");
        self.number = self.number.saturating_add(1);
        if self.number < rules.attempts.get() {
            self.request = requests.clone_request(&request);
        }
        let mut further = self.planned();
        further.timer.set(None);
        *further.last = None;
        *further.spent = further.withdrawal.take().map(Withdrawal::spend);
        self.asked = Asked::since(context::mark());
        let _attempt = context::enter_attempt(self.number);
        let service = self.service.as_mut().expect("it was planned for");
        service.call(request)
    }
}

impl<B: Backoff, E> Further<B, E> {
    fn new<C, R>(policy: &Policy<C, B, R>) -> Self {
        Self {
            waits: Waits::new(policy),
            wait: Duration::ZERO,
            timer: None,
            withdrawal: None,
            spent: None,
            last: None,
        }
    }
}
