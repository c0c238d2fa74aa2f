//! Reads a request's body, within limits of size and time.

use axum::body::Body;
use backstop_llm::Error;
use bytes::Bytes;
use http_body::Body as _;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use tokio::time;

use super::refusal;
use crate::config::Limits;

/// A body of no more than this is a part of what its connection is read into.
const READ: usize = 16 << 10;

/// The whole body.
///
/// # Errors
///
/// Where it is too large, too slow or breaks off.
pub(super) async fn read(body: Body, limits: &Limits) -> Result<Bytes, Error> {
    // What says that it is too large need not come first.
    let told = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if told > limits.body {
        return Err(refusal::too_large(limits.body));
    }
    let limited = Limited::new(body, limits.body).collect();
    match time::timeout(limits.body_read, limited).await {
        Ok(Ok(collected)) => Ok(on_its_own(collected.to_bytes())),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(refusal::too_large(limits.body)),
        Ok(Err(_)) => Err(refusal::no_body("The request's body broke off.")),
        Err(_) => Err(refusal::no_body("The request's body did not come in time.")),
    }
}

/// The same bytes, without all that was read with them, which would else be held for as long as
/// the answer takes.
fn on_its_own(body: Bytes) -> Bytes {
    if body.len() > READ {
        return body;
    }
    Bytes::copy_from_slice(&body)
}
