//! The span of one attempt.

use std::{
    pin::Pin,
    task::{Context, Poll},
};

use backstop_llm::{
    ChatBody, ChatRequest, ChatResponse, ChatStream, Chunk, Error, Event, FinishReason, Model,
};
use futures_core::Stream;
use http::{HeaderMap, HeaderValue};
use tokio::time::Instant;
use tower::Service;
use tracing::{Instrument, Span, field::Empty, info_span};

use super::Parent;

/// A provider's model, each call of which has a span to the end of its answer.
#[derive(Clone, Debug)]
pub(crate) struct Traced {
    inner: Model,
    provider: &'static str,
    address: String,
}

impl Traced {
    /// A model of this dialect, which is at this URL.
    pub(crate) fn new(inner: Model, dialect: backstop_llm::Dialect, url: &str) -> Self {
        let address = url.parse::<http::Uri>().ok();
        Self {
            inner,
            provider: super::provider_name(dialect),
            address: address
                .and_then(|url| Some(url.host()?.to_owned()))
                .unwrap_or_default(),
        }
    }

    fn span(&self, request: &ChatRequest) -> Span {
        let span = info_span!(
            target: "backstop::trace",
            "attempt",
            otel.name = Empty,
            otel.kind = "client",
            gen_ai.operation.name = "chat",
            gen_ai.provider.name = self.provider,
            gen_ai.request.model = self.inner.model(),
            gen_ai.request.stream = request.is_streamed(),
            gen_ai.response.id = Empty,
            gen_ai.response.model = Empty,
            gen_ai.response.finish_reasons = Empty,
            gen_ai.response.time_to_first_chunk = Empty,
            gen_ai.usage.input_tokens = Empty,
            gen_ai.usage.output_tokens = Empty,
            gen_ai.usage.cache_read.input_tokens = Empty,
            gen_ai.usage.reasoning.output_tokens = Empty,
            error.type = Empty,
            http.response.status_code = Empty,
            server.address = self.address,
            backstop.candidate = &**self.inner.name(),
        );
        if !span.is_disabled() {
            span.record("otel.name", format!("chat {}", self.inner.model()));
        }
        span
    }
}

impl Service<ChatRequest> for Traced {
    type Response = ChatResponse;
    type Error = Error;
    type Future = <Model as Service<ChatRequest>>::Future;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, mut request: ChatRequest) -> Self::Future {
        let span = self.span(&request);
        pass_on(&mut request, &span);
        let call = self.inner.call(request);
        if span.is_disabled() {
            return call;
        }
        let began = Instant::now();
        let noted = span.clone();
        let watched = async move {
            let response = call.await.inspect_err(|error| failed(&noted, error))?;
            noted.record("http.response.status_code", 200);
            noted.record("gen_ai.response.model", &**response.model());
            Ok(response.map_body(|body| match body {
                ChatBody::Stream(stream) => {
                    let first = began.elapsed().as_secs_f64();
                    noted.record("gen_ai.response.time_to_first_chunk", first);
                    ChatBody::Stream(ChatStream::new(Tail {
                        stream,
                        span: noted,
                    }))
                }
                ChatBody::Whole(completion, raw) => {
                    noted.record("gen_ai.response.id", &completion.id);
                    if let Some(choice) = completion.choices.first() {
                        finished(&noted, &choice.finish);
                    }
                    if let Some(usage) = &completion.usage {
                        super::usage(&noted, usage);
                    }
                    ChatBody::Whole(completion, raw)
                }
                other => other,
            }))
        };
        Box::pin(watched.instrument(span))
    }
}

/// Sends the trace's place along: the attempt's, where spans are sent anywhere, else the caller's.
fn pass_on(request: &mut ChatRequest, span: &Span) {
    let own = (!span.is_disabled())
        .then(|| super::otlp::place(span))
        .flatten();
    let place = own.or_else(|| request.extensions().get::<Parent>().copied());
    let Some(place) = place else { return };
    if let Ok(value) = HeaderValue::try_from(place.to_string()) {
        let mut headers = HeaderMap::new();
        headers.insert("traceparent", value);
        request.extensions_mut().insert(headers);
    }
}

fn failed(span: &Span, error: &Error) {
    let fault = error.fault();
    span.record("error.type", fault.kind().label());
    if let Some(status) = fault.status() {
        span.record("http.response.status_code", status);
    }
}

fn finished(span: &Span, reason: &FinishReason) {
    span.record("gen_ai.response.finish_reasons", reason.as_str());
}

/// A stream that keeps its attempt's span open to its end.
struct Tail {
    stream: ChatStream,
    span: Span,
}

impl Stream for Tail {
    type Item = Result<Chunk, Error>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let Self { stream, span } = &mut *self;
        let polled = Pin::new(stream).poll_next(cx);
        match &polled {
            Poll::Ready(Some(Ok(chunk))) => {
                for event in &chunk.events {
                    match event {
                        Event::Start { id, .. } => {
                            span.record("gen_ai.response.id", id);
                        }
                        Event::Finish { reason, .. } => finished(span, reason),
                        Event::Usage(usage) => super::usage(span, usage),
                        _ => {}
                    }
                }
            }
            Poll::Ready(Some(Err(error))) => failed(span, error),
            _ => {}
        }
        polled
    }
}
