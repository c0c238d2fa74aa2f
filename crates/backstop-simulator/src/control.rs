//! Faults, replies and the log over HTTP, on the port of the stand-in itself.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderName, HeaderValue, Method, Response, StatusCode, header::CONTENT_TYPE};
use serde::Deserialize;
use serde_json::{Map, Value, json};
use tokio::net::TcpStream;

use crate::{
    body::{Line, Play},
    fault::{Fault, InvalidFault},
    log::Call,
    script::Reply,
    simulator::Shared,
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

const PRESETS: &str = "overloaded, unavailable, error, rate_limited, quota, denied, forbidden, \
                       missing, invalid, too_large, filtered, late, slow, hang, reset, \
                       reset_after, refuse, cut, close, stall, error_event, error_first, html, \
                       empty, error_200, garbage, none";

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
        (&Method::PUT | &Method::POST, "fault") => faults(body).map(|faults| {
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
    let mut head = [0; 16];
    let mut seen = 0;
    loop {
        let Ok(now) = stream.peek(&mut head).await else {
            return false;
        };
        if let Some(space) = head[..now].iter().position(|byte| *byte == b' ') {
            let path = &head[space + 1..now];
            if path.len() >= PREFIX.len() {
                return path.starts_with(PREFIX.as_bytes());
            }
        }
        // Nothing new means that the caller has left, or dribbles; neither is worth waiting for.
        if now == head.len() || now == seen {
            return false;
        }
        seen = now;
    }
}

// ===== Faults in JSON =====

/// A fault as it is written in JSON.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Spec {
    preset: Option<String>,
    status: Option<u16>,
    headers: Map<String, Value>,
    body: Option<Value>,
    after: Option<usize>,
    by: Option<String>,
    delay: Option<String>,
    #[serde(alias = "first_n")]
    times: Option<u64>,
    probability: Option<f64>,
    seed: u64,
}

pub(crate) fn preset(name: &str) -> Result<Fault, InvalidFault> {
    Spec {
        preset: Some(name.to_owned()),
        ..Spec::default()
    }
    .fault()
}

fn faults(body: &[u8]) -> Result<Vec<Fault>, InvalidFault> {
    let text = String::from_utf8_lossy(body);
    match serde_json::from_str::<Value>(text.trim()) {
        // Members of a sequence are for one call each, unless they say otherwise.
        Ok(Value::Array(list)) => list
            .into_iter()
            .map(|one| {
                fault(one).map(|fault| {
                    if fault.times.is_some() {
                        fault
                    } else {
                        fault.times(1)
                    }
                })
            })
            .collect(),
        Ok(one) => Ok(vec![fault(one)?]),
        Err(_) => Ok(vec![preset(text.trim())?]),
    }
}

fn fault(value: Value) -> Result<Fault, InvalidFault> {
    match value {
        Value::String(name) => preset(&name),
        Value::Number(status) => Spec {
            status: status.as_u64().and_then(|s| s.try_into().ok()),
            ..Spec::default()
        }
        .fault(),
        value => serde_json::from_value::<Spec>(value)
            .map_err(|error| InvalidFault(format!("not a fault: {error}")))?
            .fault(),
    }
}

impl Spec {
    fn fault(self) -> Result<Fault, InvalidFault> {
        let after = self.after.unwrap_or(2);
        let by = self.by.as_deref().map(duration).transpose()?;
        let late = by.unwrap_or(Duration::from_secs(3));
        let mut fault = match (self.preset.as_deref(), self.status) {
            (None, Some(status @ 200..=999)) => Fault::status(status),
            (None, Some(status)) => {
                return Err(InvalidFault(format!(
                    "status {status} is not between 200 and 999"
                )));
            }
            (None, None) => {
                return Err(InvalidFault(format!(
                    "a fault has a \"preset\" or a \"status\"; the presets are {PRESETS}"
                )));
            }
            (Some(_), Some(_)) => {
                return Err(InvalidFault(
                    "a fault has a preset or a status, not both".to_owned(),
                ));
            }
            (Some(name), None) => match name {
                "none" => Fault::none(),
                "overloaded" => Fault::overloaded(),
                "unavailable" => Fault::unavailable(),
                "error" => Fault::error(),
                "rate_limited" => Fault::rate_limited(by.unwrap_or(Duration::from_secs(2))),
                "quota" => Fault::quota(),
                "denied" => Fault::denied(),
                "forbidden" => Fault::forbidden(),
                "missing" => Fault::missing(),
                "invalid" => Fault::invalid(),
                "too_large" => Fault::too_large(),
                "filtered" => Fault::filtered(),
                "late" => Fault::late(late),
                "slow" => Fault::slow(late),
                "hang" => Fault::hang(),
                "reset" => Fault::reset(),
                "reset_after" => Fault::reset_after(after),
                "refuse" => Fault::refuse(),
                "cut" => Fault::cut(after),
                "close" => Fault::close(after),
                "stall" => Fault::stall(after),
                "error_event" => Fault::error_event(after),
                "error_first" => Fault::error_event(0),
                "html" => Fault::html(),
                "empty" => Fault::empty(),
                "error_200" => Fault::error_200(),
                "garbage" => Fault::garbage(),
                other => {
                    return Err(InvalidFault(format!(
                        "unknown preset {other:?}; the presets are {PRESETS}"
                    )));
                }
            },
        };
        for (name, value) in self.headers {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            let pair = name
                .parse::<HeaderName>()
                .ok()
                .zip(HeaderValue::from_str(&value).ok());
            let (name, value) =
                pair.ok_or_else(|| InvalidFault(format!("{name:?} is not a header")))?;
            fault = fault.header(name, value);
        }
        fault = match self.body {
            Some(Value::String(text)) => fault.body(text),
            Some(json) => fault.body(json.to_string()),
            None => fault,
        };
        if let Some(delay) = self.delay {
            fault = fault.delay(duration(&delay)?);
        }
        if let Some(times) = self.times {
            fault = fault.times(times);
        }
        if let Some(probability) = self.probability {
            fault = fault.probability(probability, self.seed);
        }
        Ok(fault)
    }
}

/// `"300ms"`, `"2s"`, `"1.5s"`.
fn duration(text: &str) -> Result<Duration, InvalidFault> {
    let (number, unit) = match text.strip_suffix("ms") {
        Some(number) => (number, 0.001),
        None => (text.strip_suffix('s').unwrap_or(text), 1.0),
    };
    number
        .trim()
        .parse::<f64>()
        .ok()
        .and_then(|number| Duration::try_from_secs_f64(number * unit).ok())
        .ok_or_else(|| {
            InvalidFault(format!(
                "{text:?} is not a duration like \"300ms\" or \"2s\""
            ))
        })
}
