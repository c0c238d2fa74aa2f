//! Answers that say in other ways than their dialect's documentation what they say.

use backstop_core::FaultKind;
use backstop_llm::{Completion, Dialect, FinishReason, Part, ToolCall};

use super::server::{Step, call, chunk, hello, json, stream, within};

async fn streamed(dialect: Dialect, events: &[&str]) -> Completion {
    let mut steps = stream(events);
    steps.push(Step::End);
    let response = call(dialect, hello().streamed(), steps).await;
    let completion = within(response.expect("an answer").completion()).await;
    completion.expect("a whole answer")
}

async fn plain(dialect: Dialect, body: &str) -> Completion {
    let response = call(dialect, hello(), json(200, body)).await;
    let completion = within(response.expect("an answer").completion()).await;
    completion.expect("a whole answer")
}

fn calls(completion: &Completion) -> Vec<&ToolCall> {
    let content = completion.choices[0].content.iter();
    let calls = content.filter_map(|part| match part {
        Part::ToolCall(call) => Some(call),
        _ => None,
    });
    calls.collect()
}

/// The name and arguments of each call in a stream whose events bring these pieces of calls.
async fn called(pieces: &[&str]) -> Vec<(String, String)> {
    let events = pieces.iter().map(|calls| {
        let delta = format!("{{\"tool_calls\":[{calls}]}}");
        chunk(&delta, "null")
    });
    let end = [chunk("{}", "\"tool_calls\""), "data: [DONE]".to_owned()];
    let events: Vec<_> = events.chain(end).collect();
    let events: Vec<_> = events.iter().map(String::as_str).collect();
    let answer = streamed(Dialect::OpenAi, &events).await;
    let told = calls(&answer).into_iter();
    told.map(|it| (it.name.clone(), it.arguments.clone()))
        .collect()
}

fn call_of(name: &str, arguments: &str) -> (String, String) {
    (name.to_owned(), arguments.to_owned())
}

#[tokio::test]
async fn calls_are_told_apart_by_id_where_they_have_no_number() {
    let told = called(&[
        r#"{"id":"a","function":{"name":"f"}},{"id":"b","function":{"name":"g"}}"#,
        r#"{"id":"a","function":{"arguments":"{\"x\":"}}"#,
        r#"{"id":"b","function":{"arguments":"{}"}}"#,
        r#"{"id":"a","function":{"arguments":"1}"}}"#,
    ]);
    assert_eq!(told.await, [call_of("f", "{\"x\":1}"), call_of("g", "{}")]);
}

#[tokio::test]
async fn calls_with_numbers_of_their_own_are_two_though_they_share_an_id() {
    let told = called(&[
        r#"{"index":0,"id":"a","function":{"name":"f","arguments":""}}"#,
        r#"{"index":0,"function":{"arguments":"{}"}}"#,
        r#"{"index":1,"id":"a","function":{"name":"g","arguments":""}}"#,
        r#"{"index":1,"function":{"arguments":"{\"x\":1}"}}"#,
    ]);
    assert_eq!(told.await, [call_of("f", "{}"), call_of("g", "{\"x\":1}")]);
}

#[tokio::test]
async fn calls_without_ids_are_given_some_plain_and_streamed() {
    let both = r#"[{"id":"","function":{"name":"f","arguments":"{}"}},
        {"function":{"name":"g","arguments":"{}"}}]"#
        .replace('\n', "");
    let events = [
        chunk(&format!("{{\"tool_calls\":{both}}}"), "\"tool_calls\""),
        "data: [DONE]".to_owned(),
    ];
    let body = format!(
        r#"{{"id":"c","choices":[{{"message":{{"role":null,"tool_calls":{both}}},"finish_reason":"stop"}}]}}"#
    );
    let pieces = streamed(Dialect::OpenAi, &[&events[0], &events[1]]).await;
    for answer in [pieces, plain(Dialect::OpenAi, &body).await] {
        let ids: Vec<_> = calls(&answer).iter().map(|call| &*call.id).collect();
        assert_eq!(ids, ["call_c_0", "call_c_1"]);
    }
    let gemini = r#"{"responseId":"c","candidates":[{"finishReason":"STOP","content":{"parts":[
        {"functionCall":{"id":"","name":"f","args":null},"inlineData":{}}]}}]}"#;
    let answer = plain(Dialect::Gemini, gemini).await;
    assert_eq!(*calls(&answer)[0].id, *"call_c_0");
    assert_eq!(*calls(&answer)[0].arguments, *"{}");
}

#[tokio::test]
async fn an_empty_error_is_none_and_an_empty_thought_hides_no_other() {
    for error in ["\"\"", "{}", "false", "null"] {
        let body = format!(
            r#"{{"error":{error},"choices":[{{"message":{{"content":"Hi","reasoning_content":"","reasoning":"Hm"}},"finish_reason":"stop"}}]}}"#
        );
        let answer = plain(Dialect::OpenAi, &body).await;
        assert_eq!(answer.text(), "Hi");
        let thought = &answer.choices[0].content[0];
        assert!(matches!(thought, Part::Thinking(it) if it.text == "Hm"));
        let event = format!(
            r#"data: {{"error":{error},"choices":[{{"delta":{{"content":"Hi"}},"finish_reason":"stop"}}]}}"#
        );
        let answer = streamed(Dialect::OpenAi, &[&event, "data: [DONE]"]).await;
        assert_eq!(answer.text(), "Hi");
    }
}

#[tokio::test]
async fn fields_of_another_type_spoil_no_answer() {
    let answer = streamed(
        Dialect::OpenAi,
        &[
            r#"data: {"id":7,"created":"now","usage":"none","choices":[{"index":"0","delta":{"content":"Hi","refusal":[],"reasoning":{}}}]}"#,
            r#"data: {"choices":[{"index":0.0,"delta":{},"finish_reason":"end_turn"}],"usage":{"prompt_tokens":3.0,"completion_tokens":1e3}}"#,
            "data: [DONE]",
        ],
    )
    .await;
    assert_eq!(answer.text(), "Hi");
    let usage = answer.usage.expect("usage");
    assert_eq!((usage.input, usage.output), (3, 1000));
    assert_eq!(answer.choices[0].finish, FinishReason::Stop);
}

#[tokio::test]
async fn what_is_new_to_anthropic_spoils_no_answer() {
    let answer = streamed(
        Dialect::Anthropic,
        &[
            "event: ping\ndata: {}",
            r#"data: {"type":"message_start","message":{"id":null,"model":"m","usage":null}}"#,
            r#"data: {"type":"vendor","index":"x","delta":"y","message":1}"#,
            r#"data: {"type":"content_block_start","index":null,"content_block":{"type":"new","text":{},"input":[]}}"#,
            r#"data: {"type":"content_block_delta","index":0,"delta":{"type":"new_delta","text":5}}"#,
            r#"data: {"type":"content_block_delta","index":1,"delta":{"type":"text_delta","text":"Hi"}}"#,
            r#"data: {"type":"message_delta","delta":{"stop_reason":"end_turn"},"usage":{"output_tokens":2}}"#,
            r#"data: {"type":"message_stop"}"#,
        ],
    )
    .await;
    assert_eq!((&*answer.model, &*answer.text()), ("m", "Hi"));
    let body = r#"{"content":[{"type":"search_result","source":"https://example.com","title":[]},
        {"type":"text","text":"Hi"}],"stop_reason":"end_turn"}"#;
    let answer = plain(Dialect::Anthropic, body).await;
    assert!(matches!(answer.choices[0].content[0], Part::Native { .. }));
    assert_eq!(answer.text(), "Hi");
}

#[tokio::test]
async fn what_is_new_to_responses_spoils_no_answer() {
    let new = r#"{"type":"computer_call_output","output":{"type":"computer_screenshot"},"role":1}"#;
    let message = r#"{"type":"message","content":[{"type":"output_text","text":"Hi"}]}"#;
    let body = format!(r#"{{"status":"completed","output":[{new},{message}]}}"#);
    let done = format!(r#"data: {{"type":"response.completed","response":{body}}}"#);
    let item =
        format!(r#"data: {{"type":"response.output_item.done","output_index":null,"item":{new}}}"#);
    let answer = streamed(
        Dialect::Responses,
        &[
            r#"data: {"type":"response.created","response":{"id":"r"}}"#,
            r#"data: {"type":"response.mcp_call_arguments.delta","delta":{"a":1},"arguments":{}}"#,
            &item,
            r#"data: {"type":"response.output_text.delta","output_index":1,"delta":"Hi"}"#,
            &done,
        ],
    )
    .await;
    assert_eq!(answer.text(), "Hi");
    assert_eq!(plain(Dialect::Responses, &body).await.text(), "Hi");
}

#[tokio::test]
async fn an_answer_that_its_provider_broke_off_is_no_answer() {
    for word in [
        "error",
        "abort",
        "insufficient_system_resource",
        "network_error",
    ] {
        let body =
            format!(r#"{{"choices":[{{"message":{{"content":"Hi"}},"finish_reason":"{word}"}}]}}"#);
        let error = call(Dialect::OpenAi, hello(), json(200, &body)).await;
        let kind = error.expect_err("no answer").fault().kind();
        assert_eq!(kind, FaultKind::Malformed, "{word}");
    }
}
