use std::{
    fmt,
    pin::Pin,
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{
    BoxError, Budget, Classify, Deadline, ErrorsAreTransient, Exhausted, FaultKind, Timer,
    context::{self, Scope},
};
use pin_project_lite::pin_project;
use tokio::time::Instant;
use tower_service::Service;

use super::{
    Chain, Handle,
    run::{Run, Turn},
    state::{State, Step},
};
use crate::{
    MapRequest, Same,
    order::{Order, Priority},
    policy::exhausted,
};

/// A [`Chain`] that starts the next candidate beside one that does not answer in time: made by
/// [`Chain::hedge`].
///
/// The first to answer wins, and the other is dropped. A failure starts the next candidate at once.
/// No more than two are ever in flight.
pub struct Hedged<S, M = Same, C = ErrorsAreTransient, O = Priority> {
    chain: Chain<S, M, C, O>,
    after: Duration,
    budget: Option<Budget>,
}

impl<S, M, C, O> Hedged<S, M, C, O> {
    pub(super) const fn new(chain: Chain<S, M, C, O>, after: Duration) -> Self {
        Self {
            chain,
            after,
            budget: None,
        }
    }

    /// Bounds by `budget` how many are started beside another: each takes what a second try after
    /// [`FaultKind::TimedOut`] costs, and without enough tokens it is not started. It is meant to
    /// be the budget of the retries further in, which make the deposits. Default: none.
    #[must_use]
    pub fn budget(mut self, budget: Budget) -> Self {
        self.budget = Some(budget);
        self
    }

    /// Changes the list while it runs, for this chain and all its clones.
    #[must_use]
    pub fn handle(&self) -> Handle<S, M> {
        self.chain.handle()
    }
}

impl<S, M, C: Clone, O: Clone> Clone for Hedged<S, M, C, O> {
    fn clone(&self) -> Self {
        Self {
            chain: self.chain.clone(),
            after: self.after,
            budget: self.budget.clone(),
        }
    }
}

impl<S, M, C, O: fmt::Debug> fmt::Debug for Hedged<S, M, C, O> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hedged")
            .field("chain", &self.chain)
            .field("after", &self.after)
            .field("budget", &self.budget)
            .finish()
    }
}

impl<S, M, C, O, Request> Service<Request> for Hedged<S, M, C, O>
where
    S: Service<M::Request> + Clone,
    S::Error: From<Exhausted> + Into<BoxError>,
    M: MapRequest<Request>,
    C: Classify<S::Response, S::Error> + Clone,
    O: Order + Clone,
    Request: Clone,
{
    type Response = S::Response;
    type Error = S::Error;
    type Future = HedgedFuture<S, S::Future, M, C, O, Request>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.chain.poll_ready(cx)
    }

    fn call(&mut self, request: Request) -> Self::Future {
        let (state, run, scope) = self.chain.begin(request);
        HedgedFuture {
            one: state,
            two: State::Idle,
            timer: Timer::new(),
            until: None,
            after: self.after,
            budget: self.budget.clone(),
            run,
            scope,
        }
    }
}

pin_project! {
    /// The future of [`Hedged`], over a candidate's service `S` whose future is `F`.
    #[must_use = "futures do nothing unless polled"]
    pub struct HedgedFuture<S, F, M, C, O, Request> {
        #[pin]
        one: State<S, F>,
        #[pin]
        two: State<S, F>,
        // Until another is started beside the one in flight; not set once that has been tried.
        timer: Timer,
        // None until the one in flight is found pending.
        until: Option<Instant>,
        after: Duration,
        budget: Option<Budget>,
        run: Run<S, M, C, O, Request>,
        scope: Scope,
    }
}

impl<S, F, M, C, O, Request> fmt::Debug for HedgedFuture<S, F, M, C, O, Request> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HedgedFuture").finish_non_exhaustive()
    }
}

impl<S, F, M, C, O, Request, Res, E> Future for HedgedFuture<S, F, M, C, O, Request>
where
    S: Service<M::Request, Response = Res, Error = E, Future = F> + Clone,
    F: Future<Output = Result<Res, E>>,
    M: MapRequest<Request>,
    C: Classify<Res, E>,
    O: Order,
    Request: Clone,
    E: From<Exhausted> + Into<BoxError>,
{
    type Output = Result<Res, E>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let mut this = self.project();
        let run = this.run;
        let _trail = this.scope.enter();
        let _bound = run.policy().enter_bound();
        loop {
            let mut went_on = false;
            for second in [false, true] {
                let (mut state, other) = if second {
                    (this.two.as_mut(), this.one.as_mut())
                } else {
                    (this.one.as_mut(), this.two.as_mut())
                };
                run.beside = !other.is_idle();
                let _other = run.beside.then(context::enter_other);
                let next = match state.as_mut().step(run, cx) {
                    Step::Pending | Step::Idle => continue,
                    Step::Nobody(passed) => {
                        if other.is_idle() {
                            return Poll::Ready(Err(run.nobody()));
                        }
                        passed.and_then(|turn| instead(turn, None, this.budget))
                    }
                    Step::Unready(turn, fault, error) => {
                        let next = instead(turn, run.next(None), this.budget);
                        if next.is_none() && other.is_idle() {
                            return Poll::Ready(Err(exhausted(fault, error)));
                        }
                        next
                    }
                    Step::Finished(turn, result) => {
                        let Some(fault) = run.finished(&turn, &result) else {
                            win(turn, this.budget);
                            give_up(run, other);
                            return Poll::Ready(result);
                        };
                        let mut next = run.next(Some(fault.kind()));
                        if fault.kind() == FaultKind::Refused {
                            next = instead(turn, next, this.budget);
                        }
                        if next.is_none() && (other.is_idle() || !run.goes_on(fault.kind())) {
                            give_up(run, other);
                            return Poll::Ready(run.last(fault, result));
                        }
                        next
                    }
                };
                context::clear_fault();
                if let Some(next) = next {
                    state.set(State::waiting(next));
                    went_on = true;
                }
            }
            if went_on {
                *this.timer = Timer::new();
                *this.until = None;
                continue;
            }
            let mut idle = match (this.one.is_idle(), this.two.is_idle()) {
                (true, false) => this.one.as_mut(),
                (false, true) => this.two.as_mut(),
                (false, false) => return Poll::Pending,
                (true, true) => panic!("polled after completion"),
            };
            let until = *this.until.get_or_insert_with(|| {
                let until = Deadline::after(Instant::now(), *this.after).instant();
                this.timer.set(until);
                until
            });
            if !this.timer.is_set() {
                return Poll::Pending;
            }
            // A candidate that uses up the task's cooperative budget leaves none for the timer.
            if this.timer.poll(cx).is_pending() && Instant::now() < until {
                return Poll::Pending;
            }
            *this.timer = Timer::new();
            match hedge(run, this.budget) {
                Some(next) => idle.set(State::waiting(next)),
                None => return Poll::Pending,
            }
        }
    }
}

/// Whom to start beside the one in flight, if that may be done.
fn hedge<S, M, C, O, Request>(
    run: &mut Run<S, M, C, O, Request>,
    budget: &Option<Budget>,
) -> Option<(Turn, S)>
where
    S: Clone,
    O: Order,
{
    // What it takes goes back if nobody is left to be asked.
    let withdrawal = match budget {
        Some(budget) => Some(budget.try_withdraw(FaultKind::TimedOut)?),
        None => None,
    };
    run.beside = true;
    let _other = context::enter_other();
    let (mut turn, service) = run.next(None)?;
    turn.beside = true;
    turn.paid = withdrawal.map(|withdrawal| withdrawal.spend());
    Some((turn, service))
}

/// Whoever is next in place of one that could not be asked: what was paid for that is paid for them,
/// or goes back where there is nobody.
fn instead<S>(other: Turn, next: Option<(Turn, S)>, budget: &Option<Budget>) -> Option<(Turn, S)> {
    match next {
        Some((turn, service)) => Some((turn.instead_of(other), service)),
        None => {
            if let (Some(budget), Some(paid)) = (budget, other.paid) {
                budget.refund(paid);
            }
            None
        }
    }
}

/// One has answered: what was paid for it has served.
fn win(winner: Turn, budget: &Option<Budget>) {
    if let (Some(budget), Some(paid)) = (budget, winner.paid) {
        budget.success(Some(paid));
    }
}

/// Drops the other, if there is one.
fn give_up<S, F, M, C, O, Request>(run: &Run<S, M, C, O, Request>, mut other: Pin<&mut State<S, F>>)
where
    O: Order,
{
    if let Some(turn) = other.called_in() {
        run.given_up(turn);
    }
    other.set(State::Idle);
}
