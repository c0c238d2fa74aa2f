//! Anthropic's Messages.

use backstop_simulator::{Dialect, Pace, Reply, Simulator, Stop};
use serde_json::{Value, json};

use crate::client::{ask, events, get, post, start, stream, with, within};

const PATH: &str = "/v1/messages";

fn request(further: Value) -> Value {
    let request = json!({
        "model": "claude-opus-4-8",
        "max_tokens": 1024,
        "messages": [{"role": "user", "content": "Hi"}],
    });
    with(request, &further)
}

#[tokio::test]
async fn a_plain_reply_has_ids_usage_and_headers_as_the_real_ones() {
    let simulator = start(Dialect::Anthropic).await;
    let body = request(json!({"system": [{"type": "text", "text": "Be kind."}]}));
    let response = within(post(&simulator, PATH, &body).send()).await.unwrap();
    assert!(
        response.headers()["request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_011")
    );
    let reply: Value = within(response.json()).await.unwrap();
    let id = reply["id"].as_str().unwrap();
    assert!(id.starts_with("msg_01") && id.len() == 28, "{id}");
    assert_eq!(
        reply["content"],
        json!([{"type": "text", "text": "Hello from anthropic. You said: Hi"}])
    );
    assert_eq!(reply["stop_reason"], "end_turn");
    assert_eq!(reply["usage"]["input_tokens"], (2 + 3) + (1 + 3));
    assert_eq!(reply["usage"]["output_tokens"], 9);
}

#[tokio::test]
async fn a_stream_pings_pads_and_tells_each_block_from_begin_to_end() {
    let simulator = start(Dialect::Anthropic).await;
    simulator.reply(
        Reply::text("Let me see.")
            .thinking("Well then")
            .and_tool_call("weather", json!({"a": 1})),
    );
    let stream = stream(&simulator, PATH, request(json!({"stream": true}))).await;
    let events = events(&stream);
    let mut kinds: Vec<String> = events
        .iter()
        .map(|event| match event["delta"]["type"].as_str() {
            Some(delta) => delta.to_owned(),
            None => event["type"].as_str().unwrap().to_owned(),
        })
        .collect();
    kinds.dedup();
    let block = |deltas: &[&str]| {
        let around = [&["content_block_start"], deltas, &["content_block_stop"]];
        around
            .concat()
            .into_iter()
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let expected = [
        vec!["message_start".to_owned(), "ping".to_owned()],
        block(&["thinking_delta", "signature_delta"]),
        block(&["text_delta"]),
        block(&["input_json_delta"]),
        vec!["message_delta".to_owned(), "message_stop".to_owned()],
    ];
    assert_eq!(kinds, expected.concat());
    let input = events
        .iter()
        .filter_map(|event| event["delta"]["partial_json"].as_str());
    assert_eq!(input.collect::<String>(), r#"{"a":1}"#);
    let end = &events[events.len() - 2];
    assert_eq!(end["delta"]["stop_reason"], "tool_use");
    assert!(end["usage"]["output_tokens"].as_u64().unwrap() > 3);
    assert!(
        stream.contains("  }\n\n"),
        "some event ends in spaces before its brace"
    );
    let named = stream
        .lines()
        .filter(|line| line.starts_with("event: "))
        .count();
    assert_eq!(named, events.len());
}

#[tokio::test]
async fn tools_schemas_and_thinking_are_answered() {
    let simulator = start(Dialect::Anthropic).await;
    let tools = json!([{"name": "now", "input_schema": {
        "type": "object", "properties": {"zone": {"enum": ["UTC"]}}, "required": ["zone"],
    }}]);
    let choice = json!({"type": "tool", "name": "now"});
    let body = request(json!({"tools": tools, "tool_choice": choice}));
    let (_, reply) = ask(&simulator, PATH, body).await;
    let block = &reply["content"][0];
    assert!(block["id"].as_str().unwrap().starts_with("toolu_01"));
    assert_eq!(
        (&block["name"], &block["input"]),
        (&json!("now"), &json!({"zone": "UTC"}))
    );
    assert_eq!(reply["stop_reason"], "tool_use");

    let schema = json!({"type": "object", "properties": {"ok": {"type": "boolean"}}});
    let config = json!({"format": {"type": "json_schema", "schema": schema}});
    let (_, reply) = ask(&simulator, PATH, request(json!({"output_config": config}))).await;
    assert_eq!(reply["content"][0]["text"], r#"{"ok":true}"#);

    let thinking = json!({"type": "enabled", "budget_tokens": 1024});
    let body = request(json!({"thinking": thinking, "max_tokens": 4096}));
    let (_, reply) = ask(&simulator, PATH, body).await;
    assert_eq!(reply["content"][0]["type"], "thinking");
    assert!(
        !reply["content"][0]["signature"]
            .as_str()
            .unwrap()
            .is_empty()
    );
    assert_eq!(reply["content"][1]["type"], "text");
}

#[tokio::test]
async fn a_limit_and_a_stop_sequence_are_told() {
    let simulator = start(Dialect::Anthropic).await;
    let (_, reply) = ask(&simulator, PATH, request(json!({"max_tokens": 2}))).await;
    assert_eq!(reply["stop_reason"], "max_tokens");
    let (_, reply) = ask(
        &simulator,
        PATH,
        request(json!({"stop_sequences": ["You"]})),
    )
    .await;
    assert_eq!(reply["stop_reason"], "stop_sequence");
    assert_eq!(reply["stop_sequence"], "You");
    simulator.reply(Reply::text("").stop(Stop::Filtered));
    let (_, reply) = ask(&simulator, PATH, request(json!({}))).await;
    assert_eq!(
        (&reply["stop_reason"], &reply["content"]),
        (&json!("refusal"), &json!([]))
    );
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_words_of_its_own() {
    let simulator = start(Dialect::Anthropic).await;
    let said = json!([{"role": "user", "content": "Hi"}]);
    let wrong = [
        (
            json!({"max_tokens": 1, "messages": said}),
            "model: Field required",
        ),
        (
            json!({"model": "m", "messages": said}),
            "max_tokens: Field required",
        ),
        (
            json!({"model": "m", "max_tokens": 1}),
            "messages: Field required",
        ),
        (
            json!({"model": "m", "max_tokens": 1, "messages": []}),
            "at least one message",
        ),
        (
            request(json!({"messages": ["Hi"]})),
            "does not match the expected shape",
        ),
        (
            request(json!({"messages": [{"role": "tool", "content": "Hi"}]})),
            "messages.0.role",
        ),
        (
            request(json!({"temperature": 1.5})),
            "temperature: range: 0..1",
        ),
        (
            request(json!({"messages": [said[0], {"role": "assistant", "content": "Well "}]})),
            "trailing whitespace",
        ),
    ];
    for (body, words) in wrong {
        let (status, reply) = ask(&simulator, PATH, body).await;
        assert_eq!(status, 400);
        assert_eq!(reply["type"], "error");
        assert_eq!(reply["error"]["type"], "invalid_request_error");
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    let url = format!("{}{PATH}", simulator.url());
    let request = reqwest::Client::new().post(url).json(&request(json!({})));
    let response = within(request.send()).await.unwrap();
    assert_eq!(response.status(), 400);
    assert!(
        within(response.text())
            .await
            .unwrap()
            .contains("anthropic-version")
    );
}

#[tokio::test]
async fn a_key_and_a_list_of_models_are_kept_to() {
    let simulator = Simulator::builder(Dialect::Anthropic)
        .api_key("right")
        .model("claude-opus-4-8")
        .pace(Pace::INSTANT)
        .start()
        .await
        .unwrap();
    let (status, reply) = ask(&simulator, PATH, request(json!({}))).await;
    assert_eq!(
        (status, &reply["error"]["type"]),
        (401, &json!("authentication_error"))
    );
    for (key, model, expected) in [
        ("wrong", "claude-opus-4-8", 401),
        ("right", "claude-2", 404),
        ("right", "claude-opus-4-8", 200),
    ] {
        let request = post(&simulator, PATH, &request(json!({"model": model})));
        let response = within(request.header("x-api-key", key).send())
            .await
            .unwrap();
        assert_eq!(response.status(), expected);
    }
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed() {
    let simulator = Simulator::builder(Dialect::Anthropic)
        .model("a")
        .model("b")
        .start()
        .await
        .unwrap();
    let body = json!({"model": "a", "messages": [{"role": "user", "content": "Hi"}]});
    let (_, count) = ask(&simulator, "/v1/messages/count_tokens", body).await;
    assert_eq!(count, json!({"input_tokens": 4}));
    let list = get(&simulator, "/v1/models").await;
    assert_eq!(
        (&list["first_id"], &list["last_id"]),
        (&json!("a"), &json!("b"))
    );
    assert_eq!(get(&simulator, "/v1/models/b").await["type"], "model");
}
