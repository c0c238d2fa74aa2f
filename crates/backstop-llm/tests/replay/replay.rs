//! Each recording as a call.

use backstop_core::FaultKind;
use backstop_llm::{
    Abilities, ChatRequest, Completion, Dialect, Error, FinishReason, Image, Model, Needs, Part,
    Provider, Source,
};
use serde_json::Value;
use tower::ServiceExt as _;

use crate::{
    expect::{self, Answer, arguments},
    expect_gemini::gemini,
    expect_responses::responses,
    player::{Cut, play},
    recording::{Recording, recordings},
    told::assert_same,
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
    let body = recording.request.body.clone().unwrap_or_default();
    if let Ok(request) = dialect.front().parse(body.into()) {
        if request.is_streamed() == recording.is_streamed() {
            return (request, true);
        }
    }
    let name = recording.model.as_deref().unwrap_or("model");
    let request = ChatRequest::new(name).user("Hello");
    let streamed = recording.is_streamed();
    (
        if streamed {
            request.streamed()
        } else {
            request
        },
        false,
    )
}

async fn call(recording: &Recording, dialect: Dialect, cut: Cut) -> Result<Completion, Error> {
    let (address, mut sent) = play(recording, cut).await;
    let (request, recorded) = request(recording, dialect);
    let name = request.model().to_owned();
    let result = model(dialect, address, &name).oneshot(request).await;
    if recorded {
        let sent = sent.recv().await.expect("a request");
        let asked = recording.request.body.as_deref().unwrap_or_default();
        assert_same(&recording.id, &sent, asked);
    }
    result?.completion().await
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

/// Recordings that mean something else to us than a simple reading says, and why.
const EXCEPTIONS: &[(&str, FaultKind, &str)] = &[];

async fn replay(
    dialect: Dialect,
    apis: &[&str],
    read: fn(&Recording) -> Result<Answer, FaultKind>,
) {
    let mut replayed = 0;
    let mut wrong = Vec::new();
    for recording in recordings(apis) {
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
            let result = call(&recording, dialect, cut).await;
            let exception = EXCEPTIONS.iter().find(|(id, ..)| *id == recording.id);
            let problem = match (result, read(&recording), exception) {
                (Err(error), _, Some((_, kind, reason))) if error.fault().kind() == *kind => {
                    println!("exception: {}: {reason}", recording.id);
                    None
                }
                (Ok(completion), Ok(answer), _) => {
                    let found = found(completion);
                    (found != answer).then(|| format!("{found:#?}\nis not\n{answer:#?}"))
                }
                (Err(error), Err(kind), _) => (error.fault().kind() != kind)
                    .then(|| format!("{error} is {}, not {kind}", error.fault().kind())),
                (Ok(completion), Err(kind), _) => {
                    Some(format!("{completion:?} and not an error: {kind}"))
                }
                (Err(error), Ok(answer), _) => Some(format!("{error:?} and not {answer:?}")),
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
    let apis = ["chat.completions", "completions", "health", "unknown-path"];
    replay(Dialect::OpenAi, &apis, expect::openai).await;
}

#[tokio::test]
async fn anthropic_recordings_mean_what_they_say() {
    let apis = ["messages", "rawPredict"];
    replay(Dialect::Anthropic, &apis, expect::anthropic).await;
}

#[tokio::test]
async fn gemini_recordings_mean_what_they_say() {
    let apis = ["generateContent", "streamGenerateContent"];
    replay(Dialect::Gemini, &apis, gemini).await;
}

#[tokio::test]
async fn responses_recordings_mean_what_they_say() {
    replay(Dialect::Responses, &["responses"], responses).await;
}

/// Interfaces whose recordings are not replayed, and why.
const NOT_SPOKEN: &[(&str, &str)] = &[
    (
        "countTokens",
        "counts are estimated here, without asking the provider",
    ),
    (
        "count_tokens",
        "counts are estimated here, without asking the provider",
    ),
    (
        "models",
        "the models offered are those configured, and no provider is asked for its own",
    ),
    (
        "ollama.chat",
        "Ollama is spoken to by its OpenAI-compatible interface",
    ),
];

#[test]
fn every_recording_is_replayed_or_of_an_interface_that_is_not_spoken() {
    let spoken = [
        "chat.completions",
        "completions",
        "generateContent",
        "health",
        "messages",
        "rawPredict",
        "responses",
        "streamGenerateContent",
        "unknown-path",
    ];
    let apis: Vec<&str> = NOT_SPOKEN
        .iter()
        .map(|(api, _)| *api)
        .chain(spoken)
        .collect();
    for recording in recordings(&[]) {
        let api = recording.api.as_str();
        assert!(
            apis.contains(&api),
            "{}: unknown interface {api}",
            recording.id
        );
    }
    for (api, reason) in NOT_SPOKEN {
        let count = recordings(&[api]).len();
        println!("not replayed: {count} recordings of {api}: {reason}");
    }
}
