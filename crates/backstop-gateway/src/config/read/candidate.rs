//! One candidate of a model.

use backstop_core::{FaultKinds, Name};
use backstop_fallback::FAIL_OVER;
use backstop_llm::Abilities;

use super::{
    attempts,
    detail::{Standard, details},
    kinds::kinds,
    models::Known,
    positive, tellable,
};
use crate::config::{Candidate, Target, nearest::nearest, reader::Value};

const NAME: &str = "write \"provider:model\", as in \"anthropic:claude-opus-4-8\"";

/// Reads one candidate: a text, or a table that says more.
pub(super) fn candidate(
    value: &Value<'_>,
    known: &Known<'_>,
    standard: Standard,
) -> Option<Candidate> {
    if !value.is_table() {
        let (name, target) = target(value, known, standard)?;
        return Some(Candidate {
            name,
            target,
            attempts: None,
            after: FAIL_OVER,
            weight: 1,
            tier: 0,
            degraded: None,
        });
    }
    let mut table = value.table()?;
    let named = table.get("candidate");
    let reply = table.get("reply");
    let cached = table.get("cached");
    let name = table.get("name").and_then(|value| {
        let name = value.string()?;
        tellable(&name, &value);
        Some(name)
    });
    let attempts = table.get("attempts").and_then(|value| attempts(&value));
    let number = |value: Value<'_>| u32::try_from(value.integer(0..=1_000_000)?).ok();
    let weight = table.get("weight").and_then(number);
    let tier = table.get("tier").and_then(number);
    let degraded = table.get("degraded").and_then(|value| {
        let text = value.string()?;
        if http::HeaderValue::try_from(&text).is_err() {
            value.problem("can't be sent in a header", "write it in one line");
        }
        Some(text)
    });
    let also = table.get("also_after").map(|value| kinds(&value));
    let only = table.get("only_after").map(|value| kinds(&value));
    let found = match (named, reply, cached) {
        (Some(named), None, None) => target(&named, known, standard).map(|(name, mut target)| {
            details(&mut table, &mut target);
            (name, target)
        }),
        (None, Some(reply), None) => reply.string().map(|text| {
            if text.trim().is_empty() {
                reply.problem("is empty", "write what callers are to read");
            }
            (Name::from("static"), Target::Reply(text))
        }),
        (None, None, Some(cached)) => {
            positive(&cached).map(|max_age| (Name::from("cache"), Target::Cached(max_age)))
        }
        _ => {
            table.problem(
                "should have one of `candidate`, `cached` and `reply`",
                "write { candidate = \"provider:model\" }, { cached = \"1h\" } or { reply = \"…\" }",
            );
            None
        }
    };
    table.finish();
    let (plain, target) = found?;
    // A reply costs nothing and is there at once: no order but that of tiers may put it first.
    let last = match target {
        Target::Reply(_) => u32::MAX,
        Target::Cached(_) => u32::MAX - 1,
        Target::Provider { .. } => 0,
    };
    Some(Candidate {
        name: name.map_or(plain, Name::from),
        target,
        attempts,
        weight: weight.unwrap_or(1),
        tier: tier.unwrap_or(last),
        degraded,
        after: match (only, also) {
            (Some(only), None) => only,
            (None, Some(also)) => also.iter().fold(FAIL_OVER, FaultKinds::with),
            (None, None) => FAIL_OVER,
            (Some(_), Some(_)) => {
                value.problem(
                    "has both `also_after` and `only_after`",
                    "leave one of them out",
                );
                FAIL_OVER
            }
        },
    })
}

/// `provider:model`: a model's own name may hold colons, a provider's may not.
fn target(value: &Value<'_>, known: &Known<'_>, standard: Standard) -> Option<(Name, Target)> {
    let text = value.string()?;
    let Some((provider, model)) = text.split_once(':').filter(|(_, model)| !model.is_empty())
    else {
        value.problem(
            format_args!("names no provider and model: \"{text}\""),
            NAME,
        );
        return None;
    };
    let Some((provider, described)) = known.providers.get_key_value(provider) else {
        let known: Vec<&str> = known.providers.keys().map(|name| &**name).collect();
        let instead = match nearest(provider, &known) {
            Some(meant) => format!("did you mean \"{meant}:{model}\"?"),
            None => format!("add a table [providers.{provider}]"),
        };
        value.problem(
            format_args!("names an unknown provider: \"{provider}\""),
            instead,
        );
        return None;
    };
    let target = Target::Provider {
        provider: provider.clone(),
        model: model.to_owned(),
        key: 0,
        abilities: Abilities::of(described.dialect, model),
        allow_loss: standard.allow_loss,
        commit: standard.commit,
        validate: standard.validate,
        system: None,
        price: known.prices.get(&text).copied(),
    };
    Some((Name::from(text), target))
}
