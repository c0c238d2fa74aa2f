//! Tells someone when too much fails, or costs too much: once, and once more when it is over.

use std::{
    collections::VecDeque,
    fmt,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use backstop_core::FaultKind;
use backstop_llm::Secret;
use reqwest::Client;
use serde_json::json;
use tokio::time::{self, Instant};
use tracing::warn;

use crate::{
    call::Outcome,
    config::{self, write_duration},
    gateway::Gateway,
};

/// How often it is seen whether something is over: calls may have ceased altogether.
const EVERY: Duration = Duration::from_secs(1);

/// How long the one who is told may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many notices wait at most for someone to tell them to.
const UNSENT: usize = 20;

/// An alert is over when what it is about has fallen to this part of its threshold, so that it
/// does not come and go.
const OVER: f64 = 0.5;

/// In how many parts a window slides on.
const PARTS: u32 = 20;

/// Watches what the config says is to be watched.
#[derive(Debug)]
pub(crate) struct Alerts {
    pub(crate) config: config::Alerts,
    watched: Mutex<Watched>,
}

#[derive(Debug)]
struct Watched {
    errors: Watch,
    spend: Watch,
}

/// Something began or is over, to be told.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Notice {
    alert: &'static str,
    raised: bool,
    value: f64,
    threshold: f64,
    window: Duration,
}

impl Alerts {
    pub(crate) fn new(config: config::Alerts) -> Self {
        let errors = Watch::new("error rate", config.error_rate, config.window);
        let spend = Watch::new("spend", config.spend, config.spend_window);
        Self {
            config,
            watched: Mutex::new(Watched { errors, spend }),
        }
    }

    /// Takes in one call that is over.
    pub(crate) fn call(&self, outcome: Outcome, cost: f64) {
        if self.config.webhook.is_none() {
            return;
        }
        let failed = match outcome {
            // What is wrong with a request is no matter of ours.
            Outcome::Failed(fault) => Some(!matches!(
                fault.kind(),
                FaultKind::Invalid | FaultKind::TooLarge | FaultKind::Filtered
            )),
            Outcome::Completed => Some(false),
            // Who left says nothing of how it would have ended, and it costs all the same.
            Outcome::Left => None,
        };
        let now = Instant::now();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(failed) = failed {
            watched.errors.add(now, f64::from(u8::from(failed)), 1);
        }
        watched.spend.add(now, cost, 1);
    }

    /// What there is to tell by now.
    fn notices(&self) -> Vec<Notice> {
        let now = Instant::now();
        let mut watched = self.watched.lock().unwrap_or_else(PoisonError::into_inner);
        let min_calls = u64::from(self.config.min_calls.get());
        let rate = |sum: f64, calls: u64| {
            let enough = calls >= min_calls;
            // Too few calls raise nothing, and are no reason to go on with an alert.
            if enough { sum / calls as f64 } else { 0.0 }
        };
        let errors = watched.errors.check(now, rate);
        let spend = watched.spend.check(now, |sum, _| sum);
        errors.into_iter().chain(spend).collect()
    }
}

/// Tells of alerts for as long as it runs.
pub(crate) async fn run(gateway: Gateway) {
    let client = Client::builder().timeout(PATIENCE).build();
    let Ok(client) = client.inspect_err(|error| warn!("alerts can't be sent: {error}")) else {
        return;
    };
    let mut unsent = VecDeque::new();
    loop {
        time::sleep(EVERY).await;
        let alerts = gateway.running().alerts.clone();
        let Some(webhook) = &alerts.config.webhook else {
            continue;
        };
        for notice in alerts.notices() {
            warn!(target: "backstop::alert", "{notice}");
            unsent.push_back(notice);
        }
        // One that can't be told now is told later, and the ones after it after that.
        while let Some(notice) = unsent.front() {
            if let Err(error) = post(&client, webhook, notice).await {
                // The address may hold a key.
                warn!("an alert could not be sent: {}", error.without_url());
                break;
            }
            unsent.pop_front();
        }
        while unsent.len() > UNSENT {
            unsent.pop_front();
        }
    }
}

async fn post(client: &Client, webhook: &Secret, notice: &Notice) -> Result<(), reqwest::Error> {
    let body = json!({
        "text": notice.to_string(),
        "alert": notice.alert,
        "state": if notice.raised { "raised" } else { "over" },
        "value": notice.value,
        "threshold": notice.threshold,
    });
    let posted = client
        .post(webhook.expose())
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await?;
    posted.error_for_status().map(drop)
}

/// A sum over a sliding window, and whether it is too much.
#[derive(Debug)]
struct Watch {
    alert: &'static str,
    threshold: Option<f64>,
    window: Duration,
    parts: VecDeque<Part>,
    raised: bool,
}

#[derive(Debug)]
struct Part {
    began: Instant,
    sum: f64,
    calls: u64,
}

impl Watch {
    const fn new(alert: &'static str, threshold: Option<f64>, window: Duration) -> Self {
        Self {
            alert,
            threshold,
            window,
            parts: VecDeque::new(),
            raised: false,
        }
    }

    fn add(&mut self, now: Instant, amount: f64, calls: u64) {
        let length = self.window / PARTS;
        let present = self
            .parts
            .back_mut()
            .filter(|part| now.saturating_duration_since(part.began) < length);
        match present {
            Some(part) => {
                part.sum += amount;
                part.calls += calls;
            }
            None => self.parts.push_back(Part {
                began: now,
                sum: amount,
                calls,
            }),
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        let window = self.window;
        self.parts
            .retain(|part| now.saturating_duration_since(part.began) < window);
    }

    fn check(&mut self, now: Instant, value: impl FnOnce(f64, u64) -> f64) -> Option<Notice> {
        let threshold = self.threshold?;
        self.forget(now);
        let sum = self.parts.iter().map(|part| part.sum).sum();
        let value = value(sum, self.parts.iter().map(|part| part.calls).sum());
        let raised = if self.raised {
            value > threshold * OVER
        } else {
            value >= threshold
        };
        (raised != self.raised).then(|| {
            self.raised = raised;
            Notice {
                alert: self.alert,
                raised,
                value,
                threshold,
                window: self.window,
            }
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            alert,
            raised,
            value,
            threshold,
            window,
        } = self;
        let state = if *raised {
            "too high"
        } else {
            "back to normal"
        };
        let window = write_duration(*window);
        write!(
            f,
            "Backstop: {alert} {state}: {value:.3} over the last {window}, threshold {threshold}"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tells_once_and_once_more_when_it_is_over() {
        let mut watch = Watch::new("error rate", Some(0.5), Duration::from_secs(60));
        let rate = |sum: f64, calls: u64| if calls == 0 { 0.0 } else { sum / calls as f64 };
        for _ in 0..10 {
            watch.add(Instant::now(), 1.0, 1);
        }
        let notice = watch.check(Instant::now(), rate).expect("all have failed");
        assert!(notice.raised);
        assert_eq!(watch.check(Instant::now(), rate), None);
        // At 0.4 it is below the threshold, and not yet over.
        for _ in 0..15 {
            watch.add(Instant::now(), 0.0, 1);
        }
        assert_eq!(watch.check(Instant::now(), rate), None);
        time::advance(Duration::from_secs(61)).await;
        let notice = watch.check(Instant::now(), rate).expect("all is forgotten");
        assert!(!notice.raised);
        assert_eq!(
            notice.to_string(),
            "Backstop: error rate back to normal: 0.000 over the last 1m, threshold 0.5"
        );
    }
}
