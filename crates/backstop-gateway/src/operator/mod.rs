//! What the operator sees and may change while the gateway runs.
//!
//! Where nobody needs a key, only this machine can reach the gateway, and all of this is open to
//! it. Otherwise it needs the admin key, or is on the admin listener.

mod access;
mod change;
mod explain;
mod page;
mod status;
mod told;

use axum::{
    Router,
    extract::State,
    middleware,
    response::{IntoResponse, Response},
    routing::{get, post, put},
};
use http::header;

pub(crate) use self::{access::is_by_foreign_page, change::Order, explain::Explanation};
use crate::gateway::Gateway;

/// The operator's routes, for whoever may use them.
pub(crate) fn router(gateway: &Gateway) -> Router<Gateway> {
    routes().route_layer(middleware::from_fn_with_state(
        gateway.clone(),
        access::check,
    ))
}

/// The operator's routes, for whoever reaches them.
pub(crate) fn open_router() -> Router<Gateway> {
    routes().route_layer(middleware::from_fn(access::check_site))
}

fn routes() -> Router<Gateway> {
    // Names of models may have slashes in them: openrouter:qwen/qwen3-235b.
    Router::new()
        .route("/", get(page::page))
        .route("/status.json", get(status::json))
        .route("/metrics", get(metrics))
        .route(
            "/admin/explain",
            get(explain::explain).post(explain::explain_request),
        )
        .route("/admin/reload", post(change::reload))
        .route("/admin/models/{model}/order", put(change::order))
        .route(
            "/admin/models/{model}/candidates/{*candidate}",
            put(change::candidate),
        )
        .route("/admin/circuits/{*candidate}", put(change::circuit))
        .route_layer(middleware::map_response(told::in_one_shape))
}

async fn metrics(State(gateway): State<Gateway>) -> Response {
    let kind = (header::CONTENT_TYPE, "text/plain; version=0.0.4");
    ([kind], gateway.metrics()).into_response()
}
