//! Changes while the gateway runs.

use axum::{
    Json,
    extract::{Path, State},
    response::Response,
};
use http::StatusCode;
use serde::Deserialize;

use super::told::{done, refused};
use crate::{changes::Unchanged, gateway::Gateway, text};

/// Reads the config file again.
pub(super) async fn reload(State(gateway): State<Gateway>) -> Response {
    match gateway.reload_file() {
        Ok(()) => done(),
        Err(error) => refused(StatusCode::UNPROCESSABLE_ENTITY, text::with_causes(&*error)),
    }
}

/// Puts these candidates first: `["openai:gpt-5.5", "anthropic:claude-opus-4-8"]`. By `[]` the
/// config's order is back.
pub(super) async fn order(
    State(gateway): State<Gateway>,
    Path(model): Path<String>,
    Json(names): Json<Vec<String>>,
) -> Response {
    changed(&model, gateway.reorder(&model, names))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Switch {
    enabled: bool,
}

/// Takes a candidate out of a model's chain, or back in: `{"enabled": false}`.
pub(super) async fn candidate(
    State(gateway): State<Gateway>,
    Path((model, name)): Path<(String, String)>,
    Json(Switch { enabled }): Json<Switch>,
) -> Response {
    changed(&model, gateway.switch(&model, &name, enabled))
}

/// What can be done to a circuit by hand.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Order {
    /// Closes it, with nothing counted.
    Reset,
    /// Keeps it open until it is reset.
    Isolate,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Circuit {
    #[serde(rename = "do")]
    order: Order,
}

/// Changes a circuit by hand: `{"do": "isolate"}`.
pub(super) async fn circuit(
    State(gateway): State<Gateway>,
    Path(name): Path<String>,
    Json(Circuit { order }): Json<Circuit>,
) -> Response {
    if gateway.change_circuit(&name, order) {
        done()
    } else {
        refused(
            StatusCode::NOT_FOUND,
            format!("no candidate is named {name:?}"),
        )
    }
}

fn changed(model: &str, result: Result<(), Unchanged>) -> Response {
    let why = match result {
        Ok(()) => return done(),
        Err(Unchanged::NoModel) => format!("no model is named {model:?}"),
        Err(Unchanged::NoCandidate(error)) => error.to_string(),
    };
    refused(StatusCode::NOT_FOUND, why)
}
