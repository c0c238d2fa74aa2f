//! What is going on: for people, and for programs that show it to people.

use axum::{
    Json,
    extract::State,
    response::{IntoResponse, Response},
};
use serde::Serialize;

use crate::{
    gateway::Gateway,
    history::Change,
    stack::CircuitView,
    stats::{Failure, Summary},
};

/// Everything that can be seen.
#[derive(Clone, Debug, Serialize)]
struct Status {
    version: &'static str,
    uptime_seconds: u64,
    in_flight: usize,
    /// The config that was refused last, if the one that runs is an older one.
    reload_error: Option<String>,
    /// The settings of the running config that take effect with the next start only.
    waiting: Vec<&'static str>,
    models: Vec<Model>,
    /// The latest first.
    failures: Vec<Failure>,
    /// What circuits have done within the last hour, the oldest first.
    changes: Vec<Change>,
}

#[derive(Clone, Debug, Serialize)]
struct Model {
    name: String,
    /// Whether their order was made by hand.
    reordered: bool,
    /// In the order in which they are listed now.
    candidates: Vec<Candidate>,
}

#[derive(Clone, Debug, Serialize)]
struct Candidate {
    name: String,
    enabled: bool,
    /// None for what has no circuit: a fixed reply.
    circuit: Option<CircuitView>,
    #[serde(flatten)]
    lately: Summary,
}

impl Status {
    fn new(gateway: &Gateway) -> Self {
        let running = gateway.running();
        let stats = gateway.stats();
        let models = running.models.iter().map(|(name, stack)| Model {
            name: name.clone(),
            reordered: gateway.shared.changes.reorders(name),
            candidates: stack
                .in_order()
                .into_iter()
                .map(|(entry, enabled)| Candidate {
                    name: entry.name.to_string(),
                    enabled,
                    circuit: entry.circuit.as_ref().map(|circuit| circuit.view()),
                    lately: stats.candidate(&entry.name),
                })
                .collect(),
        });
        Self {
            version: env!("CARGO_PKG_VERSION"),
            uptime_seconds: stats.started().elapsed().as_secs(),
            in_flight: gateway.shared.in_flight.count(),
            reload_error: gateway.reload_error(),
            waiting: gateway.waiting(),
            models: models.collect(),
            failures: stats.failures(),
            changes: gateway.shared.history.changes(),
        }
    }
}

/// `/status.json`
pub(super) async fn json(State(gateway): State<Gateway>) -> Response {
    Json(Status::new(&gateway)).into_response()
}
