//! Notes spans, to be sent to a collector by OTLP.

mod calendar;
mod send;

use std::fmt;

use serde_json::{Value, json};
use tokio::{sync::mpsc, time::Instant};
use tracing::{
    Id, Metadata, Span, Subscriber,
    field::{Field, Visit},
    span::{Attributes, Record},
};
use tracing_subscriber::{
    Layer, Registry,
    layer::{Context, Filter},
    registry::LookupSpan,
};

use self::calendar::Calendar;
pub(crate) use self::send::send;
use super::{TARGET, parent::Parent};

/// How many spans may wait to be sent. Beyond it they are dropped: a collector that is away must
/// not fill the memory.
const WAITING: usize = 8_192;

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
    calendar: Calendar,
    began: Instant,
    ended: Instant,
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
        let now = Instant::now();
        let mut noted = Noted {
            at: Parent::new(),
            parent: None,
            name: attributes.metadata().name().to_owned(),
            kind: INTERNAL,
            calendar: Calendar::at(now),
            began: now,
            ended: now,
            attributes: Vec::new(),
        };
        attributes.record(&mut noted);
        let outer = span.parent().and_then(|outer| {
            let extensions = outer.extensions();
            let outer = extensions.get::<Noted>()?;
            noted.calendar = outer.calendar;
            Some(outer.at)
        });
        if let Some(outer) = outer.or_else(|| noted.caller()) {
            noted.at.trace = outer.trace;
            noted.at.sampled = outer.sampled;
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
        if let Some(mut noted) = noted.filter(|noted| noted.at.sampled) {
            noted.ended = Instant::now();
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
            // The convention has a list of these, one for each choice.
            name @ "gen_ai.response.finish_reasons" => {
                let list = json!({ "arrayValue": { "values": [value] } });
                self.attributes.push((name, list));
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
            "startTimeUnixNano": self.calendar.unix_nanos(self.began).to_string(),
            "endTimeUnixNano": self.calendar.unix_nanos(self.ended).to_string(),
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::advance;
    use tracing::{info_span, subscriber};
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_trace_keeps_time_by_itself_whatever_the_system_says_the_time_is() {
        let (otlp, mut noted) = Otlp::new();
        let registry = Registry::default().with(otlp);
        let _subscriber = subscriber::set_default(registry);
        // The system's clock stands still meanwhile, or as good as.
        let call = info_span!("call");
        advance(Duration::from_secs(2)).await;
        let attempt = info_span!(parent: &call, "attempt");
        advance(Duration::from_secs(3)).await;
        drop(attempt);
        advance(Duration::from_secs(5)).await;
        drop(call);
        let (attempt, call) = (noted.recv().await, noted.recv().await);
        let [attempt, call] = [attempt, call].map(|noted| {
            let told = noted.expect("was noted").json();
            ["startTimeUnixNano", "endTimeUnixNano"].map(|time| {
                let time = told[time].as_str().expect("is text");
                time.parse().map(Duration::from_nanos).expect("is a number")
            })
        });
        let since = |time| time - call[0];
        assert_eq!(attempt.map(since), [2, 5].map(Duration::from_secs));
        assert_eq!(call.map(since), [0, 10].map(Duration::from_secs));
    }
}
