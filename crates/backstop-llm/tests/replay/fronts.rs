//! Each recorded answer as a caller reads it, through every front, in the caller's own dialect.

use backstop_core::FaultKind;
use backstop_llm::{ChatBody, ChatResponse, Dialect};
use tower::ServiceExt as _;

use crate::{
    expect::{self, Answer},
    expect_gemini::gemini,
    expect_responses::responses,
    player::{Cut, play},
    recording::{Recording, Response, recordings},
    replay::{model, request},
};

/// Writes a response as the front of this dialect does.
async fn write(response: ChatResponse, front: Dialect, include_usage: bool) -> String {
    let side = front.front();
    let bytes = match response.into_body() {
        ChatBody::Whole(_, Some(raw)) if raw.dialect == front => raw.bytes.to_vec(),
        ChatBody::Whole(completion, _) => side.render(&completion).to_vec(),
        ChatBody::Stream(mut stream) => {
            let body = match front {
                Dialect::Responses => r#"{"model":"m","input":"x","stream":true}"#.to_owned(),
                _ => format!(
                    r#"{{"model":"m","max_tokens":1,"messages":[{{"role":"user","content":"x"}}],
                    "stream":true,"stream_options":{{"include_usage":{include_usage}}}}}"#
                ),
            };
            let request = side.parse(body.into()).expect("a request");
            let mut encoder = side.encoder(&request);
            let mut out = Vec::new();
            while let Some(chunk) = stream.next().await {
                match chunk {
                    Ok(chunk) => encoder.chunk(&chunk, &mut out),
                    Err(error) => encoder.error(&error, &mut out),
                }
            }
            out
        }
        _ => unreachable!("an answer is whole or a stream"),
    };
    String::from_utf8(bytes).expect("text")
}

/// Reads what was written as a recording of its own.
fn read(recording: &Recording, body: String, front: Dialect) -> Result<Answer, FaultKind> {
    let written = Recording {
        id: recording.id.clone(),
        provider: "front".to_owned(),
        api: String::new(),
        kind: recording.kind.clone(),
        model: None,
        tags: recording.tags.clone(),
        request: crate::recording::Request { body: None },
        response: Response {
            status: 200,
            headers: std::collections::BTreeMap::new(),
            body: Some(body),
            encoding: None,
            socket_error: None,
        },
    };
    match front {
        Dialect::Anthropic => expect::anthropic(&written),
        Dialect::Responses => responses(&written),
        _ => expect::openai(&written),
    }
}

/// What a dialect has no words for, or other ones.
fn as_told(mut answer: Answer, recording_streams: bool, from: Dialect, front: Dialect) -> Answer {
    if front == Dialect::Anthropic && from != front {
        answer.text.push_str(&std::mem::take(&mut answer.refusal));
        answer.usage.get_or_insert_default();
        for (.., arguments) in &mut answer.calls {
            // A tool's input must be an object there, also where a model wrote something else.
            if !recording_streams && !arguments.is_object() {
                *arguments = serde_json::json!({ "arguments": arguments.clone() });
            }
        }
    }
    if front == Dialect::OpenAi && from != front && answer.finish == "pause" {
        answer.finish = "stop".to_owned();
    }
    if front == Dialect::Responses && from != front {
        if recording_streams {
            answer.text.push_str(&std::mem::take(&mut answer.refusal));
        }
        if !answer.id.starts_with("resp_") {
            answer.id.insert_str(0, "resp_");
        }
        if !matches!(
            answer.finish.as_str(),
            "content_filter" | "length" | "tool_calls"
        ) {
            answer.finish = "stop".to_owned();
        }
    }
    answer
}

async fn through(
    from: Dialect,
    apis: &[&str],
    reading: fn(&Recording) -> Result<Answer, FaultKind>,
) {
    let mut wrong = Vec::new();
    let mut told = 0;
    for recording in recordings(apis) {
        let Ok(answer) = reading(&recording) else {
            continue;
        };
        // A caller is told the usage by default in one dialect and on request in the other.
        let include_usage = answer.usage.is_some();
        for front in [Dialect::Anthropic, Dialect::OpenAi, Dialect::Responses] {
            let (address, _sent) = play(&recording, Cut::Whole).await;
            let (request, _) = request(&recording, from);
            let name = request.model().to_owned();
            let service = model(from, address, &name);
            let response = service.oneshot(request).await.expect("an answer");
            let body = write(response, front, include_usage).await;
            let ends_well = !recording.is_streamed()
                || body.trim_end().ends_with("data: [DONE]")
                || body.contains("\"message_stop\"")
                || body.contains("event: response.completed")
                || body.contains("event: response.incomplete");
            let Ok(found) = read(&recording, body.clone(), front) else {
                wrong.push(format!(
                    "{}: not an answer in {front}: {body}",
                    recording.id
                ));
                continue;
            };
            told += 1;
            let Ok(answer) = reading(&recording) else {
                unreachable!("it was an answer before");
            };
            let answer = as_told(answer, recording.is_streamed(), from, front);
            if found != answer || !ends_well {
                wrong.push(format!(
                    "{} in {front}: {found:#?}\nis not\n{answer:#?}\nin {body}",
                    recording.id
                ));
            }
        }
    }
    println!("{from}: {told} answers told, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn openai_answers_are_told_alike_in_every_front() {
    let apis = ["chat.completions"];
    through(Dialect::OpenAi, &apis, expect::openai).await;
}

#[tokio::test]
async fn anthropic_answers_are_told_alike_in_every_front() {
    through(Dialect::Anthropic, &["messages"], expect::anthropic).await;
}

#[tokio::test]
async fn gemini_answers_are_told_alike_in_every_front() {
    let apis = ["generateContent", "streamGenerateContent"];
    through(Dialect::Gemini, &apis, gemini).await;
}

#[tokio::test]
async fn responses_answers_are_told_alike_in_every_front() {
    through(Dialect::Responses, &["responses"], responses).await;
}
