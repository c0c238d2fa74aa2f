//! Each recorded answer as a caller reads it, through every front, in the caller's own dialect.

use backstop_core::FaultKind;
use backstop_llm::{ChatBody, ChatResponse, Dialect};
use tower::ServiceExt as _;

use crate::{
    expect::{self, Answer},
    expect_gemini::gemini,
    expect_responses::responses,
    player::{Cut, play},
    recording::{Recording, recordings},
    replay::{model, request},
    told::{as_told, ends_well, read},
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
            if found != answer || !ends_well(&recording, &body) {
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
