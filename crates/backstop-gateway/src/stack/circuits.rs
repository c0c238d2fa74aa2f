//! One circuit for each model of a provider, whichever of the callers' models it is asked for.

use std::{collections::BTreeMap, sync::Arc};

use backstop_circuit_breaker::{
    CircuitBreaker, InvalidPolicy, OpenWait, Policy, Rate, Snapshot, State,
};
use backstop_core::{Gate, Name};
use backstop_fallback::order::Latency;
use backstop_llm::Secret;
use serde::Serialize;
use tokio::time::Instant;
use tracing::warn;

use crate::{
    config::{Breaker, Config, Model, Target},
    history::History,
    operator::Order,
};

/// Which circuit: a provider's name, what it calls the model, and which of its keys is sent.
type Key = (Name, String, usize);

/// The circuits of all candidates.
#[derive(Debug, Default)]
pub(crate) struct Circuits {
    known: BTreeMap<Key, Circuit>,
}

/// One circuit.
#[derive(Clone, Debug)]
pub(crate) struct Circuit {
    rules: Breaker,
    /// The key that is sent: what was learned of one says nothing about another.
    secret: Option<Secret>,
    breaker: CircuitBreaker<Arc<History>>,
    /// How long those behind it lately took to answer, whichever chain asked them.
    latency: Arc<Latency>,
}

/// A circuit, to be shown.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct CircuitView {
    name: String,
    state: &'static str,
    /// When a call may be let through again, where it is not now.
    retry_after_ms: Option<u64>,
    /// Why it would refuse a call now.
    refuses: Option<String>,
}

impl Circuits {
    /// Those of `config`. A circuit that was there `before` with the same rules keeps its state.
    pub(crate) fn new(
        config: &Config,
        before: Option<&Self>,
        history: &Arc<History>,
    ) -> Result<Self, InvalidPolicy> {
        let mut known = BTreeMap::new();
        for model in config.models.values() {
            for candidate in &model.candidates {
                let Target::Provider {
                    provider,
                    model: asked,
                    key: number,
                    ..
                } = &candidate.target
                else {
                    continue;
                };
                let key = (provider.clone(), asked.clone(), *number);
                if known.contains_key(&key) {
                    continue;
                }
                let name = match number {
                    0 => Name::from(format!("{provider}:{asked}")),
                    _ => Name::from(format!("{provider}:{asked}#{}", number + 1)),
                };
                let described = config.providers.get(provider);
                let secret = described.and_then(|it| it.api_keys.get(*number)).cloned();
                let old = before
                    .and_then(|before| before.known.get(&key))
                    .filter(|old| old.secret == secret);
                let mut circuit = match old {
                    Some(old) if old.rules == model.breaker => old.clone(),
                    _ => Circuit::new(name, secret, model, history)?,
                };
                if let Some(old) = old.filter(|old| old.rules != model.breaker) {
                    // Under other rules, it knows what it knew. A snapshot just made can be read.
                    let _ = circuit.breaker.restore(&old.breaker.snapshot());
                    circuit.latency = old.latency.clone();
                }
                known.insert(key, circuit);
            }
        }
        Ok(Self { known })
    }

    /// The circuit of a provider's model.
    pub(super) fn get(&self, provider: &Name, model: &str, key: usize) -> Option<&Circuit> {
        self.known.get(&(provider.clone(), model.to_owned(), key))
    }

    /// Each circuit's name, and its state as metrics have it.
    pub(crate) fn states(&self) -> impl Iterator<Item = (&Name, State)> {
        self.known
            .values()
            .map(|circuit| (circuit.breaker.name(), circuit.breaker.state()))
    }

    /// What each circuit knows, by name.
    pub(crate) fn snapshots(&self) -> BTreeMap<&str, Snapshot> {
        let all = self.known.values().map(|circuit| &circuit.breaker);
        all.map(|it| (&**it.name(), it.snapshot())).collect()
    }

    /// Takes over what circuits of these names knew. How many did is returned.
    pub(crate) fn restore(&self, snapshots: &BTreeMap<String, Snapshot>) -> usize {
        let mut restored = 0;
        for Circuit { breaker, .. } in self.known.values() {
            let Some(snapshot) = snapshots.get(&**breaker.name()) else {
                continue;
            };
            match breaker.restore(snapshot) {
                Ok(()) => restored += 1,
                Err(error) => warn!("{}: {error}", breaker.name()),
            }
        }
        restored
    }

    /// Does this to the circuit of that name; false where there is none.
    pub(crate) fn change(&self, name: &str, order: Order) -> bool {
        let Some(circuit) = self.known.values().find(|it| **it.breaker.name() == *name) else {
            return false;
        };
        match order {
            Order::Reset => circuit.breaker.reset(),
            Order::Isolate => circuit.breaker.force_open(),
        }
        true
    }
}

impl Circuit {
    fn new(
        name: Name,
        secret: Option<Secret>,
        model: &Model,
        history: &Arc<History>,
    ) -> Result<Self, InvalidPolicy> {
        let (rules, timeouts) = (&model.breaker, &model.timeout);
        let mut policy = Policy::new()
            .without_consecutive()
            .without_failure_rate()
            .min_calls(rules.min_calls)
            .window(rules.window)
            .open_for(OpenWait::growing(rules.open_for, rules.open_cap))
            .retry_after_cap(rules.retry_after_cap)
            .quota_wait(rules.quota_wait)
            .probes(rules.probes)
            .probe_failures(rules.probe_failures)
            // A probe is an attempt, and takes no longer than one may.
            .probe_lease(timeouts.first_token.max(timeouts.answer))
            .failures(rules.counts)
            .at_once(rules.at_once)
            .hold_off(rules.hold_off)
            .listener(history.clone());
        if let Some(failures) = rules.failures {
            policy = policy.consecutive(failures);
        }
        if let Some(rate) = rules.rate {
            policy = policy.failure_rate(Rate::new(rate)?);
        }
        if let Some((after, rate)) = rules.slow {
            policy = policy.slow_calls(after, Rate::new(rate)?);
        }
        if let Some(limit) = rules.half_open_for {
            policy = policy.max_half_open(limit);
        }
        Ok(Self {
            rules: rules.clone(),
            secret,
            breaker: policy.breaker(name),
            latency: Arc::default(),
        })
    }

    /// The circuit itself, which is its own handle.
    pub(super) const fn breaker(&self) -> &CircuitBreaker<Arc<History>> {
        &self.breaker
    }

    /// How long those behind it lately took to answer.
    pub(super) const fn latency(&self) -> &Arc<Latency> {
        &self.latency
    }

    /// Why it would refuse a call now.
    pub(crate) fn refuses(&self) -> Option<String> {
        let fault = self.breaker.admits(Instant::now()).err()?;
        let reason = fault.reason().unwrap_or("refused");
        Some(match fault.retry_after() {
            Some(wait) => format!("{reason}, retry in {:.1} s", wait.as_secs_f64()),
            None => reason.to_owned(),
        })
    }

    /// The circuit, to be shown.
    pub(crate) fn view(&self) -> CircuitView {
        let fault = self.breaker.admits(Instant::now()).err();
        CircuitView {
            name: self.breaker.name().to_string(),
            state: self.breaker.state().label(),
            retry_after_ms: fault
                .and_then(|fault| fault.retry_after())
                .map(|wait| wait.as_millis() as u64),
            refuses: self.refuses(),
        }
    }
}
