//! What a careful reviewer would say of a config that is right, but may not hold.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    net::IpAddr,
};

use backstop_llm::{Abilities, Need};

use crate::config::{Config, Model, Provider, Target, write_duration};

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
    for (name, model) in &config.models {
        let place = format!("models.{name}");
        let mut warn = |text: String| {
            warnings.push(Warning {
                place: place.clone(),
                text,
            });
        };
        vendors(config, model, &mut warn);
        shared_keys(config, model, &mut warn);
        abilities(model, &mut warn);
        time(model, &mut warn);
        hedge(model, &mut warn);
    }
    keys(config, &mut warnings);
    warnings
}

/// A model, with the provider that has it.
fn asked<'a>(
    config: &'a Config,
    model: &'a Model,
) -> impl Iterator<Item = (&'a str, &'a Provider, &'a Abilities)> {
    model.candidates.iter().filter_map(|candidate| {
        let Target::Provider {
            provider,
            abilities,
            ..
        } = &candidate.target
        else {
            return None;
        };
        Some((&*candidate.name, config.providers.get(provider)?, abilities))
    })
}

fn vendors(config: &Config, model: &Model, warn: &mut impl FnMut(String)) {
    let hosts: BTreeSet<_> = asked(config, model).map(|(_, it, _)| vendor(it)).collect();
    let has_reply = model
        .candidates
        .iter()
        .any(|candidate| matches!(candidate.target, Target::Reply(_)));
    match (model.candidates.as_slice(), hosts.iter().next()) {
        ([only], _) => warn(format!("has {} alone: nobody steps in for it", only.name)),
        (_, Some(host)) if hosts.len() == 1 => warn(format!(
            "has candidates of one vendor only ({host}): its outage is yours"
        )),
        _ => {}
    }
    let own = asked(config, model).any(|(_, provider, _)| is_own(&host(provider)));
    if !own && !has_reply {
        warn(
            "has no candidate that can't be recalled: end the chain with a model of your own, \
             or with a `reply`"
                .to_owned(),
        );
    }
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

/// Candidates that are asked with one key: what a provider does to the one it does to the other.
fn shared_keys(config: &Config, model: &Model, warn: &mut impl FnMut(String)) {
    let mut known = BTreeMap::new();
    for candidate in &model.candidates {
        let Target::Provider { provider, key, .. } = &candidate.target else {
            continue;
        };
        let described = config.providers.get(provider);
        let Some(secret) = described.and_then(|it| it.api_keys.get(*key)) else {
            continue;
        };
        if let Some(first) = known.insert(secret.expose(), &candidate.name) {
            warn(format!(
                "asks {first} and {} with the same key: a limit on the one stops the other",
                candidate.name
            ));
        }
    }
}

fn keys(config: &Config, warnings: &mut Vec<Warning>) {
    let mut known = BTreeMap::new();
    for (name, provider) in &config.providers {
        let mut warn = |text| {
            warnings.push(Warning {
                place: format!("providers.{name}"),
                text,
            });
        };
        for key in &provider.api_keys {
            if let Some(first) = known.insert(key.expose(), name) {
                warn(format!(
                    "has the same key as [providers.{first}]: they share its limits"
                ));
            }
        }
        if provider.api_keys.is_empty() {
            continue;
        }
        let host = host(provider);
        if provider.base_url.starts_with("http://") && !is_own(&host) {
            warn(format!("sends its key to {host} without encryption"));
        }
    }
}

fn host(provider: &Provider) -> String {
    let url = provider.base_url.parse::<http::Uri>().ok();
    url.and_then(|url| Some(url.host()?.to_ascii_lowercase()))
        .unwrap_or_default()
}

/// Who runs a provider: the last two labels of its host, or all of an address of one's own.
fn vendor(provider: &Provider) -> String {
    let host = host(provider);
    if is_own(&host) {
        // Two servers of one's own are as good as two vendors.
        return provider.base_url.clone();
    }
    let mut labels = host.rsplitn(3, '.');
    match (labels.next(), labels.next()) {
        (Some(top), Some(second)) => format!("{second}.{top}"),
        _ => host,
    }
}

/// Whether a host is on this machine or in a network of one's own.
fn is_own(host: &str) -> bool {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    match bare.parse::<IpAddr>() {
        Ok(IpAddr::V4(ip)) => ip.is_loopback() || ip.is_private(),
        Ok(IpAddr::V6(ip)) => ip.is_loopback() || (ip.segments()[0] & 0xfe00) == 0xfc00,
        Err(_) => {
            let local = [".local", ".internal", ".lan", ".localhost"];
            !host.contains('.') || local.iter().any(|end| host.ends_with(end))
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
