//! Run with: cargo run -p backstop-examples --example quickstart
//!
//! Two providers, the five layers, a prompt, and who answered it. The providers are stand-ins on
//! loopback, so it needs no key and no network; with keys of your own, drop the `base_url`.

use std::time::Duration;

use backstop_circuit_breaker::Policy;
use backstop_core::BoxError;
use backstop_fallback::FallbackLayer;
use backstop_llm::{ChatClassifier, ChatRequest, ChatResponse, Dialect, Model, Provider};
use backstop_retry::RetryLayer;
use backstop_served_by::ServedByLayer;
use backstop_simulator::{Fault, Simulator};
use backstop_timeout::TimeoutLayer;
use tower::{Service, ServiceBuilder, ServiceExt};

type Simulated = backstop_simulator::Dialect;

/// One model, with the layers that belong to it.
fn candidate(
    model: Model,
) -> impl Service<ChatRequest, Response = ChatResponse, Error = backstop_llm::Error> + Clone {
    let name = model.name().clone();
    ServiceBuilder::new()
        .layer(ServedByLayer::new(name.clone()))
        .layer(RetryLayer::new().classify(ChatClassifier::new()))
        .layer(
            Policy::new()
                .layer(name)
                .classify(ChatClassifier::new())
                .until_end(),
        )
        .layer(TimeoutLayer::new().response(Duration::from_secs(30)))
        .service(model)
}

#[tokio::main]
async fn main() -> Result<(), BoxError> {
    let claude = Simulator::builder(Simulated::Anthropic).start().await?;
    let gpt = Simulator::builder(Simulated::OpenAi).start().await?;
    let anthropic = Provider::builder(Dialect::Anthropic)
        .base_url(claude.base_url())
        .api_key("a key")
        .build()?;
    let openai = Provider::builder(Dialect::OpenAi)
        .base_url(gpt.base_url())
        .api_key("another key")
        .build()?;

    let backup = candidate(openai.model("gpt-5.5"));
    let service = ServiceBuilder::new()
        .layer(TimeoutLayer::new().total(Duration::from_secs(120)))
        .layer(FallbackLayer::new(backup).classify(ChatClassifier::new()))
        .service(candidate(anthropic.model("claude-opus-4-8")));

    let question = ChatRequest::new("smart").user("Why is the sky blue?");
    for fault in [Fault::none(), Fault::overloaded(), Fault::denied()] {
        claude.fault(fault);
        let answer = service.clone().oneshot(question.clone()).await?;
        if let Some(served) = answer.served_by().cloned() {
            println!("{served} answers: {}", answer.text().await?);
            for attempt in served.trail.attempts() {
                println!("  on the way: {attempt}");
            }
        }
    }
    Ok(())
}
