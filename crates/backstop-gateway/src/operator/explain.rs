//! Who would be asked now, and why.

use std::fmt;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use backstop_llm::{ChatRequest, Dialect};
use http::StatusCode;
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::{gateway::Gateway, stack::ModelStack};

/// What would become of a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Explanation {
    /// The model's name in the config.
    model: String,
    /// In the order in which they would be asked.
    candidates: Vec<Step>,
}

#[derive(Clone, Debug, Deserialize, Serialize)]
struct Step {
    candidate: String,
    /// Whether it would be asked when its turn comes.
    asked: bool,
    /// Why not, or what its turn is.
    why: String,
}

#[derive(Deserialize)]
pub(super) struct Asked {
    model: String,
}

/// For any request to a model.
pub(super) async fn explain(
    State(gateway): State<Gateway>,
    Query(Asked { model }): Query<Asked>,
) -> Response {
    let running = gateway.running();
    match running.model(&model) {
        Some(stack) => Json(Explanation::new(stack, None)).into_response(),
        None => refused(
            StatusCode::NOT_FOUND,
            &format!("no model is named {model:?}"),
        ),
    }
}

/// For this request, in OpenAI's language: some candidates may not be able to take it.
pub(super) async fn explain_request(State(gateway): State<Gateway>, body: Bytes) -> Response {
    let request = match Dialect::OpenAi.front().parse(body) {
        Ok(request) => request,
        Err(error) => return refused(StatusCode::BAD_REQUEST, error.message()),
    };
    let running = gateway.running();
    match running.model(request.model()) {
        Some(stack) => Json(Explanation::new(stack, Some(&request))).into_response(),
        None => {
            let model = request.model();
            refused(
                StatusCode::NOT_FOUND,
                &format!("no model is named {model:?}"),
            )
        }
    }
}

fn refused(status: StatusCode, why: &str) -> Response {
    (status, Json(json!({ "error": why }))).into_response()
}

impl Explanation {
    pub(crate) fn new(stack: &ModelStack, request: Option<&ChatRequest>) -> Self {
        let mut turn = 0;
        let candidates = stack.in_order().into_iter().map(|(entry, enabled)| {
            let refusal = if enabled {
                entry.refuses(request)
            } else {
                Some("disabled by the operator".to_owned())
            };
            let why = refusal.clone().unwrap_or_else(|| {
                turn += 1;
                match turn {
                    1 => "asked first".to_owned(),
                    _ => "asked if all before it fail".to_owned(),
                }
            });
            Step {
                candidate: entry.name.to_string(),
                asked: refusal.is_none(),
                why,
            }
        });
        Self {
            model: stack.name.to_string(),
            candidates: candidates.collect(),
        }
    }
}

impl fmt::Display for Explanation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.model)?;
        for (i, step) in self.candidates.iter().enumerate() {
            let last = i + 1 == self.candidates.len();
            let branch = if last { "└─" } else { "├─" };
            let mark = if step.asked { "✓" } else { "✗" };
            writeln!(f, "  {branch} {mark} {:<32} {}", step.candidate, step.why)?;
        }
        Ok(())
    }
}
