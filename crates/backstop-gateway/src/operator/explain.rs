//! Who would be asked now, and why.

use std::fmt;

use axum::{
    Json,
    body::Bytes,
    extract::{Query, State},
    response::{IntoResponse, Response},
};
use backstop_core::FaultKind;
use backstop_llm::{ChatRequest, Dialect};
use http::{HeaderMap, StatusCode};
use serde::{Deserialize, Serialize};

use super::told::refused;
use crate::{
    config::{Hedge, Ordering, write_duration},
    gateway::Gateway,
    routing::Wishes,
    stack::{ModelStack, Selection},
};

/// What would become of a request.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub(crate) struct Explanation {
    /// The model's name in the config.
    model: String,
    /// In the order in which they would be asked.
    candidates: Vec<Step>,
    /// Who is started beside the first, where the model hedges.
    hedge: Option<String>,
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
    explained(&gateway, &model, None, &Wishes::default())
}

/// For this request, in OpenAI's language: it may have wishes, and some candidates may not be able
/// to take it.
pub(super) async fn explain_request(
    State(gateway): State<Gateway>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let read = Dialect::OpenAi.front().parse(body).and_then(|mut request| {
        let wishes = Wishes::take(&mut request, &headers)?;
        Ok((request, wishes))
    });
    match read {
        Ok((request, wishes)) => explained(&gateway, request.model(), Some(&request), &wishes),
        Err(error) => refused(StatusCode::BAD_REQUEST, error.message()),
    }
}

fn explained(
    gateway: &Gateway,
    model: &str,
    request: Option<&ChatRequest>,
    wishes: &Wishes,
) -> Response {
    let running = gateway.running();
    let Some(stack) = running.model(model) else {
        let why = format!("no model is named {model:?}");
        return refused(StatusCode::NOT_FOUND, why);
    };
    let others = |name: &str| running.models.get(name);
    let selection = stack.select(request, wishes, || gateway.stats(), others);
    Json(Explanation::new(stack, &selection, request)).into_response()
}

impl Explanation {
    fn new(stack: &ModelStack, selection: &Selection, request: Option<&ChatRequest>) -> Self {
        let mut turn = 0;
        let mut candidates: Vec<Step> = Vec::new();
        for entry in selection.in_turn() {
            let refusal = entry.refuses(request).or_else(|| {
                let beyond = stack.is_beyond_bound(&entry, turn);
                beyond.then(|| "beyond what `max_attempts` allows".to_owned())
            });
            let why = refusal.clone().unwrap_or_else(|| {
                if let Some(after) = entry.steps_in_after() {
                    let kinds: Vec<_> = after.iter().map(FaultKind::label).collect();
                    return format!("asked after {} only", kinds.join(", "));
                }
                turn += 1;
                match (turn, selection.by()) {
                    (_, Ordering::Weight) if entry.circuit.is_some() => {
                        "asked by chance, in proportion to its weight".to_owned()
                    }
                    (1, Ordering::Latency) => "asked first, as the fastest lately".to_owned(),
                    (1, Ordering::Price) => "asked first, as the cheapest".to_owned(),
                    (1, _) => "asked first".to_owned(),
                    _ => "asked if all before it fail".to_owned(),
                }
            });
            candidates.push(Step {
                candidate: entry.name.to_string(),
                asked: refusal.is_none(),
                why,
            });
        }
        let left_out = selection.left_out().iter();
        let left_out = left_out.map(|(entry, why)| (entry.name.to_string(), *why));
        let disabled = stack.in_order().into_iter().filter(|(_, enabled)| !enabled);
        let disabled = disabled.map(|(it, _)| (it.name.to_string(), "disabled by the operator"));
        candidates.extend(left_out.chain(disabled).map(|(candidate, why)| Step {
            candidate,
            asked: false,
            why: why.to_owned(),
        }));
        Self {
            model: stack.name.to_string(),
            candidates,
            hedge: hedge(stack, selection, request),
        }
    }
}

fn hedge(
    stack: &ModelStack,
    selection: &Selection,
    request: Option<&ChatRequest>,
) -> Option<String> {
    let (
        Hedge {
            first_token,
            answer,
        },
        whom,
    ) = stack.beside(selection, request)?;
    let whom = match (whom, selection.by()) {
        (Err(why), _) => return Some(format!("nobody is started beside the first: {why}")),
        (Ok(_), Ordering::Weight) => "another".to_owned(),
        (Ok(other), _) => other.name.to_string(),
    };
    let (first_token, answer) = (write_duration(first_token), write_duration(answer));
    let after = match request {
        Some(request) if request.is_streamed() => first_token,
        Some(_) => answer,
        None => format!(
            "{first_token} without a stream's first content, {answer} without a plain answer"
        ),
    };
    Some(format!("{whom} is started beside the first after {after}"))
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
        match &self.hedge {
            Some(hedge) => writeln!(f, "     {hedge}"),
            None => Ok(()),
        }
    }
}
