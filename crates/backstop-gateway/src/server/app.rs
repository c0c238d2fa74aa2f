//! The routes.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use backstop_llm::Dialect;
use http::HeaderMap;

use super::{ask, models, refusal};
use crate::{gateway::Gateway, operator, request_id};

/// The routes of a gateway.
pub fn router(gateway: &Gateway) -> Router {
    Router::new()
        .route("/v1/chat/completions", post(chat_completions))
        .route("/v1/messages", post(messages))
        .route("/v1/responses", post(responses))
        .route("/v1/models", get(models::list))
        .route("/healthz", get(healthz))
        .merge(operator::router(gateway))
        .fallback(nothing)
        .method_not_allowed_fallback(nothing)
        .with_state(gateway.clone())
}

async fn chat_completions(State(gateway): State<Gateway>, request: Request) -> Response {
    ask::ask(gateway, Dialect::OpenAi.front(), request).await
}

async fn messages(State(gateway): State<Gateway>, request: Request) -> Response {
    ask::ask(gateway, Dialect::Anthropic.front(), request).await
}

async fn responses(State(gateway): State<Gateway>, request: Request) -> Response {
    ask::ask(gateway, Dialect::Responses.front(), request).await
}

/// The program runs and takes requests; whether providers do is told by the metrics.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn nothing(request: Request) -> Response<Body> {
    let front = front_of(request.headers()).front();
    let error = refusal::unknown_path(request.method(), request.uri().path());
    let mut response = refusal::refuse(front, &error);
    let id = request_id::of(request.headers());
    request_id::stamp(response.headers_mut(), &id);
    response
}

/// The dialect of a request that its path does not tell: Anthropic's clients always say their
/// version.
pub(super) fn front_of(headers: &HeaderMap) -> Dialect {
    if headers.contains_key("anthropic-version") {
        Dialect::Anthropic
    } else {
        Dialect::OpenAi
    }
}
