//! Requests that are right field by field and yet refused.

use backstop_simulator::Dialect;
use serde_json::{Value, json};

use crate::client::{ask, start, with};

async fn refusal(dialect: Dialect, path: &str, body: Value) -> Option<String> {
    let simulator = start(dialect).await;
    let (status, reply) = ask(&simulator, path, body).await;
    match status {
        200 => None,
        _ => Some(reply["error"]["message"].as_str().unwrap().to_owned()),
    }
}

async fn anthropic(messages: Value, further: Value) -> Option<String> {
    let body = json!({"model": "m", "max_tokens": 2000, "messages": messages});
    refusal(Dialect::Anthropic, "/v1/messages", with(body, &further)).await
}

async fn openai(messages: Value) -> Option<String> {
    let body = json!({"model": "m", "messages": messages});
    refusal(Dialect::OpenAi, "/v1/chat/completions", body).await
}

fn asked() -> Value {
    json!({"role": "user", "content": "What is the weather?"})
}

#[tokio::test]
async fn anthropic_wants_each_tool_use_answered_in_the_next_turn() {
    let calls = json!({"role": "assistant", "content": [
        {"type": "tool_use", "id": "toolu_1", "name": "w", "input": {}},
        {"type": "tool_use", "id": "toolu_2", "name": "w", "input": {}},
    ]});
    let result = |id: &str| {
        json!({"role": "user", "content": [
            {"type": "tool_result", "tool_use_id": id, "content": "sun"},
        ]})
    };
    // Two messages of the user's are one turn.
    let whole = json!([asked(), calls, result("toolu_1"), result("toolu_2")]);
    assert_eq!(anthropic(whole, json!({})).await, None);
    let half = anthropic(json!([asked(), calls, result("toolu_1")]), json!({}))
        .await
        .unwrap();
    assert!(
        half.contains("messages.1: `tool_use` ids") && half.contains("toolu_2"),
        "{half}"
    );
    let none = anthropic(json!([asked(), calls]), json!({})).await.unwrap();
    assert!(none.contains("toolu_1, toolu_2"), "{none}");
    let odd = anthropic(json!([asked(), calls, result("toolu_3")]), json!({}))
        .await
        .unwrap();
    assert!(odd.contains("unexpected `tool_use_id`"), "{odd}");
    let foreign = json!({"role": "assistant", "content": [
        {"type": "tool_use", "id": "functions.w:0", "name": "w", "input": {}},
    ]});
    let foreign = json!([asked(), foreign, result("functions.w:0")]);
    let foreign = anthropic(foreign, json!({})).await.unwrap();
    assert!(foreign.contains("should match pattern"), "{foreign}");
}

#[tokio::test]
async fn anthropic_wants_content_and_tools_that_fit() {
    let wrong = [
        (
            json!([{"role": "user", "content": ""}]),
            json!({}),
            "non-empty content",
        ),
        (
            json!([{"role": "user", "content": [{"type": "text", "text": ""}]}]),
            json!({}),
            "text content blocks must be non-empty",
        ),
        (
            json!([asked()]),
            json!({"tools": [{"name": "w"}]}),
            "tools.0.custom.input_schema",
        ),
        (
            json!([asked()]),
            json!({"tool_choice": {"type": "any"}}),
            "providing tools",
        ),
    ];
    for (messages, further, words) in wrong {
        let refusal = anthropic(messages, further).await.unwrap();
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[tokio::test]
async fn anthropic_thinks_only_with_room_and_freely() {
    let thinking = |budget: u64| json!({"type": "enabled", "budget_tokens": budget});
    let tools = json!([{"name": "w", "input_schema": {"type": "object"}}]);
    assert_eq!(
        anthropic(json!([asked()]), json!({"thinking": thinking(1024)})).await,
        None
    );
    let wrong = [
        (json!({"thinking": thinking(1000)}), "1024"),
        (
            json!({"thinking": thinking(2000)}),
            "`max_tokens` must be greater",
        ),
        (
            json!({"thinking": thinking(1024), "temperature": 0.5}),
            "`temperature`",
        ),
        (
            json!({"thinking": thinking(1024), "tools": tools, "tool_choice": {"type": "any"}}),
            "forces tool use",
        ),
    ];
    for (further, words) in wrong {
        let refusal = anthropic(json!([asked()]), further).await.unwrap();
        assert!(refusal.contains(words), "{refusal}");
    }
}

#[tokio::test]
async fn openai_wants_each_tool_call_answered_right_after_it() {
    let call = |id: &str| json!({"id": id, "type": "function", "function": {"name": "w", "arguments": "{}"}});
    let calls = json!({"role": "assistant", "content": null, "tool_calls": [call("a"), call("b")]});
    let result = |id: &str| json!({"role": "tool", "tool_call_id": id, "content": "sun"});
    assert_eq!(
        openai(json!([asked(), calls, result("b"), result("a")])).await,
        None
    );
    let half = openai(json!([asked(), calls, result("a"), asked()]))
        .await
        .unwrap();
    assert!(
        half.ends_with("did not have response messages: b"),
        "{half}"
    );
    let odd = openai(json!([asked(), result("a")])).await.unwrap();
    assert!(odd.contains("must be a response to"), "{odd}");
}

#[tokio::test]
async fn openai_wants_tools_where_one_is_to_be_chosen() {
    let body = json!({"model": "m", "messages": [asked()], "tool_choice": "required"});
    let refusal = refusal(Dialect::OpenAi, "/v1/chat/completions", body)
        .await
        .unwrap();
    assert!(
        refusal.contains("only allowed when 'tools' are specified"),
        "{refusal}"
    );
}
