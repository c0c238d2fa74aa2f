//! The schema: which tables and keys there are, and what fits together.

use std::{collections::BTreeMap, net::SocketAddr, num::NonZeroU32, time::Duration};

use backstop_core::Name;

use super::{
    Breaker, Candidate, Config, DEFAULT_LISTEN, Dialect, Limits, Model, Provider, Retry, Target,
    Timeouts,
    reader::{Table, Value, nearest},
};

const CANDIDATES: &str = "add candidates = [\"provider:model\", …]";
const NAME: &str = "write \"provider:model\", as in \"anthropic:claude-opus-4-8\"";

/// Reads the whole document.
pub(super) fn config(root: &mut Table<'_>) -> Option<Config> {
    let listen = root.get("listen").and_then(|value| address(&value));
    let limits = root.table("limits").map(limits).unwrap_or_default();
    let providers = root.table("providers").map(providers).unwrap_or_default();
    let defaults = root.table("defaults").map(|mut table| {
        let policies = policies(&mut table, &Policies::default());
        table.finish();
        policies
    });
    let models = root.require("models", "add a table [models.NAME] with its candidates");
    let models = models.and_then(|models| {
        let table = models.table()?;
        let models = models_of(&table, &providers, &defaults.unwrap_or_default());
        if models.is_empty() {
            table.problem("is empty", "add a table [models.NAME] with its candidates");
        }
        Some(models)
    })?;
    Some(Config {
        listen: listen.unwrap_or(DEFAULT_LISTEN),
        limits,
        providers,
        models,
    })
}

fn address(value: &Value<'_>) -> Option<SocketAddr> {
    let text = value.string()?;
    let address = text.parse().ok();
    if address.is_none() {
        value.problem(
            "should be an address and a port",
            "write it as \"127.0.0.1:4000\" or \"[::1]:4000\"",
        );
    }
    address
}

fn limits(mut table: Table<'_>) -> Limits {
    let standard = Limits::default();
    let limits = Limits {
        body: read(&mut table, "body", Value::size, standard.body),
        connections: read(&mut table, "connections", connections, standard.connections),
        header: read(&mut table, "header", positive, standard.header),
        shutdown: read(&mut table, "shutdown", Value::duration, standard.shutdown),
    };
    table.finish();
    limits
}

fn providers(table: Table<'_>) -> BTreeMap<Name, Provider> {
    table
        .entries()
        .filter_map(|(name, value)| {
            if name.contains(':') {
                value.problem(
                    "has a colon in its name",
                    "candidates are written provider:model",
                );
            }
            // A provider that is wrong is still a known one: its candidates are no problem too.
            Some((Name::from(name), provider(value.table()?)))
        })
        .collect()
}

fn provider(mut table: Table<'_>) -> Provider {
    let names = Dialect::ALL.map(Dialect::name);
    let instead = format!("add dialect = \"{}\"", names.join("\" or \""));
    let dialect = table.require("dialect", &instead).and_then(|value| {
        let text = value.string()?;
        let dialect = Dialect::ALL.into_iter().find(|it| it.name() == text);
        if dialect.is_none() {
            value.problem(
                format_args!("is no known dialect: \"{text}\""),
                format!("write \"{}\"", names.join("\" or \"")),
            );
        }
        dialect
    });
    let dialect = dialect.unwrap_or(Dialect::OpenAi);
    let base_url = table.get("base_url").and_then(|value| url(&value));
    let api_key = table.get("api_key").and_then(|value| value.secret());
    let headers = table.table("headers").map(|headers| {
        let headers = headers.entries();
        headers
            .filter_map(|(name, value)| {
                if http::HeaderName::try_from(&name).is_err() {
                    value.problem("is no header's name", "use letters, digits and hyphens");
                }
                let secret = value.secret()?;
                if http::HeaderValue::try_from(secret.expose()).is_err() {
                    value.problem("can't be sent in a header", "remove control characters");
                }
                Some((name, secret))
            })
            .collect()
    });
    table.finish();
    Provider {
        dialect,
        base_url: base_url.unwrap_or_else(|| dialect.base_url().to_owned()),
        api_key,
        headers: headers.unwrap_or_default(),
    }
}

fn url(value: &Value<'_>) -> Option<String> {
    let text = value.string()?;
    let url = text.parse::<http::Uri>().ok().filter(|url| {
        matches!(url.scheme_str(), Some("http" | "https"))
            && url.host().is_some_and(|host| !host.is_empty())
            && url.query().is_none()
            && !url.authority().is_some_and(|it| it.as_str().contains('@'))
    });
    if url.is_none() {
        value.problem(
            "should be an address with neither user nor query",
            "write it as \"https://api.openai.com/v1\"",
        );
    }
    url.map(|_| text.trim_end_matches('/').to_owned())
}

/// What a model says of its candidates, and `[defaults]` of all models.
#[derive(Clone, Default)]
struct Policies {
    retry: Retry,
    breaker: Breaker,
    timeout: Timeouts,
    continues: Option<bool>,
}

fn policies(table: &mut Table<'_>, standard: &Policies) -> Policies {
    let continues = table.get("continue").and_then(|value| value.boolean());
    Policies {
        retry: match table.table("retry") {
            Some(table) => retry(table, &standard.retry),
            None => standard.retry.clone(),
        },
        breaker: match table.table("breaker") {
            Some(table) => breaker(table, &standard.breaker),
            None => standard.breaker.clone(),
        },
        timeout: match table.table("timeout") {
            Some(table) => timeouts(table, &standard.timeout),
            None => standard.timeout.clone(),
        },
        continues: continues.or(standard.continues),
    }
}

fn retry(mut table: Table<'_>, standard: &Retry) -> Retry {
    let retry = Retry {
        attempts: read(&mut table, "attempts", attempts, standard.attempts),
        base: read(&mut table, "base", Value::duration, standard.base),
        cap: read(&mut table, "cap", Value::duration, standard.cap),
        retry_after_cap: read(
            &mut table,
            "retry_after_cap",
            Value::duration,
            standard.retry_after_cap,
        ),
    };
    if retry.base > retry.cap {
        table.problem(
            "has a `base` above its `cap`",
            "raise `cap`, or lower `base`",
        );
    }
    table.finish();
    retry
}

fn breaker(mut table: Table<'_>, standard: &Breaker) -> Breaker {
    let breaker = Breaker {
        failures: read(&mut table, "failures", count, standard.failures),
        rate: read(
            &mut table,
            "rate",
            |it| it.number(0.01..=1.0),
            standard.rate,
        ),
        min_calls: read(&mut table, "min_calls", count, standard.min_calls),
        window: read(&mut table, "window", positive, standard.window),
        open_for: read(&mut table, "open_for", positive, standard.open_for),
        probes: read(&mut table, "probes", count, standard.probes),
    };
    table.finish();
    breaker
}

fn timeouts(mut table: Table<'_>, standard: &Timeouts) -> Timeouts {
    let timeouts = Timeouts {
        connect: read(&mut table, "connect", positive, standard.connect),
        first_token: read(&mut table, "first_token", positive, standard.first_token),
        idle: read(&mut table, "idle", positive, standard.idle),
        total: read(&mut table, "total", positive, standard.total),
    };
    for (name, limit) in [
        ("first_token", timeouts.first_token),
        ("idle", timeouts.idle),
    ] {
        if limit > timeouts.total {
            table.problem(
                format_args!(
                    "has its `{name}` limit above its `total`, so that it can't be reached"
                ),
                format!("raise `total`, or lower `{name}`"),
            );
        }
    }
    table.finish();
    timeouts
}

fn models_of(
    table: &Table<'_>,
    providers: &BTreeMap<Name, Provider>,
    defaults: &Policies,
) -> BTreeMap<String, Model> {
    let mut breakers = BTreeMap::new();
    table
        .entries()
        .filter_map(|(name, value)| {
            let model = model(value.table()?, providers, defaults)?;
            for candidate in &model.candidates {
                let Target::Provider {
                    provider,
                    model: asked,
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

fn model(
    mut table: Table<'_>,
    providers: &BTreeMap<Name, Provider>,
    defaults: &Policies,
) -> Option<Model> {
    let candidates = table.require("candidates", CANDIDATES).and_then(|value| {
        let items = value.array()?;
        if items.is_empty() {
            value.problem("is empty, so that nobody could answer", CANDIDATES);
        }
        let mut candidates: Vec<Candidate> = Vec::with_capacity(items.len());
        for item in items {
            let Some(candidate) = candidate(&item, providers) else {
                continue;
            };
            if candidates.iter().any(|it| it.name == candidate.name) {
                item.problem(
                    format_args!("repeats {}", candidate.name),
                    "name a candidate once; `attempts` says how often it is tried",
                );
            }
            candidates.push(candidate);
        }
        Some(candidates)
    });
    let policies = policies(&mut table, defaults);
    table.finish();
    Some(Model {
        candidates: candidates?,
        retry: policies.retry,
        breaker: policies.breaker,
        timeout: policies.timeout,
        continues: policies.continues.unwrap_or(true),
    })
}

fn candidate(value: &Value<'_>, providers: &BTreeMap<Name, Provider>) -> Option<Candidate> {
    if !value.is_table() {
        return target(value, providers).map(|(name, target)| Candidate {
            name,
            target,
            attempts: None,
        });
    }
    let mut table = value.table()?;
    let named = table.get("candidate");
    let reply = table.get("reply");
    let name = table.get("name").and_then(|name| name.string());
    let attempts = table.get("attempts").and_then(|value| attempts(&value));
    let found = match (named, reply) {
        (Some(named), None) => target(&named, providers),
        (None, Some(reply)) => reply
            .string()
            .map(|text| (Name::from("static"), Target::Reply(text))),
        _ => {
            table.problem(
                "should have either `candidate` or `reply`",
                "write { candidate = \"provider:model\" } or { reply = \"…\" }",
            );
            None
        }
    };
    table.finish();
    let (standard, target) = found?;
    Some(Candidate {
        name: name.map_or(standard, Name::from),
        target,
        attempts,
    })
}

/// `provider:model`: a model's own name may hold colons, a provider's may not.
fn target(value: &Value<'_>, providers: &BTreeMap<Name, Provider>) -> Option<(Name, Target)> {
    let text = value.string()?;
    let Some((provider, model)) = text.split_once(':').filter(|(_, model)| !model.is_empty())
    else {
        value.problem(
            format_args!("names no provider and model: \"{text}\""),
            NAME,
        );
        return None;
    };
    let Some((provider, _)) = providers.get_key_value(provider) else {
        let known: Vec<&str> = providers.keys().map(|name| &**name).collect();
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
    };
    Some((Name::from(text), target))
}

fn read<'a, T>(
    table: &mut Table<'a>,
    key: &'static str,
    as_: impl FnOnce(&Value<'a>) -> Option<T>,
    standard: T,
) -> T {
    table
        .get(key)
        .and_then(|value| as_(&value))
        .unwrap_or(standard)
}

fn count(value: &Value<'_>) -> Option<NonZeroU32> {
    let number = value.integer(1..=1_000_000)?;
    NonZeroU32::new(u32::try_from(number).ok()?)
}

fn connections(value: &Value<'_>) -> Option<usize> {
    usize::try_from(value.integer(1..=1_000_000)?).ok()
}

/// Attempts on one candidate: few, because each may be billed and all must fit into `total`.
fn attempts(value: &Value<'_>) -> Option<NonZeroU32> {
    let number = value.integer(1..=10)?;
    NonZeroU32::new(u32::try_from(number).ok()?)
}

fn positive(value: &Value<'_>) -> Option<Duration> {
    let duration = value.duration()?;
    if duration.is_zero() {
        value.problem("should be longer than nothing", "");
        return None;
    }
    Some(duration)
}
