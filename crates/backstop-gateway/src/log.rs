//! Log lines to standard error, and spans to a collector.

use std::io::IsTerminal;

use tracing_subscriber::{
    EnvFilter, Layer, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use crate::{
    config::Telemetry,
    trace::otlp::{self, Otlp},
};

/// What is logged where `RUST_LOG` does not say: each call, and what is out of the ordinary.
const STANDARD: &str = "info,backstop::trace=off";

/// Logs to standard error, as text or as JSON, and sends spans where the config says so.
pub fn start(json: bool, telemetry: Option<&Telemetry>) {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(STANDARD));
    let lines = tracing_subscriber::fmt::layer()
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal());
    let lines = if json {
        lines.json().with_filter(filter).boxed()
    } else {
        lines.with_filter(filter).boxed()
    };
    let spans = telemetry.map(|telemetry| {
        let (layer, spans) = Otlp::new();
        tokio::spawn(otlp::send(spans, telemetry.clone()));
        layer.with_filter(Otlp::filter())
    });
    // Where logging has been set up already, that stays.
    let _ = registry().with(spans).with(lines).try_init();
}
