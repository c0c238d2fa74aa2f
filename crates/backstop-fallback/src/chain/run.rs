use std::sync::Arc;

use backstop_core::{BoxError, Classify, Exhausted, Fault, FaultKind, context};
use tokio::time::Instant;
use tower_service::Service;

use super::list::{List, Places};
use crate::{
    Candidate, MapRequest, NoCandidate,
    asked::{Asked, passed_over},
    order::{Order, first},
    policy::{NOT_READY, Policy, exhausted, time_is_left},
};

/// One call on its way through the chain: which candidates are left for it, and what it sends them.
pub(crate) struct Run<S, M, C, O, Request> {
    list: Arc<List<S, M>>,
    order: O,
    policy: Policy<C>,
    /// Who has neither been asked nor passed over.
    left: Places,
    /// Who is being asked.
    at: usize,
    /// What the next candidate is sent; gone once the last is asked.
    request: Option<Request>,
    asked: Asked,
    /// Who could be asked when it was called.
    ahead: Ahead,
}

/// Who could be asked after the present candidate.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Ahead {
    Nobody,
    /// Only candidates that step in after some kinds of failure.
    Specialists,
    /// One that steps in whatever the reason.
    Anyone,
}

impl Ahead {
    /// Whether it is better to go on than to wait: there is somebody, or a fallback further out
    /// has.
    #[inline]
    pub(crate) fn others(self) -> bool {
        matches!(self, Self::Anyone) || context::alternatives()
    }
}

impl<S, M, C, O, Request> Run<S, M, C, O, Request>
where
    O: Order,
{
    pub(crate) fn new(
        list: Arc<List<S, M>>,
        order: O,
        policy: Policy<C>,
        request: Request,
    ) -> Self {
        Self {
            left: list.enabled(),
            list,
            order,
            policy,
            at: 0,
            request: Some(request),
            asked: Asked::now(),
            ahead: Ahead::Nobody,
        }
    }

    pub(crate) const fn policy(&self) -> &Policy<C> {
        &self.policy
    }

    fn candidate(&self) -> &Candidate<S, M> {
        self.list.at(self.at)
    }

    /// Turns to the candidate at `place`, unless its gate refuses: then it is passed over.
    pub(crate) fn turn_to(&mut self, place: usize, clock: &mut Clock) -> bool {
        self.left &= !(1 << place);
        self.at = place;
        match clock.admits(self.candidate()) {
            Ok(()) => {
                self.asked = Asked::now();
                true
            }
            Err(fault) => {
                self.pass_over(fault);
                false
            }
        }
    }

    /// The candidate could not be asked.
    pub(crate) fn pass_over(&self, fault: Fault) {
        passed_over(self.candidate().name(), fault);
    }

    /// Turns to the next candidate that steps in after a failure of this kind — none where nothing
    /// but its turn is the reason — and hands out its service.
    pub(crate) fn next(&mut self, after: Option<FaultKind>) -> Option<S>
    where
        S: Clone,
    {
        if self.request.is_none() || !time_is_left() {
            return None;
        }
        let bounded = !context::may_attempt();
        let mut able = self.list.places(self.left, |candidate| {
            candidate.steps_in(after, self.policy.on) && (candidate.free || !bounded)
        });
        let mut clock = Clock::default();
        while let Some(place) = self.list.pick(&self.order, able) {
            able &= !(1 << place);
            if self.turn_to(place, &mut clock) {
                return Some(self.candidate().service.clone());
            }
        }
        None
    }

    /// Who could be asked if the present candidate fails.
    pub(crate) fn ahead(&self, clock: &mut Clock) -> Ahead {
        let mut ahead = Ahead::Nobody;
        let mut left = self.left;
        while let Some(place) = first(left) {
            left &= left - 1;
            let candidate = self.list.at(place);
            if clock.admits(candidate).is_ok() {
                if candidate.steps_in(None, self.policy.on) {
                    return Ahead::Anyone;
                }
                ahead = Ahead::Specialists;
            }
        }
        ahead
    }

    /// Who could be asked, found when the present candidate was called.
    #[inline]
    pub(crate) const fn was_ahead(&self) -> Ahead {
        self.ahead
    }

    /// Calls the candidate turned to, by its service: with the request itself where nobody is left
    /// to be asked after it, else with a clone.
    pub(crate) fn call(&mut self, service: &mut S, ahead: Ahead, clock: &Clock) -> S::Future
    where
        S: Service<M::Request>,
        M: MapRequest<Request>,
        Request: Clone,
    {
        self.ahead = ahead;
        let request = match ahead {
            Ahead::Nobody => self.request.take(),
            Ahead::Specialists | Ahead::Anyone => self.request.clone(),
        };
        let request = request.expect("polled after completion");
        let _now = clock.0.map(context::enter_now);
        service.call(self.candidate().map.map(request))
    }

    /// The candidate did not answer at once.
    #[inline]
    pub(crate) fn pending(&mut self) {
        self.asked.pending();
    }

    /// What the candidate's result means: a failure that is the chain's to deal with, or none.
    #[inline]
    pub(crate) fn finished<Res, E>(&self, result: &Result<Res, E>) -> Option<Fault>
    where
        C: Classify<Res, E>,
    {
        let fault = self.policy.fault(result);
        if let Some(fault) = fault {
            self.asked.failed(self.candidate().name(), fault);
        }
        if O::MEASURES {
            let latency = self.candidate().profile().latency();
            latency.note(Instant::now(), self.asked.took(), fault.is_some());
        }
        fault
    }

    /// No candidate was left at all.
    pub(crate) fn nobody<E: From<Exhausted>>(&self) -> E {
        exhausted(NOT_READY.because("no candidate"), NoCandidate)
    }

    /// The last result, where nobody is left to take over from it.
    pub(crate) fn last<Res, E>(&self, fault: Fault, result: Result<Res, E>) -> Result<Res, E>
    where
        E: From<Exhausted> + Into<BoxError>,
    {
        if self.policy.on.contains(fault.kind()) {
            result.map_err(|error| exhausted(fault, error))
        } else {
            result
        }
    }
}

/// One reading of the clock for all the gates that are asked at one moment, and none where there
/// is no gate.
#[derive(Debug, Default)]
pub(crate) struct Clock(Option<Instant>);

impl Clock {
    fn admits<S, M>(&mut self, candidate: &Candidate<S, M>) -> Result<(), Fault> {
        match &candidate.gate {
            Some(gate) => gate.admits(*self.0.get_or_insert_with(context::now)),
            None => Ok(()),
        }
    }
}
