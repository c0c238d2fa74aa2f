use std::{
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{Attempt, Classify, Fault, FaultKind, Spent, Verdict, Withdrawal, context};
use tokio::time::Instant;
use tower_service::Service;

use crate::{Backoff, CloneRequest, Random, asked::Asked, policy::Policy};

/// Why a failure was not tried again although it would have been.
const SENT_ONCE: &str = "failed, and the request could be sent only once";

/// What one call carries from attempt to attempt.
pub(crate) struct Call<S, Request, C, B, R> {
    asked: Asked,
    // None within an attempt of another retry.
    policy: Option<Policy<C, B, R>>,
    // For the next attempt; none where there can't be one.
    service: Option<S>,
    request: Option<Request>,
    // What the present attempt cost.
    spent: Option<Spent>,
    // The chance in the waits, from the first one on.
    random: Option<Random>,
}

/// The next attempt, as planned when the last one failed.
pub(crate) struct Plan {
    pub(crate) wait: Duration,
    /// Goes back where it came from if the attempt is never made.
    pub(crate) withdrawal: Option<Withdrawal>,
}

impl<S, Request, C, B, R> Call<S, Request, C, B, R> {
    /// A call within an attempt of another retry, which passes through.
    pub(crate) fn within(attempt: u32) -> Self {
        Self {
            asked: Asked::now(attempt, Duration::ZERO),
            policy: None,
            service: None,
            request: None,
            spent: None,
            random: None,
        }
    }

    /// A call that is about to make its first attempt.
    #[inline]
    pub(crate) fn first(service: &S, request: &Request, policy: &Policy<C, B, R>) -> Self
    where
        S: Clone,
        C: Clone,
        B: Clone,
        R: CloneRequest<Request> + Clone,
    {
        if let Some(budget) = &policy.rules.budget {
            // A call that came here because another candidate failed has made its deposit.
            if !context::has_failed() {
                budget.deposit();
            }
        }
        let copy = match policy.rules.attempts.get() {
            1 => None,
            _ => policy.requests.clone_request(request),
        };
        Self {
            asked: Asked::now(1, Duration::ZERO),
            policy: Some(policy.clone()),
            service: copy.is_some().then(|| service.clone()),
            request: copy,
            spent: None,
            random: None,
        }
    }

    /// Which attempt is under way.
    #[inline]
    pub(crate) const fn number(&self) -> u32 {
        self.asked.number
    }

    /// The present attempt doesn't end at once.
    #[inline]
    pub(crate) fn pending(&mut self) {
        if self.policy.is_some() {
            self.asked.pending();
        }
    }

    /// What went wrong with the present attempt, where that is this retry's to judge. A success
    /// settles what it cost.
    #[inline]
    pub(crate) fn fault<Res, E>(&mut self, result: Result<&Res, &E>) -> Option<Fault>
    where
        C: Classify<Res, E>,
    {
        let policy = self.policy.as_ref()?;
        let verdict = policy.classify.judge(result);
        if let Verdict::Failure(fault) = verdict {
            return Some(fault);
        }
        if let (Verdict::Success, Some(budget)) = (verdict, &policy.rules.budget) {
            budget.success(self.spent.take());
        }
        None
    }

    /// The present attempt failed: it is recorded, and the next one planned, where there is to be
    /// one.
    pub(crate) fn failed(&mut self, fault: &Fault) -> Option<Plan>
    where
        B: Backoff,
        R: CloneRequest<Request>,
    {
        let policy = self.policy.as_mut()?;
        if let (FaultKind::Refused, Some(spent), Some(budget)) =
            (fault.kind(), self.spent.take(), &policy.rules.budget)
        {
            budget.refund(spent);
        }
        let now = Instant::now();
        let is_allowed = policy.rules.allow(fault, self.asked.number);
        let copy = self.request.as_ref();
        if is_allowed && !copy.is_some_and(|copy| policy.requests.is_whole(copy)) {
            let reason = fault.reason().unwrap_or(SENT_ONCE);
            self.asked.failed(fault.because(reason), now);
            return None;
        }
        self.asked.failed(*fault, now);
        if !is_allowed || !context::may_attempt() {
            return None;
        }
        let wait = policy.wait(fault, &mut self.random)?;
        if !policy.rules.fits(wait, now) {
            return None;
        }
        let withdrawal = policy.rules.pay(fault.kind()).ok()?;
        Some(Plan { wait, withdrawal })
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

    /// The service for the next attempt, once it is ready.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Request>,
        C: Classify<S::Response, S::Error>,
    {
        let service = self.service.as_mut().expect("it was planned for");
        let ready = service.poll_ready(cx);
        if let (Poll::Ready(Err(error)), Some(policy)) = (&ready, &self.policy) {
            if let Verdict::Failure(fault) = policy.classify.judge(Err(error)) {
                context::record(Attempt::passed_over(fault));
            }
        }
        ready
    }

    /// Whether it is too late for another attempt.
    pub(crate) fn is_late(&self) -> bool {
        let policy = self.policy.as_ref();
        policy.is_some_and(|policy| !policy.rules.fits(Duration::ZERO, Instant::now()))
    }

    /// Makes the attempt that was planned, on a service that is ready.
    pub(crate) fn attempt(&mut self, plan: Plan) -> S::Future
    where
        S: Service<Request>,
        R: CloneRequest<Request>,
    {
        let policy = self.policy.as_ref().expect("it was planned for");
        let request = self.request.take().expect("it was planned for");
        let number = self.asked.number.saturating_add(1);
        if number < policy.rules.attempts.get() {
            self.request = policy.requests.clone_request(&request);
        }
        self.spent = plan.withdrawal.map(Withdrawal::spend);
        self.asked = Asked::now(number, plan.wait);
        let _attempt = context::enter_attempt(number);
        let service = self.service.as_mut().expect("it was planned for");
        service.call(request)
    }
}
