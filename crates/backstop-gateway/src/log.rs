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
    // A layer that isn't there would have every span made all the same, for nobody.
    let mut layers = vec![lines];
    if let Some(telemetry) = telemetry {
        let (layer, spans) = Otlp::new();
        tokio::spawn(otlp::send(spans, telemetry.clone()));
        layers.push(layer.with_filter(Otlp::filter()).boxed());
    }
    // Where logging has been set up already, that stays.
    let _ = registry().with(layers).try_init();
}
