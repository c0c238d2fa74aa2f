//! The layers round one candidate.

use std::time::Duration;

use backstop_core::{BoxError, FaultKind, FaultKinds, Name};
use backstop_fallback::Candidate;
use backstop_llm::{
    ChatClassifier, ChatRequest, ChatResponse, Error, SystemPrompt, Usage,
    abilities::estimate_tokens,
};
use backstop_retry::Budget;
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use tokio::time::Instant;
use tower::{ServiceBuilder, util::BoxCloneSyncService};

use super::{
    cached::{Answers, CachedReply},
    chaos::Chaos,
    circuits::{Circuit, Circuits},
    limits::Attempt,
    providers::Providers,
    reply::FixedReply,
    retries::{self, RetryLayer},
    without_deadline::WithoutDeadline,
};
use crate::{
    config::{self, Model, Price, Target},
    given_up::Asked,
    routing::{MaxPrice, Wishes},
    trace::Traced,
};

/// A candidate with its layers. Candidates of one chain must be of one type, so it is boxed.
pub(crate) type Service = BoxCloneSyncService<ChatRequest, ChatResponse, Error>;

/// How many tokens an answer is expected to have where the request does not limit it.
const EXPECTED_OUTPUT: u64 = 1_000;

/// A candidate of a model.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) name: Name,
    /// The same without the number of its key.
    pub(super) listed: Name,
    pub(crate) provider: Option<Name>,
    pub(crate) circuit: Option<Circuit>,
    pub(super) after: FaultKinds,
    service: Service,
    /// The same for a caller in more of a hurry than the operator.
    hurried: Option<Service>,
    innermost: Option<backstop_llm::Model>,
    weight: u32,
    price: Option<Price>,
    /// Whether its answers are lesser ones.
    pub(super) lesser: bool,
}

impl Entry {
    pub(super) fn new(
        candidate: &config::Candidate,
        model: &Model,
        circuits: &Circuits,
        providers: &Providers,
        budget: &Budget,
        chaos: &Chaos,
        answers: Option<&Answers>,
    ) -> Result<Self, BoxError> {
        let name = candidate.name.clone();
        let mut served_by = ServedByLayer::new(name.clone());
        if candidate.degraded.is_some() {
            served_by = served_by.degraded();
        }
        let Target::Provider {
            provider,
            model: asked,
            key,
            abilities,
            allow_loss,
            commit,
            validate,
            system,
            price,
        } = &candidate.target
        else {
            let service = match (&candidate.target, answers) {
                (Target::Reply(text), _) => Service::new(
                    ServiceBuilder::new()
                        .layer(served_by.degraded())
                        .service(FixedReply::new(text)),
                ),
                (Target::Cached(_), Some(answers)) => {
                    Service::new(CachedReply::new(name, answers.clone()))
                }
                _ => return Err(format!("{name} has nothing to answer with").into()),
            };
            let name = candidate.name.clone();
            return Ok(Self {
                listed: name.clone(),
                name,
                provider: None,
                circuit: None,
                after: candidate.after,
                service,
                hurried: None,
                innermost: None,
                weight: candidate.weight,
                price: None,
                lesser: true,
            });
        };
        let (described, known) = providers
            .get(provider, *key, model.timeout.connect)
            .ok_or_else(|| format!("{provider} is no provider"))?;
        let mut innermost = known
            .model(asked)
            .named(name.clone())
            .abilities(*abilities)
            .allow_loss(*allow_loss)
            .commit(*commit)
            .validate(*validate);
        if let Some(system) = system {
            innermost = innermost.system(SystemPrompt::Template(system.clone()));
        }
        let circuit = circuits
            .get(provider, asked, *key)
            .ok_or_else(|| format!("{name} has no circuit"))?;
        let retry = retries::layer(candidate, &model.retry, budget)?;
        let attempt = Attempt::new(&model.timeout, *commit);
        let traced = Traced::new(innermost.clone(), described.dialect, &described.base_url);
        let (service, hurried) = match chaos.over(provider, &traced) {
            None => layered(name.clone(), served_by, retry, circuit, attempt, traced),
            Some(failing) => layered(name.clone(), served_by, retry, circuit, attempt, failing),
        };
        let numbered = name.strip_suffix(&format!("#{}", key + 1));
        let listed = numbered
            .filter(|_| *key > 0)
            .map_or_else(|| name.clone(), Name::from);
        Ok(Self {
            name,
            listed,
            provider: Some(provider.clone()),
            circuit: Some(circuit.clone()),
            after: candidate.after,
            service,
            hurried: Some(hurried),
            innermost: Some(innermost),
            weight: candidate.weight,
            price: *price,
            lesser: candidate.degraded.is_some(),
        })
    }

    /// Whether a call is expected to cost no more than `cap`. One whose price is not known is.
    pub(super) fn costs_at_most(&self, cap: f64, request: &ChatRequest) -> bool {
        let chat = request.chat();
        let output = chat.max_tokens.unwrap_or(EXPECTED_OUTPUT);
        let (Some(price), Some(innermost)) = (self.price, &self.innermost) else {
            return true;
        };
        let input = estimate_tokens(chat, innermost.dialect());
        price.of(&Usage::new(input, output)) <= cap
    }

    /// Whether its tokens cost no more than this. Where their price is not known they do not.
    pub(super) fn is_within(&self, most: MaxPrice) -> bool {
        self.price
            .is_none_or(|price| price.input <= most.input && price.output <= most.output)
    }

    /// Its price as one number, to compare it by.
    pub(super) fn price(&self) -> u64 {
        self.price.map_or(0, Price::comparable)
    }

    /// How long it lately took to answer: nothing, where it has not been asked yet.
    pub(super) fn latency(&self, now: Instant) -> Duration {
        let circuit = self.circuit.as_ref();
        circuit.map_or(Duration::ZERO, |circuit| circuit.latency().at(now))
    }

    /// The failures of others after which it is asked, where it is only asked after some.
    pub(crate) fn steps_in_after(&self) -> Option<FaultKinds> {
        (!self.after.contains(FaultKind::Refused)).then_some(self.after)
    }

    /// Why it would not be asked now, or not for this request.
    pub(crate) fn refuses(&self, request: Option<&ChatRequest>) -> Option<String> {
        if let (Some(innermost), Some(request)) = (&self.innermost, request) {
            if let Err(error) = innermost.admits(request) {
                return Some(error.message().to_owned());
            }
        }
        self.circuit.as_ref()?.refuses()
    }

    /// The entry as a chain has it, for a request with these wishes if it has any.
    pub(super) fn candidate(&self, wishes: Option<&Wishes>) -> Candidate<Service> {
        let hurried = wishes.filter(|it| it.is_hurried());
        let service = hurried.and(self.hurried.as_ref()).unwrap_or(&self.service);
        let after = match wishes.and_then(|it| it.on) {
            Some(on) => self
                .after
                .iter()
                .filter(|kind| on.contains(*kind))
                .collect(),
            None => self.after,
        };
        let mut candidate = Candidate::new(self.name.clone(), service.clone())
            .on(after)
            .weight(self.weight)
            .price(self.price());
        if self.lesser {
            candidate = candidate.unhedged();
        }
        match &self.circuit {
            Some(circuit) => candidate
                .gate(circuit.breaker().clone())
                .latency(circuit.latency().clone()),
            None if self.provider.is_none() => candidate.free(),
            None => candidate,
        }
    }
}

/// The layers round what answers, in the recommended order; and the same for callers in a hurry,
/// whose limits are further out than the circuit, and nothing that it is told of.
fn layered<S>(
    name: Name,
    served_by: ServedByLayer,
    retry: RetryLayer,
    circuit: &Circuit,
    limits: Attempt,
    inner: S,
) -> (Service, Service)
where
    S: tower::Service<ChatRequest, Response = ChatResponse, Error = Error>,
    S: Clone + Send + Sync + 'static,
    S::Future: Send,
{
    let breaker = circuit
        .breaker()
        .layer()
        .classify(ChatClassifier::new())
        .until_end();
    let attempt = TimeoutLayer::new()
        .until_end()
        .idle(limits.idle)
        .limits_for(move |request: &ChatRequest, standard| limits.of(request, standard));
    let wished = TimeoutLayer::new()
        .until_end()
        .limits_for(move |request: &ChatRequest, standard| limits.wished(request, standard));
    let tried = ServiceBuilder::new().layer(served_by).layer(retry);
    let judged = ServiceBuilder::new()
        .layer(breaker)
        .layer(attempt)
        .service(Asked::new(name, inner));
    let hurried = tried.clone().layer(wished);
    (
        Service::new(tried.service(judged.clone())),
        Service::new(hurried.service(WithoutDeadline(judged))),
    )
}
