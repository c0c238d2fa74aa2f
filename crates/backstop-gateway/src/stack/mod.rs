//! The layers round the candidates of each model, in the recommended order.
//!
//! ```text
//! Timeout(total) ─ Continue ─ Chain ─┬ ServedBy ─ Retry ─ CircuitBreaker ─ Timeout ─ Model
//!                                    └ …
//! ```

mod cached;
mod candidate;
mod chaos;
mod circuits;
mod limits;
mod ordered;
mod providers;
mod reply;
mod retries;
mod selection;
mod without_deadline;

use std::{collections::BTreeMap, num::NonZeroU32, sync::Arc, time::Duration};

use backstop_core::{BoxError, FaultKind, FaultKinds, Name, Stamp as _, UntilEnd, context};
use backstop_fallback::{Chain, FAIL_OVER, Handle, InvalidChain, Same, UnknownCandidate};
use backstop_llm::{ChatClassifier, ChatRequest, ChatResponse, ContinueLayer, Error};
use backstop_retry::Budget;
use backstop_timeout::{Limits, LimitsFn, TimeoutLayer};
use tower::{ServiceBuilder, ServiceExt};

pub(crate) use self::{
    cached::{Answers, Question},
    candidate::{Entry, Service},
    chaos::Chaos,
    circuits::{CircuitView, Circuits},
    providers::Providers,
    selection::Selection,
};
use self::{ordered::Ordered, retries::Retries};
use crate::{
    config::{Config, Hedge, Model, Target},
    routing::{Asked, Wishes},
    stats::Stats,
};

type Candidates = Chain<Service, Same, ChatClassifier, Ordered>;
type Total = TimeoutLayer<UntilEnd, LimitsFn<fn(&ChatRequest, Limits) -> Limits>>;

/// One model's layers and candidates.
#[derive(Debug)]
pub(crate) struct ModelStack {
    /// Its name in the config.
    pub(crate) name: Name,
    entries: Vec<Arc<Entry>>,
    chain: Candidates,
    total: Total,
    /// How long a call may take, whatever a caller wishes.
    longest: Duration,
    hedge: Option<Hedge>,
    budget: Budget,
    continues: ContinueLayer,
    order: Ordered,
    max_attempts: Option<NonZeroU32>,
    price_cap: Option<f64>,
    answers: Option<Answers>,
}

/// The stacks of all models.
pub(crate) fn build(
    config: &Config,
    circuits: &Circuits,
    providers: &Providers,
    budget: &Budget,
    chaos: &Chaos,
    before: Option<&BTreeMap<String, ModelStack>>,
) -> Result<BTreeMap<String, ModelStack>, BoxError> {
    let models = config.models.iter();
    models
        .map(|(name, model)| {
            let stack = ModelStack::new(
                name,
                model,
                circuits,
                providers,
                budget,
                chaos,
                before.and_then(|before| before.get(name)),
            )?;
            Ok((name.clone(), stack))
        })
        .collect()
}

impl ModelStack {
    fn new(
        name: &str,
        model: &Model,
        circuits: &Circuits,
        providers: &Providers,
        budget: &Budget,
        chaos: &Chaos,
        before: Option<&Self>,
    ) -> Result<Self, BoxError> {
        let answers = answers(model, before);
        let candidates = model.candidates.iter();
        let entries: Vec<_> = candidates
            .map(|it| {
                let answers = answers.as_ref();
                Entry::new(it, model, circuits, providers, budget, chaos, answers).map(Arc::new)
            })
            .collect::<Result<_, _>>()?;
        let order = Ordered::new(model);
        let total: fn(&ChatRequest, Limits) -> Limits = limits::total;
        Ok(Self {
            name: name.into(),
            chain: chain(entries.iter(), None, &order, model.max_attempts)?,
            entries,
            max_attempts: model.max_attempts,
            order,
            answers,
            price_cap: model.price_cap,
            total: TimeoutLayer::new()
                .until_end()
                .total(model.timeout.total)
                .limits_for(total),
            longest: model.timeout.total,
            hedge: model.hedge,
            budget: budget.clone(),
            continues: ContinueLayer::new()
                .times(model.continues.times)
                .max_partial(model.continues.max_partial),
        })
    }

    /// Asks the candidates in the operator's order.
    pub(crate) async fn call(&self, request: ChatRequest) -> Result<ChatResponse, Error> {
        self.call_by(self.chain.clone(), self.continues, request)
            .await
    }

    /// Asks as the request wishes, within what the operator allows. `others` gives the model that
    /// a name stands for, where the caller may use it.
    pub(crate) async fn call_as_wished<'a>(
        &'a self,
        mut request: ChatRequest,
        wishes: &Wishes,
        stats: impl FnOnce() -> &'a Stats,
        others: impl Fn(&str) -> Option<&'a Self>,
    ) -> Result<ChatResponse, Error> {
        let selection = self.select(Some(&request), wishes, stats, others);
        if let Some(refusal) = selection.refusal(wishes) {
            return Err(refusal);
        }
        let mut wishes = wishes.clone();
        // The operator's own limit is none of the caller's.
        wishes.total = wishes.total.filter(|total| *total < self.longest);
        let asked = selection.asked.iter();
        let chain = chain(asked, Some(&wishes), &selection.order, self.max_attempts)
            .map_err(|error| Error::invalid(format!("these candidates can't be asked: {error}")))?;
        if let Some(retries) = wishes.retries {
            request.extensions_mut().insert(Retries(retries));
        }
        let continues = if wishes.no_continuation {
            self.continues.times(0)
        } else {
            self.continues
        };
        request.extensions_mut().insert(wishes);
        self.call_by(chain, continues, request).await
    }

    async fn call_by(
        &self,
        chain: Candidates,
        continues: ContinueLayer,
        request: ChatRequest,
    ) -> Result<ChatResponse, Error> {
        let layers = ServiceBuilder::new().layer(&self.total).layer(continues);
        match self.hedge {
            None => layers.service(chain).oneshot(request).await,
            Some(hedge) => {
                let after = if request.is_streamed() {
                    hedge.first_token
                } else {
                    hedge.answer
                };
                let chain = chain.hedge(after).budget(self.budget.clone());
                // It has room for two candidates' calls, which the usual call does without.
                let mut response = Box::pin(layers.service(chain).oneshot(request)).await?;
                // The winner was stamped before the other was given up.
                if let Some(served) = response.served_by_mut() {
                    served.trail = context::trail();
                }
                Ok(response)
            }
        }
    }

    /// The candidates that are asked now, in their present order.
    fn enabled(&self) -> Vec<Arc<Entry>> {
        let all = self.in_order().into_iter();
        all.filter(|(_, enabled)| *enabled)
            .map(|(entry, _)| entry)
            .collect()
    }

    /// All candidates in their present order, and whether each is enabled.
    pub(crate) fn in_order(&self) -> Vec<(Arc<Entry>, bool)> {
        let present = self.chain.handle().candidates();
        present
            .iter()
            .filter_map(|(candidate, enabled)| {
                let entry = self
                    .entries
                    .iter()
                    .find(|it| it.name == *candidate.name())?;
                Some((entry.clone(), *enabled))
            })
            .collect()
    }

    /// Where good answers are kept, if they are.
    pub(crate) const fn answers(&self) -> Option<&Answers> {
        self.answers.as_ref()
    }

    /// Whether who is asked depends on the request, even where it has no wishes.
    pub(crate) const fn picks(&self) -> bool {
        self.price_cap.is_some()
    }

    /// Whether a call has made all the attempts that it may before it comes to this candidate, where
    /// so many others are asked before it.
    pub(crate) fn is_beyond_bound(&self, entry: &Entry, before: usize) -> bool {
        let bound = self.max_attempts.map(|most| most.get() as usize);
        entry.provider.is_some() && bound.is_some_and(|bound| before >= bound)
    }

    /// Whether it has a candidate of this name.
    pub(crate) fn has(&self, candidate: &str) -> bool {
        self.entries.iter().any(|entry| *entry.name == *candidate)
    }

    /// The names of its candidates, in the config's order.
    fn listed(&self) -> Vec<String> {
        let entries = self.entries.iter();
        entries.map(|entry| entry.name.to_string()).collect()
    }

    /// Puts these candidates first, whatever the order is made by otherwise; none of them, and it
    /// is as the config says again.
    pub(crate) fn reorder(&self, names: &[String]) -> Result<(), UnknownCandidate> {
        if names.is_empty() {
            self.handle().reorder(self.listed())?;
        } else {
            self.handle().reorder(names)?;
        }
        self.order.put_by_hand(!names.is_empty());
        Ok(())
    }

    /// Changes who is asked while it runs.
    pub(crate) fn handle(&self) -> Handle<Service> {
        self.chain.handle()
    }
}

/// Where a model's good answers are kept, if one of its candidates answers by them. Those that
/// were kept `before` stay.
fn answers(model: &Model, before: Option<&ModelStack>) -> Option<Answers> {
    let (name, max_age) = model.candidates.iter().find_map(|it| match it.target {
        Target::Cached(max_age) => Some((it.name.clone(), max_age)),
        _ => None,
    })?;
    let known = before
        .and_then(ModelStack::answers)
        .filter(|known| known.max_age() == max_age);
    Some(known.map_or_else(|| Answers::new(name, max_age), Answers::clone))
}

fn chain<'a>(
    entries: impl Iterator<Item = &'a Arc<Entry>>,
    wishes: Option<&Wishes>,
    order: &Ordered,
    max_attempts: Option<NonZeroU32>,
) -> Result<Candidates, InvalidChain> {
    let entries: Vec<_> = entries.collect();
    // Each candidate says after which failures it is asked. After any of these the last failure is
    // told together with those before it.
    let any = entries.iter().flat_map(|entry| entry.after.iter());
    let any = any.fold(FAIL_OVER.with(FaultKind::TooLarge), FaultKinds::with);
    let candidates = entries.iter().map(|entry| entry.candidate(wishes));
    let chain = Chain::new(candidates)?
        .on(any)
        .classify(ChatClassifier::new())
        .order(order.clone());
    Ok(match max_attempts {
        Some(attempts) => chain.max_attempts(attempts),
        None => chain,
    })
}

impl Asked for Arc<Entry> {
    fn name(&self) -> &str {
        &self.name
    }

    fn listed(&self) -> &str {
        &self.listed
    }

    fn provider(&self) -> Option<&str> {
        self.provider.as_deref()
    }
}
