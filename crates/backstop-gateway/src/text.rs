//! Chains and errors as a person reads them.

use std::{error::Error, fmt::Write as _};

use backstop_core::FaultKind;
use backstop_fallback::FAIL_OVER;

use crate::config::{Candidate, Config, Model, Ordering, Target, write_duration};

/// Every model's chain, and its limits.
#[must_use]
pub fn chains(config: &Config) -> String {
    let mut out = String::new();
    for (name, model) in &config.models {
        let asked = match name.as_str() {
            "*" => "any model",
            name => name,
        };
        // Writing to a string can't fail, here and below.
        let _ = writeln!(out, "{asked}");
        for (i, candidate) in model.candidates.iter().enumerate() {
            let last = i + 1 == model.candidates.len();
            let branch = if last { "└─" } else { "├─" };
            let line = line(config, model, candidate);
            let notes = notes(model, candidate);
            let _ = writeln!(
                out,
                "  {branch} {}",
                [&[line], &*notes].concat().join("   ")
            );
        }
        for rule in rules(config, model) {
            let _ = writeln!(out, "     {rule}");
        }
        let _ = writeln!(
            out,
            "     first token within {}, then every {}, all within {}",
            write_duration(model.timeout.first_token),
            write_duration(model.timeout.idle),
            write_duration(model.timeout.total),
        );
        if let Some(hedge) = model.hedge {
            let _ = writeln!(
                out,
                "     another is started beside one that has not begun after {}",
                write_duration(hedge.first_token),
            );
        }
    }
    out
}

/// What an error says, and after it what each of its causes adds to that.
#[must_use]
pub fn with_causes(error: &(dyn Error + 'static)) -> String {
    let mut told = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let text = error.to_string();
        if !told.contains(&text) {
            let _ = write!(told, ": {text}");
        }
        cause = error.source();
    }
    told
}

fn line(config: &Config, model: &Model, candidate: &Candidate) -> String {
    let name = &candidate.name;
    match &candidate.target {
        Target::Provider { provider, .. } => {
            let attempts = candidate.attempts.unwrap_or(model.retry.attempts);
            let times = if attempts.get() == 1 { "" } else { "s" };
            let at = config
                .providers
                .get(provider)
                .map_or("", |provider| &provider.base_url);
            format!("{name:<32} {attempts} attempt{times}   {at}")
        }
        Target::Cached(max_age) => {
            format!(
                "{name:<32} an answer of the last {}",
                write_duration(*max_age)
            )
        }
        Target::Reply(text) => {
            let mut start: String = text.chars().take(48).collect();
            if start.len() < text.len() {
                start.push('…');
            }
            format!("{name:<32} “{start}”")
        }
    }
}

/// When a candidate's turn comes, where that is not after all that stand before it, and that its
/// answers are lesser ones.
fn notes(model: &Model, candidate: &Candidate) -> Vec<String> {
    let mut notes = Vec::new();
    let asked = |it: &&Candidate| matches!(it.target, Target::Provider { .. });
    let mut tiers = model.candidates.iter().filter(asked).map(|it| it.tier);
    if asked(&candidate) && tiers.any(|tier| tier != candidate.tier) {
        notes.push(format!("tier {}", candidate.tier));
    }
    if model.order == Ordering::Weight && asked(&candidate) {
        notes.push(format!("weight {}", candidate.weight));
    }
    let listed = |kinds: &mut dyn Iterator<Item = FaultKind>| {
        let labels: Vec<_> = kinds.map(FaultKind::label).collect();
        labels.join(", ")
    };
    // Whoever takes more steps in after what was too large for others, without being told to.
    let usual = FAIL_OVER.with(FaultKind::TooLarge);
    let mut more = candidate.after.iter().filter(|kind| !usual.contains(*kind));
    if !candidate.after.contains(FaultKind::Refused) {
        let kinds = listed(&mut candidate.after.iter());
        notes.push(format!("after {kinds} only"));
    } else if let Some(first) = more.next() {
        let kinds = listed(&mut std::iter::once(first).chain(more));
        notes.push(format!("after {kinds} too"));
    }
    if candidate.degraded.is_some() {
        notes.push("a lesser answer".to_owned());
    }
    notes
}

/// What holds for all candidates of a model, where it is not as usual.
fn rules(config: &Config, model: &Model) -> Vec<String> {
    let mut rules = Vec::new();
    let order = match model.order {
        Ordering::Latency => Some("the fastest lately first"),
        Ordering::Price => Some("the cheapest first"),
        Ordering::Priority => None,
        Ordering::Weight => Some("by chance, in proportion to their weights"),
    };
    rules.extend(order.map(|order| format!("within a tier {order}")));
    if let Some(most) = model.max_attempts {
        rules.push(format!("no more than {most} attempts in all"));
    }
    if let Some(cap) = model.price_cap {
        let currency = &config.currency;
        rules.push(format!(
            "none for whom the call would cost more than {cap} {currency}"
        ));
    }
    rules
}
