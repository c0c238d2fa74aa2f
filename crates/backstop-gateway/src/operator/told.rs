//! What the operator's calls answer: errors in the shape in which callers are told of theirs, but
//! for nothing being kept from the operator.

use axum::{
    Json, body,
    response::{IntoResponse, Response},
};
use http::{StatusCode, header};
use serde_json::json;

/// The longest error of the framework's that is passed on.
const LONGEST: usize = 16 << 10;

/// It has been done.
pub(super) fn done() -> Response {
    Json(json!({ "ok": true })).into_response()
}

/// It has not been done.
pub(super) fn refused(status: StatusCode, why: impl AsRef<str>) -> Response {
    let error = json!({ "error": { "message": why.as_ref() } });
    (status, Json(error)).into_response()
}

/// What is wrong with a path, a query or a body is found before any call here is made, and told in
/// plain text: it is told as everything else is.
pub(super) async fn in_one_shape(response: Response) -> Response {
    let status = response.status();
    let kind = response.headers().get(header::CONTENT_TYPE);
    let is_text = kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/plain"));
    if !(status.is_client_error() && is_text) {
        return response;
    }
    let why = body::to_bytes(response.into_body(), LONGEST).await;
    refused(
        status,
        String::from_utf8_lossy(&why.unwrap_or_default()).trim(),
    )
}
