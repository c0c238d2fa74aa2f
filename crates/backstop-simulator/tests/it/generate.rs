//! Gemini's generateContent and streamGenerateContent.

use backstop_simulator::{Dialect, Fault, Pace, Reply, Simulator};
use serde_json::{Value, json};

use crate::client::{Api, ask, events, get, post, start, stream, with, within};

const PATH: &str = "/v1beta/models/gemini-3.5-flash:generateContent";
const EVENTS: &str = "/v1beta/models/gemini-3.5-flash:streamGenerateContent?alt=sse";
const ARRAY: &str = "/v1beta/models/gemini-3.5-flash:streamGenerateContent";

fn request(further: Value) -> Value {
    let request = json!({"contents": [{"role": "user", "parts": [{"text": "Hi"}]}]});
    with(request, &further)
}

/// A reply by this configuration.
async fn configured(simulator: &Simulator, config: Value) -> Value {
    let body = request(json!({"generationConfig": config}));
    ask(simulator, PATH, body).await.1
}

#[tokio::test]
async fn a_plain_reply_has_candidates_and_usage() {
    let simulator = start(Dialect::Gemini).await;
    let (_, reply) = ask(&simulator, PATH, request(json!({}))).await;
    let candidate = &reply["candidates"][0];
    let text = "Hello from gemini. You said: Hi";
    assert_eq!(
        candidate["content"],
        json!({"role": "model", "parts": [{"text": text}]})
    );
    assert_eq!(candidate["finishReason"], "STOP");
    assert_eq!(reply["modelVersion"], "gemini-3.5-flash");
    assert_eq!(reply["usageMetadata"]["promptTokenCount"], 4);
    assert_eq!(reply["usageMetadata"]["candidatesTokenCount"], 8);
}

#[tokio::test]
async fn a_stream_of_events_ends_by_its_finish_reason_and_its_lines_by_crlf() {
    let simulator = start(Dialect::Gemini).await;
    let stream = stream(&simulator, EVENTS, request(json!({}))).await;
    assert_eq!(
        stream.matches("\r\n\r\n").count(),
        stream.matches("data: ").count()
    );
    let events = events(&stream);
    assert_eq!(
        Api::Generate.streamed_text(&stream),
        "Hello from gemini. You said: Hi"
    );
    let ends = events
        .iter()
        .filter(|event| event["candidates"][0]["finishReason"].is_string());
    assert_eq!(ends.count(), 1);
    let last = events.last().unwrap();
    assert_eq!(last["candidates"][0]["finishReason"], "STOP");
    assert_eq!(last["usageMetadata"]["candidatesTokenCount"], 8);
}

#[tokio::test]
async fn a_stream_without_events_is_one_json_array() {
    let simulator = start(Dialect::Gemini).await;
    let stream = stream(&simulator, ARRAY, request(json!({}))).await;
    let array: Vec<Value> = serde_json::from_str(&stream).unwrap();
    assert_eq!(array.len(), 7);
    assert_eq!(
        Api::GenerateArray.streamed_text(&stream),
        "Hello from gemini. You said: Hi"
    );
}

#[tokio::test]
async fn tools_schemas_and_thoughts_are_answered() {
    let simulator = start(Dialect::Gemini).await;
    let schema =
        json!({"type": "OBJECT", "properties": {"n": {"type": "INTEGER"}}, "required": ["n"]});
    let tools = json!([{"functionDeclarations": [{"name": "add", "parameters": schema}]}]);
    let config = json!({"functionCallingConfig": {"mode": "ANY"}});
    let body = request(json!({"tools": tools, "toolConfig": config}));
    let (_, reply) = ask(&simulator, PATH, body.clone()).await;
    let part = &reply["candidates"][0]["content"]["parts"][0];
    assert_eq!(part["functionCall"]["name"], "add");
    assert_eq!(part["functionCall"]["args"], json!({"n": 1}));
    assert_eq!(part["functionCall"]["id"].as_str().unwrap().len(), 8);
    assert!(part["thoughtSignature"].is_string());
    let streamed = stream(&simulator, EVENTS, body).await;
    assert!(streamed.contains("functionCall"));

    let config = json!({"responseMimeType": "application/json", "responseSchema": schema});
    let reply = configured(&simulator, config).await;
    assert_eq!(
        reply["candidates"][0]["content"]["parts"][0]["text"],
        r#"{"n":1}"#
    );

    let config = json!({"thinkingConfig": {"includeThoughts": true}});
    let reply = configured(&simulator, config).await;
    assert_eq!(
        reply["candidates"][0]["content"]["parts"][0]["thought"],
        true
    );
    let usage = &reply["usageMetadata"];
    let sum = [
        "promptTokenCount",
        "candidatesTokenCount",
        "thoughtsTokenCount",
    ]
    .iter()
    .map(|key| usage[key].as_u64().unwrap())
    .sum::<u64>();
    assert_eq!(usage["totalTokenCount"], sum);
}

#[tokio::test]
async fn a_limit_and_a_tools_result_are_understood() {
    let simulator = start(Dialect::Gemini).await;
    let config = json!({"maxOutputTokens": 2});
    let reply = configured(&simulator, config).await;
    assert_eq!(reply["candidates"][0]["finishReason"], "MAX_TOKENS");
    let result = json!({"functionResponse": {"name": "add", "response": {"sum": 3}}});
    let contents = json!([{"role": "user", "parts": [result]}]);
    let (_, reply) = ask(&simulator, PATH, json!({"contents": contents})).await;
    let text = reply["candidates"][0]["content"]["parts"][0]["text"]
        .as_str()
        .unwrap();
    assert!(text.ends_with(r#"{"sum":3}"#), "{text}");
}

#[tokio::test]
async fn keys_models_and_requests_are_checked() {
    let simulator = Simulator::builder(Dialect::Gemini)
        .api_key("right")
        .model("gemini-3.5-flash")
        .pace(Pace::INSTANT)
        .start()
        .await
        .unwrap();
    let (status, reply) = ask(&simulator, PATH, request(json!({}))).await;
    assert_eq!(
        (status, &reply["error"]["status"]),
        (403, &json!("PERMISSION_DENIED"))
    );
    let (status, reply) = ask(&simulator, &format!("{PATH}?key=wrong"), request(json!({}))).await;
    assert_eq!(status, 400);
    assert_eq!(reply["error"]["details"][0]["reason"], "API_KEY_INVALID");
    let (status, _) = ask(&simulator, &format!("{PATH}?key=right"), request(json!({}))).await;
    assert_eq!(status, 200);
    let keyed =
        |path: &str, body: Value| post(&simulator, path, &body).header("x-goog-api-key", "right");
    let missing = keyed(
        "/v1beta/models/gemini-1:generateContent",
        request(json!({})),
    );
    assert_eq!(within(missing.send()).await.unwrap().status(), 404);
    let empty = keyed(PATH, json!({}));
    assert_eq!(within(empty.send()).await.unwrap().status(), 400);
    let role = keyed(
        PATH,
        json!({"contents": [{"role": "assistant", "parts": []}]}),
    );
    assert_eq!(within(role.send()).await.unwrap().status(), 400);
}

#[tokio::test]
async fn a_blocked_prompt_is_a_200_without_candidates() {
    let simulator = start(Dialect::Gemini).await;
    simulator.fault(Fault::filtered());
    let (status, reply) = ask(&simulator, PATH, request(json!({}))).await;
    assert_eq!(status, 200);
    assert_eq!(reply["candidates"], Value::Null);
    assert_eq!(reply["promptFeedback"]["blockReason"], "PROHIBITED_CONTENT");
    let streamed = stream(&simulator, EVENTS, request(json!({}))).await;
    assert_eq!(
        events(&streamed)[0]["promptFeedback"]["blockReason"],
        "PROHIBITED_CONTENT"
    );
    let streamed = stream(&simulator, ARRAY, request(json!({}))).await;
    assert_eq!(
        serde_json::from_str::<Vec<Value>>(&streamed).unwrap().len(),
        1
    );
}

#[tokio::test]
async fn a_reply_of_several_parts_keeps_their_order() {
    let simulator = start(Dialect::Gemini).await;
    simulator.reply(
        Reply::text("So.")
            .and_tool_call("a", json!({}))
            .and_tool_call("b", json!({})),
    );
    let (_, reply) = ask(&simulator, PATH, request(json!({}))).await;
    let parts = reply["candidates"][0]["content"]["parts"]
        .as_array()
        .unwrap();
    assert_eq!(parts[0]["text"], "So.");
    assert_eq!(parts[1]["functionCall"]["name"], "a");
    assert_eq!(parts[2]["functionCall"]["name"], "b");
    assert!(
        parts[2]["thoughtSignature"].is_null(),
        "only the first call is signed"
    );
}

#[tokio::test]
async fn tokens_are_counted_and_models_listed() {
    let simulator = Simulator::builder(Dialect::Gemini)
        .model("a")
        .start()
        .await
        .unwrap();
    let (_, count) = ask(
        &simulator,
        "/v1beta/models/a:countTokens",
        request(json!({})),
    )
    .await;
    assert_eq!(count["totalTokens"], 4);
    let wrapped = json!({"generateContentRequest": request(json!({}))});
    let (_, count) = ask(&simulator, "/v1beta/models/a:countTokens", wrapped).await;
    assert_eq!(count["totalTokens"], 4);
    let list = get(&simulator, "/v1beta/models").await;
    assert_eq!(list["models"][0]["name"], "models/a");
    assert_eq!(
        get(&simulator, "/v1beta/models/a").await["name"],
        "models/a"
    );
}
