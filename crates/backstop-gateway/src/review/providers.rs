//! The providers: who runs them, and by which keys they are asked.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::IpAddr,
};

use super::Warning;
use crate::config::{Config, Model, Provider, Target};

/// What is added to a provider's address, and often copied along with it.
const PATHS: [&str; 3] = ["/chat/completions", "/messages", "/responses"];

/// The providers of a model.
fn asked<'a>(config: &'a Config, model: &'a Model) -> impl Iterator<Item = &'a Provider> {
    model.candidates.iter().filter_map(|candidate| {
        let Target::Provider { provider, .. } = &candidate.target else {
            return None;
        };
        config.providers.get(provider)
    })
}

/// Who runs the candidates, and whether one of them is one's own.
pub(super) fn vendors(config: &Config, model: &Model, warn: &mut impl FnMut(String)) {
    let hosts: BTreeSet<_> = asked(config, model).map(vendor).collect();
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
    let own = asked(config, model).any(|provider| is_own(&host(provider)));
    if !own && !has_reply {
        warn(
            "has no candidate that can't be recalled: end the chain with a model of your own, \
             or with a `reply`"
                .to_owned(),
        );
    }
}

/// Candidates that are asked with one key: what a provider does to the one it does to the other.
pub(super) fn shared_keys(config: &Config, model: &Model, warn: &mut impl FnMut(String)) {
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

/// Each provider by itself, and what they share.
pub(super) fn each(config: &Config, warnings: &mut Vec<Warning>) {
    let mut known = BTreeMap::new();
    for (name, provider) in &config.providers {
        let mut warn = |text| {
            warnings.push(Warning {
                place: format!("providers.{name}"),
                text,
            });
        };
        let known_path = PATHS.iter().find(|path| provider.base_url.ends_with(*path));
        if let Some(path) = known_path {
            warn(format!(
                "has a `base_url` with {path} at its end, which is added to it"
            ));
        }
        for key in &provider.api_keys {
            match known.insert(key.expose(), name) {
                Some(first) if first == name => warn("has one key twice".to_owned()),
                Some(first) => warn(format!(
                    "has the same key as [providers.{first}]: they share its limits"
                )),
                None => {}
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
