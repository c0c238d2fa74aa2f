//! Each recording as a call.

use std::collections::BTreeMap;

use backstop_llm::{
    Abilities, ChatRequest, Completion, Dialect, Error, FinishReason, Image, Model, Needs, Part,
    Provider, Source,
};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{
    expect::{self, Answer, arguments},
    player::{Cut, play},
    recording::{Recording, recordings},
    told::is_same,
};

/// A model of the player that is able to do everything.
pub(crate) fn model(dialect: Dialect, address: std::net::SocketAddr, name: &str) -> Model {
    let provider = Provider::builder(dialect)
        .base_url(format!("http://{address}"))
        .api_key("key")
        .build()
        .expect("a provider");
    let mut abilities = Abilities::of(dialect, name);
    abilities.can = Needs::ALL;
    abilities.max_temperature = 1000;
    abilities.context_window = None;
    abilities.max_output = None;
    provider.model(name).abilities(abilities)
}

/// The recorded request, or one to the same effect where it is of an interface that we don't
/// speak.
pub(crate) fn request(recording: &Recording, dialect: Dialect) -> (ChatRequest, bool) {
    let streamed = recording.is_streamed();
    if let Ok(request) = dialect.front().parse(recording.asked().to_owned().into()) {
        if request.is_streamed() == streamed {
            return (request, true);
        }
    }
    let request = ChatRequest::new(recording.model()).user("Hello");
    (
        if streamed {
            request.streamed()
        } else {
            request
        },
        false,
    )
}

/// What comes of asking the service, and what was wrong with how it asked its provider.
async fn call(
    recording: &Recording,
    dialect: Dialect,
    cut: Cut,
) -> (Result<Completion, Error>, Result<(), String>) {
    let (address, mut sent) = play(recording, cut).await;
    let (request, recorded) = request(recording, dialect);
    let name = request.model().to_owned();
    let result = model(dialect, address, &name).oneshot(request).await;
    let asked = match sent.try_recv() {
        Ok(sent) if recorded => is_same(&sent, recording.asked()),
        Ok(_) => Ok(()),
        Err(_) => Err("the provider was not asked".to_owned()),
    };
    let result = match result {
        Ok(response) => response.completion().await,
        Err(error) => Err(error),
    };
    (result, asked)
}

/// What the service made of the recording, in the same words as what is expected.
fn found(completion: Completion) -> Answer {
    let mut answer = Answer {
        id: completion.id,
        model: completion.model,
        usage: completion
            .usage
            .map(|usage| (usage.input, usage.cached, usage.output, usage.reasoning)),
        ..Answer::default()
    };
    let Some(choice) = completion.choices.into_iter().next() else {
        return answer;
    };
    answer.finish = match choice.finish {
        FinishReason::Other(word) => word,
        known => known.as_str().to_owned(),
    };
    for part in choice.content {
        match part {
            Part::Text { text, citations } => {
                answer.text.push_str(&text);
                answer
                    .sources
                    .extend(citations.into_iter().filter_map(|it| it.url));
            }
            Part::Image(Image {
                source: Source::Base64 { data, .. },
                ..
            }) => answer.pictures.push(data),
            Part::Thinking(thinking) => answer.thought.push_str(&thinking.text),
            Part::Refusal(refusal) => answer.refusal.push_str(&refusal),
            Part::ToolCall(call) => answer.calls.push((
                call.name,
                call.id,
                arguments(&Value::String(call.arguments)),
            )),
            _ => {}
        }
    }
    answer
}

async fn replay(dialect: Dialect) {
    let mut replayed = 0;
    let mut wrong = Vec::new();
    let of_dialect = |recording: &Recording| recording.spoken() == Ok(dialect);
    for recording in recordings().into_iter().filter(of_dialect) {
        let expected = expect::read(&recording, dialect);
        let cuts = [
            Cut::Whole,
            Cut::Every(7),
            Cut::Every(1),
            Cut::BeforeLineFeeds,
        ];
        for cut in cuts {
            if matches!(cut, Cut::Every(n) if recording.body().len() > n * 2000) {
                continue;
            }
            replayed += 1;
            let (result, asked) = call(&recording, dialect, cut).await;
            let problem = match (result, &expected) {
                _ if asked.is_err() => asked.err(),
                (Ok(completion), Ok(answer)) => {
                    let found = found(completion);
                    (found != *answer).then(|| format!("{found:#?}\nis not\n{answer:#?}"))
                }
                (Err(error), Err(kind)) => (error.fault().kind() != *kind)
                    .then(|| format!("{error} is {}, not {kind}", error.fault().kind())),
                (Ok(completion), Err(kind)) => {
                    Some(format!("{completion:?} and not an error: {kind}"))
                }
                (Err(error), Ok(answer)) => Some(format!("{error:?} and not {answer:?}")),
            };
            if let Some(problem) = problem {
                wrong.push(format!(
                    "{} ({}, {cut:?}): {problem}",
                    recording.id, recording.provider
                ));
                break;
            }
        }
    }
    println!("{dialect}: {replayed} replays, {} wrong", wrong.len());
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}

#[tokio::test]
async fn openai_recordings_mean_what_they_say() {
    replay(Dialect::OpenAi).await;
}

#[tokio::test]
async fn anthropic_recordings_mean_what_they_say() {
    replay(Dialect::Anthropic).await;
}

#[tokio::test]
async fn gemini_recordings_mean_what_they_say() {
    replay(Dialect::Gemini).await;
}

#[tokio::test]
async fn responses_recordings_mean_what_they_say() {
    replay(Dialect::Responses).await;
}

#[test]
fn every_recording_is_replayed_or_it_is_told_why_not() {
    let mut told = BTreeMap::new();
    for recording in recordings() {
        let how = match recording.spoken() {
            Ok(dialect) => format!("replayed as {dialect}"),
            Err(reason) => format!("not replayed: {reason}"),
        };
        *told.entry(how).or_insert(0) += 1;
    }
    for (how, count) in told {
        println!("{count} recordings {how}");
    }
}
