//! Both sides of the dialect held against each other.

use backstop_core::FaultKind;

use super::*;
use crate::{
    Chunk, Event, FinishReason, Part, Usage,
    sse::{SseEvent, SseParser},
};

fn events(bytes: &[u8]) -> Vec<SseEvent> {
    let mut parser = SseParser::new();
    parser.push(bytes);
    std::iter::from_fn(|| parser.next_event().unwrap()).collect()
}

fn collect(bytes: &[u8]) -> (Completion, bool) {
    let mut decoder = Responses.decoder();
    let mut out = Vec::new();
    for event in events(bytes) {
        decoder.event(&event, &mut out).unwrap();
    }
    (out.into_iter().collect(), decoder.is_whole())
}

/// What the front writes of these events.
fn write(encoder: &mut dyn Encoder, events: Vec<Event>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for event in events {
        encoder.chunk(&Chunk::new(vec![event]), &mut bytes);
    }
    bytes
}

fn encoder() -> Box<dyn Encoder> {
    Responses.encoder(&ChatRequest::new("m"))
}

fn answer() -> Vec<Event> {
    let call = |index, id: &str| Event::ToolCall {
        choice: 0,
        index,
        id: id.to_owned(),
        name: "weather".to_owned(),
    };
    let arguments = |index, delta: &str| Event::ToolArguments {
        choice: 0,
        index,
        delta: delta.to_owned(),
    };
    let text = |delta: &str| Event::Text {
        choice: 0,
        delta: delta.to_owned(),
    };
    let thought = Event::Thinking {
        choice: 0,
        delta: "Hm.".to_owned(),
    };
    let mut usage = Usage::new(10, 7);
    usage.reasoning = 2;
    vec![
        Event::Start {
            id: "resp_1".to_owned(),
            model: "m".to_owned(),
            created: Some(1),
        },
        thought,
        text("Let me \"look\""),
        text(" it up.\n"),
        call(0, "call_a"),
        arguments(0, "{\"city\":"),
        call(1, "call_b"),
        arguments(1, "{}"),
        arguments(0, "\"Bern\"}"),
        Event::Usage(usage),
        Event::Finish {
            choice: 0,
            reason: FinishReason::ToolCalls,
            stop_sequence: None,
        },
        Event::End,
    ]
}

#[test]
fn what_the_front_writes_as_a_stream_the_provider_side_reads() {
    let bytes = write(&mut *encoder(), answer());
    let (read, whole) = collect(&bytes);
    assert!(whole);
    assert_eq!(read, answer().into_iter().collect());
}

#[test]
fn the_events_of_a_stream_are_numbered_from_zero_without_a_gap() {
    let bytes = write(&mut *encoder(), answer());
    for (n, event) in events(&bytes).iter().enumerate() {
        let json: serde_json::Value = serde_json::from_slice(event.data()).unwrap();
        assert_eq!(json["sequence_number"], n);
        assert_eq!(json["type"].as_str().unwrap().as_bytes(), &*event.name);
    }
}

#[test]
fn what_the_front_writes_whole_the_provider_side_reads() {
    let completion = answer().into_iter().collect();
    assert_eq!(
        Responses.decode(&Responses.render(&completion)).unwrap(),
        completion
    );
}

#[test]
fn a_stream_that_breaks_off_ends_with_a_failure_and_what_was_said() {
    let mut encoder = encoder();
    let mut bytes = write(&mut *encoder, answer().into_iter().take(3).collect());
    let error = Error::new(FaultKind::Interrupted, "the answer broke off");
    encoder.error(&error, &mut bytes);
    let last = events(&bytes).pop().unwrap();
    assert_eq!(&*last.name, b"response.failed");
    let json: serde_json::Value = serde_json::from_slice(last.data()).unwrap();
    assert_eq!(json["response"]["status"], "failed");
    assert_eq!(json["response"]["error"]["code"], "stream_interrupted");
    assert_eq!(
        json["response"]["output"][1]["content"][0]["text"],
        "Let me \"look\""
    );
    let mut decoder = Responses.decoder();
    let mut out = Vec::new();
    assert!(
        events(&bytes)
            .iter()
            .any(|event| decoder.event(event, &mut out).is_err())
    );
}

#[test]
fn a_request_reads_into_shared_words() {
    let body = br#"{"model":"gpt-5","instructions":"Be brief.","input":[
        {"role":"user","content":[{"type":"input_text","text":"Hi"},
         {"type":"input_image","image_url":"data:image/png;base64,AA=="}]},
        {"type":"reasoning","summary":[{"type":"summary_text","text":"Hm"}],"encrypted_content":"x"},
        {"type":"function_call","call_id":"c1","name":"f","arguments":"{}"},
        {"type":"function_call_output","call_id":"c1","output":"42"}],
        "tools":[{"type":"function","name":"f","parameters":{"type":"object"},"strict":true},
                 {"type":"web_search"}],
        "tool_choice":{"type":"function","name":"f"},"max_output_tokens":50,
        "text":{"format":{"type":"text"},"verbosity":"low"},"truncation":"disabled"}"#;
    let request = Responses.parse(Bytes::from_static(body)).unwrap();
    let chat = request.chat();
    let roles: Vec<_> = chat.messages.iter().map(|message| message.role).collect();
    use crate::Role::{Assistant, System, Tool, User};
    assert_eq!(roles, [System, User, Assistant, Tool]);
    assert!(matches!(
        chat.messages[2].content[..],
        [Part::Thinking(_), Part::ToolCall(_)]
    ));
    assert_eq!(chat.max_tokens, Some(50));
    assert_eq!(
        chat.extra.len(),
        1,
        "the verbosity alone is unknown: {:?}",
        chat.extra
    );
}

#[test]
fn a_request_without_input_is_refused_by_name() {
    let error = Responses
        .parse(Bytes::from_static(b"{\"model\":\"m\"}"))
        .unwrap_err();
    assert_eq!(error.param(), Some("input"));
}
