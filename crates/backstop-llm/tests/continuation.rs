//! Streams that break off and are continued.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use backstop_core::{Attempt, Elapsed, Fault, FaultKind, Limit, ServedBy, Stamp, Trail};
use backstop_llm::{
    ChatBody, ChatRequest, ChatResponse, ChatStream, Chunk, Collector, ContinueLayer, Error, Event,
    FinishReason, Reasoning, ResponseFormat, Usage,
};
use tower::{Layer, Service, ServiceExt as _, service_fn};

type Item = Result<Chunk, Error>;
type Asked = Arc<Mutex<Vec<ChatRequest>>>;

fn start(id: &str) -> Item {
    event(Event::Start {
        id: id.to_owned(),
        model: format!("model-{id}"),
        created: None,
    })
}

fn text(delta: &str) -> Item {
    event(Event::Text {
        choice: 0,
        delta: delta.to_owned(),
    })
}

fn finish() -> [Item; 2] {
    let reason = FinishReason::Stop;
    let finish = Event::Finish {
        choice: 0,
        reason,
        stop_sequence: None,
    };
    [event(finish), event(Event::End)]
}

fn usage(input: u64, output: u64) -> Item {
    event(Event::Usage(Usage::new(input, output)))
}

fn event(event: Event) -> Item {
    Ok(Chunk::new(vec![event]))
}

fn cut() -> Item {
    Err(Error::new(FaultKind::Interrupted, "cut"))
}

/// A response by `name`.
fn answer(name: &str, items: Vec<Item>) -> Result<ChatResponse, Error> {
    let stream = ChatStream::new(futures_util::stream::iter(items));
    let mut response = ChatResponse::stream(name, stream);
    response.stamp(ServedBy::new(name.into()));
    Ok(response)
}

/// A stack that answers each call with the next of `answers`, and what it was asked.
fn stack(
    answers: Vec<Result<ChatResponse, Error>>,
) -> (
    impl Service<ChatRequest, Response = ChatResponse, Error = Error, Future: Send> + Clone,
    Asked,
) {
    let asked = Asked::default();
    let answers = Arc::new(Mutex::new(answers.into_iter()));
    let seen = Arc::clone(&asked);
    let inner = service_fn(move |request: ChatRequest| {
        seen.lock().expect("no panic").push(request);
        let answer = answers
            .lock()
            .expect("no panic")
            .next()
            .expect("one answer more");
        async move { answer }
    });
    (ContinueLayer::new().layer(inner), asked)
}

fn request() -> ChatRequest {
    ChatRequest::new("m").user("Tell me.").streamed()
}

/// What a caller gets: the answer, who served it in the end, and the error that ended it.
async fn read(response: ChatResponse) -> (Collector, Option<String>, Option<Error>) {
    let mut collector = Collector::new();
    let mut served = response.served_by().map(ToString::to_string);
    let ChatBody::Stream(mut stream) = response.into_body() else {
        panic!("not a stream");
    };
    while let Some(item) = stream.next().await {
        match item {
            Ok(chunk) => {
                served = chunk.served.map(|s| s.to_string()).or(served);
                chunk.events.into_iter().for_each(|e| collector.push(e));
            }
            Err(error) => {
                assert!(stream.next().await.is_none(), "nothing follows an error");
                return (collector, served, Some(error));
            }
        }
    }
    (collector, served, None)
}

#[tokio::test]
async fn goes_on_where_the_text_broke_off() {
    let mut rest = vec![
        start("b"),
        text("quick brown fox"),
        text(" jumps"),
        usage(14, 4),
    ];
    rest.extend(finish());
    let (service, asked) = stack(vec![
        answer(
            "a",
            vec![
                start("a"),
                usage(10, 1),
                text("The quick"),
                text(" brown fox"),
                cut(),
            ],
        ),
        answer("b", rest),
    ]);
    let response = service.oneshot(request().max_tokens(100)).await.unwrap();
    let (collector, served, error) = read(response).await;
    assert!(error.is_none(), "{error:?}");
    assert_eq!(collector.text(), "The quick brown fox jumps");
    assert_eq!(served.as_deref(), Some("a, b"));
    let completion = collector.finish();
    assert_eq!(completion.id, "a", "the id stays");
    assert_eq!(
        completion.usage,
        Some(Usage::new(24, 9)),
        "both are counted"
    );
    let asked = asked.lock().unwrap();
    assert!(asked[1].avoids("a"));
    let resume = asked[1].resume().unwrap();
    assert_eq!(resume.partial, "The quick brown fox");
    assert_eq!(resume.max_tokens, Some(95));
}

#[tokio::test]
async fn a_stall_is_gone_on_with_too() {
    let stall = Elapsed::new(Limit::Idle, Duration::from_secs(30));
    let mut rest = vec![start("b"), text(" there")];
    rest.extend(finish());
    let (service, _) = stack(vec![
        answer("a", vec![start("a"), text("Hello"), Err(stall.into())]),
        answer("b", rest),
    ]);
    let (collector, ..) = read(service.oneshot(request()).await.unwrap()).await;
    assert_eq!(collector.text(), "Hello there");
}

#[tokio::test]
async fn a_refusal_to_go_on_does_not_hide_why_the_answer_broke_off() {
    let refusal = Error::new(
        Fault::new(FaultKind::Invalid).with_status(400),
        "no prefill",
    );
    let (service, _) = stack(vec![
        answer("a", vec![start("a"), usage(10, 1), text("Hello"), cut()]),
        Err(refusal),
    ]);
    let (collector, _, error) = read(service.oneshot(request()).await.unwrap()).await;
    let error = error.expect("the error that broke the stream");
    assert_eq!(error.fault().kind(), FaultKind::Interrupted);
    assert_eq!(error.message(), "cut");
    assert_eq!(error.usage(), Some(Usage::new(10, 2)), "partial usage");
    assert_eq!(error.trail().unwrap().attempts().len(), 1);
    assert!(!collector.is_finished());
}

#[tokio::test]
async fn what_was_left_off_the_trails_of_both_parts_is_added_up() {
    let by = |name: &str, attempts: u32, items| {
        let mut response = answer(name, items).unwrap();
        let stamp = response.served_by_mut().expect("a stamp");
        for number in 1..=attempts {
            let attempt = Attempt::new(number, Fault::new(FaultKind::Connect));
            stamp.trail.push(attempt.on("down".into()));
        }
        Ok(response)
    };
    let limit = Trail::LIMIT as u32;
    let mut rest = vec![start("b"), text(" there")];
    rest.extend(finish());
    let (service, _) = stack(vec![
        by("a", limit + 3, vec![start("a"), text("Hello"), cut()]),
        by("b", limit + 5, rest),
    ]);
    let response = service.oneshot(request()).await.unwrap();
    let ChatBody::Stream(mut stream) = response.into_body() else {
        panic!("not a stream");
    };
    let mut served = None;
    while let Some(chunk) = stream.next().await {
        served = chunk.unwrap().served.or(served);
    }
    let trail = served.expect("who goes on is told").trail;
    assert_eq!(trail.attempts().len(), Trail::LIMIT);
    // Three of the first part, the one that broke off, and all of the second part.
    assert_eq!(trail.omitted(), 3 + 1 + limit + 5);
}

#[tokio::test]
async fn what_is_no_plain_text_is_never_continued() {
    let call = |index| {
        event(Event::ToolCall {
            choice: 0,
            index,
            id: "1".to_owned(),
            name: "f".to_owned(),
        })
    };
    let thought = event(Event::Thinking {
        choice: 0,
        delta: "hm".to_owned(),
    });
    let [stop, _] = finish();
    let cases = [
        vec![start("a"), text("Let me see."), call(0), cut()],
        vec![start("a"), thought, text("So"), cut()],
        vec![start("a"), text("All of it"), stop, cut()],
        vec![start("a"), text("  "), cut()],
    ];
    for items in cases {
        let (service, asked) = stack(vec![answer("a", items)]);
        let (.., error) = read(service.oneshot(request()).await.unwrap()).await;
        assert_eq!(
            error.expect("an error").fault().kind(),
            FaultKind::Interrupted
        );
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn a_request_for_json_or_one_that_refuses_is_never_continued() {
    let mut json = request();
    json.chat_mut().format = ResponseFormat::Json;
    for request in [json, request().refusing_continuation()] {
        let (service, asked) = stack(vec![answer("a", vec![start("a"), text("{"), cut()])]);
        let (.., error) = read(service.oneshot(request).await.unwrap()).await;
        assert!(error.is_some());
        assert_eq!(asked.lock().unwrap().len(), 1);
    }
}

#[tokio::test]
async fn an_answer_is_continued_unless_the_model_may_think() {
    for (effort, asks) in [("none", 2), ("low", 1)] {
        let mut request = request();
        request.chat_mut().reasoning = Some(Reasoning {
            effort: Some(effort.to_owned()),
            ..Reasoning::default()
        });
        let mut rest = vec![start("b"), text(" there")];
        rest.extend(finish());
        let begun = vec![start("a"), text("Hello"), cut()];
        let (service, asked) = stack(vec![answer("a", begun), answer("b", rest)]);
        read(service.oneshot(request).await.unwrap()).await;
        assert_eq!(asked.lock().unwrap().len(), asks, "{effort}");
    }
}

#[tokio::test]
async fn an_answer_is_continued_so_often_and_no_more() {
    let broken = |name: &str| answer(name, vec![start(name), text(name), cut()]);
    let (service, asked) = stack(vec![broken("a"), broken("b"), broken("c")]);
    let (collector, served, error) = read(service.oneshot(request()).await.unwrap()).await;
    assert_eq!(collector.text(), "abc");
    assert_eq!(served.as_deref(), Some("a, b, c"));
    assert!(error.is_some());
    assert_eq!(asked.lock().unwrap().len(), 3);
}

#[tokio::test]
async fn an_answer_that_does_not_break_is_passed_on_as_it_is() {
    let mut items = vec![start("a"), text("one"), usage(5, 1)];
    items.extend(finish());
    let (service, asked) = stack(vec![answer("a", items)]);
    let (collector, served, error) = read(service.oneshot(request()).await.unwrap()).await;
    assert_eq!(collector.finish().usage, Some(Usage::new(5, 1)));
    assert_eq!(served.as_deref(), Some("a"));
    assert!(error.is_none() && asked.lock().unwrap().len() == 1);
}
