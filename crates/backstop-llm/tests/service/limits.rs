//! What is not sent, what is let go, and what is held back.

use std::{error::Error as _, io, time::Duration};

use backstop_core::FaultKind;
use backstop_llm::{
    Abilities, ChatBody, ChatRequest, Commit, Dialect, Event, Image, Message, Need, Needs, Part,
    Role, Source,
};
use tower::ServiceExt as _;

use super::server::{
    Seen, Step, WHOLE, chunk, hello, json, model, provider, serve, stream, within,
};

fn picture() -> ChatRequest {
    let image = Part::Image(Image {
        source: Source::Url("https://example.com/a.png".to_owned()),
        detail: None,
    });
    hello().message(Message::new(Role::User, vec![image]))
}

#[tokio::test]
async fn what_a_model_cannot_do_is_refused_without_a_call() {
    let (address, mut seen) = serve(json(200, WHOLE)).await;
    let service = model(Dialect::OpenAi, address);
    let abilities = service.get_abilities().without(Need::Images);
    let service = service.abilities(abilities);
    let error = service.clone().oneshot(picture()).await.unwrap_err();
    assert_eq!(error.fault().kind(), FaultKind::Refused);
    assert_eq!(error.fault().reason(), Some("does not take images"));
    assert!(seen.try_recv().is_err(), "nothing was sent");

    let service = service.allow_loss(Needs::of(&[Need::Images]));
    within(service.oneshot(picture())).await.unwrap();
    let Some(Seen::Request { body, .. }) = seen.recv().await else {
        panic!("nothing was sent");
    };
    assert!(!body.contains("example.com"), "{body}");
}

#[tokio::test]
async fn what_does_not_fit_is_too_large_without_a_call() {
    let (address, mut seen) = serve(json(200, WHOLE)).await;
    let service = model(Dialect::OpenAi, address);
    let abilities = service.get_abilities().with_context_window(1000);
    let request = hello().user("word ".repeat(1000));
    let error = service
        .abilities(abilities)
        .oneshot(request)
        .await
        .unwrap_err();
    assert_eq!(error.fault().kind(), FaultKind::TooLarge);
    assert_eq!(error.caller_status(), 400);
    assert!(seen.try_recv().is_err(), "nothing was sent");
}

#[tokio::test]
async fn who_is_to_be_avoided_refuses() {
    let (address, mut seen) = serve(json(200, WHOLE)).await;
    let service = model(Dialect::OpenAi, address);
    let request = hello().avoiding(service.name().clone());
    let error = service.oneshot(request).await.unwrap_err();
    assert_eq!(error.fault().kind(), FaultKind::Refused);
    assert!(seen.try_recv().is_err(), "nothing was sent");
}

#[tokio::test]
async fn a_provider_that_is_not_there_is_a_fault_of_connection() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = within(model(Dialect::OpenAi, address).oneshot(hello()))
        .await
        .unwrap_err();
    assert_eq!(error.fault().kind(), FaultKind::Connect);
    let mut cause = error.source().expect("a cause");
    while let Some(further) = cause.source() {
        cause = further;
    }
    let refused = cause.downcast_ref::<io::Error>().expect("the system's");
    assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
    assert!(!error.to_string().contains("127.0.0.1"));
}

#[tokio::test]
async fn dropping_a_call_or_its_stream_breaks_the_connection() {
    let hang = vec![Step::Hang];
    let (address, mut seen) = serve(hang).await;
    let service = model(Dialect::OpenAi, address);
    let call = service.clone().oneshot(hello());
    tokio::select! {
        _ = call => panic!("the server does not answer"),
        request = within(seen.recv()) => assert!(matches!(request, Some(Seen::Request { .. }))),
    }
    assert_eq!(within(seen.recv()).await, Some(Seen::Waiting));
    assert_eq!(within(seen.recv()).await, Some(Seen::Left));

    let mut steps = stream(&[&chunk(r#"{"content":"Hi"}"#, "null")]);
    steps.push(Step::Hang);
    let (address, mut seen) = serve(steps).await;
    let service = model(Dialect::OpenAi, address);
    let call = service.clone().oneshot(hello().streamed());
    let response = within(call).await.unwrap();
    assert!(matches!(seen.recv().await, Some(Seen::Request { .. })));
    assert_eq!(within(seen.recv()).await, Some(Seen::Waiting));
    drop(response);
    assert_eq!(within(seen.recv()).await, Some(Seen::Left));
}

#[tokio::test]
async fn a_slow_caller_slows_the_provider_down() {
    let big = "x".repeat(64 * 1024);
    let piece = chunk(&format!(r#"{{"content":"{big}"}}"#), "null");
    let mut steps = stream(&vec![&*piece; 2000]);
    steps.push(Step::Hang);
    let (address, mut seen) = serve(steps).await;
    let service = model(Dialect::OpenAi, address);
    let response = within(service.oneshot(hello().streamed())).await.unwrap();
    let _request = seen.recv().await;
    // It has 125 MiB to send and nobody reads: it never comes to the end of it.
    let sent = tokio::time::timeout(Duration::from_millis(200), seen.recv()).await;
    assert!(
        sent.is_err(),
        "all was taken although nobody read: {sent:?}"
    );
    drop(response);
    assert_eq!(within(seen.recv()).await, Some(Seen::Left));
}

#[tokio::test]
async fn the_commit_point_can_be_set() {
    let role = chunk(r#"{"role":"assistant"}"#, "null");
    let text = chunk(r#"{"content":"four"}"#, "null");
    let cases = [
        (Commit::AtOnce, vec![], true),
        (Commit::FirstContent, vec![&*role], false),
        (Commit::FirstContent, vec![&*role, &text], true),
        (Commit::Characters(5), vec![&*text], false),
        (Commit::Characters(5), vec![&*text, &text], true),
        (Commit::Held(Duration::from_millis(1)), vec![&*role], false),
        (Commit::Held(Duration::from_millis(1)), vec![&*text], true),
        (Commit::Held(Duration::from_secs(3600)), vec![&*text], false),
    ];
    for (commit, events, resolves) in cases {
        let mut steps = stream(&events);
        // Something that is no content, so that the body can be seen to have begun.
        steps.insert(1, Step::Body(": here\n\n".to_owned()));
        steps.push(if resolves { Step::Hang } else { Step::Cut });
        let (address, _seen) = serve(steps).await;
        let service = model(Dialect::OpenAi, address).commit(commit);
        let result = within(service.oneshot(hello().streamed())).await;
        assert_eq!(result.is_ok(), resolves, "{commit:?} {events:?} {result:?}");
    }
}

#[tokio::test]
async fn an_answer_or_an_event_that_is_too_large_is_refused() {
    let long = "x".repeat(5000);
    let body = WHOLE.replace("Hi", &long);
    let (address, _seen) = serve(json(200, &body)).await;
    let small = |address| {
        backstop_llm::Provider::builder(Dialect::OpenAi)
            .base_url(format!("http://{address}"))
            .max_answer(1000)
            .max_event(1000)
            .build()
            .expect("a provider")
            .model("m")
    };
    let error = within(small(address).oneshot(hello())).await.unwrap_err();
    assert_eq!(error.fault().kind(), FaultKind::Malformed);

    let mut steps = stream(&[&chunk(&format!(r#"{{"content":"{long}"}}"#), "null")]);
    steps.push(Step::Hang);
    let (address, _seen) = serve(steps).await;
    let error = within(small(address).oneshot(hello().streamed()))
        .await
        .unwrap_err();
    assert_eq!(error.fault().kind(), FaultKind::Malformed);
}

#[tokio::test]
async fn a_key_is_never_printed() {
    let (address, _seen) = serve(json(200, WHOLE)).await;
    let provider = provider(Dialect::OpenAi, address);
    let printed = format!("{provider:?} {:?}", provider.model("m"));
    assert!(!printed.contains("sk-secret"), "{printed}");
    let builder = backstop_llm::Provider::builder(Dialect::OpenAi)
        .api_key("sk-secret")
        .header("x-key", "sk-secret")
        .query("key", "sk-secret");
    assert!(!format!("{builder:?}").contains("sk-secret"));
    let error = builder.header("bad", "sk-secret\n").build().unwrap_err();
    let told = format!("{error} {error:?} {:?}", error.source());
    assert!(!told.contains("sk-secret"), "{told}");
}

#[test]
fn a_family_of_models_is_known_by_its_name() {
    let of = |dialect, model| Abilities::of(dialect, model);
    let newer = of(Dialect::Anthropic, "claude-opus-4-8");
    assert!(!newer.can.contains(Need::Prefill) && !newer.can.contains(Need::Temperature));
    let older = of(Dialect::Anthropic, "claude-3-haiku-20240307");
    assert!(older.can.contains(Need::Prefill) && older.can.contains(Need::Images));
    assert_eq!(older.max_output, Some(4096));
    assert!(
        !of(Dialect::OpenAi, "gpt-5.5")
            .can
            .contains(Need::Temperature)
    );
    assert!(
        of(Dialect::OpenAi, "openai/gpt-4o")
            .can
            .contains(Need::Images)
    );
    assert!(
        of(Dialect::OpenAi, "Qwen/Qwen3-8B")
            .can
            .contains(Need::TopK)
    );
}

#[tokio::test]
async fn nothing_is_read_ahead_of_the_caller() {
    let events: Vec<_> = (0..3)
        .map(|n| chunk(&format!(r#"{{"content":"{n}"}}"#), "null"))
        .collect();
    let mut steps = stream(&events.iter().map(|e| &**e).collect::<Vec<_>>());
    steps.push(Step::Cut);
    let (address, _seen) = serve(steps).await;
    let service = model(Dialect::OpenAi, address);
    let response = within(service.oneshot(hello().streamed())).await.unwrap();
    let ChatBody::Stream(mut stream) = response.into_body() else {
        panic!("not a stream");
    };
    // What came together may be told together, but none of it together with the break.
    let mut said = String::new();
    while said.len() < 3 {
        for event in within(stream.next()).await.unwrap().unwrap().events {
            match event {
                Event::Text { delta, .. } => said.push_str(&delta),
                other => assert!(!other.is_content(), "{other:?}"),
            }
        }
    }
    assert_eq!(said, "012");
    assert!(within(stream.next()).await.unwrap().is_err());
    assert!(within(stream.next()).await.is_none());
}
