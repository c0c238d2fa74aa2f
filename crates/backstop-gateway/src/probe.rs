//! Measures each candidate from here: how long to connect, to the first token, and how fast then.

use std::{
    cmp::Ordering,
    error::Error as _,
    fmt::{self, Write as _},
    time::Duration,
};

use backstop_core::{BoxError, Name};
use backstop_llm::{ChatBody, ChatRequest, Error};
use tokio::{
    net::TcpStream,
    time::{self, Instant},
};
use tower::ServiceExt;

use crate::{
    config::{Config, Target, Timeouts},
    stack::Providers,
    text,
};

const PROMPT: &str = "Count from one to forty in words.";

/// What one candidate was measured at: the middle of several tries.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Measured {
    /// Who.
    pub candidate: Name,
    /// How long a TCP connection took, where one could be made.
    pub connect: Option<Duration>,
    /// How long the first token took; or why there was none.
    pub first_token: Result<Duration, String>,
    /// How many tokens came each second after that.
    pub tokens_per_second: Option<f64>,
}

/// Measures every candidate of a model, one after the other so that none disturbs the next.
///
/// # Errors
///
/// There is no such model, or the machine won't have it.
pub async fn probe(
    config: &Config,
    model: &str,
    tries: usize,
    mut tell: impl FnMut(&Measured),
) -> Result<Vec<Measured>, BoxError> {
    let chain = config
        .models
        .get(model)
        .ok_or_else(|| format!("no model is named {model:?}"))?;
    let providers = Providers::new(config, None)?;
    let mut all = Vec::new();
    for candidate in &chain.candidates {
        let Target::Provider {
            provider,
            model,
            key,
            ..
        } = &candidate.target
        else {
            continue;
        };
        let (described, provider) = providers
            .get(provider, *key, chain.timeout.connect)
            .ok_or_else(|| format!("{provider} is no provider"))?;
        let connect = connect(&described.base_url, chain.timeout.connect).await;
        let mut firsts = Vec::new();
        let mut rates = Vec::new();
        let mut refusal = None;
        for _ in 0..tries.max(1) {
            match ask(provider.model(model), &chain.timeout).await {
                Ok((first, rate)) => {
                    firsts.push(first);
                    rates.extend(rate);
                }
                Err(error) => refusal = Some(why(&error)),
            }
        }
        firsts.sort();
        rates.sort_by(f64::total_cmp);
        let first = firsts.get(firsts.len() / 2).copied();
        let measured = Measured {
            candidate: candidate.name.clone(),
            connect,
            first_token: first.ok_or_else(|| refusal.unwrap_or_else(|| "no answer".to_owned())),
            tokens_per_second: rates.get(rates.len() / 2).copied(),
        };
        tell(&measured);
        all.push(measured);
    }
    Ok(all)
}

impl Measured {
    /// Whether it answered.
    #[must_use]
    pub const fn answered(&self) -> bool {
        self.first_token.is_ok()
    }
}

/// The order that these measurements suggest: who begins to answer soonest first, and who does not
/// answer last.
#[must_use]
pub fn suggest(measured: &[Measured]) -> Vec<Name> {
    let mut order: Vec<&Measured> = measured.iter().collect();
    order.sort_by(|a, b| match (&a.first_token, &b.first_token) {
        (Ok(a), Ok(b)) => a.cmp(b),
        (Ok(_), Err(_)) => Ordering::Less,
        (Err(_), Ok(_)) => Ordering::Greater,
        (Err(_), Err(_)) => Ordering::Equal,
    });
    order.iter().map(|it| it.candidate.clone()).collect()
}

/// What kept a candidate from answering, without its name.
fn why(error: &Error) -> String {
    let mut why = error.message().to_owned();
    if let Some(cause) = error.source() {
        let cause = text::with_causes(cause);
        let _ = write!(why, ": {cause}");
    }
    why
}

async fn connect(url: &str, limit: Duration) -> Option<Duration> {
    let url: http::Uri = url.parse().ok()?;
    let standard = if url.scheme_str() == Some("https") {
        443
    } else {
        80
    };
    let address = (url.host()?, url.port_u16().unwrap_or(standard));
    let began = Instant::now();
    time::timeout(limit, TcpStream::connect(address))
        .await
        .ok()?
        .ok()?;
    Some(began.elapsed())
}

/// The time to the first token, and how many came each second after it.
async fn ask(
    model: backstop_llm::Model,
    limits: &Timeouts,
) -> Result<(Duration, Option<f64>), Error> {
    let request = ChatRequest::new(model.model())
        .user(PROMPT)
        .max_tokens(200)
        .streamed();
    let began = Instant::now();
    let late = |_| Error::refused("no first token within the limit");
    let response = time::timeout(limits.first_token, model.oneshot(request))
        .await
        .map_err(late)??;
    let first = began.elapsed();
    let ChatBody::Stream(stream) = response.into_body() else {
        return Ok((first, None));
    };
    let speaking = Instant::now();
    let completion = time::timeout(limits.total, stream.collect())
        .await
        .map_err(late)??;
    let seconds = speaking.elapsed().as_secs_f64();
    let tokens = completion.usage.map(|usage| usage.output as f64);
    Ok((
        first,
        tokens
            .filter(|_| seconds > 0.0)
            .map(|tokens| tokens / seconds),
    ))
}

impl Measured {
    /// The heading over the lines of all candidates.
    pub const HEADING: &str = "candidate                          connect   first token   tokens/s";
}

impl fmt::Display for Measured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let millis = |duration: &Duration| format!("{:.1} ms", duration.as_secs_f64() * 1e3);
        let connect = self.connect.as_ref().map_or_else(|| "–".to_owned(), millis);
        write!(f, "{:<32} {connect:>9}", self.candidate)?;
        match &self.first_token {
            Ok(first) => {
                let rate = self.tokens_per_second;
                let rate = rate.map_or_else(|| "–".to_owned(), |rate| format!("{rate:.0}"));
                write!(f, " {:>13} {rate:>10}", millis(first))
            }
            Err(why) => write!(f, "   {why}"),
        }
    }
}
