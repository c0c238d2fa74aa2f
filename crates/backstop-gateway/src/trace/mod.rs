//! Spans: one for each call, and one within it for each attempt, named as OpenTelemetry's
//! conventions for generative AI have it.
//!
//! They have a target of their own, so that they cost nothing where nobody wants them.

mod attempt;
pub(crate) mod otlp;
mod parent;

use backstop_llm::{ChatRequest, Dialect, Usage};
use tracing::{Span, field::Empty, info_span};

pub(crate) use self::{attempt::Traced, parent::Parent};

/// The target of all spans.
const TARGET: &str = "backstop::trace";

/// The span of one call: from a caller's point of view, the gateway is the server.
pub(crate) fn call(
    request: &ChatRequest,
    model: &str,
    id: &str,
    traceparent: Option<&str>,
) -> Span {
    let span = info_span!(
        target: "backstop::trace",
        "call",
        otel.name = Empty,
        otel.kind = "server",
        gen_ai.operation.name = "chat",
        // To its callers, the gateway is who provides.
        gen_ai.provider.name = "backstop",
        gen_ai.request.model = request.model(),
        gen_ai.request.stream = request.is_streamed(),
        gen_ai.request.max_tokens = request.chat().max_tokens,
        gen_ai.response.model = Empty,
        gen_ai.response.time_to_first_chunk = Empty,
        gen_ai.usage.input_tokens = Empty,
        gen_ai.usage.output_tokens = Empty,
        gen_ai.usage.cache_read.input_tokens = Empty,
        gen_ai.usage.reasoning.output_tokens = Empty,
        error.type = Empty,
        http.response.status_code = Empty,
        backstop.request_id = id,
        backstop.model = model,
        backstop.served_by = Empty,
        traceparent,
    );
    if !span.is_disabled() {
        span.record("otel.name", format!("chat {}", request.model()));
    }
    span
}

/// Notes what was used.
pub(crate) fn usage(span: &Span, usage: &Usage) {
    span.record("gen_ai.usage.input_tokens", usage.input);
    span.record("gen_ai.usage.output_tokens", usage.output);
    if usage.cached > 0 {
        span.record("gen_ai.usage.cache_read.input_tokens", usage.cached);
    }
    if usage.reasoning > 0 {
        span.record("gen_ai.usage.reasoning.output_tokens", usage.reasoning);
    }
}

/// The convention's name for a dialect's own provider. A server that is compatible with it goes by
/// the same name, and by its name in the config beside it.
fn provider_name(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Anthropic => "anthropic",
        Dialect::Gemini => "gcp.gemini",
        _ => "openai",
    }
}
