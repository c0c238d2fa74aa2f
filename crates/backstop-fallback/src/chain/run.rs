use std::sync::Arc;

use backstop_core::{
    Attempt, BoxError, Classify, Exhausted, Fault, FaultKind, Spent,
    context::{self, Mark},
};
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
pub(super) struct Run<S, M, C, O, Request> {
    list: Arc<List<S, M>>,
    order: O,
    policy: Policy<C>,
    /// Who has neither been asked nor passed over.
    left: Places,
    /// What the next candidate is sent; gone once the last is asked.
    request: Option<Request>,
    /// Whether whoever is asked next is started beside another.
    pub(super) beside: bool,
}

/// A candidate's turn in a call.
#[derive(Debug)]
pub(super) struct Turn {
    place: usize,
    asked: Asked,
    /// Who could be asked when it was called.
    ahead: Ahead,
    /// Whether another one was asked before it and has yet to answer.
    pub(super) beside: bool,
    /// What it took from the budget to ask it beside another one.
    pub(super) paid: Option<Spent>,
}

impl Turn {
    pub(super) const fn ahead(&self) -> Ahead {
        self.ahead
    }

    /// The same turn, in place of one that came to nothing: what was paid for that is paid for this.
    pub(super) fn instead_of(self, other: Self) -> Self {
        Self {
            beside: other.beside,
            paid: other.paid,
            ..self
        }
    }

    /// The candidate did not answer at once.
    #[inline]
    pub(super) fn pending(&mut self) {
        self.asked.pending();
    }
}

/// Who could be asked after the present candidate.
#[derive(Clone, Copy, Debug)]
pub(super) enum Ahead {
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
    pub(super) fn others(self) -> bool {
        matches!(self, Self::Anyone) || context::alternatives()
    }
}

impl<S, M, C, O, Request> Run<S, M, C, O, Request>
where
    O: Order,
{
    pub(super) fn new(
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
            request: Some(request),
            beside: false,
        }
    }

    pub(super) const fn policy(&self) -> &Policy<C> {
        &self.policy
    }

    fn candidate(&self, turn: &Turn) -> &Candidate<S, M> {
        self.list.at(turn.place)
    }

    /// The turn of the candidate at `place`, or the record that it is passed over, where its gate
    /// refuses.
    pub(super) fn turn(&mut self, place: usize, clock: &mut Clock) -> Result<Turn, Attempt> {
        self.left &= !(1 << place);
        let turn = Turn {
            place,
            asked: Asked::now(),
            ahead: Ahead::Nobody,
            beside: false,
            paid: None,
        };
        match clock.admits(self.list.at(place)) {
            Ok(()) => Ok(turn),
            Err(fault) => Err(self.passed_over(&turn, fault)),
        }
    }

    /// The record that the candidate could not be asked.
    pub(super) fn passed_over(&self, turn: &Turn, fault: Fault) -> Attempt {
        passed_over(self.candidate(turn).name(), fault)
    }

    /// The turn of the next candidate that steps in after a failure of this kind — none where
    /// nothing but its turn is the reason — and its service. Whoever is passed over is recorded,
    /// also where nobody was left to keep the request for.
    pub(super) fn next(&mut self, after: Option<FaultKind>) -> Option<(Turn, S)>
    where
        S: Clone,
    {
        if !time_is_left() {
            return None;
        }
        let bounded = !context::may_attempt();
        let mut able = self.list.places(self.left, |candidate| {
            candidate.steps_in(after, self.policy.on)
                && (candidate.free || !bounded)
                && (candidate.hedges || !self.beside)
        });
        let mut clock = Clock::default();
        while let Some(place) = self.list.pick(&self.order, able) {
            able &= !(1 << place);
            match self.turn(place, &mut clock) {
                Ok(turn) if self.request.is_some() => {
                    return Some((turn, self.list.at(place).service.clone()));
                }
                // Its gate has opened since, and there is nothing to ask it with any more.
                Ok(_) => {}
                Err(passed_over) => context::record(passed_over),
            }
        }
        None
    }

    /// Who could be asked if those whose turn it is fail.
    pub(super) fn ahead(&self, clock: &mut Clock) -> Ahead {
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

    /// Calls a candidate, by its service: with the request itself where nobody is left to be asked
    /// after it, else with a clone.
    pub(super) fn call(
        &mut self,
        turn: &mut Turn,
        service: &mut S,
        ahead: Ahead,
        clock: &Clock,
    ) -> S::Future
    where
        S: Service<M::Request>,
        M: MapRequest<Request>,
        Request: Clone,
    {
        turn.ahead = ahead;
        let request = match ahead {
            Ahead::Nobody => self.request.take(),
            Ahead::Specialists | Ahead::Anyone => self.request.clone(),
        };
        let request = request.expect("polled after completion");
        let _now = clock.0.map(context::enter_now);
        let _beside = turn.beside.then(context::enter_beside);
        service.call(self.candidate(turn).map.map(request))
    }

    /// Gives a candidate's name to what was recorded since `mark`, while it alone was polled.
    pub(super) fn name(&self, turn: &mut Turn, mark: Mark) {
        let candidate = self.candidate(turn);
        turn.asked.own(mark, || candidate.name());
    }

    /// The fault, where the candidate's result is a failure.
    #[inline]
    pub(super) fn finished<Res, E>(&self, turn: &Turn, result: &Result<Res, E>) -> Option<Fault>
    where
        C: Classify<Res, E>,
    {
        let fault = self.policy.fault(result);
        if let Some(fault) = fault {
            turn.asked.failed(self.candidate(turn).name(), fault);
        }
        if O::MEASURES {
            let latency = self.candidate(turn).profile().latency();
            latency.note(Instant::now(), turn.asked.took(), fault.is_some());
        }
        fault
    }

    /// The candidate was too slow: it is given up while it still runs.
    pub(super) fn given_up(&self, turn: &Turn) {
        turn.asked.given_up(self.candidate(turn).name());
        if O::MEASURES {
            let (now, took) = (Instant::now(), turn.asked.took());
            let latency = self.candidate(turn).profile().latency();
            // It would have taken longer still, so what is known may only grow by it.
            if took > latency.at(now) {
                latency.note(now, took, false);
            }
        }
    }

    /// No candidate was left at all.
    pub(super) fn nobody<E: From<Exhausted>>(&self) -> E {
        exhausted(NOT_READY.because("no candidate"), NoCandidate)
    }

    /// Whether calls go on after a failure of this kind, if there is somebody to go on to.
    pub(super) const fn goes_on(&self, kind: FaultKind) -> bool {
        self.policy.on.contains(kind)
    }

    /// The last result, where nobody is left to take over from it.
    pub(super) fn last<Res, E>(&self, fault: Fault, result: Result<Res, E>) -> Result<Res, E>
    where
        E: From<Exhausted> + Into<BoxError>,
    {
        if self.goes_on(fault.kind()) {
            result.map_err(|error| exhausted(fault, error))
        } else {
            result
        }
    }
}

/// One reading of the clock for all the gates that are asked at one moment, and none where there
/// is no gate.
#[derive(Debug, Default)]
pub(super) struct Clock(Option<Instant>);

impl Clock {
    fn admits<S, M>(&mut self, candidate: &Candidate<S, M>) -> Result<(), Fault> {
        match &candidate.gate {
            Some(gate) => gate.admits(*self.0.get_or_insert_with(context::now)),
            None => Ok(()),
        }
    }
}
