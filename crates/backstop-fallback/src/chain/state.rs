use std::{
    pin::Pin,
    task::{Context, Poll},
};

use backstop_core::{Classify, Exhausted, Fault, context};
use pin_project_lite::pin_project;
use tower_service::Service;

use super::run::{Clock, Run, Turn};
use crate::{MapRequest, order::Order, policy::NOT_READY};

pin_project! {
    /// How far a call has got with one candidate.
    #[project = StateProj]
    pub(super) enum State<S, F> {
        /// Nobody is to be asked.
        Idle,
        /// The next candidate is to be found, in place of one that was passed over if there was one.
        Seeking { passed: Option<Turn> },
        /// A candidate is called as soon as it is ready.
        Waiting { turn: Option<Turn>, service: S },
        /// A candidate has been called.
        Called { turn: Option<Turn>, #[pin] response: F },
    }
}

/// What came of it.
pub(super) enum Step<Res, E> {
    /// Nothing yet.
    Pending,
    /// Nobody is to be asked.
    Idle,
    /// Nobody could be found, in place of whoever was passed over.
    Nobody(Option<Turn>),
    /// The candidate failed to become ready, and was passed over.
    Unready(Turn, Fault, E),
    /// The candidate is done.
    Finished(Turn, Result<Res, E>),
}

impl<S, F> State<S, F> {
    pub(super) const fn seeking() -> Self {
        Self::Seeking { passed: None }
    }

    pub(super) fn waiting((turn, service): (Turn, S)) -> Self {
        Self::Waiting {
            turn: Some(turn),
            service,
        }
    }

    pub(super) const fn called(turn: Turn, response: F) -> Self {
        Self::Called {
            turn: Some(turn),
            response,
        }
    }

    pub(super) const fn is_idle(&self) -> bool {
        matches!(self, Self::Idle)
    }

    /// Whose turn it is, where it has been called.
    pub(super) const fn called_in(&self) -> Option<&Turn> {
        match self {
            Self::Idle | Self::Seeking { .. } | Self::Waiting { .. } => None,
            Self::Called { turn, .. } => turn.as_ref(),
        }
    }

    /// Goes on with the candidate, and past those that can't be asked. Once it is done the state
    /// is idle.
    pub(super) fn step<M, C, O, Request, Res, E>(
        mut self: Pin<&mut Self>,
        run: &mut Run<S, M, C, O, Request>,
        cx: &mut Context<'_>,
    ) -> Step<Res, E>
    where
        S: Service<M::Request, Response = Res, Error = E, Future = F> + Clone,
        F: Future<Output = Result<Res, E>>,
        M: MapRequest<Request>,
        C: Classify<Res, E>,
        O: Order,
        Request: Clone,
        E: From<Exhausted>,
    {
        const DONE: &str = "a turn lasts until it is done";
        let mut mark = context::mark();
        loop {
            match self.as_mut().project() {
                StateProj::Idle => return Step::Idle,
                StateProj::Seeking { passed } => {
                    let passed = passed.take();
                    let Some((turn, service)) = run.next(None) else {
                        self.set(Self::Idle);
                        return Step::Nobody(passed);
                    };
                    let turn = match passed {
                        Some(passed) => turn.instead_of(passed),
                        None => turn,
                    };
                    self.set(Self::waiting((turn, service)));
                }
                StateProj::Waiting { turn, service } => {
                    let mut clock = Clock::default();
                    let ahead = run.ahead(&mut clock);
                    let others = ahead.others();
                    let _alternatives = context::enter_alternatives(others);
                    match service.poll_ready(cx) {
                        Poll::Ready(Ok(())) => {
                            let mut turn = turn.take().expect(DONE);
                            // Who was passed over until now is on the trail, and none of its own.
                            mark = context::mark();
                            let response = run.call(&mut turn, service, ahead, &clock);
                            self.set(Self::called(turn, response));
                        }
                        Poll::Ready(Err(error)) => {
                            let fault = run.policy().not_ready(&error);
                            let turn = turn.take().expect(DONE);
                            context::record(run.passed_over(&turn, fault));
                            self.set(Self::Idle);
                            return Step::Unready(turn, fault, error);
                        }
                        // Only the last is waited for.
                        Poll::Pending if others => {
                            let turn = turn.take().expect(DONE);
                            context::record(run.passed_over(&turn, NOT_READY));
                            self.set(Self::Seeking { passed: Some(turn) });
                        }
                        Poll::Pending => return Step::Pending,
                    }
                }
                StateProj::Called { turn, response } => {
                    let asked = turn.as_mut().expect(DONE);
                    let polled = {
                        let _alternatives = context::enter_alternatives(asked.ahead().others());
                        response.poll(cx)
                    };
                    run.name(asked, mark);
                    let Poll::Ready(result) = polled else {
                        asked.pending();
                        return Step::Pending;
                    };
                    let turn = turn.take().expect(DONE);
                    // What the candidate holds is given back before another one is asked.
                    self.set(Self::Idle);
                    return Step::Finished(turn, result);
                }
            }
        }
    }
}
