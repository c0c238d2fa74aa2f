//! Log lines to standard error, and spans to a collector.

mod lines;
mod text;

use std::{io::IsTerminal, time::Duration};

use tokio::{sync::oneshot, task::JoinHandle, time::timeout};
use tracing_subscriber::{
    EnvFilter, Layer, layer::SubscriberExt, registry, util::SubscriberInitExt,
};

use self::{
    lines::Lines,
    text::{Clock, Text},
};
use crate::{
    config::Telemetry,
    trace::otlp::{self, Otlp},
};

/// The target of the one line for each call.
pub(crate) const CALL: &str = "backstop::call";

/// What is logged where `RUST_LOG` does not say: each call, and what is out of the ordinary.
const STANDARD: &str = "info,backstop::trace=off";

/// How long the last spans may take to be sent.
const LAST: Duration = Duration::from_secs(2);

/// What was started. Spans are sent for as long as it lives, and the lines of calls are written
/// together.
#[derive(Debug)]
#[must_use = "spans are sent for as long as it lives"]
pub struct Logging {
    lines: Lines,
    sending: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

impl Logging {
    /// Waits until the last spans have been sent.
    pub async fn finish(mut self) {
        if let Some((stop, sending)) = self.sending.take() {
            drop(stop);
            // A collector that is away does not keep the program from ending.
            let _ = timeout(LAST, sending).await;
        }
    }
}

impl Drop for Logging {
    fn drop(&mut self) {
        self.lines.close();
    }
}

/// Logs to standard error, as text or as JSON, and sends spans where the config says so.
pub fn start(json: bool, telemetry: Option<&Telemetry>) -> Logging {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new(STANDARD));
    let lines = Lines::new(std::io::stderr());
    let layer = tracing_subscriber::fmt::layer()
        .with_writer(lines.clone())
        .with_ansi(std::io::stderr().is_terminal());
    let layer = if json {
        layer.json().with_timer(Clock).with_filter(filter).boxed()
    } else {
        let layer = layer.event_format(Text::new());
        layer.with_filter(filter).boxed()
    };
    // A layer that isn't there would have every span made all the same, for nobody.
    let mut layers = vec![layer];
    let sending = telemetry.map(|telemetry| {
        let (layer, spans) = Otlp::new();
        layers.push(layer.with_filter(Otlp::filter()).boxed());
        let (stop, stopped) = oneshot::channel();
        let sending = otlp::send(spans, telemetry.clone(), stopped);
        (stop, tokio::spawn(sending))
    });
    // Where logging has been set up already, that stays.
    let _ = registry().with(layers).try_init();
    Logging { lines, sending }
}
