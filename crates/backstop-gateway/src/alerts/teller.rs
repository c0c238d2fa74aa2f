//! Tells notices to whoever wants to know.

use std::{collections::VecDeque, time::Duration};

use backstop_llm::Secret;
use reqwest::Client;
use serde_json::json;
use tokio::time::Instant;
use tracing::{info, warn};

use super::Notice;
use crate::text;

/// How long the one who is told may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// How many notices wait at most for someone to tell them to.
const UNSENT: usize = 20;

/// How long one who can't be told is left alone: at first, and at most.
const WAITS: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(60)];

/// Tells one notice after the other. One that can't be told now is told later, and the ones after
/// it after that.
#[derive(Debug)]
pub(super) struct Teller {
    client: Client,
    unsent: VecDeque<Notice>,
    /// How long the next failure is waited after, and until when the last one is.
    wait: Duration,
    until: Option<Instant>,
}

impl Teller {
    pub(super) fn new() -> reqwest::Result<Self> {
        Ok(Self {
            client: Client::builder().timeout(PATIENCE).build()?,
            unsent: VecDeque::new(),
            wait: WAITS[0],
            until: None,
        })
    }

    /// Has this told, in place of the oldest where too many wait.
    pub(super) fn add(&mut self, notice: Notice) {
        if self.unsent.len() == UNSENT {
            self.unsent.pop_front();
        }
        self.unsent.push_back(notice);
    }

    /// Tells what there is to be told, if it is time for that.
    pub(super) async fn tell(&mut self, webhook: &Secret) {
        if self.until.is_some_and(|until| Instant::now() < until) {
            return;
        }
        while let Some(notice) = self.unsent.front() {
            if let Err(error) = post(&self.client, webhook, notice).await {
                self.failed(error);
                return;
            }
            self.unsent.pop_front();
            if self.until.take().is_some() {
                info!("alerts can be sent again");
            }
            self.wait = WAITS[0];
        }
    }

    /// It is said once for each time that nobody can be told.
    fn failed(&mut self, error: reqwest::Error) {
        if self.until.is_none() {
            // The address may hold a key.
            let why = text::with_causes(&error.without_url());
            warn!("an alert could not be sent, and is sent again until it is: {why}");
        }
        self.until = Some(Instant::now() + self.wait);
        self.wait = (self.wait * 2).min(WAITS[1]);
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
