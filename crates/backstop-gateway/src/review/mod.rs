//! What a careful reviewer would say of a config that is right, but may not hold.

mod callers;
mod providers;

use std::fmt;

use backstop_llm::Need;

use crate::config::{Config, Model, Ordering, Target, write_duration};

/// Something that is allowed, and probably not meant.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Warning {
    /// Where: `models.smart`.
    pub place: String,
    /// What, and what it may lead to.
    pub text: String,
}

impl fmt::Display for Warning {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] {}", self.place, self.text)
    }
}

/// Everything worth a thought.
#[must_use]
pub fn review(config: &Config) -> Vec<Warning> {
    let mut warnings = Vec::new();
    let mut all = config.models.values().flat_map(|it| &it.candidates);
    let any_price = all.any(|it| matches!(it.target, Target::Provider { price: Some(_), .. }));
    for (name, model) in &config.models {
        let place = format!("models.{name}");
        let mut warn = |text: String| {
            warnings.push(Warning {
                place: place.clone(),
                text,
            });
        };
        providers::vendors(config, model, &mut warn);
        providers::shared_keys(config, model, &mut warn);
        abilities(model, &mut warn);
        time(model, &mut warn);
        hedge(model, &mut warn);
        attempts(model, &mut warn);
        breaker(model, &mut warn);
        prices(model, any_price, &mut warn);
    }
    providers::each(config, &mut warnings);
    callers::each(config, &mut warnings);
    warnings
}

fn abilities(model: &Model, warn: &mut impl FnMut(String)) {
    let mut all = model.candidates.iter().filter_map(|it| match &it.target {
        Target::Provider { abilities, .. } => Some((&it.name, abilities)),
        Target::Cached(_) | Target::Reply(_) => None,
    });
    let Some((first, primary)) = all.next() else {
        return;
    };
    for (name, backup) in all {
        if let (Some(large), Some(small)) = (primary.context_window, backup.context_window) {
            if small < large {
                warn(format!(
                    "{name} takes {small} tokens and {first} {large}: \
                     longer requests have no backup there"
                ));
            }
        }
        let needs = [Need::Tools, Need::Images, Need::JsonSchema];
        for need in needs {
            if primary.can.contains(need) && !backup.can.contains(need) {
                warn(format!("{name} {}, and {first} does", need.reason()));
            }
        }
    }
}

fn time(model: &Model, warn: &mut impl FnMut(String)) {
    let asked = model.candidates.iter();
    let asked = asked.filter(|candidate| matches!(candidate.target, Target::Provider { .. }));
    let attempts = u32::try_from(asked.count()).unwrap_or(u32::MAX);
    let timeout = &model.timeout;
    for (limit, until) in [
        (timeout.first_token, "until its first token"),
        (timeout.answer, "for a whole plain answer"),
    ] {
        if limit.saturating_mul(attempts) > timeout.total {
            warn(format!(
                "gives each candidate {} {until} and all of them {}: \
                 if each hangs, the last ones are never asked",
                write_duration(limit),
                write_duration(timeout.total),
            ));
        }
    }
}

/// Another candidate is started beside one that is slow: if there is one, and before it is given up.
fn hedge(model: &Model, warn: &mut impl FnMut(String)) {
    let Some(hedge) = model.hedge else { return };
    let (after, limit) = (hedge.first_token, model.timeout.first_token);
    if after >= limit {
        warn(format!(
            "hedges after {}, and gives an attempt up after {}: it never hedges",
            write_duration(after),
            write_duration(limit),
        ));
    }
    let able = model
        .candidates
        .iter()
        .filter(|it| matches!(it.target, Target::Provider { .. }) && it.degraded.is_none());
    if able.count() < 2 {
        warn(
            "hedges, and has no two candidates for it: a lesser answer is not raced for".to_owned(),
        );
    }
}

/// Each candidate takes one attempt at least.
fn attempts(model: &Model, warn: &mut impl FnMut(String)) {
    let asked = model.candidates.iter();
    let asked = asked.filter(|it| matches!(it.target, Target::Provider { .. }));
    let count = asked.count();
    if let Some(most) = model
        .max_attempts
        .filter(|most| (most.get() as usize) < count)
    {
        warn(format!(
            "has {count} candidates and `max_attempts` = {most}: while all are well enough to be \
             asked, the last never are"
        ));
    }
}

/// A circuit that no rule opens is none.
fn breaker(model: &Model, warn: &mut impl FnMut(String)) {
    let rules = &model.breaker;
    if (rules.failures, rules.rate, rules.slow) == (None, None, None) {
        warn("turns every rule of its `breaker` off: failures open no circuit".to_owned());
    }
}

/// What goes by prices needs them: one without a price is held to cost nothing. Where some have
/// one, all are meant to: a name in `[prices]` may be misspelt.
fn prices(model: &Model, any: bool, warn: &mut impl FnMut(String)) {
    let (by, so) = match (model.order, model.price_cap) {
        (Ordering::Price, _) => ("is ordered by price", "it passes for free"),
        (_, Some(_)) => ("has a price cap", "it passes for free"),
        _ if any => ("others have a price", "what it costs is not counted"),
        _ => return,
    };
    for candidate in &model.candidates {
        if matches!(candidate.target, Target::Provider { price: None, .. }) {
            let name = &candidate.name;
            warn(format!("{by}, and {name} has none: {so}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn warnings(text: &str) -> Vec<String> {
        let config = Config::parse("test", text, &|_| Some("key".to_owned())).expect("is right");
        review(&config).iter().map(Warning::to_string).collect()
    }

    #[test]
    fn a_chain_that_holds_is_let_be() {
        let text = r#"
[providers.anthropic]
dialect = "anthropic"
api_key = "${A}"
[providers.local]
dialect = "openai"
base_url = "http://10.0.0.7:8000/v1"
[models.smart]
candidates = [
    { candidate = "anthropic:claude", context_window = 1000 },
    { candidate = "local:qwen", context_window = 2000 },
]
"#;
        assert_eq!(warnings(text), Vec::<String>::new());
    }

    #[test]
    fn tells_what_keys_and_prices_are_good_for() {
        let one = "ab".repeat(32);
        let text = format!(
            r#"
[providers.p]
dialect = "openai"
base_url = "http://10.0.0.7:8000/v1/chat/completions/"
[keys.team]
sha256 = "{one}"
models = ["smart", "smrat"]
[admin]
sha256 = "{one}"
[prices]
"p:x" = {{ input = 1, output = 2 }}
[models.smart]
candidates = ["p:x", "p:y"]
order = "price"
[models.capped]
candidates = ["p:x", "p:y"]
price_cap = 0.5
"#
        );
        let told = warnings(&text);
        let told: Vec<_> = told
            .iter()
            .filter(|it| !it.contains("of one vendor"))
            .collect();
        assert_eq!(
            told,
            [
                "[models.capped] has a price cap, and p:y has none: it passes for free",
                "[models.smart] is ordered by price, and p:y has none: it passes for free",
                "[providers.p] has a `base_url` with /chat/completions at its end, \
                 which is added to it",
                "[keys.team] may ask for smrat, and no model is called that",
                "[keys.team] is the admin key too: whoever calls may change everything",
            ]
        );
    }

    #[test]
    fn tells_of_a_price_that_nobody_has_and_of_a_circuit_that_never_opens() {
        let text = r#"
[providers.local]
dialect = "openai"
base_url = "http://10.0.0.7:8000/v1"
api_key = ["${A}", "${A}"]
[prices]
"local:x" = { input = 1, output = 2 }
"local:yy" = { input = 1, output = 2 }
[models.smart]
candidates = ["local:x"]
[models.other]
candidates = ["local:y"]
breaker = { failures = 0, rate = 0 }
[models.few]
candidates = ["local:z", { reply = "Later." }]
max_attempts = 1
[models.enough]
candidates = ["local:z", { reply = "Later." }]
max_attempts = 2
"#;
        let told = warnings(text).join("\n");
        for warning in [
            "[models.other] others have a price, and local:y has none: what it costs is not counted",
            "[models.other] turns every rule of its `breaker` off: failures open no circuit",
            "[models.few] has 2 candidates and `max_attempts` = 1: while all are well enough to be \
             asked, the last never are",
            "[providers.local] has one key twice",
        ] {
            assert!(told.contains(warning), "{told}");
        }
        assert!(!told.contains("[models.smart] others"), "{told}");
        assert!(!told.contains("[models.smart] turns"), "{told}");
        assert!(!told.contains("[models.enough] has 2 candidates"), "{told}");
    }

    #[test]
    fn tells_what_a_careful_reviewer_would() {
        let text = r#"
[providers.one]
dialect = "openai"
base_url = "http://eu.api.vendor.com/v1"
api_key = "${A}"
[providers.two]
dialect = "openai"
base_url = "https://us.api.vendor.com/v1"
api_key = "${A}"
[models.smart]
candidates = [
    { candidate = "one:x", context_window = 2000 },
    { candidate = "two:x", context_window = 1000, lacks = ["tools"] },
]
timeout = { first_token = "30s", total = "45s" }
[models.alone]
candidates = ["one:x"]
hedge = "30s"
"#;
        assert_eq!(
            warnings(text),
            [
                "[models.alone] has one:x alone: nobody steps in for it",
                "[models.alone] has no candidate that can't be recalled: \
                 end the chain with a model of your own, or with a `reply`",
                "[models.alone] hedges after 30s, and gives an attempt up after 30s: \
                 it never hedges",
                "[models.alone] hedges, and has no two candidates for it: \
                 a lesser answer is not raced for",
                "[models.smart] has candidates of one vendor only (vendor.com): its outage is yours",
                "[models.smart] has no candidate that can't be recalled: \
                 end the chain with a model of your own, or with a `reply`",
                "[models.smart] asks one:x and two:x with the same key: \
                 a limit on the one stops the other",
                "[models.smart] two:x takes 1000 tokens and one:x 2000: \
                 longer requests have no backup there",
                "[models.smart] two:x does not take tools, and one:x does",
                "[models.smart] gives each candidate 30s until its first token and all of them 45s: \
                 if each hangs, the last ones are never asked",
                "[models.smart] gives each candidate 45s for a whole plain answer and all of them \
                 45s: if each hangs, the last ones are never asked",
                "[providers.one] sends its key to eu.api.vendor.com without encryption",
                "[providers.two] has the same key as [providers.one]: they share its limits",
            ]
        );
    }
}
