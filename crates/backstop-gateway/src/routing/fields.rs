//! The fields, and how each is read.

use std::time::Duration;

use backstop_core::{FaultKind, FaultKinds};
use backstop_llm::{Dialect, Error, Json};
use serde::{Deserialize, de::DeserializeOwned};

use super::{MaxPrice, Sort, Wishes, kinds_of};

/// A field of a request that came in a dialect.
pub(super) struct Field<'a> {
    pub(super) name: &'a str,
    pub(super) value: &'a Json,
    pub(super) dialect: Dialect,
}

impl Field<'_> {
    fn read<T: DeserializeOwned>(&self) -> Result<T, Error> {
        self.value.read_field(self.dialect, self.name)
    }

    fn wrong(&self, why: &str) -> Error {
        Error::invalid(format!("{}: {why}", self.name)).with_param(self.name)
    }
}

type Read = fn(&Field<'_>, &mut Wishes) -> Result<(), Error>;

/// Every field of a request that is about routing.
pub(super) const FIELDS: &[(&str, Read)] = &[
    // OpenRouter
    ("models", models),
    ("route", route),
    ("provider", provider),
    // LiteLLM
    ("fallbacks", fallbacks),
    ("num_retries", num_retries),
    ("disable_fallbacks", disable_fallbacks),
    ("timeout", timeout),
    // AnyAPI
    ("fallback_models", models),
    ("fallback_conditions", conditions),
];

fn models(field: &Field<'_>, wishes: &mut Wishes) -> Result<(), Error> {
    let named = field.read::<Option<Vec<String>>>()?.unwrap_or_default();
    wishes.only_these |= !named.is_empty();
    wishes.fallbacks.extend(named);
    Ok(())
}

/// `fallback` is the only one there is, and what is done anyway.
fn route(field: &Field<'_>, _: &mut Wishes) -> Result<(), Error> {
    #[derive(Deserialize)]
    #[serde(rename_all = "lowercase")]
    #[serde(expecting = "`fallback`")]
    enum Route {
        Fallback,
    }
    field.read::<Option<Route>>().map(drop)
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Provider {
    order: Option<Vec<String>>,
    allow_fallbacks: Option<bool>,
    only: Option<Vec<String>>,
    ignore: Option<Vec<String>>,
    sort: Option<SortBy>,
    max_price: Option<Prices>,
}

/// A word, or a table with the word in it.
#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`sort` is none of `latency`, `price` and `throughput`"
)]
enum SortBy {
    Word(Sort),
    Table { by: Sort },
}

/// What a million tokens may cost. Prices of what is not measured in tokens are passed over.
#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Prices {
    prompt: Option<Amount>,
    completion: Option<Amount>,
}

/// A number, or one in quotes.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a price should be a number from 0 on")]
enum Amount {
    Number(f64),
    Text(String),
}

impl Amount {
    fn read(self) -> Option<f64> {
        let number = match self {
            Self::Number(number) => Some(number),
            Self::Text(text) => text.trim().parse().ok(),
        };
        number.filter(|it| *it >= 0.0)
    }
}

fn provider(field: &Field<'_>, wishes: &mut Wishes) -> Result<(), Error> {
    let Some(asked) = field.read::<Option<Provider>>()? else {
        return Ok(());
    };
    wishes.first = asked.order.unwrap_or_default();
    wishes.only = asked.only.unwrap_or_default();
    wishes.ignore = asked.ignore.unwrap_or_default();
    if asked.allow_fallbacks == Some(false) {
        if wishes.first.is_empty() {
            wishes.no_fallbacks = true;
        } else {
            wishes.only.extend(wishes.first.iter().cloned());
        }
    }
    wishes.sort = asked.sort.map(|by| match by {
        SortBy::Word(sort) | SortBy::Table { by: sort } => sort,
    });
    if let Some(most) = asked.max_price {
        let wrong = || field.wrong("a price should be a number from 0 on");
        let read = |amount: Option<Amount>| match amount {
            Some(amount) => amount.read().ok_or_else(wrong),
            None => Ok(f64::INFINITY),
        };
        wishes.max_price = Some(MaxPrice {
            input: read(most.prompt)?,
            output: read(most.completion)?,
        });
    }
    Ok(())
}

/// A name, or, as LiteLLM's router has it, a table of a model's name to names.
#[derive(Deserialize)]
#[serde(untagged, expecting = "a fallback should be a model's name")]
enum Fallback {
    Name(String),
    Request { model: String },
    Table(std::collections::BTreeMap<String, Vec<String>>),
}

fn fallbacks(field: &Field<'_>, wishes: &mut Wishes) -> Result<(), Error> {
    for fallback in field.read::<Option<Vec<Fallback>>>()?.unwrap_or_default() {
        match fallback {
            Fallback::Name(name) | Fallback::Request { model: name } => wishes.fallbacks.push(name),
            Fallback::Table(table) => wishes.fallbacks.extend(table.into_values().flatten()),
        }
    }
    Ok(())
}

fn num_retries(field: &Field<'_>, wishes: &mut Wishes) -> Result<(), Error> {
    wishes.retries = field.read()?;
    Ok(())
}

fn disable_fallbacks(field: &Field<'_>, wishes: &mut Wishes) -> Result<(), Error> {
    wishes.no_fallbacks |= field.read::<Option<bool>>()?.unwrap_or_default();
    Ok(())
}

fn timeout(field: &Field<'_>, wishes: &mut Wishes) -> Result<(), Error> {
    let seconds = field.read::<Option<f64>>()?;
    if seconds.is_some_and(|seconds| seconds < 0.0) {
        return Err(field.wrong("seconds should be from 0 on"));
    }
    // What is longer than any duration is no limit.
    wishes.total = seconds.and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
    Ok(())
}

#[derive(Deserialize)]
#[serde(expecting = "an object")]
struct Conditions {
    status_codes: Option<Vec<u16>>,
    timeout_ms: Option<u64>,
}

fn conditions(field: &Field<'_>, wishes: &mut Wishes) -> Result<(), Error> {
    let Some(asked) = field.read::<Option<Conditions>>()? else {
        return Ok(());
    };
    wishes.first_token = asked.timeout_ms.map(Duration::from_millis);
    wishes.on = asked.status_codes.map(|codes| {
        let own = codes.into_iter().flat_map(|code| kinds_of(code).iter());
        // Where there was no answer there was no status, and nothing to be said against going on.
        own.chain([FaultKind::Connect, FaultKind::Refused, FaultKind::TimedOut])
            .collect::<FaultKinds>()
    });
    Ok(())
}
