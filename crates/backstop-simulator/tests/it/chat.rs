//! OpenAI's Chat Completions.

use backstop_simulator::{Dialect, Pace, Reply, Simulator, Stop};
use serde_json::{Value, json};

use crate::client::{ask, events, get, post, start, stream, with, within};

const PATH: &str = "/v1/chat/completions";

fn request(further: Value) -> Value {
    let request = json!({"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hi"}]});
    with(request, &further)
}

#[tokio::test]
async fn a_plain_reply_has_ids_usage_and_headers_as_the_real_ones() {
    let simulator = start(Dialect::OpenAi).await;
    let response = within(post(&simulator, PATH, &request(json!({}))).send())
        .await
        .unwrap();
    assert_eq!(response.headers()["content-type"], "application/json");
    assert!(
        response.headers()["x-request-id"]
            .to_str()
            .unwrap()
            .starts_with("req_")
    );
    assert!(response.headers().contains_key("content-length"));
    let reply: Value = within(response.json()).await.unwrap();
    let id = reply["id"].as_str().unwrap();
    assert!(id.starts_with("chatcmpl-") && id.len() == 38, "{id}");
    assert_eq!(reply["object"], "chat.completion");
    assert_eq!(reply["model"], "gpt-5.5");
    let text = "Hello from openai. You said: Hi";
    assert_eq!(reply["choices"][0]["message"]["content"], text);
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    // A quarter of the characters, rounded up, and 3 for each message.
    assert_eq!(reply["usage"]["prompt_tokens"], 1 + 3);
    assert_eq!(reply["usage"]["completion_tokens"], 8);
    assert_eq!(reply["usage"]["total_tokens"], 12);
}

#[tokio::test]
async fn a_stream_has_a_role_first_a_word_a_chunk_and_one_finish_reason() {
    let simulator = start(Dialect::OpenAi).await;
    let body = request(json!({"stream": true, "stream_options": {"include_usage": true}}));
    let stream = stream(&simulator, PATH, body).await;
    let chunks = events(&stream);
    assert_eq!(chunks[0]["choices"][0]["delta"]["role"], "assistant");
    let words: Vec<&str> = chunks
        .iter()
        .filter_map(|chunk| chunk["choices"][0]["delta"]["content"].as_str())
        .filter(|text| !text.is_empty())
        .collect();
    assert_eq!(
        words,
        ["Hello", " from", " openai.", " You", " said:", " Hi"]
    );
    let ends = chunks
        .iter()
        .filter(|chunk| chunk["choices"][0]["finish_reason"].is_string());
    assert_eq!(ends.count(), 1);
    assert!(chunks.iter().all(|chunk| chunk["id"] == chunks[0]["id"]));
    let usage = &chunks.last().unwrap();
    assert_eq!(usage["choices"], json!([]));
    assert_eq!(usage["usage"]["completion_tokens"], 8);
    assert!(stream.ends_with("data: [DONE]\n\n"));
}

#[tokio::test]
async fn usage_is_streamed_only_where_it_is_asked_for() {
    let simulator = start(Dialect::OpenAi).await;
    let stream = stream(&simulator, PATH, request(json!({"stream": true}))).await;
    assert!(!stream.contains("usage"), "{stream}");
}

#[tokio::test]
async fn a_forced_tool_is_called_with_arguments_that_fit_its_schema() {
    let simulator = start(Dialect::OpenAi).await;
    let tools = json!([{"type": "function", "function": {
        "name": "weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
            "required": ["city", "days"],
        },
    }}]);
    let body = request(json!({"tools": tools, "tool_choice": "required"}));
    let (_, reply) = ask(&simulator, PATH, body.clone()).await;
    let choice = &reply["choices"][0];
    assert_eq!(choice["finish_reason"], "tool_calls");
    assert_eq!(choice["message"]["content"], Value::Null);
    let call = &choice["message"]["tool_calls"][0];
    assert_eq!(call["function"]["name"], "weather");
    let arguments = r#"{"city":"text","days":3}"#;
    assert_eq!(call["function"]["arguments"], arguments);

    let mut body = body;
    body["stream"] = json!(true);
    let chunks = events(&stream(&simulator, PATH, body).await);
    let calls: Vec<&Value> = chunks
        .iter()
        .map(|chunk| &chunk["choices"][0]["delta"]["tool_calls"][0])
        .filter(|call| call.is_object())
        .collect();
    assert!(calls[0]["id"].as_str().unwrap().starts_with("call_"));
    assert!(calls[1]["id"].is_null());
    assert!(calls.len() > 3, "the arguments come in pieces");
    let pieces = calls
        .iter()
        .filter_map(|call| call["function"]["arguments"].as_str());
    assert_eq!(pieces.collect::<String>(), arguments);
}

#[tokio::test]
async fn a_schema_and_json_mode_are_answered_in_json() {
    let simulator = start(Dialect::OpenAi).await;
    let schema = json!({
        "type": "object", "properties": {"ok": {"type": "boolean"}}, "required": ["ok"],
    });
    let format = json!({"type": "json_schema", "json_schema": {"name": "s", "schema": schema}});
    let (_, reply) = ask(
        &simulator,
        PATH,
        request(json!({"response_format": format})),
    )
    .await;
    assert_eq!(reply["choices"][0]["message"]["content"], r#"{"ok":true}"#);
    let format = json!({"type": "json_object"});
    let (_, reply) = ask(
        &simulator,
        PATH,
        request(json!({"response_format": format})),
    )
    .await;
    let text = reply["choices"][0]["message"]["content"].as_str().unwrap();
    assert!(serde_json::from_str::<Value>(text).unwrap().is_object());
}

#[tokio::test]
async fn a_limit_and_a_stop_sequence_are_kept_to() {
    let simulator = start(Dialect::OpenAi).await;
    let (_, reply) = ask(&simulator, PATH, request(json!({"max_tokens": 2}))).await;
    assert_eq!(reply["choices"][0]["message"]["content"], "Hello fr");
    assert_eq!(reply["choices"][0]["finish_reason"], "length");
    let (_, reply) = ask(&simulator, PATH, request(json!({"stop": ["You"]}))).await;
    assert_eq!(
        reply["choices"][0]["message"]["content"],
        "Hello from openai. "
    );
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
}

#[tokio::test]
async fn several_choices_are_given_where_several_are_asked_for() {
    let simulator = start(Dialect::OpenAi).await;
    let (_, reply) = ask(&simulator, PATH, request(json!({"n": 3}))).await;
    let indices = reply["choices"]
        .as_array()
        .unwrap()
        .iter()
        .map(|choice| &choice["index"]);
    assert_eq!(indices.collect::<Vec<_>>(), [0, 1, 2]);
}

#[tokio::test]
async fn a_script_decides_text_thoughts_tools_and_end() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.reply(
        Reply::text("Let me see.")
            .thinking("Weather, then.")
            .and_tool_call("weather", json!({})),
    );
    let (_, reply) = ask(&simulator, PATH, request(json!({}))).await;
    let message = &reply["choices"][0]["message"];
    assert_eq!(message["content"], "Let me see.");
    assert_eq!(message["reasoning_content"], "Weather, then.");
    assert_eq!(message["tool_calls"][0]["function"]["arguments"], "{}");
    assert_eq!(
        reply["usage"]["completion_tokens_details"]["reasoning_tokens"],
        4
    );

    simulator.reply(Reply::text("No.").stop(Stop::Filtered));
    let (_, reply) = ask(&simulator, PATH, request(json!({}))).await;
    assert_eq!(reply["choices"][0]["finish_reason"], "content_filter");

    simulator.reply_with(|ask| Reply::text(format!("{} of {}", ask.prompt, ask.model)));
    let (_, reply) = ask(&simulator, PATH, request(json!({}))).await;
    assert_eq!(reply["choices"][0]["message"]["content"], "Hi of gpt-5.5");

    simulator.reply_from_request();
    let (_, reply) = ask(&simulator, PATH, request(json!({}))).await;
    let text = "Hello from openai. You said: Hi";
    assert_eq!(reply["choices"][0]["message"]["content"], text);
}

#[tokio::test]
async fn what_is_no_request_is_refused_in_words_of_its_own() {
    let simulator = start(Dialect::OpenAi).await;
    let wrong = [
        (
            json!({"messages": []}),
            "you must provide a model parameter",
        ),
        (
            json!({"model": "m"}),
            "Missing required parameter: 'messages'.",
        ),
        (json!({"model": "m", "messages": "Hi"}), "expected an array"),
        (json!({"model": "m", "messages": []}), "empty array"),
        (
            json!({"model": "m", "messages": [{"content": "Hi"}]}),
            "messages[0].role",
        ),
        (
            json!({"model": "m", "messages": [{"role": "king", "content": "Hi"}]}),
            "king",
        ),
        (request(json!({"max_tokens": "many"})), "max_tokens"),
        (request(json!({"temperature": 3})), "temperature"),
    ];
    for (body, words) in wrong {
        let (status, reply) = ask(&simulator, PATH, body).await;
        assert_eq!(status, 400);
        assert_eq!(reply["error"]["type"], "invalid_request_error");
        let message = reply["error"]["message"].as_str().unwrap();
        assert!(message.contains(words), "{message}");
    }
    let request = post(&simulator, PATH, &json!({})).body("{\"model\":");
    assert_eq!(within(request.send()).await.unwrap().status(), 400);
    let (status, _) = ask(&simulator, "/v1/nothing", json!({})).await;
    assert_eq!(status, 404);
}

#[tokio::test]
async fn a_key_and_a_list_of_models_are_kept_to() {
    let simulator = Simulator::builder(Dialect::OpenAi)
        .api_key("right")
        .model("gpt-5.5")
        .model("gpt-5-mini")
        .pace(Pace::INSTANT)
        .start()
        .await
        .unwrap();
    let (status, reply) = ask(&simulator, PATH, request(json!({}))).await;
    assert_eq!((status, &reply["error"]["code"]), (401, &Value::Null));

    let wrong = post(&simulator, PATH, &request(json!({}))).bearer_auth("wrong");
    let response = within(wrong.send()).await.unwrap();
    assert_eq!(response.status(), 401);
    let reply: Value = within(response.json()).await.unwrap();
    assert_eq!(reply["error"]["code"], "invalid_api_key");

    let other = post(&simulator, PATH, &request(json!({"model": "gpt-2"}))).bearer_auth("right");
    let response = within(other.send()).await.unwrap();
    assert_eq!(response.status(), 404);
    let reply: Value = within(response.json()).await.unwrap();
    assert_eq!(reply["error"]["code"], "model_not_found");

    let right = post(&simulator, PATH, &request(json!({}))).bearer_auth("right");
    assert_eq!(within(right.send()).await.unwrap().status(), 200);
    // Azure's header, for a deployment in the path.
    let body = json!({"messages": [{"role": "user", "content": "Hi"}]});
    let path = "/openai/deployments/gpt-5.5/chat/completions?api-version=2026-01-01";
    let azure = post(&simulator, path, &body).header("api-key", "right");
    assert_eq!(within(azure.send()).await.unwrap().status(), 200);
}

#[tokio::test]
async fn the_models_are_listed() {
    let simulator = Simulator::builder(Dialect::OpenAi)
        .model("a")
        .model("b")
        .start()
        .await
        .unwrap();
    let list = get(&simulator, "/v1/models").await;
    assert_eq!(list["object"], "list");
    let ids: Vec<&Value> = list["data"]
        .as_array()
        .unwrap()
        .iter()
        .map(|model| &model["id"])
        .collect();
    assert_eq!(ids, ["a", "b"]);
    assert_eq!(get(&simulator, "/v1/models/a").await["object"], "model");
    let missing = get(&simulator, "/v1/models/c").await;
    assert_eq!(missing["error"]["code"], "model_not_found");
}
