//! Reads a call, enters it in the log, and finds out what fault it meets.

use std::{convert::Infallible, future::pending, sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{Request, Response, request::Parts};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    body::{Broken, Line, Play},
    control,
    dialect::{Route, Stamp},
    fault::{Effect, Fault},
    log::{Outcome, redact_headers, redact_path},
    problem::Problem,
    respond::Respond,
    simulator::Shared,
};

/// The largest request that is read.
const LARGEST: usize = 64 * 1024 * 1024;

pub(crate) async fn answer(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
    line: &Line,
) -> Result<Response<Play>, Broken> {
    let (parts, body) = request.into_parts();
    let body = match Limited::new(body, LARGEST).collect().await {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(Problem::BodyTooLarge),
        // The caller left before it had asked for anything.
        Err(_) => return Err(Broken),
    };
    if let Some(path) = parts.uri.path().strip_prefix(control::PREFIX) {
        let body = body.unwrap_or_default();
        return Ok(control::answer(shared, &parts.method, path, &body, line));
    }
    let bytes = body.as_ref().cloned().unwrap_or_default();
    let asked = Asked::new(shared, &parts, body);
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let path = redact_path(path);
    let mut ticket = shared
        .log
        .enter(parts.method, path, redact_headers(parts.headers), bytes);
    let fault = shared.faults.take();
    if let Some(fault) = &fault {
        ticket.met(fault.name());
    }
    let fault = fault.unwrap_or_else(Fault::none);
    if !fault.delay.is_zero() {
        sleep(fault.delay).await;
    }
    match &fault.effect {
        Effect::Hang => match pending::<Infallible>().await {},
        Effect::Reset | Effect::Refuse => {
            line.reset();
            ticket.end(Outcome::Broken);
            Err(Broken)
        }
        _ => {
            let stamp = Stamp {
                request_id: shared.dialect.new_request_id(),
                created: now(),
            };
            let respond = Respond {
                shared,
                line,
                ticket,
                stamp,
                fault,
            };
            Ok(respond.to(asked).await)
        }
    }
}

/// What a call asks for.
pub(crate) struct Asked {
    pub(crate) route: Option<Route>,
    /// The model's name, be it in the path or in the body.
    pub(crate) model: String,
    /// The request's body, or what is wrong with the call before its meaning is looked at.
    pub(crate) body: Result<Value, Problem>,
}

impl Asked {
    fn new(shared: &Shared, parts: &Parts, body: Result<Bytes, Problem>) -> Self {
        let query = parts.uri.query().unwrap_or_default();
        let route = shared.dialect.route(&parts.method, parts.uri.path(), query);
        let body = body.and_then(|bytes| parse(&bytes));
        let model = match &route {
            Some(route) => route
                .model()
                .or_else(|| body.as_ref().ok()?.get("model")?.as_str()),
            None => None,
        };
        let model = model.unwrap_or_default().to_owned();
        let admitted = shared
            .dialect
            .admit(&parts.headers, query, shared.api_key.as_ref());
        let body = admitted.and(body).and_then(|body| {
            shared.check_model(&model)?;
            Ok(body)
        });
        Self { route, model, body }
    }
}

fn parse(bytes: &[u8]) -> Result<Value, Problem> {
    if bytes.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_slice(bytes).map_err(|error| Problem::Invalid {
        message: format!("We could not parse the JSON body of your request: {error}"),
        param: None,
    })
}

#[expect(
    clippy::disallowed_methods,
    reason = "a provider says when it made a reply"
)]
fn now() -> u64 {
    SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .map_or(0, |since| since.as_secs())
}
