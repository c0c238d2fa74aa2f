//! Sends spans to a collector, by OTLP over HTTP in JSON.

use std::{
    fmt,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use reqwest::Client;
use serde_json::{Value, json};
use tokio::{
    sync::mpsc,
    time::{self, Instant},
};
use tracing::{
    Id, Metadata, Span, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
    warn,
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use super::{TARGET, parent::Parent};
use crate::config::Telemetry;

/// How many spans may wait to be sent. Beyond it they are dropped: a collector that is away must
/// not fill the memory.
const WAITING: usize = 8_192;

/// How many are sent at a time.
const BATCH: usize = 512;

/// How long the first of a batch waits for others.
const DELAY: Duration = Duration::from_secs(2);

/// How long the collector may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Takes note of spans, for [`send`].
#[derive(Debug)]
pub(crate) struct Otlp {
    spans: mpsc::Sender<Noted>,
}

/// The spans that are to be sent.
pub(crate) type Noteds = mpsc::Receiver<Noted>;

/// What is known of one span.
#[derive(Clone, Debug)]
pub(crate) struct Noted {
    at: Parent,
    parent: Option<u64>,
    name: String,
    kind: u8,
    began: u128,
    ended: u128,
    attributes: Vec<(&'static str, Value)>,
}

impl Otlp {
    pub(crate) fn new() -> (Self, Noteds) {
        let (spans, noted) = mpsc::channel(WAITING);
        (Self { spans }, noted)
    }

    /// Only spans of calls and attempts are of interest.
    pub(crate) fn filter() -> impl Filter<Registry> {
        tracing_subscriber::filter::filter_fn(|metadata: &Metadata<'_>| metadata.target() == TARGET)
    }
}

/// The place of a span in its trace, where spans are sent anywhere.
pub(crate) fn place(span: &Span) -> Option<Parent> {
    span.with_subscriber(|(id, dispatch)| {
        let registry = dispatch.downcast_ref::<Registry>()?;
        let span = registry.span(id)?;
        span.extensions().get::<Noted>().map(|noted| noted.at)
    })?
}

impl<S> Layer<S> for Otlp
where
    S: Subscriber + for<'a> LookupSpan<'a>,
{
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        let Some(span) = context.span(id) else { return };
        let mut noted = Noted {
            at: Parent::new(),
            parent: None,
            name: attributes.metadata().name().to_owned(),
            kind: INTERNAL,
            began: now(),
            ended: 0,
            attributes: Vec::new(),
        };
        attributes.record(&mut noted);
        let outer = span
            .parent()
            .and_then(|outer| outer.extensions().get::<Noted>().map(|noted| noted.at));
        if let Some(outer) = outer.or_else(|| noted.caller()) {
            noted.at.trace = outer.trace;
            noted.parent = Some(outer.span);
        }
        span.extensions_mut().insert(noted);
    }

    fn on_record(&self, id: &Id, record: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            if let Some(noted) = span.extensions_mut().get_mut::<Noted>() {
                record.record(noted);
            }
        }
    }

    fn on_close(&self, id: Id, context: Context<'_, S>) {
        let noted = context
            .span(&id)
            .and_then(|span| span.extensions_mut().remove::<Noted>());
        if let Some(mut noted) = noted {
            noted.ended = now();
            // One that finds no place is dropped.
            let _ = self.spans.try_send(noted);
        }
    }
}

const INTERNAL: u8 = 1;
const SERVER: u8 = 2;
const CLIENT: u8 = 3;
const ERROR: u8 = 2;

impl Noted {
    /// The caller's own place in its trace.
    fn caller(&self) -> Option<Parent> {
        let (_, value) = self
            .attributes
            .iter()
            .find(|(name, _)| *name == "traceparent")?;
        value["stringValue"].as_str()?.parse().ok()
    }

    fn set(&mut self, field: &Field, value: Value) {
        match field.name() {
            "otel.name" => {
                self.name = value["stringValue"].as_str().unwrap_or_default().to_owned();
            }
            "otel.kind" => {
                self.kind = if value["stringValue"] == "server" {
                    SERVER
                } else {
                    CLIENT
                };
            }
            name => {
                self.attributes.retain(|(known, _)| *known != name);
                self.attributes.push((name, value));
            }
        }
    }

    fn json(&self) -> Value {
        let attributes = self.attributes.iter();
        let failed = attributes.clone().any(|(name, _)| *name == "error.type");
        json!({
            "traceId": format!("{:032x}", self.at.trace),
            "spanId": format!("{:016x}", self.at.span),
            "parentSpanId": self.parent.map_or(String::new(), |id| format!("{id:016x}")),
            "name": self.name,
            "kind": self.kind,
            "startTimeUnixNano": self.began.to_string(),
            "endTimeUnixNano": self.ended.to_string(),
            "attributes": attributes
                .filter(|(name, _)| *name != "traceparent")
                .map(|(name, value)| json!({ "key": name, "value": value }))
                .collect::<Value>(),
            "status": if failed { json!({ "code": ERROR }) } else { json!({}) },
        })
    }
}

impl Visit for Noted {
    fn record_str(&mut self, field: &Field, value: &str) {
        self.set(field, json!({ "stringValue": value }));
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.set(field, json!({ "intValue": value.to_string() }));
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.set(field, json!({ "intValue": value.to_string() }));
    }

    fn record_f64(&mut self, field: &Field, value: f64) {
        self.set(field, json!({ "doubleValue": value }));
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.set(field, json!({ "boolValue": value }));
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.set(field, json!({ "stringValue": format!("{value:?}") }));
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "a span tells the time of day at which it was"
)]
fn now() -> u128 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map_or(0, |since| since.as_nanos())
}

/// Sends spans for as long as there are any to come.
pub(crate) async fn send(mut spans: Noteds, telemetry: Telemetry) {
    let Ok(client) = Client::builder().timeout(PATIENCE).build() else {
        return;
    };
    let mut away = false;
    while let Some(first) = spans.recv().await {
        let mut batch = vec![first];
        let until = Instant::now() + DELAY;
        while batch.len() < BATCH {
            match time::timeout_at(until, spans.recv()).await {
                Ok(Some(span)) => batch.push(span),
                _ => break,
            }
        }
        let mut request = client
            .post(&telemetry.traces)
            .header("content-type", "application/json")
            .body(body(&telemetry.service, &batch).to_string());
        for (name, value) in &telemetry.headers {
            request = request.header(name, value.expose());
        }
        let sent = request
            .send()
            .await
            .and_then(reqwest::Response::error_for_status);
        match sent {
            Ok(_) => away = false,
            // It is said once for each time that the collector is away.
            Err(error) if !away => {
                away = true;
                warn!("spans could not be sent: {}", error.without_url());
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
