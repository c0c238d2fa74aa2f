//! What is sent.

use backstop_llm::{Abilities, ChatRequest, Dialect, Provider, Resume, Resumes, SystemPrompt};
use serde_json::{Value, json};
use tower::ServiceExt as _;

use super::server::{Seen, WHOLE, json as answer, model, provider, serve, within};

const ANTHROPIC: &str = r#"{"id":"x","type":"message","model":"m",
    "content":[{"type":"text","text":"Hi"}],"stop_reason":"end_turn"}"#;

const RESPONSES: &str = r#"{"id":"x","object":"response","status":"completed","model":"m",
    "output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hi"}]}]}"#;

/// What is sent by a model of the dialect, made from the one given by `set`.
async fn sent(
    dialect: Dialect,
    request: ChatRequest,
    set: impl FnOnce(backstop_llm::Model) -> backstop_llm::Model,
) -> (String, Value) {
    let body = match dialect {
        Dialect::Anthropic => ANTHROPIC,
        Dialect::Responses => RESPONSES,
        _ => WHOLE,
    };
    let (address, mut seen) = serve(answer(200, body)).await;
    let service = set(model(dialect, address));
    within(service.oneshot(request)).await.expect("an answer");
    let Some(Seen::Request { head, body }) = seen.recv().await else {
        panic!("nothing was sent");
    };
    (head, serde_json::from_str(&body).expect("JSON"))
}

fn parse(dialect: Dialect, body: &Value) -> ChatRequest {
    dialect
        .front()
        .parse(body.to_string().into())
        .expect("a request")
}

#[tokio::test]
async fn each_dialect_has_its_path_its_key_and_its_headers() {
    let request = || ChatRequest::new("any").user("Hello");
    let (head, body) = sent(Dialect::OpenAi, request(), |m| m).await;
    assert!(
        head.starts_with("POST /chat/completions HTTP/1.1"),
        "{head}"
    );
    assert!(head.contains("authorization: Bearer sk-secret-key-0123456789"));
    assert_eq!(body["model"], "model", "the candidate's own model is asked");

    let (head, body) = sent(Dialect::Anthropic, request(), |m| m).await;
    assert!(head.starts_with("POST /v1/messages HTTP/1.1"), "{head}");
    assert!(head.contains("x-api-key: sk-secret-key-0123456789"));
    assert!(head.contains("anthropic-version: 2023-06-01"));
    assert_eq!(body["max_tokens"], 64_000, "a limit must be named");
}

#[tokio::test]
async fn azure_has_the_model_in_its_path_and_a_header_for_the_key() {
    let (address, mut seen) = serve(answer(200, WHOLE)).await;
    let azure = Provider::builder(Dialect::OpenAi)
        .base_url(format!("http://{address}/openai/deployments/{{model}}"))
        .query("api-version", "2024-10-21")
        .api_key("k")
        .api_key_header("api-key")
        .build()
        .unwrap();
    within(
        azure
            .model("my-gpt")
            .oneshot(ChatRequest::new("m").user("Hi")),
    )
    .await
    .unwrap();
    let Some(Seen::Request { head, .. }) = seen.recv().await else {
        panic!("nothing was sent");
    };
    let path = "/openai/deployments/my-gpt/chat/completions?api-version=2024-10-21";
    assert!(head.starts_with(&format!("POST {path} ")), "{head}");
    assert!(head.contains("api-key: k") && !head.contains("authorization"));
}

#[tokio::test]
async fn a_request_in_the_providers_own_dialect_is_sent_as_it_came() {
    let body = json!({
        "model": "asked", "messages": [{"role": "user", "content": "x", "unknown": [1.50, null]}],
        "logit_bias": {"50256": -100}, "temperature": 0.70, "mystery": {"b": 1, "a": 2},
    });
    let (_, sent) = sent(Dialect::OpenAi, parse(Dialect::OpenAi, &body), |m| m).await;
    let mut expected = body;
    expected["model"] = "model".into();
    assert_eq!(sent, expected);
}

#[tokio::test]
async fn a_field_that_only_the_callers_dialect_knows_is_not_lost_in_silence() {
    let body = json!({
        "model": "m", "messages": [{"role": "user", "content": "x"}],
        "logit_bias": {"50256": -100}, "store": true,
    });
    let request = parse(Dialect::OpenAi, &body);
    let (address, _seen) = serve(answer(200, ANTHROPIC)).await;
    let service = model(Dialect::Anthropic, address);
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!(
        error.fault().reason(),
        Some("does not know a field of the request")
    );
}

#[tokio::test]
async fn a_conversation_with_tools_is_translated() {
    let body = json!({
        "model": "m", "max_tokens": 100, "stop": "END", "user": "u1",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": [
                {"type": "text", "text": "Weather?"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,aGk="}},
            ]},
            {"role": "assistant", "content": null, "tool_calls": [
                {"id": "functions.w:0", "type": "function",
                 "function": {"name": "w", "arguments": "{\"b\": 1, \"a\": 2.50}"}},
                {"id": "call_2", "type": "function",
                 "function": {"name": "w", "arguments": ""}},
            ]},
            {"role": "tool", "tool_call_id": "functions.w:0", "content": "sunny"},
            {"role": "tool", "tool_call_id": "call_2", "content": "rain"},
            {"role": "user", "content": "And now?"},
        ],
        "tools": [{"type": "function", "function": {
            "name": "w", "description": "d", "parameters": {"type": "object"}}}],
        "tool_choice": "required", "parallel_tool_calls": false,
    });
    let request = parse(Dialect::OpenAi, &body);
    let (_, sent) = sent(Dialect::Anthropic, request, |m| m).await;
    let id = sent["messages"][1]["content"][0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(
        id.bytes()
            .all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_'),
        "{id}"
    );
    assert_eq!(
        sent,
        json!({
            "model": "model", "max_tokens": 100, "stop_sequences": ["END"],
            "metadata": {"user_id": "u1"},
            "system": [{"type": "text", "text": "Be brief."}],
            "messages": [
                {"role": "user", "content": [
                    {"type": "text", "text": "Weather?"},
                    {"type": "image",
                     "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
                ]},
                {"role": "assistant", "content": [
                    {"type": "tool_use", "id": id, "name": "w", "input": {"b": 1, "a": 2.50}},
                    {"type": "tool_use", "id": "call_2", "name": "w", "input": {}},
                ]},
                {"role": "user", "content": [
                    {"type": "tool_result", "tool_use_id": id,
                     "content": [{"type": "text", "text": "sunny"}]},
                    {"type": "tool_result", "tool_use_id": "call_2",
                     "content": [{"type": "text", "text": "rain"}]},
                    {"type": "text", "text": "And now?"},
                ]},
            ],
            "tools": [{"name": "w", "description": "d", "input_schema": {"type": "object"}}],
            "tool_choice": {"type": "any", "disable_parallel_tool_use": true},
        })
    );
}

#[tokio::test]
async fn a_system_prompt_is_adapted_in_either_way_of_sending() {
    let template = || SystemPrompt::Template("<rules>{system}</rules>".to_owned());
    let openai = json!({"model": "m", "messages": [
        {"role": "developer", "content": "Be brief."}, {"role": "user", "content": "x"}]});
    let anthropic = json!({"model": "m", "max_tokens": 9, "system": "Be brief.",
        "messages": [{"role": "user", "content": "x"}]});
    for from in [Dialect::OpenAi, Dialect::Anthropic] {
        let body = if from == Dialect::OpenAi {
            &openai
        } else {
            &anthropic
        };
        let request = || parse(from, body);
        let (_, sent_on) = sent(Dialect::OpenAi, request(), |m| m.system(template())).await;
        let system = &sent_on["messages"][0];
        assert_eq!(system["role"], "system");
        assert_eq!(system["content"], "<rules>Be brief.</rules>");
        assert_eq!(sent_on["messages"].as_array().unwrap().len(), 2);

        let (_, sent_on) = sent(Dialect::Anthropic, request(), |m| m.system(template())).await;
        let told = sent_on["system"].to_string();
        assert!(told.contains("<rules>Be brief.</rules>"), "{told}");
    }
}

#[tokio::test]
async fn an_answer_is_gone_on_with_as_the_model_is_able_to() {
    let request = || {
        let body = json!({"model": "m", "messages": [{"role": "user", "content": "Count."}]});
        parse(Dialect::OpenAi, &body).resuming(Resume {
            partial: "one, two, ".to_owned(),
            max_tokens: Some(50),
        })
    };
    let how = |resumes| {
        move |model: backstop_llm::Model| {
            let abilities: Abilities = *model.get_abilities();
            model.abilities(abilities.resuming(resumes))
        }
    };
    let (_, body) = sent(
        Dialect::OpenAi,
        request(),
        how(Resumes::ContinueFinalMessage),
    )
    .await;
    assert_eq!(body["continue_final_message"], true);
    assert_eq!(body["add_generation_prompt"], false);
    assert_eq!(
        body["messages"][1],
        json!({"role": "assistant", "content": "one, two, "})
    );
    assert_eq!(body["max_tokens"], 50);

    let (_, body) = sent(Dialect::Anthropic, request(), how(Resumes::Prefill)).await;
    assert_eq!(body["messages"][1]["content"][0]["text"], "one, two,");
    assert_eq!(body["messages"].as_array().unwrap().len(), 2);

    let (_, body) = sent(Dialect::OpenAi, request(), how(Resumes::Instruction)).await;
    let told = body["messages"][2]["content"].as_str().unwrap();
    assert!(told.contains("one, two,"), "{told}");
    assert_eq!(body["messages"][2]["role"], "user");
}

#[tokio::test]
async fn the_limit_of_tokens_has_the_name_that_the_model_knows() {
    let body = json!({"model": "m", "max_tokens": 7, "messages": [
        {"role": "user", "content": "x"}]});
    let (address, mut seen) = serve(answer(200, WHOLE)).await;
    for (name, field) in [
        ("gpt-5.5", "max_completion_tokens"),
        ("Qwen/Qwen3-8B", "max_tokens"),
    ] {
        let service = provider(Dialect::OpenAi, address).model(name);
        let request = parse(Dialect::OpenAi, &body);
        within(service.oneshot(request)).await.unwrap();
        let Some(Seen::Request { body, .. }) = seen.recv().await else {
            panic!("nothing was sent");
        };
        let body: Value = serde_json::from_str(&body).unwrap();
        assert_eq!(body[field], 7, "{name}");
    }
}

#[tokio::test]
async fn a_signed_thought_comes_back_to_its_provider_through_another_dialect() {
    let body = |signature: &str| {
        json!({"model": "m", "max_tokens": 9, "messages": [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "y", "reasoning_content": "hm", "reasoning_details": [
                {"type": "reasoning.text", "text": "hm", "signature": signature}]},
            {"role": "user", "content": "z"}]})
    };
    let request = parse(Dialect::OpenAi, &body("backstop.anthropic.c2ln"));
    let (_, sent_on) = sent(Dialect::Anthropic, request.clone(), |m| m).await;
    let thought = &sent_on["messages"][1]["content"][0];
    assert_eq!(
        *thought,
        json!({"type": "thinking", "thinking": "hm", "signature": "c2ln"})
    );

    // No other provider is sent it, nor is this one sent what another has signed.
    let (_, sent_on) = sent(Dialect::OpenAi, request, |m| m).await;
    assert!(!sent_on.to_string().contains("c2ln"), "{sent_on}");
    let request = parse(Dialect::OpenAi, &body("backstop.gemini.c2ln"));
    let (_, sent_on) = sent(Dialect::Anthropic, request, |m| m).await;
    assert!(!sent_on.to_string().contains("c2ln"), "{sent_on}");
}

#[tokio::test]
async fn a_tool_that_failed_is_known_to_have_where_there_is_no_field_for_it() {
    let request = parse(
        Dialect::Anthropic,
        &json!({
            "model": "any", "max_tokens": 100,
            "messages": [
                { "role": "user", "content": "Look!" },
                { "role": "assistant", "content": [
                    { "type": "tool_use", "id": "toolu_1", "name": "look", "input": {} },
                ] },
                { "role": "user", "content": [{
                    "type": "tool_result", "tool_use_id": "toolu_1",
                    "content": "no such place", "is_error": true,
                }] },
            ],
        }),
    );
    let (_, body) = sent(Dialect::OpenAi, request.clone(), |m| m).await;
    assert_eq!(body["messages"][2]["content"], "Error: no such place");
    let (_, body) = sent(Dialect::Responses, request.clone(), |m| m).await;
    assert_eq!(body["input"][2]["output"], "Error: no such place");
    let (_, body) = sent(Dialect::Anthropic, request, |m| m).await;
    assert_eq!(body["messages"][2]["content"][0]["is_error"], true);
}
