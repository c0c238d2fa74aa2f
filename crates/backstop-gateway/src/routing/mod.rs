//! What one request asks for of the routing, in the words that people already use.
//!
//! The fields are taken off the request: no provider is sent any. Whoever asks gets at most what
//! the operator configured: the candidates of models that the caller may use, no longer limits and
//! no more attempts.

mod fields;
mod order;

use std::time::Duration;

use backstop_core::{FaultKind, FaultKinds};
use backstop_llm::{ChatRequest, Dialect, Error};
use http::{HeaderMap, HeaderName};
use serde::Deserialize;

use self::fields::Field;
pub(crate) use self::order::{Asked, order};

/// Whether a broken stream may be continued: `false` refuses it.
const CONTINUE: HeaderName = HeaderName::from_static("x-backstop-continue");

/// By what a request wants its candidates to be put in order.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Sort {
    /// The one that lately began to answer soonest.
    Latency,
    /// The cheapest.
    Price,
    /// The one that lately spoke fastest.
    Throughput,
}

/// What a million tokens may cost, in the currency of the config's prices.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct MaxPrice {
    pub(crate) input: f64,
    pub(crate) output: f64,
}

/// What one request asks for.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Wishes {
    /// Who is asked after the model itself: models or candidates, by name.
    pub(crate) fallbacks: Vec<String>,
    /// Whether `fallbacks` is all that may be asked after the first: the caller wrote the chain.
    pub(crate) only_these: bool,
    /// Providers to be asked first.
    pub(crate) first: Vec<String>,
    /// Providers that may be asked at all, where that is limited.
    pub(crate) only: Vec<String>,
    /// Providers that must not be asked.
    pub(crate) ignore: Vec<String>,
    /// Whether only the first candidate may be asked.
    pub(crate) no_fallbacks: bool,
    /// How often each candidate may be tried again, at most what is configured.
    pub(crate) retries: Option<u32>,
    /// By what the candidates are asked in order, in place of the operator's order.
    pub(crate) sort: Option<Sort>,
    /// What a candidate's tokens may cost.
    pub(crate) max_price: Option<MaxPrice>,
    /// Whether a stream that breaks off must not be continued.
    pub(crate) no_continuation: bool,
    /// The failures after which the next is asked, where that is limited.
    pub(crate) on: Option<FaultKinds>,
    /// How long the whole call may take, at most what is configured.
    pub(crate) total: Option<Duration>,
    /// How long until the first content of each attempt, at most what is configured.
    pub(crate) first_token: Option<Duration>,
}

impl Wishes {
    /// Takes them off `request`, which came with these headers.
    ///
    /// # Errors
    ///
    /// Where one is of the wrong type.
    pub(crate) fn take(request: &mut ChatRequest, headers: &HeaderMap) -> Result<Self, Error> {
        let mut wishes = Self {
            no_continuation: headers.get(CONTINUE).is_some_and(|value| value == "false"),
            ..Self::default()
        };
        let known = |name: &str| fields::FIELDS.iter().find(|(field, _)| *field == name);
        if !request
            .chat()
            .extra
            .iter()
            .any(|(name, _)| known(name).is_some())
        {
            return Ok(wishes);
        }
        let dialect = request.chat().extra_dialect.unwrap_or(Dialect::OpenAi);
        for (name, value) in &request.chat().extra {
            if let Some((_, read)) = known(name) {
                let field = Field {
                    name,
                    value,
                    dialect,
                };
                read(&field, &mut wishes)?;
            }
        }
        let model = request.model().to_owned();
        wishes.fallbacks.retain(|name| *name != model);
        request.drop_fields(|name| known(name).is_some());
        Ok(wishes)
    }

    /// Whether the request names who is to be asked in which order.
    pub(crate) fn orders(&self) -> bool {
        self.only_these || !self.first.is_empty()
    }

    /// Whether it sets limits of time.
    pub(crate) const fn is_hurried(&self) -> bool {
        self.total.is_some() || self.first_token.is_some()
    }

    /// Whether nothing is asked for.
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

/// The failures that an HTTP status may stand for.
fn kinds_of(status: u16) -> FaultKinds {
    FaultKinds::of(match status {
        401 | 403 => &[FaultKind::Denied],
        402 => &[FaultKind::QuotaExhausted],
        404 => &[FaultKind::Missing],
        408 => &[FaultKind::TimedOut],
        413 => &[FaultKind::TooLarge],
        429 => &[FaultKind::RateLimited, FaultKind::QuotaExhausted],
        500 => &[FaultKind::Unavailable],
        502 => &[
            FaultKind::Unavailable,
            FaultKind::Connect,
            FaultKind::Malformed,
        ],
        503 => &[FaultKind::Unavailable, FaultKind::Overloaded],
        504 => &[FaultKind::Unavailable, FaultKind::TimedOut],
        529 => &[FaultKind::Overloaded],
        400..=499 => &[FaultKind::Invalid],
        _ => &[FaultKind::Unavailable],
    })
}
