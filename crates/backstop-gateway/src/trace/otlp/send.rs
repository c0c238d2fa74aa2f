//! Sends spans to a collector, by OTLP over HTTP in JSON.

use std::{future::pending, time::Duration};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    sync::oneshot,
    time::{self, Instant},
};
use tracing::warn;

use super::{Noted, Noteds};
use crate::{config::Telemetry, text};

/// How many are sent at a time.
const BATCH: usize = 512;

/// How long the first of a batch waits for others.
const DELAY: Duration = Duration::from_secs(2);

/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Sends spans as they come, until `stop` resolves; then it sends what is left.
pub(crate) async fn send(mut spans: Noteds, telemetry: Telemetry, mut stop: oneshot::Receiver<()>) {
    let Ok(client) = Client::builder().timeout(PATIENCE).build() else {
        return;
    };
    let mut collector = Collector {
        client,
        telemetry,
        away: false,
    };
    loop {
        let mut batch = Vec::new();
        let stopped = tokio::select! {
            () = gather(&mut spans, &mut batch) => false,
            // Dropped is as good as told.
            _ = &mut stop => true,
        };
        if stopped {
            while let Ok(span) = spans.try_recv() {
                batch.push(span);
            }
        }
        for batch in batch.chunks(BATCH) {
            collector.post(batch).await;
        }
        if stopped {
            return;
        }
    }
}

/// Waits for a span, and a moment longer for others. What has come is in `batch`, even where this
/// is dropped.
async fn gather(spans: &mut Noteds, batch: &mut Vec<Noted>) {
    let Some(first) = spans.recv().await else {
        return pending().await;
    };
    batch.push(first);
    let until = Instant::now() + DELAY;
    while batch.len() < BATCH {
        match time::timeout_at(until, spans.recv()).await {
            Ok(Some(span)) => batch.push(span),
            _ => return,
        }
    }
}

/// Who takes the spans.
struct Collector {
    client: Client,
    telemetry: Telemetry,
    /// Whether it was away when it was last sent any.
    away: bool,
}

impl Collector {
    async fn post(&mut self, batch: &[Noted]) {
        let mut request = self
            .client
            .post(&self.telemetry.traces)
            .header("content-type", "application/json")
            .body(body(&self.telemetry.service, batch).to_string());
        for (name, value) in &self.telemetry.headers {
            request = request.header(name, value.expose());
        }
        let sent = request.send().await;
        match sent.and_then(reqwest::Response::error_for_status) {
            Ok(_) => self.away = false,
            // It is said once for each time that the collector is away.
            Err(error) if !self.away => {
                self.away = true;
                let why = text::with_causes(&error.without_url());
                warn!("spans could not be sent: {why}");
            }
            Err(_) => {}
        }
    }
}

fn body(service: &str, batch: &[Noted]) -> Value {
    let attribute =
        |key: &str, value: &str| json!({ "key": key, "value": { "stringValue": value } });
    json!({
        "resourceSpans": [{
            "resource": {
                "attributes": [
                    attribute("service.name", service),
                    attribute("service.version", env!("CARGO_PKG_VERSION")),
                ],
            },
            "scopeSpans": [{
                "scope": { "name": "backstop", "version": env!("CARGO_PKG_VERSION") },
                "spans": batch.iter().map(Noted::json).collect::<Value>(),
            }],
        }],
    })
}
