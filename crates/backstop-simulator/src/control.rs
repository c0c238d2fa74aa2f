//! Faults, replies and the log over HTTP, on the port of the stand-in itself.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::{Map, Value, json};
use tokio::{net::TcpStream, time::timeout};

use crate::{
    body::{Line, Play},
    fault::{Fault, InvalidFault},
    log::Call,
    script::Reply,
    simulator::Shared,
    spec,
};

/// No provider has a path that begins like this.
pub(crate) const PREFIX: &str = "/_/";

const HELP: &str = r#"PUT    /_/fault   a preset's name, {"preset": …}, {"status": …}, or an array of these
GET    /_/fault   the faults still to come
DELETE /_/fault   no fault
PUT    /_/reply   {"text": …, "thinking": …, "tool_calls": [{"name": …, "arguments": …}]}
DELETE /_/reply   replies made from the request
GET    /_/log     the calls that came
DELETE /_/log     forget them
"#;

pub(crate) fn answer(
    shared: &Shared,
    method: &Method,
    path: &str,
    body: &Bytes,
    line: &Line,
) -> Response<Play> {
    let answer = match (method, path) {
        (&Method::GET, "fault") => {
            Ok(Value::from_iter(shared.faults.pending().into_iter().map(
                |(fault, left)| json!({ "fault": fault, "times": left }),
            )))
        }
        (&Method::PUT | &Method::POST, "fault") => spec::faults(body).map(|faults| {
            let names: Vec<&str> = faults.iter().map(Fault::name).collect();
            let names = json!({ "set": names });
            shared.faults.set(faults);
            names
        }),
        (&Method::DELETE, "fault") => {
            shared.faults.set([]);
            Ok(json!({ "set": [] }))
        }
        (&Method::PUT | &Method::POST, "reply") => serde_json::from_slice::<Reply>(body)
            .map(|reply| {
                shared.script.fix(reply);
                json!({ "set": "reply" })
            })
            .map_err(|error| InvalidFault(error.to_string())),
        (&Method::DELETE, "reply") => {
            shared.script.clear();
            Ok(json!({ "set": "request" }))
        }
        (&Method::GET, "log") => Ok(shared.log.calls().iter().map(call).collect()),
        (&Method::DELETE, "log") => {
            shared.log.clear();
            Ok(json!([]))
        }
        (&Method::GET, "") => return respond(StatusCode::OK, "text/plain", HELP.into(), line),
        _ => return respond(StatusCode::NOT_FOUND, "text/plain", HELP.into(), line),
    };
    let (status, body) = match answer {
        Ok(body) => (StatusCode::OK, body),
        Err(error) => (StatusCode::BAD_REQUEST, json!({ "error": error.0 })),
    };
    respond(status, "application/json", format!("{body:#}\n"), line)
}

fn respond(
    status: StatusCode,
    content_type: &'static str,
    body: String,
    line: &Line,
) -> Response<Play> {
    let mut response = Response::new(Play::whole(body, line.clone()));
    *response.status_mut() = status;
    response
        .headers_mut()
        .insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response
}

fn call(call: &Call) -> Value {
    let headers = call.headers.iter().map(|(name, value)| {
        (
            name.to_string(),
            String::from_utf8_lossy(value.as_bytes())
                .into_owned()
                .into(),
        )
    });
    json!({
        "id": call.id,
        "at_ms": milliseconds(call.at),
        "took_ms": call.took.map(milliseconds),
        "method": call.method.as_str(),
        "path": call.path,
        "headers": headers.collect::<Map<String, Value>>(),
        "body": call.json(),
        "fault": call.fault,
        "status": call.status,
        "outcome": call.outcome.as_str(),
    })
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

/// Whether the first request of a connection is a control call, as far as its first bytes tell.
pub(crate) async fn is_control(stream: &TcpStream) -> bool {
    // A method, a space and the prefix.
    let mut head = [0; 16];
    let peek = timeout(PATIENCE, stream.peek(&mut head)).await;
    let Ok(Ok(seen)) = peek else { return false };
    let mut words = head[..seen].split(|byte| *byte == b' ');
    words
        .nth(1)
        .is_some_and(|path| path.starts_with(PREFIX.as_bytes()))
}

/// How long a caller that finds its connection refused may take to say that it is an operator.
const PATIENCE: Duration = Duration::from_millis(100);
