//! What is an answer, and what kind of failure is none.

use backstop_core::FaultKind;
use backstop_llm::{ChatBody, ChatRequest, Dialect, Event, Provider};
use tower::ServiceExt as _;

use super::server::{Step, WHOLE, call, chunk, hello, json, serve, stream, within};

fn asked(streamed: bool) -> ChatRequest {
    if streamed {
        hello().streamed()
    } else {
        hello()
    }
}

async fn fails(dialect: Dialect, streamed: bool, steps: Vec<Step>) -> FaultKind {
    let error = call(dialect, asked(streamed), steps)
        .await
        .expect_err("no answer");
    assert_eq!(
        error.provider().map(|n| &**n),
        Some(&*format!("{dialect}:model"))
    );
    error.fault().kind()
}

#[tokio::test]
async fn what_is_no_answer_is_malformed_plain_and_streamed() {
    let page = "<!DOCTYPE html><html><body>Sign in</body></html>";
    let html = vec![
        Step::Head(200, "content-type: text/html\r\n"),
        Step::Body(page.to_owned()),
        Step::End,
    ];
    let empty = vec![Step::Head(200, ""), Step::End];
    let cut = vec![
        Step::Head(200, ""),
        Step::Body("{\"id\":".to_owned()),
        Step::Cut,
    ];
    for dialect in Dialect::ALL {
        for streamed in [false, true] {
            for steps in [&html, &empty, &cut, &json(200, "{}"), &json(200, "[1, 2]")] {
                let kind = fails(dialect, streamed, steps.clone()).await;
                assert_eq!(kind, FaultKind::Malformed, "{dialect} {streamed} {steps:?}");
            }
        }
    }
}

#[tokio::test]
async fn an_error_under_a_good_status_is_the_error_that_it_is() {
    let body = r#"{"error":{"message":"Rate limit reached","type":"requests","code":429}}"#;
    for streamed in [false, true] {
        let kind = fails(Dialect::OpenAi, streamed, json(200, body)).await;
        assert_eq!(kind, FaultKind::RateLimited);
    }
    let body = r#"{"type":"error","error":{"type":"overloaded_error","message":"Overloaded"}}"#;
    for streamed in [false, true] {
        let kind = fails(Dialect::Anthropic, streamed, json(200, body)).await;
        assert_eq!(kind, FaultKind::Overloaded);
    }
}

#[tokio::test]
async fn an_answer_with_nothing_in_it_and_nothing_billed_is_malformed() {
    let body = r#"{"choices":[{"index":0,"message":{"content":""},"finish_reason":"stop"}]}"#;
    let kind = fails(Dialect::OpenAi, false, json(200, body)).await;
    assert_eq!(kind, FaultKind::Malformed);
    let mut steps = stream(&[&chunk("{}", "\"stop\""), "data: [DONE]"]);
    steps.push(Step::End);
    assert_eq!(
        fails(Dialect::OpenAi, true, steps).await,
        FaultKind::Malformed
    );
}

#[tokio::test]
async fn a_filtered_answer_is_an_answer_that_says_so() {
    let body = r#"{"choices":[{"index":0,"finish_reason":"content_filter"}]}"#;
    let response = call(Dialect::OpenAi, hello(), json(200, body))
        .await
        .unwrap();
    let completion = response.completion().await.unwrap();
    assert_eq!(completion.choices[0].finish.as_str(), "content_filter");
}

#[tokio::test]
async fn a_stream_that_fails_before_its_first_content_is_an_ordinary_failure() {
    let role = chunk(r#"{"role":"assistant","content":""}"#, "null");
    let error = r#"data: {"error":{"message":"The model is overloaded"}}"#;
    for (events, last, kind) in [
        (vec![&*role], Step::Cut, FaultKind::Malformed),
        (vec![": ping", &role], Step::End, FaultKind::Malformed),
        (
            vec![&*role, "data: [DONE]"],
            Step::End,
            FaultKind::Malformed,
        ),
        (vec![error], Step::End, FaultKind::Overloaded),
        (vec![&*role, error], Step::End, FaultKind::Overloaded),
        (vec!["data: not json"], Step::End, FaultKind::Malformed),
    ] {
        let mut steps = stream(&events);
        steps.push(last);
        assert_eq!(
            fails(Dialect::OpenAi, true, steps).await,
            kind,
            "{events:?}"
        );
    }
}

#[tokio::test]
async fn a_stream_that_fails_after_its_first_content_is_interrupted() {
    let text = chunk(r#"{"content":"Hi"}"#, "null");
    let error = r#"data: {"error":{"message":"boom","type":"server_error"}}"#;
    for (events, last) in [
        (vec![&*text], Step::Cut),
        (vec![&*text], Step::End),
        (vec![&*text, "data: [DONE]"], Step::End),
        (vec![&*text, error], Step::End),
        (vec![&*text, error, "data: [DONE]"], Step::End),
        (vec![&*text, "data: {"], Step::End),
    ] {
        let mut steps = stream(&events);
        steps.push(last);
        let response = call(Dialect::OpenAi, hello().streamed(), steps)
            .await
            .unwrap();
        let error = response.completion().await.expect_err("an interruption");
        assert_eq!(error.fault().kind(), FaultKind::Interrupted, "{events:?}");
    }
}

#[tokio::test]
async fn what_came_before_the_commit_point_is_told_first_and_byte_for_byte() {
    let events = [
        ": ping".to_owned(),
        chunk(r#"{"role":"assistant","content":""}"#, "null"),
        chunk(r#"{"content":"Hi"}"#, "null"),
        chunk("{}", "\"stop\""),
        "data: [DONE]".to_owned(),
    ];
    let mut steps = stream(&events.each_ref().map(|e| &**e));
    steps.push(Step::End);
    let response = call(Dialect::OpenAi, hello().streamed(), steps)
        .await
        .unwrap();
    assert_eq!(&**response.model(), "m");
    let ChatBody::Stream(mut stream) = response.into_body() else {
        panic!("not a stream");
    };
    let (mut raw, mut told) = (String::new(), Vec::new());
    while let Some(chunk) = stream.next().await {
        let chunk = chunk.unwrap();
        raw.push_str(std::str::from_utf8(&chunk.raw.unwrap().bytes).unwrap());
        told.extend(chunk.events);
    }
    assert_eq!(raw, events.join("\n\n") + "\n\n");
    assert_eq!(told.first(), Some(&Event::Ping));
    assert_eq!(told.last(), Some(&Event::End));
}

#[tokio::test]
async fn a_whole_answer_to_a_request_for_a_stream_is_made_one() {
    let response = call(Dialect::OpenAi, hello().streamed(), json(200, WHOLE))
        .await
        .unwrap();
    assert!(response.is_stream());
    assert_eq!(response.text().await.unwrap(), "Hi");
}

#[tokio::test]
async fn an_error_tells_when_to_come_back_and_its_id() {
    let steps = vec![
        Step::Head(
            429,
            "retry-after: 7\r\nrequest-id: req_1\r\nx-should-retry: true\r\n",
        ),
        Step::Body(
            r#"{"type":"error","error":{"type":"rate_limit_error","message":"slow"}}"#.to_owned(),
        ),
        Step::End,
    ];
    let error = call(Dialect::Anthropic, hello(), steps).await.unwrap_err();
    assert_eq!(error.fault().kind(), FaultKind::RateLimited);
    assert_eq!(error.fault().status(), Some(429));
    assert_eq!(error.retry_after().map(|d| d.as_secs()), Some(7));
    assert_eq!(error.fault().should_retry(), Some(true));
    assert_eq!(error.request_id(), Some("req_1"));
    assert_eq!(error.kind(), Some("rate_limit_error"));
}

#[tokio::test]
async fn a_redirect_is_not_followed() {
    let steps = vec![
        Step::Head(302, "location: http://127.0.0.1:1/\r\n"),
        Step::End,
    ];
    assert_eq!(
        fails(Dialect::OpenAi, false, steps).await,
        FaultKind::Malformed
    );
}

#[cfg(feature = "validate")]
#[tokio::test]
async fn an_answer_that_does_not_match_its_schema_is_malformed() {
    use backstop_llm::{Json, ResponseFormat};
    use tower::ServiceExt as _;

    use super::server::{model, serve, within};

    let mut request = hello();
    request.chat_mut().format = ResponseFormat::Schema {
        name: None,
        description: None,
        schema: Json::parse(r#"{"type":"object","required":["n"]}"#).unwrap(),
        strict: None,
    };
    for (said, matches) in [
        (r#"{\"n\":1}"#, true),
        (r#"{\"m\":1}"#, false),
        ("n", false),
    ] {
        let message = format!(r#"{{"content":"{said}"}}"#);
        let whole =
            format!(r#"{{"choices":[{{"index":0,"message":{message},"finish_reason":"stop"}}]}}"#);
        let mut pieces = stream(&[&chunk(&message, "null"), &chunk("{}", "\"stop\"")]);
        pieces.extend([Step::Body("data: [DONE]\n\n".to_owned()), Step::End]);
        for (request, steps) in [
            (request.clone(), json(200, &whole)),
            (request.clone().streamed(), pieces),
        ] {
            let (address, _seen) = serve(steps).await;
            let service = model(Dialect::OpenAi, address).validate(true);
            let result = within(service.oneshot(request)).await;
            let kind = result.err().map(|error| error.fault().kind());
            assert_eq!(kind, (!matches).then_some(FaultKind::Malformed), "{said}");
        }
    }
}

#[tokio::test]
async fn a_key_that_a_provider_tells_back_is_told_to_nobody() {
    let (key, header, query) = ("plain-words", "other-words", "third-words");
    let told = format!("no such key: {key}, {header} or {query}, says the server");
    let error = format!(
        r#"{{"error":{{"message":"{told}","type":"invalid_request_error","param":"{key}"}}}}"#
    );
    let begun = r#"data: {"choices":[{"index":0,"delta":{"content":"Hi"}}]}"#;
    for (steps, streamed) in [
        (json(400, &error), false),
        (stream(&[&format!("data: {error}")]), true),
        (stream(&[begun, &format!("data: {error}")]), true),
    ] {
        let (address, _seen) = serve(steps).await;
        let provider = Provider::builder(Dialect::OpenAi)
            .base_url(format!("http://{address}"))
            .api_key(key)
            .header("x-other", format!("Bearer {header}"))
            .query("third", query);
        let model = provider.build().expect("a provider").model("m");
        let error = match within(model.oneshot(asked(streamed))).await {
            Ok(response) => within(response.completion()).await.expect_err("an error"),
            Err(error) => error,
        };
        assert_eq!(
            error.message(),
            "no such key: [key], [key] or [key], says the server"
        );
        assert_eq!(error.param(), Some("[key]"));
    }
}
