//! What comes in pieces and is more than text, told in every front and read again.

use backstop_core::FaultKind;
use backstop_llm::{
    ChatRequest, Chunk, Citation, Completion, Dialect, Error, Event, FinishReason, Image, Json,
    Part, Raw, Signature, Source, Thinking, ToolCall,
    dialect::Encoder,
    sse::{SseEvent, SseParser},
};
use serde_json::Value;

const FRONTS: [Dialect; 3] = [Dialect::Anthropic, Dialect::OpenAi, Dialect::Responses];

fn sse(bytes: &[u8]) -> Vec<SseEvent> {
    let mut parser = SseParser::new();
    parser.push(bytes);
    std::iter::from_fn(|| parser.next_event().expect("small events")).collect()
}

/// The events of a provider's stream.
fn read(dialect: Dialect, bytes: &[u8]) -> Vec<Event> {
    let mut decoder = dialect.wire().decoder();
    let mut events = Vec::new();
    for event in sse(bytes) {
        decoder.event(&event, &mut events).expect("an event");
    }
    assert!(decoder.is_whole(), "{}", String::from_utf8_lossy(bytes));
    events
}

fn collect(events: Vec<Event>) -> Completion {
    events.into_iter().collect()
}

/// What a caller of this front is sent.
fn write(front: Dialect, events: &[Event]) -> Vec<u8> {
    let mut encoder = front.front().encoder(&ChatRequest::new("m"));
    let mut out = Vec::new();
    for event in events {
        encoder.chunk(&Chunk::new(vec![event.clone()]), &mut out);
    }
    out
}

/// What a caller of the provider's own dialect is sent of its stream, and by what.
fn passed_on(dialect: Dialect, stream: &str) -> (Box<dyn Encoder>, Vec<u8>) {
    let mut decoder = dialect.wire().decoder();
    let mut encoder = dialect.front().encoder(&ChatRequest::new("m"));
    let mut out = Vec::new();
    for event in sse(stream.as_bytes()) {
        let mut events = Vec::new();
        decoder.event(&event, &mut events).expect("an event");
        let mut chunk = Chunk::new(events);
        chunk.raw = decoder.passes_on().then_some(Raw {
            dialect,
            bytes: event.raw,
        });
        encoder.chunk(&chunk, &mut out);
    }
    (encoder, out)
}

/// What a caller of this front makes of these events between a beginning and an end.
fn told(front: Dialect, events: Vec<Event>) -> Vec<Part> {
    let mut all = vec![start()];
    all.extend(events);
    all.extend([finish(), Event::End]);
    let written = write(front, &all);
    let mut completion = collect(read(front, &written));
    completion.choices.remove(0).content
}

fn start() -> Event {
    Event::Start {
        id: "resp_1".to_owned(),
        model: "m".to_owned(),
        created: Some(1),
    }
}

fn finish() -> Event {
    Event::Finish {
        choice: 0,
        reason: FinishReason::Stop,
        stop_sequence: None,
    }
}

fn text(delta: &str) -> Event {
    Event::Text {
        choice: 0,
        delta: delta.to_owned(),
    }
}

fn picture() -> Part {
    Part::Image(Image {
        source: Source::Base64 {
            media_type: "image/png".to_owned(),
            data: "iVBORw0KGgo=".to_owned(),
        },
        detail: None,
    })
}

#[test]
fn a_picture_in_a_streamed_answer_of_geminis_is_told_in_every_front() {
    let stream = br#"data: {"responseId":"r","modelVersion":"m","candidates":[{"content":{"parts":[{"text":"Look:"}]}}]}

data: {"candidates":[{"content":{"parts":[{"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]}}]}

data: {"candidates":[{"content":{"parts":[{"text":" a cat."}]},"finishReason":"STOP"}]}

"#;
    let mut events = read(Dialect::Gemini, stream);
    events.push(Event::End);
    let parts = [Part::text("Look:"), picture(), Part::text(" a cat.")];
    assert_eq!(collect(events.clone()).choices[0].content, parts);
    for front in FRONTS {
        let read = collect(read(front, &write(front, &events)));
        assert_eq!(read.choices[0].content, parts, "{front}");
    }
}

#[test]
fn a_picture_in_a_whole_answer_is_told_in_every_front() {
    let body = br#"{"candidates":[{"content":{"parts":[{"text":"Look:"},
        {"inlineData":{"mimeType":"image/png","data":"iVBORw0KGgo="}}]},"finishReason":"STOP"}]}"#;
    let completion = Dialect::Gemini.wire().decode(body).expect("an answer");
    for front in FRONTS {
        let written = front.front().render(&completion);
        let read = front.wire().decode(&written).expect("an answer");
        assert_eq!(
            read.choices[0].content, completion.choices[0].content,
            "{front}"
        );
    }
}

#[test]
fn a_thought_that_only_its_provider_can_read_is_told_in_every_front() {
    let data = Signature::new(Dialect::Anthropic, "c2VjcmV0");
    for front in FRONTS {
        let thought = Event::RedactedThinking {
            choice: 0,
            data: data.clone(),
        };
        let parts = told(front, vec![thought, text("Yes.")]);
        let redacted = Part::Thinking(Thinking {
            redacted: Some(data.clone()),
            ..Thinking::default()
        });
        assert_eq!(parts, [redacted, Part::text("Yes.")], "{front}");
    }
}

#[test]
fn the_proof_of_a_thought_without_words_is_told_in_every_front_and_interrupts_no_text() {
    let signature = Signature::new(Dialect::Gemini, "c2ln");
    for front in [Dialect::OpenAi, Dialect::Responses] {
        let proof = Event::Signature {
            choice: 0,
            tool: None,
            signature: signature.clone(),
        };
        let written = write(
            front,
            &[
                start(),
                text("One"),
                proof,
                text(" two."),
                finish(),
                Event::End,
            ],
        );
        let completion = collect(read(front, &written));
        assert_eq!(completion.text(), "One two.", "{front}");
        let thoughts = completion.choices[0]
            .content
            .iter()
            .filter_map(|part| match part {
                Part::Thinking(thinking) => thinking.signature.clone(),
                _ => None,
            });
        assert_eq!(
            thoughts.collect::<Vec<_>>(),
            vec![signature.clone()],
            "{front}"
        );
        if front == Dialect::Responses {
            let messages = completion.choices[0].content.iter();
            assert_eq!(messages.filter(|part| part.as_text().is_some()).count(), 1);
        }
    }
}

#[test]
fn the_proof_of_a_call_is_told_in_every_front() {
    for front in FRONTS {
        let own = front.wire().dialect();
        let events = vec![
            Event::ToolCall {
                choice: 0,
                index: 0,
                id: "call_1".to_owned(),
                name: "look".to_owned(),
            },
            Event::ToolArguments {
                choice: 0,
                index: 0,
                delta: "{}".to_owned(),
            },
            Event::Signature {
                choice: 0,
                tool: Some(0),
                signature: Signature::new(Dialect::Gemini, "c2ln"),
            },
        ];
        let whole = collect(events.clone());
        let mut call = ToolCall::new("call_1", "look", "{}");
        call.signature = Some(Signature::new(Dialect::Gemini, "c2ln"));
        assert_eq!(whole.choices[0].content, [Part::ToolCall(call.clone())]);
        // Anthropic's streams have no place for it: Google takes a call without, when told so.
        if own == Dialect::Anthropic {
            continue;
        }
        assert_eq!(told(front, events), [Part::ToolCall(call)], "{front}");
    }
}

#[test]
fn a_refusal_is_told_as_one_where_there_is_a_word_for_it() {
    for front in [Dialect::OpenAi, Dialect::Responses] {
        let refusal = |delta: &str| Event::Refusal {
            choice: 0,
            delta: delta.to_owned(),
        };
        let parts = told(front, vec![refusal("I can't "), refusal("do that.")]);
        let whole = Part::Refusal("I can't do that.".to_owned());
        assert_eq!(parts, [whole], "{front}");
    }
}

#[test]
fn the_sources_of_a_text_are_told_in_every_front() {
    for front in FRONTS {
        let citation = Citation {
            url: Some("https://example.com/a".to_owned()),
            title: Some("A".to_owned()),
            ..Citation::default()
        };
        let named = Event::Citation {
            choice: 0,
            citation,
        };
        // Anthropic names the sources of a text before it.
        for events in [vec![text("So."), named.clone()], vec![named, text("So.")]] {
            let parts = told(front, events);
            let [Part::Text { text, citations }] = &parts[..] else {
                panic!("{front}: {parts:?}");
            };
            assert_eq!(text, "So.", "{front}");
            assert_eq!(citations[0].url.as_deref(), Some("https://example.com/a"));
            assert_eq!(citations[0].title.as_deref(), Some("A"), "{front}");
        }
    }
}

#[test]
fn what_only_the_callers_dialect_knows_is_passed_on_whole() {
    for (front, json) in [
        (
            Dialect::Anthropic,
            r#"{"type":"server_tool_use","id":"srv_1","name":"web_search","input":{}}"#,
        ),
        (
            Dialect::Responses,
            r#"{"type":"web_search_call","id":"ws_1","status":"completed"}"#,
        ),
    ] {
        let native = Part::Native {
            dialect: front,
            json: Json::parse(json).expect("JSON"),
        };
        let part = Box::new(native);
        let written = write(
            front,
            &[
                start(),
                Event::Part { choice: 0, part },
                finish(),
                Event::End,
            ],
        );
        let written = String::from_utf8(written).expect("text");
        let id = if front == Dialect::Anthropic {
            "srv_1"
        } else {
            "ws_1"
        };
        assert!(written.contains(id), "{front}: {written}");
    }
}

/// The last event of a stream.
fn last(bytes: &[u8]) -> Value {
    serde_json::from_slice(sse(bytes).last().expect("an event").data()).expect("JSON")
}

#[test]
fn half_a_tool_call_is_no_part_of_what_a_failure_tells() {
    let mut encoder = Dialect::Responses.front().encoder(&ChatRequest::new("m"));
    let mut out = Vec::new();
    let half = [
        start(),
        text("Let me look."),
        Event::ToolCall {
            choice: 0,
            index: 0,
            id: "call_1".to_owned(),
            name: "look".to_owned(),
        },
        Event::ToolArguments {
            choice: 0,
            index: 0,
            delta: "{\"city\":\"Par".to_owned(),
        },
    ];
    for event in half {
        encoder.chunk(&Chunk::new(vec![event]), &mut out);
    }
    encoder.error(&Error::new(FaultKind::Interrupted, "cut"), &mut out);
    let failed = last(&out);
    assert_eq!(failed["type"], "response.failed");
    let output = failed["response"]["output"].as_array().expect("items");
    assert_eq!(output.len(), 1, "{output:?}");
    assert_eq!(output[0]["type"], "message");
}

#[test]
fn an_answer_that_is_continued_goes_on_in_its_own_item() {
    let begun = concat!(
        "event: response.created\ndata: {\"type\":\"response.created\",\"sequence_number\":0,",
        "\"response\":{\"id\":\"resp_9\",\"model\":\"m\",\"status\":\"in_progress\"}}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",",
        "\"sequence_number\":1,\"output_index\":0,\"item\":{\"id\":\"rs_9\",\"type\":\"reasoning\",",
        "\"summary\":[]}}\n\n",
        "event: response.output_item.done\ndata: {\"type\":\"response.output_item.done\",",
        "\"sequence_number\":2,\"output_index\":0,\"item\":{\"id\":\"rs_9\",\"type\":\"reasoning\",",
        "\"summary\":[]}}\n\n",
        "event: response.output_item.added\ndata: {\"type\":\"response.output_item.added\",",
        "\"sequence_number\":3,\"output_index\":1,\"item\":{\"id\":\"msg_9\",\"type\":\"message\",",
        "\"role\":\"assistant\",\"content\":[]}}\n\n",
        "event: response.output_text.delta\ndata: {\"type\":\"response.output_text.delta\",",
        "\"sequence_number\":4,\"item_id\":\"msg_9\",\"output_index\":1,\"content_index\":0,",
        "\"delta\":\"One \"}\n\n",
    );
    let (mut encoder, mut out) = passed_on(Dialect::Responses, begun);
    for event in [text("two."), finish(), Event::End] {
        encoder.chunk(&Chunk::new(vec![event]), &mut out);
    }
    let events: Vec<Value> = sse(&out)
        .iter()
        .map(|event| serde_json::from_slice(event.data()).expect("JSON"))
        .collect();
    for (n, event) in events.iter().enumerate() {
        assert_eq!(event["sequence_number"], n);
    }
    let pieces = events
        .iter()
        .filter(|event| event["type"] == "response.output_text.delta");
    for piece in pieces {
        assert_eq!(piece["item_id"], "msg_9");
        assert_eq!(piece["output_index"], 1);
    }
    let output = &last(&out)["response"]["output"];
    assert_eq!(output[0]["id"], "rs_9");
    assert_eq!(output[1]["id"], "msg_9");
    assert_eq!(output[1]["content"][0]["text"], "One two.");
}

#[test]
fn an_answer_without_a_time_is_dated_by_the_fronts_that_tell_one() {
    let completion = Dialect::Anthropic.wire().decode(
        br#"{"type":"message","id":"msg_1","model":"m","content":[{"type":"text","text":"Hi"}],
        "stop_reason":"end_turn"}"#,
    );
    let completion = completion.expect("an answer");
    assert_eq!(completion.created, None);
    let undated = Event::Start {
        id: "msg_1".to_owned(),
        model: "m".to_owned(),
        created: None,
    };
    // Later than when this was written.
    let late = 1_760_000_000;
    for (front, field) in [
        (Dialect::OpenAi, "created"),
        (Dialect::Responses, "created_at"),
    ] {
        let whole: Value =
            serde_json::from_slice(&front.front().render(&completion)).expect("JSON");
        assert!(whole[field].as_u64() > Some(late), "{whole}");
        let written = write(front, &[undated.clone(), text("Hi"), finish(), Event::End]);
        let read = collect(read(front, &written));
        assert!(read.created > Some(late), "{front}: {:?}", read.created);
    }
}

#[test]
fn what_begins_a_response_holds_nothing_of_it_yet() {
    // Gemini's first piece brings the beginning and the first words at once.
    let first = Chunk::new(vec![start(), text("Hello")]);
    let mut encoder = Dialect::Responses.front().encoder(&ChatRequest::new("m"));
    let mut out = Vec::new();
    encoder.chunk(&first, &mut out);
    let created: Value = serde_json::from_slice(sse(&out)[0].data()).expect("JSON");
    assert_eq!(created["type"], "response.created");
    assert_eq!(created["response"]["output"], serde_json::json!([]));
    assert_eq!(created["response"]["usage"], Value::Null);
}

#[test]
fn what_callers_take_for_granted_and_a_server_leaves_out_is_put_in() {
    let stream = concat!(
        "data: {\"id\":\"c\",\"model\":\"m\",\"choices\":[{\"index\":0,\"delta\":null}]}\n\n",
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"id\":\"a\",",
        "\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{\\\"x\\\":\"}}]}}]}\n\n",
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{\"tool_calls\":[{\"function\":",
        "{\"arguments\":\"1}\"}}]}}]}\n\n",
        "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"tool_calls\"}]}\n\n",
        "data: [DONE]\n\n",
    );
    let (_, out) = passed_on(Dialect::OpenAi, stream);
    for event in sse(&out).iter().filter(|event| event.data() != b"[DONE]") {
        let json: Value = serde_json::from_slice(event.data()).expect("JSON");
        let delta = &json["choices"][0]["delta"];
        assert!(delta.is_object(), "{json}");
        for call in delta["tool_calls"].as_array().into_iter().flatten() {
            assert_eq!(call["index"], 0, "{json}");
        }
    }
    let calls = collect(read(Dialect::OpenAi, &out))
        .choices
        .remove(0)
        .content;
    assert_eq!(
        calls,
        [Part::ToolCall(ToolCall::new("a", "f", "{\"x\":1}"))]
    );
}
