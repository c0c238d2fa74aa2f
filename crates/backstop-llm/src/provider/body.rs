//! Bodies, read as far as is needed.

use std::future::poll_fn;

use backstop_core::{BoxError, Fault, FaultKind};
use bytes::{Bytes, BytesMut};
use http::HeaderMap;

use super::cause::reason;
use crate::{
    Error,
    transport::{Body, NoAnswer},
};

/// Whatever went wrong before the first byte of an answer is a matter of connection.
pub(super) fn no_answer(why: NoAnswer) -> Error {
    let error = |message| Error::new(FaultKind::Connect, message);
    match why {
        NoAnswer::Connect(cause) => {
            let reason = reason(&cause);
            let fault = Fault::new(FaultKind::Connect).because(reason);
            Error::new(fault, reason).with_source(cause)
        }
        NoAnswer::ConnectTimeout => error("connecting took too long"),
        NoAnswer::Broken(cause) => {
            error("the connection broke before an answer came").with_source(cause)
        }
    }
}

/// The next bytes of a body.
async fn read(body: &mut Body) -> Result<Option<Bytes>, Error> {
    poll_fn(|cx| body.poll_data(cx)).await.map_err(broken)
}

pub(super) fn broken(error: BoxError) -> Error {
    Error::malformed("the connection broke before the answer ended").with_source(error)
}

/// Reads a body up to its first byte that is no white space, which some servers send to show that
/// they are alive.
pub(super) async fn peek(mut body: Body) -> Result<(Bytes, Body), Error> {
    while let Some(data) = read(&mut body).await? {
        if !data.trim_ascii_start().is_empty() {
            return Ok((data, body));
        }
    }
    Err(Error::malformed("the answer is empty"))
}

/// Whether a body that begins like this is a stream of events. Its content type does not tell:
/// servers have been seen to lie in it.
pub(super) fn is_stream(begun: &[u8]) -> bool {
    !matches!(begun.trim_ascii_start().first(), Some(b'{' | b'[' | b'<'))
}

/// Reads a body up to a limit, whose beginning has been read; says whether that was all of it.
pub(super) async fn read_body(
    begun: Bytes,
    mut body: Body,
    limit: usize,
) -> Result<(Bytes, bool), Error> {
    let mut first = begun;
    let mut all = BytesMut::new();
    while let Some(data) = read(&mut body).await? {
        if first.len() + all.len() + data.len() > limit {
            return Ok((join(first, all), false));
        }
        // Most answers come in one piece, which is then not copied.
        if first.is_empty() && all.is_empty() {
            first = data;
        } else {
            if all.is_empty() {
                all.extend_from_slice(&std::mem::take(&mut first));
            }
            all.extend_from_slice(&data);
        }
    }
    Ok((join(first, all), true))
}

fn join(first: Bytes, all: BytesMut) -> Bytes {
    if all.is_empty() { first } else { all.freeze() }
}

pub(super) fn is_page(body: &[u8]) -> bool {
    body.trim_ascii_start().starts_with(b"<")
}

/// The provider's id of the request, under any of its usual names.
pub(super) fn request_id(headers: &HeaderMap) -> Option<&str> {
    [
        "request-id",
        "x-request-id",
        "apim-request-id",
        "x-generation-id",
        "cf-ray",
    ]
    .iter()
    .find_map(|name| headers.get(*name)?.to_str().ok())
}
