//! Going on with a partial answer.

use backstop_simulator::{Dialect, Pace, Prefill, Simulator};
use serde_json::{Value, json};

use crate::client::{Api, ask, stream};

/// A conversation that ends with half an answer, which another stand-in gave.
fn messages() -> Value {
    json!([
        {"role": "user", "content": "one two three"},
        {"role": "assistant", "content": "Hello from elsewhere. You said: one"},
    ])
}

const REST: &str = " two three";

async fn start(dialect: Dialect, prefill: Prefill) -> Simulator {
    let simulator = Simulator::builder(dialect)
        .pace(Pace::INSTANT)
        .prefill(prefill);
    simulator.start().await.unwrap()
}

#[tokio::test]
async fn a_prefill_is_gone_on_with_plain_and_streamed() {
    let simulator = start(Dialect::Anthropic, Prefill::Accept).await;
    let body = json!({"model": "m", "max_tokens": 100, "messages": messages()});
    let (_, reply) = ask(&simulator, "/v1/messages", body.clone()).await;
    assert_eq!(Api::Messages.text(&reply), REST);
    let mut body = body;
    body["stream"] = json!(true);
    let streamed = stream(&simulator, "/v1/messages", body).await;
    assert_eq!(Api::Messages.streamed_text(&streamed), REST);
}

#[tokio::test]
async fn a_model_that_takes_no_prefill_says_so() {
    let simulator = start(Dialect::Anthropic, Prefill::Reject).await;
    let body = json!({"model": "m", "max_tokens": 100, "messages": messages()});
    let (status, reply) = ask(&simulator, "/v1/messages", body).await;
    assert_eq!(status, 400);
    let message = reply["error"]["message"].as_str().unwrap();
    assert!(
        message.contains("does not support assistant message prefill"),
        "{message}"
    );
}

#[tokio::test]
async fn an_instruction_to_continue_is_obeyed_by_every_model() {
    for prefill in [Prefill::Accept, Prefill::Reject, Prefill::Ignore] {
        let simulator = start(Dialect::OpenAi, prefill).await;
        let mut messages = messages();
        let go_on = json!({"role": "user", "content": "Continue exactly where you stopped."});
        messages.as_array_mut().unwrap().push(go_on);
        let body = json!({"model": "m", "messages": messages});
        let (_, reply) = ask(&simulator, "/v1/chat/completions", body).await;
        assert_eq!(Api::Chat.text(&reply), REST, "{prefill:?}");
    }
}

#[tokio::test]
async fn a_model_that_ignores_a_partial_answer_begins_anew_unless_told() {
    let simulator = start(Dialect::OpenAi, Prefill::Ignore).await;
    let anew = "Hello from openai. You said: one two three";
    let body = json!({"model": "m", "messages": messages()});
    let (_, reply) = ask(&simulator, "/v1/chat/completions", body.clone()).await;
    assert_eq!(Api::Chat.text(&reply), anew);

    let mut flagged = body.clone();
    flagged["continue_final_message"] = json!(true);
    flagged["add_generation_prompt"] = json!(false);
    let (_, reply) = ask(&simulator, "/v1/chat/completions", flagged.clone()).await;
    assert_eq!(Api::Chat.text(&reply), REST);
    flagged["add_generation_prompt"] = json!(true);
    let (status, _) = ask(&simulator, "/v1/chat/completions", flagged).await;
    assert_eq!(status, 400);

    let mut prefixed = body;
    prefixed["messages"][1]["prefix"] = json!(true);
    let (_, reply) = ask(&simulator, "/v1/chat/completions", prefixed).await;
    assert_eq!(Api::Chat.text(&reply), REST);
}

#[tokio::test]
async fn gemini_goes_on_with_the_models_last_turn() {
    let simulator = start(Dialect::Gemini, Prefill::Accept).await;
    let contents = json!([
        {"role": "user", "parts": [{"text": "one two three"}]},
        {"role": "model", "parts": [{"text": "Hello from elsewhere. You said: one"}]},
    ]);
    let path = "/v1beta/models/m:generateContent";
    let (_, reply) = ask(&simulator, path, json!({"contents": contents})).await;
    assert_eq!(Api::Generate.text(&reply), REST);
}

#[tokio::test]
async fn responses_go_on_with_the_last_item() {
    let simulator = start(Dialect::OpenAi, Prefill::Accept).await;
    let (_, reply) = ask(
        &simulator,
        "/v1/responses",
        json!({"model": "m", "input": messages()}),
    )
    .await;
    assert_eq!(Api::Responses.text(&reply), REST);
}
