//! The way of one request: who asks, what for, the answer.

use std::{sync::Arc, time::Duration};

use axum::body::Body;
use backstop_core::Name;
use backstop_llm::{Error, abilities::estimate_tokens, dialect::Front};
use http::{HeaderName, Request, Response, header};
use tokio::time::Instant;
use tracing::{Instrument, info};

use super::{answer, body, refusal};
use crate::{
    account::Account,
    call::{Call, Outcome},
    callers::{Allowance, Caller, Over},
    content,
    gateway::{Gateway, Running},
    given_up::follow,
    log, operator, request_id,
    routing::Wishes,
    stack::Question,
    trace,
};

/// Answers one request in the language that it came in.
pub(super) async fn ask(
    gateway: Gateway,
    front: &'static dyn Front,
    request: Request<Body>,
) -> Response<Body> {
    let started = Instant::now();
    let id = request_id::of(request.headers());
    let mut caller = None;
    let asked = answered(&gateway, front, request, &id, started, &mut caller);
    let mut response = match asked.await {
        Ok(response) => response,
        Err(Refused { error, allowance }) => {
            let mut response = refusal::refuse(front, &error);
            if let Some(allowance) = allowance {
                answer::allowance(response.headers_mut(), front.dialect(), &allowance);
            }
            let status = response.status().as_u16();
            gateway.shared.metrics.refused(front.dialect(), status);
            info!(
                target: log::CALL,
                request_id = &*id,
                caller = caller.as_ref().map(|caller| &*caller.name),
                front = front.dialect().as_str(),
                outcome = "refused",
                status,
                code = error.code(),
            );
            response
        }
    };
    request_id::stamp(response.headers_mut(), &id);
    response
}

/// No candidate was chosen for a request, because of this.
struct Refused {
    error: Error,
    /// What is left of the caller's limits, where it is over one of them.
    allowance: Option<Allowance>,
}

impl From<Error> for Refused {
    fn from(error: Error) -> Self {
        let allowance = None;
        Self { error, allowance }
    }
}

impl From<Over> for Refused {
    fn from(over: Over) -> Self {
        Self {
            allowance: Some(over.allowance),
            error: refusal::over(over),
        }
    }
}

async fn answered(
    gateway: &Gateway,
    front: &'static dyn Front,
    request: Request<Body>,
    id: &Name,
    started: Instant,
    known: &mut Option<Arc<Caller>>,
) -> Result<Response<Body>, Refused> {
    let running = gateway.running();
    let limits = &running.config.limits;
    let place = gateway
        .shared
        .in_flight
        .enter(limits.requests)
        .ok_or_else(refusal::busy)?;
    let (head, body) = request.into_parts();
    let caller = caller(&running, &head.headers)?;
    known.clone_from(&caller);
    let admitted = caller.as_deref().map(Caller::admit).transpose()?;
    let body = body::read(body, limits).await?;
    let received = Instant::now();
    if running.config.log_content {
        content::asked(id, &body);
    }
    let parsed = front.parse(body);
    let mut request = parsed.map_err(|error| refusal::unread(error, &head.headers))?;
    let wishes = Wishes::take(&mut request, &head.headers)?;
    let own = caller.clone();
    let allowed = move |name: &str| own.as_ref().is_none_or(|caller| caller.may_use(name));
    let model = running
        .model(request.model())
        .filter(|model| allowed(request.model()) || allowed(&model.name))
        .ok_or_else(|| refusal::unknown_model(request.model()))?;
    let allowance = admitted.as_ref().map(|admitted| admitted.allowance);
    let traceparent = traceparent(&head.headers);
    let mut account = Account::open(
        Call {
            id: id.clone(),
            front: front.dialect(),
            caller,
            model: model.name.clone(),
            streamed: request.is_streamed(),
            started,
            taken: Duration::ZERO,
            answered: None,
            overhead: None,
            status: None,
            served: None,
            trail: Default::default(),
            usage: None,
            parts: Default::default(),
            estimated_input: estimate_tokens(request.chat(), front.dialect()),
            outcome: Outcome::Left,
            span: trace::call(&request, &model.name, id, traceparent),
        },
        gateway.shared.clone(),
        running.clone(),
        admitted,
        place,
    );
    if let Some(parent) = traceparent.and_then(|it| it.parse::<trace::Parent>().ok()) {
        request.extensions_mut().insert(parent);
    }
    if let Some(answers) = model.answers() {
        let name = account
            .call_mut()
            .caller
            .as_ref()
            .map(|caller| caller.name.clone());
        let question = Question::of(&request, name.as_deref());
        request.extensions_mut().insert(question);
        account.keep_in(answers.clone(), question);
    }
    let before = received.elapsed();
    // Boxed, so that what is put round it moves a pointer, and not all that the layers hold.
    let call = Box::pin(async {
        if wishes.is_empty() && !model.picks() {
            return model.call(request.clone()).await;
        }
        let others = |name: &str| running.models.get(name).filter(|_| allowed(name));
        let call = model.call_as_wished(request.clone(), &wishes, || gateway.stats(), others);
        // It holds more, and is made for few.
        Box::pin(call).await
    });
    let span = account.call_mut().span.clone();
    let trail = &mut account.call_mut().trail;
    let result = follow(call.instrument(span), started, trail).await;
    let back = Instant::now();
    let mut response = match result {
        Ok(response) => answer::answer(front, &request, response, account, before, back),
        Err(error) => {
            let response = refusal::refuse(front, &error);
            account.refused(&error, response.status().as_u16());
            response
        }
    };
    if let Some(allowance) = allowance {
        answer::allowance(response.headers_mut(), front.dialect(), &allowance);
    }
    Ok(response)
}

/// Who is calling: nobody in particular where nobody needs a key.
pub(super) fn caller(
    running: &Running,
    headers: &http::HeaderMap,
) -> Result<Option<Arc<Caller>>, Error> {
    if running.callers.is_open() {
        if operator::is_by_foreign_page(headers) {
            return Err(refusal::foreign_page());
        }
        return Ok(None);
    }
    match running.callers.find(headers) {
        Some(caller) => Ok(Some(caller.clone())),
        None => {
            let presented =
                headers.contains_key(header::AUTHORIZATION) || headers.contains_key("x-api-key");
            Err(refusal::unauthorized(presented))
        }
    }
}

/// The caller's place in a trace of its own, if it is in one.
fn traceparent(headers: &http::HeaderMap) -> Option<&str> {
    const HEADER: HeaderName = HeaderName::from_static("traceparent");
    headers.get(HEADER)?.to_str().ok()
}
