//! OpenAI's Responses.

use backstop_simulator::{Dialect, Pace, Reply, Simulator};
use serde_json::{Value, json};

use crate::client::{ask, events, start, stream};

const PATH: &str = "/v1/responses";

#[tokio::test]
async fn a_plain_reply_has_items_and_usage() {
    let simulator = start(Dialect::OpenAi).await;
    let body = json!({"model": "gpt-5.5", "instructions": "Be kind.", "input": "Hi"});
    let (_, reply) = ask(&simulator, PATH, body).await;
    assert!(reply["id"].as_str().unwrap().starts_with("resp_"));
    assert_eq!(reply["status"], "completed");
    let item = &reply["output"][0];
    assert_eq!(item["type"], "message");
    assert_eq!(
        item["content"][0]["text"],
        "Hello from openai. You said: Hi"
    );
    assert_eq!(reply["usage"]["input_tokens"], (2 + 3) + (1 + 3));
    assert_eq!(reply["usage"]["output_tokens"], 8);
}

#[tokio::test]
async fn a_stream_is_numbered_and_tells_each_item_from_begin_to_end() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.reply(
        Reply::text("Let me see.")
            .thinking("Well then")
            .and_tool_call("weather", json!({"a": 1})),
    );
    let body = json!({"model": "gpt-5.5", "input": "Hi", "stream": true});
    let stream = stream(&simulator, PATH, body).await;
    let events = events(&stream);
    for (number, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], number);
    }
    let mut kinds: Vec<&str> = events
        .iter()
        .map(|event| event["type"].as_str().unwrap())
        .collect();
    kinds.dedup();
    assert_eq!(
        kinds,
        [
            "response.created",
            "response.in_progress",
            "response.output_item.added",
            "response.reasoning_summary_part.added",
            "response.reasoning_summary_text.delta",
            "response.reasoning_summary_text.done",
            "response.reasoning_summary_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.content_part.added",
            "response.output_text.delta",
            "response.output_text.done",
            "response.content_part.done",
            "response.output_item.done",
            "response.output_item.added",
            "response.function_call_arguments.delta",
            "response.function_call_arguments.done",
            "response.output_item.done",
            "response.completed",
        ]
    );
    let end = &events.last().unwrap()["response"];
    assert_eq!(end["id"], events[0]["response"]["id"]);
    assert_eq!(end["output"][2]["arguments"], r#"{"a":1}"#);
    assert_eq!(end["output"].as_array().unwrap().len(), 3);
}

#[tokio::test]
async fn a_reply_that_reaches_its_limit_is_incomplete() {
    let simulator = start(Dialect::OpenAi).await;
    let body = json!({"model": "m", "input": "Hi", "max_output_tokens": 2});
    let (_, reply) = ask(&simulator, PATH, body.clone()).await;
    assert_eq!(reply["status"], "incomplete");
    assert_eq!(reply["incomplete_details"]["reason"], "max_output_tokens");
    let mut body = body;
    body["stream"] = json!(true);
    assert!(
        stream(&simulator, PATH, body)
            .await
            .contains("event: response.incomplete\n")
    );
}

#[tokio::test]
async fn tools_results_and_formats_are_understood() {
    let simulator = start(Dialect::OpenAi).await;
    let tools = json!([{"type": "function", "name": "now", "parameters": {"type": "object"}}]);
    let choice = json!({"type": "function", "name": "now"});
    let body = json!({"model": "m", "input": "Hi", "tools": tools, "tool_choice": choice});
    let (_, reply) = ask(&simulator, PATH, body).await;
    assert_eq!(reply["output"][0]["type"], "function_call");
    assert_eq!(reply["output"][0]["name"], "now");

    let input = json!([
        {"role": "user", "content": [{"type": "input_text", "text": "What time is it?"}]},
        {"type": "function_call", "call_id": "c", "name": "now", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c", "output": "noon"},
    ]);
    let (_, reply) = ask(&simulator, PATH, json!({"model": "m", "input": input})).await;
    let text = "Hello from openai. You said: noon";
    assert_eq!(reply["output"][0]["content"][0]["text"], text);

    let schema = json!({"type": "object", "properties": {"a": {"const": 7}}});
    let format = json!({"format": {"type": "json_schema", "name": "s", "schema": schema}});
    let (_, reply) = ask(
        &simulator,
        PATH,
        json!({"model": "m", "input": "", "text": format}),
    )
    .await;
    assert_eq!(reply["output"][0]["content"][0]["text"], r#"{"a":7}"#);
}

#[tokio::test]
async fn a_model_that_is_not_there_is_a_400_here() {
    let simulator = Simulator::builder(Dialect::OpenAi)
        .model("gpt-5.5")
        .pace(Pace::INSTANT)
        .start()
        .await
        .unwrap();
    let (status, reply) = ask(&simulator, PATH, json!({"model": "gpt-2", "input": "Hi"})).await;
    assert_eq!(
        (status, &reply["error"]["code"]),
        (400, &json!("model_not_found"))
    );
    let (status, reply): (u16, Value) = ask(&simulator, PATH, json!({"model": "gpt-5.5"})).await;
    assert_eq!((status, &reply["error"]["param"]), (400, &json!("input")));
}
