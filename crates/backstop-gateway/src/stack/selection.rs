//! Who is asked for one request, in which order, and who is not, and why.

use std::sync::Arc;

use backstop_core::FaultKind;
use backstop_llm::{ChatRequest, Error};

use super::{Entry, ModelStack, ordered::Ordered};
use crate::{
    config::{Hedge, Ordering},
    routing::{Sort, Wishes, order},
    stats::Stats,
};

/// Who is asked for one request.
#[derive(Debug)]
pub(crate) struct Selection {
    /// In the order of the list, which is not the one in which they are asked where that is made
    /// anew for each call.
    pub(super) asked: Vec<Arc<Entry>>,
    pub(super) order: Ordered,
    /// Who would be asked otherwise, and why not.
    left_out: Vec<(Arc<Entry>, &'static str)>,
}

impl ModelStack {
    /// Who is asked for a request with these wishes; for any, where there is none. `others` gives
    /// the model that a name stands for, where the caller may use it. The `stats` are asked for
    /// only where they decide the order.
    pub(crate) fn select<'a>(
        &'a self,
        request: Option<&ChatRequest>,
        wishes: &Wishes,
        stats: impl FnOnce() -> &'a Stats,
        others: impl Fn(&str) -> Option<&'a Self>,
    ) -> Selection {
        let own = self.enabled();
        let asked = order(&own, wishes, |name| {
            others(name).map(Self::enabled).unwrap_or_default()
        });
        let unasked = own
            .iter()
            .filter(|it| !asked.iter().any(|asked| asked.name == it.name));
        let mut selection = Selection {
            left_out: unasked
                .map(|it| (it.clone(), "not what the request asks for"))
                .collect(),
            asked,
            order: self.order.clone(),
        };
        if let Some(most) = wishes.max_price {
            selection.keep("dearer than the request allows", |it| it.is_within(most));
        }
        if let (Some(cap), Some(request)) = (self.price_cap, request) {
            selection.keep("dearer than a call may be", |it| {
                it.costs_at_most(cap, request)
            });
        }
        selection.order = match wishes.sort {
            // Whoever names them in an order means that one.
            _ if wishes.orders() => self.order.by(Ordering::Priority),
            Some(Sort::Latency) => self.order.by(Ordering::Latency),
            Some(Sort::Price) => self.order.by(Ordering::Price),
            Some(Sort::Throughput) => {
                selection.fastest_speakers_first(&self.order, stats());
                self.order.by(Ordering::Priority)
            }
            None => self.order.clone(),
        };
        selection
    }

    /// When another candidate is started beside the first, and which one, or why none; nothing
    /// where the model does not hedge.
    pub(crate) fn beside(
        &self,
        selection: &Selection,
        request: Option<&ChatRequest>,
    ) -> Option<(Hedge, Result<Arc<Entry>, &'static str>)> {
        let hedge = self.hedge?;
        let asked = selection.in_turn().into_iter();
        let mut asked =
            asked.filter(|it| it.steps_in_after().is_none() && it.refuses(request).is_none());
        let first = asked.next();
        let other = first.and_then(|_| asked.find(|it| !it.lesser));
        let bounded = self.max_attempts.is_some_and(|most| most.get() == 1);
        let whom = match other {
            _ if bounded => Err("`max_attempts` is 1"),
            None => Err("there is no other but for lesser answers"),
            Some(_) if !self.budget.affords(FaultKind::TimedOut) => {
                Err("the budget of second tries is spent")
            }
            Some(other) => Ok(other),
        };
        Some((hedge, whom))
    }
}

impl Selection {
    /// Those who are asked, in their order as it would be now, as far as that is not left to
    /// chance.
    pub(crate) fn in_turn(&self) -> Vec<Arc<Entry>> {
        let mut entries = self.asked.clone();
        self.order.arrange(&mut entries);
        entries
    }

    /// By what those of one tier are put in order.
    pub(crate) fn by(&self) -> Ordering {
        self.order.within()
    }

    /// Who would be asked otherwise, and why not.
    pub(crate) fn left_out(&self) -> &[(Arc<Entry>, &'static str)] {
        &self.left_out
    }

    /// Why nobody is left to be asked, where that is so.
    pub(super) fn refusal(&self, wishes: &Wishes) -> Option<Error> {
        if !self.asked.is_empty() {
            return None;
        }
        let why = self.left_out.last().map(|(_, why)| *why);
        Some(match why {
            // Whatever the request asks for, the operator has taken all of them out.
            None => Error::refused("no candidate can be asked now"),
            Some("dearer than a call may be") => {
                Error::refused("every candidate is dearer than a call may be")
            }
            _ if wishes.max_price.is_some() => Error::invalid(
                "No candidate is left that costs as little as `provider.max_price` says.",
            )
            .with_param("provider"),
            _ => Error::invalid("No candidate is left of those that the request asks for."),
        })
    }

    fn keep(&mut self, why_not: &'static str, keep: impl Fn(&Entry) -> bool) {
        let (kept, dropped) = std::mem::take(&mut self.asked)
            .into_iter()
            .partition::<Vec<_>, _>(|it| keep(it));
        self.asked = kept;
        self.left_out
            .extend(dropped.into_iter().map(|it| (it, why_not)));
    }

    /// By tier, and within one by tokens per second; who has not been measured yet comes first, so
    /// that it is.
    fn fastest_speakers_first(&mut self, order: &Ordered, stats: &Stats) {
        self.asked.sort_by(|a, b| {
            let speed = |it: &Entry| stats.tokens_per_second(&it.name).unwrap_or(f64::INFINITY);
            let tiers = order.tier(&a.name).cmp(&order.tier(&b.name));
            tiers.then_with(|| speed(b).total_cmp(&speed(a)))
        });
    }
}
