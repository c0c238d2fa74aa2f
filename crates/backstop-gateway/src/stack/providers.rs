//! One provider, and one pool of connections, for all candidates that are asked there.

use std::{collections::BTreeMap, time::Duration};

use backstop_core::{BoxError, Name};
use backstop_llm::{InvalidProvider, Provider};

use crate::{
    config::{self, Config, Proxy, Target},
    text,
};

/// Which provider: its name, which of its keys, and the limit on connecting.
type Key = (Name, usize, Duration);

/// Every provider that is used, for each of its keys and each limit on connecting.
#[derive(Debug, Default)]
pub(crate) struct Providers {
    known: BTreeMap<Key, (config::Provider, Provider)>,
}

impl Providers {
    /// Those of `config`. One that was there `before` and stays the same keeps its connections.
    pub(crate) fn new(config: &Config, before: Option<&Self>) -> Result<Self, BoxError> {
        let mut known = BTreeMap::new();
        for model in config.models.values() {
            for candidate in &model.candidates {
                let Target::Provider { provider, key, .. } = &candidate.target else {
                    continue;
                };
                let key = (provider.clone(), *key, model.timeout.connect);
                let Some(described) = config.providers.get(provider) else {
                    continue;
                };
                if known.contains_key(&key) {
                    continue;
                }
                let same = before
                    .and_then(|before| before.known.get(&key))
                    .filter(|(before, _)| before == described);
                let built = match same {
                    Some((_, provider)) => provider.clone(),
                    None => build(&key, described).map_err(|error| {
                        let (name, error) = (&key.0, text::with_causes(&error));
                        format!("[providers.{name}]: {error}")
                    })?,
                };
                known.insert(key, (described.clone(), built));
            }
        }
        Ok(Self { known })
    }

    /// The provider of this name, and how the config describes it.
    pub(crate) fn get(
        &self,
        name: &Name,
        key: usize,
        connect: Duration,
    ) -> Option<&(config::Provider, Provider)> {
        self.known.get(&(name.clone(), key, connect))
    }
}

fn build(
    (name, key, connect): &Key,
    described: &config::Provider,
) -> Result<Provider, InvalidProvider> {
    let mut builder = Provider::builder(described.dialect)
        .name(name.clone())
        .base_url(&described.base_url)
        .connect_timeout(*connect);
    if let Some(key) = described.api_keys.get(*key) {
        builder = builder.api_key(key.clone());
    }
    if let Some(header) = &described.api_key_header {
        builder = builder.api_key_header(header);
    }
    for (name, value) in &described.headers {
        builder = builder.header(name, value.clone());
    }
    for (name, value) in &described.query {
        builder = builder.query(name, value.clone());
    }
    match &described.proxy {
        Proxy::Environment => builder = builder.proxy_of_environment(),
        Proxy::None => {}
        Proxy::Url(url) => builder = builder.proxy(url.clone()),
    }
    if let Some(pem) = &described.ca {
        builder = builder.root_certificates(pem.as_bytes());
    }
    builder.build()
}
