//! Each recorded answer as a caller reads it, through every front, in the caller's own dialect.

use backstop_llm::{ChatBody, ChatResponse, Dialect};
use tower::ServiceExt as _;

use crate::{
    expect,
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

async fn through(from: Dialect) {
    let mut wrong = Vec::new();
    let mut told = 0;
    let of_dialect = |recording: &Recording| recording.spoken() == Ok(from);
    for recording in recordings().into_iter().filter(of_dialect) {
        let Ok(answer) = expect::read(&recording, from) else {
            continue;
        };
        // A caller is told the usage by default in one dialect and on request in the other.
        let include_usage = answer.usage.is_some();
        for front in [Dialect::Anthropic, Dialect::OpenAi, Dialect::Responses] {
            let (address, _sent) = play(&recording, Cut::Whole).await;
            let (request, _) = request(&recording, from);
            let name = request.model().to_owned();
            let service = model(from, address, &name);
            let response = match service.oneshot(request).await {
                Ok(response) => response,
                Err(error) => {
                    wrong.push(format!("{}: {error}", recording.id));
                    continue;
                }
            };
            let body = write(response, front, include_usage).await;
            let Ok(found) = read(&recording, body.clone(), front) else {
                wrong.push(format!(
                    "{}: not an answer in {front}: {body}",
                    recording.id
                ));
                continue;
            };
            told += 1;
            let answer = as_told(answer.clone(), recording.is_streamed(), from, front);
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
    through(Dialect::OpenAi).await;
}

#[tokio::test]
async fn anthropic_answers_are_told_alike_in_every_front() {
    through(Dialect::Anthropic).await;
}

#[tokio::test]
async fn gemini_answers_are_told_alike_in_every_front() {
    through(Dialect::Gemini).await;
}

#[tokio::test]
async fn responses_answers_are_told_alike_in_every_front() {
    through(Dialect::Responses).await;
}
