use std::{
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{
    Attempt, Classify, Fault, FaultKind, Spent, Verdict, Withdrawal,
    context::{self, Mark},
};
use tokio::time::Instant;
use tower_service::Service;

use crate::{Backoff, CloneRequest, asked::Asked, policy::Policy, waits::Waits};

/// Why a failure was not tried again although it would have been.
const SENT_ONCE: &str = "failed, and the request could be sent only once";

/// What one call carries from attempt to attempt.
pub(crate) struct Call<S, Request, C, B, R> {
    number: u32,
    // Whether results are another retry's to judge, further out.
    is_within: bool,
    asked: Asked,
    policy: Arc<Policy<C, B, R>>,
    // None where there can't be another attempt.
    spare: Option<Spare<S, Request>>,
    // None until a failure is to be tried again.
    again: Option<Again<B>>,
}

/// What the next attempt is made with.
pub(crate) struct Spare<S, Request> {
    pub(crate) service: S,
    pub(crate) request: Request,
}

/// What a call carries besides once a failure is to be tried again.
struct Again<B> {
    waits: Waits<B>,
    // The wait before the coming attempt, and then the present one.
    wait: Duration,
    // What the present attempt cost.
    spent: Option<Spent>,
}

/// An error that is to be tried again, and the fault that a layer further in left behind it: what
/// there is to return if the coming attempt can't be made.
pub(crate) struct Last<E> {
    error: E,
    left: Option<Fault>,
}

impl<E> Last<E> {
    /// Keeps an error. A response is let go instead, and what it held with it.
    pub(crate) fn keep<Res>(result: Result<Res, E>) -> Option<Self> {
        let left = context::fault();
        context::clear_fault();
        result.err().map(|error| Self { error, left })
    }

    /// The error, to be returned after all.
    pub(crate) fn give_back(self) -> E {
        if let Some(fault) = self.left {
            context::leave_fault(fault);
        }
        self.error
    }
}

impl<S, Request, C, B, R> Call<S, Request, C, B, R> {
    /// A call whose attempt `number` has been made: the first, or one within another retry, to
    /// which it belongs as well.
    #[inline]
    pub(crate) const fn new(
        number: u32,
        is_within: bool,
        policy: Arc<Policy<C, B, R>>,
        spare: Option<Spare<S, Request>>,
    ) -> Self {
        Self {
            number,
            is_within,
            asked: Asked::now(),
            policy,
            spare,
            again: None,
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
    pub(crate) fn fault<Res, E>(&mut self, result: Result<&Res, &E>) -> Option<Fault>
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
            budget.success(self.again.as_mut().and_then(|again| again.spent.take()));
        }
        None
    }

    /// The present attempt failed, in a poll that began at `mark`: it is recorded. Where there is to
    /// be another, how long to wait before it, and what it takes from the budget.
    pub(crate) fn failed(
        &mut self,
        fault: &Fault,
        mark: Mark,
    ) -> Option<(Duration, Option<Withdrawal>)>
    where
        B: Backoff,
        R: CloneRequest<Request>,
    {
        let (number, rules) = (self.number, &self.policy.rules);
        let (wait, spent) = match &mut self.again {
            Some(again) => (again.wait, again.spent.take()),
            None => (Duration::ZERO, None),
        };
        if let (FaultKind::Refused, Some(spent), Some(budget)) =
            (fault.kind(), spent, &rules.budget)
        {
            budget.refund(spent);
        }
        let now = Instant::now();
        let is_allowed = rules.allow(fault, number);
        let requests = &self.policy.requests;
        let is_whole = |spare: &Spare<S, Request>| requests.is_whole(&spare.request);
        let is_sent_once = is_allowed && !self.spare.as_ref().is_some_and(is_whole);
        let told = if is_sent_once {
            fault.because(fault.reason().unwrap_or(SENT_ONCE))
        } else {
            *fault
        };
        self.asked.failed(mark, number, wait, told, now);
        if rules.budget.is_some() {
            context::note_deposit();
        }
        if !is_allowed || is_sent_once || !context::may_attempt() {
            return None;
        }
        let again = self.again.get_or_insert_with(|| Again {
            waits: Waits::new(&self.policy),
            wait: Duration::ZERO,
            spent: None,
        });
        again.wait = again.waits.next(number, fault, rules)?;
        if !rules.fits(again.wait, now) {
            return None;
        }
        let paid = match &rules.budget {
            Some(budget) => Some(budget.try_withdraw(fault.kind())?),
            None => None,
        };
        Some((again.wait, paid))
    }

    /// Whether the service would take another call just now.
    pub(crate) fn is_ready(&self, cx: &mut Context<'_>) -> bool
    where
        S: Service<Request> + Clone,
    {
        // A clone is asked, and what it reserves let go: a place is not held while waiting.
        let service = self.spare.as_ref().map(|spare| spare.service.clone());
        service.is_some_and(|mut service| matches!(service.poll_ready(cx), Poll::Ready(Ok(()))))
    }

    /// The service for the coming attempt, once it is ready.
    pub(crate) fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>>
    where
        S: Service<Request>,
        C: Classify<S::Response, S::Error>,
    {
        let spare = self.spare.as_mut().expect("it was planned for");
        let ready = spare.service.poll_ready(cx);
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

    /// Makes another attempt, paid for by `paid`, on a service that is ready.
    pub(crate) fn attempt(&mut self, paid: Option<Withdrawal>) -> S::Future
    where
        S: Service<Request>,
        R: CloneRequest<Request>,
    {
        let Policy {
            requests, rules, ..
        } = &*self.policy;
        let spare = self.spare.take().expect("it was planned for");
        let Spare {
            mut service,
            request,
        } = spare;
        self.number = self.number.saturating_add(1);
        let copy = if self.number < rules.attempts.get() {
            requests.clone_request(&request)
        } else {
            None
        };
        if let Some(again) = &mut self.again {
            again.spent = paid.map(Withdrawal::spend);
        }
        self.asked = Asked::now();
        let response = {
            let _attempt = context::enter_attempt(self.number);
            service.call(request)
        };
        self.spare = copy.map(|request| Spare { service, request });
        response
    }
}
