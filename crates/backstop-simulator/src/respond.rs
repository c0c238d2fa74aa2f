//! Answers one call, well or with the fault it meets.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header::CONTENT_TYPE};
use serde_json::Value;
use tokio::time::sleep;

use crate::{
    answer::Asked,
    body::{Line, Play, Step},
    dialect::{Failure, Route, Stamp},
    fault::{Break, Effect, Fault, Garbage},
    log::Ticket,
    pace::Pace,
    problem::Problem,
    simulator::Shared,
    turn::Turn,
};

/// What is needed to answer a call.
pub(crate) struct Respond<'a> {
    pub(crate) shared: &'a Shared,
    pub(crate) line: &'a Line,
    pub(crate) ticket: Ticket,
    pub(crate) stamp: Stamp,
    pub(crate) fault: Fault,
}

impl Respond<'_> {
    pub(crate) async fn to(self, asked: Asked) -> Response<Play> {
        let Asked { route, model, body } = asked;
        match &self.fault.effect {
            Effect::Error { problem, status } => {
                let (problem, status) = (problem.clone(), *status);
                return self.fault_failure(&problem, status, route.as_ref(), &model);
            }
            Effect::Garbage(garbage) => {
                let garbage = *garbage;
                return self.garbage(garbage);
            }
            _ => {}
        }
        let Some(route) = route else {
            return self.failure(&Problem::NoSuchPath, None, &model);
        };
        match body {
            Ok(body) => self.reply(&route, &body, &model).await,
            Err(problem) => self.failure(&problem, Some(&route), &model),
        }
    }

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
            Err(problem) => return self.failure(&problem, Some(route), model),
        };
        if matches!(route, Route::CountTokens { .. }) {
            let count = route.count(ask.input_tokens);
            return self.plain(count.to_string().into());
        }
        let shared = self.shared;
        let turn = match Turn::new(ask, &shared.script, &shared.name, shared.prefill) {
            Ok(turn) => turn,
            Err(problem) => return self.failure(&problem, Some(route), model),
        };
        if turn.ask.stream {
            return self.stream(route, &turn);
        }
        if let Effect::Break {
            how: Break::Error, ..
        } = self.fault.effect
        {
            return self.fault_failure(&route.interruption(), None, Some(route), model);
        }
        let whole = route.whole(&turn, &self.stamp);
        let pause = self.pace().whole(turn.chunks());
        // Even a timer of no length fires only with the next tick of the clock.
        if !pause.is_zero() {
            sleep(pause).await;
        }
        self.plain(whole)
    }

    /// A plain answer. Where a fault breaks it, it has two chunks: its halves.
    fn plain(self, body: Bytes) -> Response<Play> {
        let steps = match self.fault.effect {
            Effect::Break { after, how } => {
                let half = body.slice(..body.len() / 2);
                let sent = (after > 0).then_some(Step::Send(half));
                sent.into_iter().chain(ending(how, BLANK)).collect()
            }
            _ => vec![Step::Send(body)],
        };
        self.respond(StatusCode::OK, typed(JSON), steps)
    }

    fn stream(self, route: &Route, turn: &Turn) -> Response<Play> {
        let frames = route.frames(turn, &self.stamp);
        let broken = match self.fault.effect {
            Effect::Break { after, how } => Some((after, how)),
            _ => None,
        };
        let error_first = broken == Some((0, Break::Error));
        let mut steps = Vec::with_capacity(2 * frames.content.len() + 8);
        if !error_first {
            steps.extend(frames.opening.into_iter().map(Step::Send));
        }
        let pace = self.pace();
        let mut pause = pace.first_token;
        let kept = broken.map_or(usize::MAX, |(after, _)| after);
        for chunk in frames.content.into_iter().take(kept) {
            steps.push(Step::Wait(pause));
            steps.push(Step::Send(chunk));
            pause = pace.per_chunk;
        }
        match broken {
            None => steps.extend(frames.closing.into_iter().map(Step::Send)),
            Some((_, Break::Error)) => {
                steps.push(Step::Wait(pause));
                steps.push(Step::Send(route.error_event(error_first)));
                steps.push(Step::Close);
            }
            Some((_, how)) => steps.extend(ending(how, route.ping())),
        }
        self.respond(StatusCode::OK, typed(route.stream_type()), steps)
    }

    fn pace(&self) -> Pace {
        match self.fault.effect {
            Effect::FirstToken(late) => Pace {
                first_token: late,
                ..self.shared.pace
            },
            _ => self.shared.pace,
        }
    }

    fn garbage(self, garbage: Garbage) -> Response<Play> {
        const PAGE: &[u8] = b"<!DOCTYPE html>\n<html><head><title>Welcome</title></head>\
                              <body><h1>It works!</h1></body></html>\n";
        const HALF: &[u8] = b"{\"id\":\"chatcmpl-AfhuLKifS5fLvJL3oX\",\"obj";
        let (kind, body) = match garbage {
            Garbage::Html => ("text/html; charset=utf-8", Bytes::from_static(PAGE)),
            Garbage::Empty => (JSON, Bytes::new()),
            Garbage::Error => (JSON, self.worded(&Problem::Server, None, "").body),
            Garbage::Json => (JSON, Bytes::from_static(HALF)),
        };
        self.respond(StatusCode::OK, typed(kind), vec![Step::Send(body)])
    }

    /// An error of the caller's own making.
    fn failure(self, problem: &Problem, route: Option<&Route>, model: &str) -> Response<Play> {
        let failure = self.worded(problem, route, model);
        let steps = vec![Step::Send(failure.body)];
        self.respond(failure.status, failure.headers, steps)
    }

    /// An error that a fault asks for, with the status, headers and body it may have of its own.
    fn fault_failure(
        mut self,
        problem: &Problem,
        status: Option<StatusCode>,
        route: Option<&Route>,
        model: &str,
    ) -> Response<Play> {
        let mut failure = self.worded(problem, route, model);
        for (name, value) in std::mem::take(&mut self.fault.headers) {
            failure.headers.insert(name, value);
        }
        let status = status.unwrap_or(failure.status);
        let body = self.fault.body.take().unwrap_or(failure.body);
        self.respond(status, failure.headers, vec![Step::Send(body)])
    }

    /// An error in the dialect's words.
    fn worded(&self, problem: &Problem, route: Option<&Route>, model: &str) -> Failure {
        let dialect = self.shared.dialect;
        dialect.failure(problem, route, model, &self.stamp)
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

/// What has been sent reaches the wire before the reply breaks.
fn ending(how: Break, ping: Bytes) -> [Step; 2] {
    let end = match how {
        Break::Cut => Step::Cut,
        Break::Reset => Step::Reset,
        Break::Close | Break::Error => Step::Close,
        Break::Stall => Step::Stall,
        Break::Ping(interval) => Step::Repeat(ping, interval),
    };
    [Step::Wait(Duration::ZERO), end]
}

/// How OpenRouter keeps a plain reply alive.
const BLANK: Bytes = Bytes::from_static(b"\n         \n");

const JSON: &str = "application/json";

fn typed(content_type: &'static str) -> HeaderMap {
    HeaderMap::from_iter([(CONTENT_TYPE, HeaderValue::from_static(content_type))])
}
