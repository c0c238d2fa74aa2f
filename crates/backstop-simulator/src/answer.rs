//! Answers one call, with the fault it meets.

use std::{sync::Arc, time::SystemTime};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header::CONTENT_TYPE};
use http_body_util::{BodyExt, Limited};
use hyper::body::Incoming;
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    body::{Broken, Line, Play, Step},
    control,
    dialect::{Failure, Route, Stamp},
    fault::{Break, Effect, Fault, Garbage},
    log::{Outcome, Ticket, redact_headers, redact_path},
    problem::Problem,
    server::forever,
    simulator::Shared,
    turn::Turn,
};

/// The largest request that is read.
const LARGEST: usize = 64 * 1024 * 1024;

pub(crate) async fn answer(
    request: Request<Incoming>,
    shared: &Arc<Shared>,
    line: &Line,
) -> Result<Response<Play>, Broken> {
    let (parts, body) = request.into_parts();
    let body = Limited::new(body, LARGEST).collect().await;
    if let Some(path) = parts.uri.path().strip_prefix(control::PREFIX) {
        let body = body.map(|body| body.to_bytes()).unwrap_or_default();
        return Ok(control::answer(shared, &parts.method, path, &body, line));
    }
    let path = parts.uri.path_and_query().map_or("/", |path| path.as_str());
    let mut headers = parts.headers.clone();
    redact_headers(&mut headers);
    let bytes = body.map(|body| body.to_bytes());
    let ticket = shared.log.enter(
        parts.method.clone(),
        redact_path(path),
        headers,
        bytes.as_ref().cloned().unwrap_or_default(),
    );
    let mut call = Answering {
        shared,
        line,
        ticket,
        stamp: stamp(shared),
        fault: shared.faults.take().unwrap_or_else(Fault::none),
    };
    if call.fault.effect != Effect::None || !call.fault.delay.is_zero() {
        call.ticket.met(call.fault.name());
    }
    if !call.fault.delay.is_zero() {
        sleep(call.fault.delay).await;
    }
    let query = parts.uri.query().unwrap_or_default();
    let route = shared.dialect.route(&parts.method, parts.uri.path(), query);
    let body = match &bytes {
        Ok(bytes) if bytes.is_empty() => Ok(Value::Null),
        Ok(bytes) => serde_json::from_slice(bytes).map_err(|error| {
            let message = format!("We could not parse the JSON body of your request: {error}");
            Problem::Invalid {
                message,
                param: None,
            }
        }),
        Err(_) => Err(Problem::BodyTooLarge),
    };
    match call.fault.effect.clone() {
        Effect::Hang => match forever().await {},
        Effect::Reset | Effect::Refuse => {
            line.reset();
            call.ticket.end(Outcome::Broken);
            Err(Broken)
        }
        Effect::Error { problem, status } => {
            let model = model_of(route.as_ref(), body.as_ref().ok());
            Ok(call.scripted_failure(&problem, status, &model))
        }
        Effect::Garbage(garbage) => Ok(call.garbage(garbage)),
        Effect::None | Effect::FirstToken(_) | Effect::Break { .. } => {
            let admitted = shared
                .dialect
                .admit(&parts.headers, query, shared.api_key.as_deref());
            let Some(route) = route else {
                return Ok(call.failure(&Problem::NoSuchPath, ""));
            };
            let model = model_of(Some(&route), body.as_ref().ok());
            let checked = admitted.and(body).and_then(|body| {
                shared.check_model(&model)?;
                Ok(body)
            });
            match checked {
                Ok(body) => Ok(call.reply(&route, &body, &model).await),
                Err(problem) => Ok(call.failure(&problem, &model)),
            }
        }
    }
}

/// The name of the model that a request asks for, be it in the path or in the body.
fn model_of(route: Option<&Route>, body: Option<&Value>) -> String {
    match route {
        Some(
            Route::Generate { model, .. }
            | Route::Model(model)
            | Route::CountTokens { model: Some(model) },
        ) => model.clone(),
        _ => body
            .and_then(|body| body.get("model")?.as_str())
            .unwrap_or_default()
            .to_owned(),
    }
}

fn stamp(shared: &Shared) -> Stamp {
    Stamp {
        request_id: shared.dialect.new_request_id(),
        created: now(),
    }
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

/// A call on its way to an answer.
struct Answering<'a> {
    shared: &'a Shared,
    line: &'a Line,
    ticket: Ticket,
    stamp: Stamp,
    fault: Fault,
}

impl Answering<'_> {
    async fn reply(self, route: &Route, body: &Value, model: &str) -> Response<Play> {
        let dialect = self.shared.dialect;
        match route {
            Route::Models => {
                let models = dialect.models(&self.shared.models, &self.stamp);
                return self.plain(models.to_string().into());
            }
            Route::Model(model) => {
                let model = dialect.model(model, &self.stamp);
                return self.plain(model.to_string().into());
            }
            _ => {}
        }
        let ask = match route.read(body) {
            Ok(ask) => ask,
            Err(problem) => return self.failure(&problem, model),
        };
        if matches!(route, Route::CountTokens { .. }) {
            let count = dialect.count(ask.input_tokens);
            return self.plain(count.to_string().into());
        }
        let shared = self.shared;
        let turn = match Turn::new(ask, &shared.script, &shared.name, shared.prefill) {
            Ok(turn) => turn,
            Err(problem) => return self.failure(&problem, model),
        };
        if turn.ask.stream {
            return self.stream(route, &turn);
        }
        if let Effect::Break {
            how: Break::Error, ..
        } = self.fault.effect
        {
            return self.scripted_failure(&route.interruption(), None, model);
        }
        let whole = route.whole(&turn, &self.stamp);
        let mut pace = shared.pace;
        if let Effect::FirstToken(late) = self.fault.effect {
            pace.first_token = late;
        }
        sleep(pace.whole(turn.chunks())).await;
        self.plain(whole)
    }

    /// A plain answer. Where a fault breaks it, it has two chunks: its halves.
    fn plain(self, body: Bytes) -> Response<Play> {
        let steps = match self.fault.effect {
            Effect::Break { after, how } => {
                let half = body.slice(..body.len() / 2);
                let sent = (after > 0).then_some(Step::Send(half));
                sent.into_iter().chain(ending(how)).collect()
            }
            _ => vec![Step::Send(body)],
        };
        self.respond(StatusCode::OK, typed(JSON), steps)
    }

    fn stream(self, route: &Route, turn: &Turn) -> Response<Play> {
        let frames = route.frames(turn, &self.stamp);
        let mut pace = self.shared.pace;
        if let Effect::FirstToken(late) = self.fault.effect {
            pace.first_token = late;
        }
        let broken = match self.fault.effect {
            Effect::Break { after, how } => Some((after, how)),
            _ => None,
        };
        let mut steps = Vec::with_capacity(2 * frames.content.len() + 8);
        if broken != Some((0, Break::Error)) {
            steps.extend(frames.opening.into_iter().map(Step::Send));
        }
        let kept = broken.map_or(usize::MAX, |(after, _)| after);
        let mut pause = pace.first_token;
        for chunk in frames.content.into_iter().take(kept) {
            steps.push(Step::Wait(pause));
            steps.push(Step::Send(chunk));
            pause = pace.per_chunk;
        }
        match broken {
            None => steps.extend(frames.closing.into_iter().map(Step::Send)),
            Some((_, Break::Error)) => {
                steps.push(Step::Wait(pause));
                steps.push(Step::Send(route.error_event()));
                steps.push(Step::Close);
            }
            Some((_, how)) => steps.extend(ending(how)),
        }
        self.respond(StatusCode::OK, typed(route.stream_type()), steps)
    }

    fn garbage(self, garbage: Garbage) -> Response<Play> {
        const PAGE: &str = "<!DOCTYPE html>\n<html><head><title>Welcome</title></head>\
                            <body><h1>It works!</h1></body></html>\n";
        let (kind, body) = match garbage {
            Garbage::Html => (
                "text/html; charset=utf-8",
                Bytes::from_static(PAGE.as_bytes()),
            ),
            Garbage::Empty => (JSON, Bytes::new()),
            Garbage::Error => (
                JSON,
                self.shared
                    .dialect
                    .failure(&Problem::Server, "", &self.stamp)
                    .body,
            ),
            Garbage::Json => (
                JSON,
                Bytes::from_static(b"{\"id\":\"chatcmpl-AfhuLKifS5fLvJL3oX\",\"obj"),
            ),
        };
        self.respond(StatusCode::OK, typed(kind), vec![Step::Send(body)])
    }

    /// An error of the caller's own making.
    fn failure(self, problem: &Problem, model: &str) -> Response<Play> {
        let failure = self.shared.dialect.failure(problem, model, &self.stamp);
        self.respond_failure(failure)
    }

    /// An error that a fault asks for.
    fn scripted_failure(
        mut self,
        problem: &Problem,
        status: Option<StatusCode>,
        model: &str,
    ) -> Response<Play> {
        let mut failure = self.shared.dialect.failure(problem, model, &self.stamp);
        if let Some(status) = status {
            failure.status = status;
        }
        if let Some(body) = self.fault.body.take() {
            failure.body = body;
        }
        for (name, value) in std::mem::take(&mut self.fault.headers) {
            failure.headers.insert(name, value);
        }
        self.respond_failure(failure)
    }

    fn respond_failure(self, failure: Failure) -> Response<Play> {
        let Failure {
            status,
            headers,
            body,
        } = failure;
        self.respond(status, headers, vec![Step::Send(body)])
    }

    fn respond(self, status: StatusCode, own: HeaderMap, steps: Vec<Step>) -> Response<Play> {
        self.ticket.answered(status);
        let mut headers = self.shared.dialect.headers(&self.stamp);
        headers.extend(own);
        let mut response = Response::new(Play::new(steps, self.ticket, self.line.clone()));
        *response.status_mut() = status;
        *response.headers_mut() = headers;
        response
    }
}

/// What has been sent reaches the wire before the connection ends.
fn ending(how: Break) -> [Step; 2] {
    let end = match how {
        Break::Cut => Step::Cut,
        Break::Reset => Step::Reset,
        Break::Close | Break::Error => Step::Close,
        Break::Stall => Step::Stall,
    };
    [Step::Wait(std::time::Duration::ZERO), end]
}

const JSON: &str = "application/json";

fn typed(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
}
