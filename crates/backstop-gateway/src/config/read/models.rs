//! The models, and who is asked for each.

use std::collections::BTreeMap;

use backstop_core::{FaultKind, Name};

use super::{candidate::candidate, count, detail::Standard, policies::Policies, tellable};
use crate::config::{
    Candidate, Model, Ordering, Price, Provider, Target,
    reader::{Table, Value},
};

const CANDIDATES: &str = "add candidates = [\"provider:model\", …]";

/// What candidates may refer to.
pub(super) struct Known<'a> {
    pub(super) providers: &'a BTreeMap<Name, Provider>,
    pub(super) prices: &'a Prices,
}

/// What candidates cost.
pub(super) type Prices = BTreeMap<String, Price>;

/// Reads `[prices]`: `"anthropic:claude-opus-4-8" = { input = 5.0, output = 25.0 }`, and the
/// currency that they are in.
pub(super) fn prices(mut table: Table<'_>) -> (Prices, Option<String>) {
    let currency = table.get("currency").and_then(|value| {
        let text = value.string()?;
        let is_word = !text.is_empty() && text.chars().all(|c| c.is_ascii_alphabetic());
        if !is_word {
            value.problem("is no currency", "write it as \"USD\"");
        }
        is_word.then_some(text)
    });
    let price = |value: Value<'_>| {
        let mut table = value.table()?;
        let amount = |value: Value<'_>| value.number(0.0..=f64::INFINITY);
        let instead = "write what a million tokens cost";
        let input = table.require("input", instead).and_then(amount);
        let output = table.require("output", instead).and_then(amount);
        let cached = table.get("cached").and_then(amount);
        let cache_write = table.get("cache_write").and_then(amount);
        table.finish();
        Some(Price {
            input: input?,
            output: output?,
            cached: cached.or(input)?,
            cache_write: cache_write.or(input)?,
        })
    };
    let entries = table.entries().filter(|(name, _)| name != "currency");
    let prices = entries.filter_map(|(name, value)| Some((name, price(value)?)));
    (prices.collect(), currency)
}

/// Reads `[models]`.
pub(super) fn read_all(
    table: &Table<'_>,
    known: &Known<'_>,
    defaults: &Policies,
) -> BTreeMap<String, Model> {
    let mut breakers = BTreeMap::new();
    table
        .entries()
        .filter_map(|(name, value)| {
            tellable(&name, &value);
            let model = model(value.table()?, known, defaults)?;
            for candidate in &model.candidates {
                let Target::Provider {
                    provider,
                    model: asked,
                    ..
                } = &candidate.target
                else {
                    continue;
                };
                let (first, breaker) = breakers
                    .entry((provider.clone(), asked.clone()))
                    .or_insert_with(|| (name.clone(), model.breaker.clone()));
                if *breaker != model.breaker {
                    value.problem(
                        format_args!(
                            "gives {} another `breaker` than [models.{first}] does, \
                             and they share its circuit",
                            candidate.name
                        ),
                        "give both the same, or set it once in [defaults]",
                    );
                }
            }
            Some((name, model))
        })
        .collect()
}

fn model(mut table: Table<'_>, known: &Known<'_>, defaults: &Policies) -> Option<Model> {
    let standard = Standard::read(&mut table);
    let candidates = table.require("candidates", CANDIDATES).and_then(|value| {
        let items = value.array()?;
        if items.is_empty() {
            value.problem("is empty, so that nobody could answer", CANDIDATES);
        }
        let mut candidates: Vec<Candidate> = Vec::with_capacity(items.len());
        for item in items {
            let Some(candidate) = candidate(&item, known, standard) else {
                continue;
            };
            if candidates.iter().any(|it| it.name == candidate.name) {
                item.problem(
                    format_args!("repeats {}", candidate.name),
                    "name a candidate once; `attempts` says how often it is tried",
                );
            }
            candidates.extend(each_key(candidate, known));
        }
        let first = |it: &Candidate| it.after.contains(FaultKind::Refused);
        if !candidates.is_empty() && !candidates.iter().any(first) {
            value.problem(
                "has nobody to be asked first",
                "leave `only_after` out of one of them",
            );
        }
        candidates.sort_by_key(|candidate| candidate.tier);
        Some(candidates)
    });
    let candidates = candidates.map(larger_windows);
    let order = table.get("order").and_then(|value| ordering(&value));
    let price_cap = table
        .get("price_cap")
        .and_then(|value| value.number(0.0..=f64::INFINITY));
    let max_attempts = table.get("max_attempts").and_then(|value| count(&value));
    let policies = Policies::read(&mut table, defaults);
    table.finish();
    Some(Model {
        candidates: candidates?,
        retry: policies.retry,
        breaker: policies.breaker,
        timeout: policies.timeout,
        hedge: policies.hedge,
        continues: policies.continues,
        max_attempts,
        order: order.unwrap_or_default(),
        price_cap,
    })
}

fn ordering(value: &Value<'_>) -> Option<Ordering> {
    let text = value.string()?;
    let found = Ordering::ALL.into_iter().find(|order| order.name() == text);
    if found.is_none() {
        let names = Ordering::ALL.map(Ordering::name).join("\", \"");
        value.problem("is no known order", format!("write one of \"{names}\""));
    }
    found
}

/// A candidate for each of its provider's keys.
fn each_key(candidate: Candidate, known: &Known<'_>) -> Vec<Candidate> {
    let keys = match &candidate.target {
        Target::Provider { provider, .. } => known
            .providers
            .get(provider)
            .map_or(1, |provider| provider.api_keys.len().max(1)),
        Target::Cached(_) | Target::Reply(_) => 1,
    };
    let with_key = |number: usize| {
        let mut candidate = candidate.clone();
        if let (Target::Provider { key, .. }, 1..) = (&mut candidate.target, number) {
            *key = number;
            candidate.name = Name::from(format!("{}#{}", candidate.name, number + 1));
        }
        candidate
    };
    (0..keys).map(with_key).collect()
}

/// What is too large for those before it is asked of a candidate that takes more, or that may: a
/// window that nobody told of is not held against it.
fn larger_windows(mut candidates: Vec<Candidate>) -> Vec<Candidate> {
    let mut before: Option<Option<u64>> = None;
    for candidate in &mut candidates {
        let Target::Provider { abilities, .. } = &candidate.target else {
            continue;
        };
        let own = abilities.context_window;
        let may_take_more = before.is_some_and(|largest| match (own, largest) {
            (Some(own), Some(largest)) => own > largest,
            (own, largest) => own != largest,
        });
        if may_take_more {
            candidate.after = candidate.after.with(FaultKind::TooLarge);
        }
        before = Some(before.flatten().max(own));
    }
    candidates
}
