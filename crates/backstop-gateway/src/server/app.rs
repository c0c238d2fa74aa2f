//! What answers requests, by their paths.

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    response::Response,
    routing::{get, post},
};
use backstop_llm::{Dialect, Error};
use http::{HeaderMap, Method};
use tower::ServiceExt;

use super::{ask, models, refusal, woken::WhenWoken};
use crate::{gateway::Gateway, operator, request_id};

/// Where calls are made, each in its dialect.
pub(super) const CALLS: [(&str, Dialect); 3] = [
    ("/v1/chat/completions", Dialect::OpenAi),
    ("/v1/messages", Dialect::Anthropic),
    ("/v1/responses", Dialect::Responses),
];

/// What answers the requests that come in by a listener.
#[derive(Clone, Debug)]
pub struct App {
    /// Whose calls are answered without being routed, which takes as long as a few layers.
    calls: Option<Gateway>,
    routes: Router,
}

impl App {
    /// All of a gateway.
    #[must_use]
    pub fn new(gateway: &Gateway) -> Self {
        Self {
            calls: Some(gateway.clone()),
            routes: finished(router(gateway), gateway),
        }
    }

    /// The operator's part alone, for whoever reaches it.
    #[must_use]
    pub(crate) fn operator(gateway: &Gateway) -> Self {
        Self {
            calls: None,
            routes: finished(operator::open_router(), gateway),
        }
    }

    /// Tells of the calls that ended on this thread.
    pub(super) fn tell_own(&self) {
        if let Some(gateway) = &self.calls {
            gateway.tell_own();
        }
    }

    pub(super) async fn respond(self, request: Request) -> Response {
        if let (Some(gateway), &Method::POST) = (self.calls, request.method()) {
            let path = request.uri().path();
            if let Some((_, dialect)) = CALLS.iter().find(|(known, _)| *known == path) {
                return WhenWoken::new(ask::ask(gateway, dialect.front(), request)).await;
            }
        }
        let Ok(response) = self.routes.oneshot(request).await;
        response
    }
}

/// The routes of a gateway.
fn router(gateway: &Gateway) -> Router<Gateway> {
    let calls = CALLS.into_iter().map(|(path, dialect)| {
        let ask = move |State(gateway): State<Gateway>, request: Request| {
            ask::ask(gateway, dialect.front(), request)
        };
        (path, post(ask))
    });
    calls
        .fold(Router::new(), |router, (path, ask)| router.route(path, ask))
        .route("/v1/models", get(models::list))
        .route("/v1/models/{*model}", get(models::model))
        .route("/healthz", get(healthz))
        .merge(operator::router(gateway))
}

/// What is asked for elsewhere, or in another way, is answered too.
fn finished(routes: Router<Gateway>, gateway: &Gateway) -> Router {
    routes
        .fallback(nothing)
        .method_not_allowed_fallback(wrong_method)
        .with_state(gateway.clone())
}

/// The program runs and takes requests; whether providers do is told by the metrics.
async fn healthz() -> &'static str {
    "ok\n"
}

async fn nothing(request: Request) -> Response<Body> {
    refuse(&request, refusal::unknown_path)
}

async fn wrong_method(request: Request) -> Response<Body> {
    refuse(&request, refusal::wrong_method)
}

fn refuse(request: &Request, why: fn(&Method, &str) -> Error) -> Response<Body> {
    let front = front_of(request.headers()).front();
    let error = why(request.method(), request.uri().path());
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
