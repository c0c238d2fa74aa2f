//! Every fault, in every dialect, plain and streamed.

use std::time::Duration;

use backstop_simulator::{Dialect, Fault, Outcome, Pace, Simulator};
use http::{HeaderValue, header::RETRY_AFTER};
use serde_json::{Value, json};

use crate::client::{APIS, Api, ask, events, read, start, within};

/// The error type, code or status of an error's body.
fn kind(api: Api, error: &Value) -> &Value {
    match api {
        Api::Messages => &error["error"]["type"],
        Api::Generate | Api::GenerateArray => &error["error"]["status"],
        Api::Chat | Api::Responses if error["error"]["code"].is_null() => &error["error"]["type"],
        Api::Chat | Api::Responses => &error["error"]["code"],
    }
}

#[tokio::test]
async fn each_error_has_its_status_and_the_dialects_own_word_for_it() {
    type Row = (
        fn() -> Fault,
        (u16, &'static str),
        (u16, &'static str),
        (u16, &'static str),
    );
    let invalid = "invalid_request_error";
    let table: [Row; 11] = [
        (
            Fault::overloaded,
            (529, "server_is_overloaded"),
            (529, "overloaded_error"),
            (529, "UNAVAILABLE"),
        ),
        (
            Fault::unavailable,
            (503, "server_error"),
            (503, "api_error"),
            (503, "UNAVAILABLE"),
        ),
        (
            Fault::error,
            (500, "server_error"),
            (500, "api_error"),
            (500, "INTERNAL"),
        ),
        (
            || Fault::rate_limited(Duration::from_secs(2)),
            (429, "rate_limit_exceeded"),
            (429, "rate_limit_error"),
            (429, "RESOURCE_EXHAUSTED"),
        ),
        (
            Fault::quota,
            (429, "insufficient_quota"),
            (400, invalid),
            (429, "RESOURCE_EXHAUSTED"),
        ),
        (
            Fault::denied,
            (401, "invalid_api_key"),
            (401, "authentication_error"),
            (401, "UNAUTHENTICATED"),
        ),
        (
            Fault::forbidden,
            (403, invalid),
            (403, "permission_error"),
            (403, "PERMISSION_DENIED"),
        ),
        (
            Fault::missing,
            (404, "model_not_found"),
            (404, "not_found_error"),
            (404, "NOT_FOUND"),
        ),
        (
            Fault::invalid,
            (400, invalid),
            (400, invalid),
            (400, "INVALID_ARGUMENT"),
        ),
        (
            Fault::too_large,
            (400, "context_length_exceeded"),
            (400, invalid),
            (400, "INVALID_ARGUMENT"),
        ),
        (
            || Fault::status(504),
            (504, "server_error"),
            (504, "timeout_error"),
            (504, "DEADLINE_EXCEEDED"),
        ),
    ];
    for api in APIS {
        let simulator = start(api.dialect()).await;
        for (fault, openai, anthropic, gemini) in &table {
            let mut expected = match api {
                Api::Chat | Api::Responses => *openai,
                Api::Messages => *anthropic,
                Api::Generate | Api::GenerateArray => *gemini,
            };
            // The one error that Chat Completions and Responses answer differently.
            if api == Api::Responses && expected.0 == 404 {
                expected.0 = 400;
            }
            for streamed in [false, true] {
                simulator.fault(fault());
                let response = api.send(&simulator, streamed).await;
                let status = response.status().as_u16();
                let error: Value = within(response.json()).await.unwrap();
                let seen = (status, kind(api, &error).as_str().unwrap());
                assert_eq!(seen, expected, "{api:?}, {}: {error}", fault());
            }
        }
        let calls = simulator.wait_until_idle().await;
        assert!(calls.iter().all(|call| call.outcome == Outcome::Completed));
        assert!(calls.iter().all(|call| call.fault.is_some()));
    }
}

#[tokio::test]
async fn a_wait_is_told_where_the_dialect_tells_it() {
    let wait = Duration::from_millis(1500);
    for (api, seconds, millis) in [
        (Api::Chat, Some("2"), Some("1500")),
        (Api::Messages, Some("2"), None),
        (Api::Generate, None, None),
    ] {
        let simulator = start(api.dialect()).await;
        simulator.fault(Fault::rate_limited(wait));
        let response = api.send(&simulator, false).await;
        let header = |name| {
            response
                .headers()
                .get(name)
                .map(|value| value.to_str().unwrap())
        };
        assert_eq!(header("retry-after"), seconds, "{api:?}");
        assert_eq!(header("retry-after-ms"), millis, "{api:?}");
        let error: Value = within(response.json()).await.unwrap();
        if api == Api::Generate {
            assert_eq!(error["error"]["details"][1]["retryDelay"], "1.5s");
        }
    }
}

#[tokio::test]
async fn an_error_can_have_headers_and_a_body_of_its_own() {
    let simulator = start(Dialect::OpenAi).await;
    let date = HeaderValue::from_static("Wed, 21 Oct 2065 07:28:00 GMT");
    simulator.fault(
        Fault::status(503)
            .header(RETRY_AFTER, date.clone())
            .body("upstream gone"),
    );
    let response = Api::Chat.send(&simulator, false).await;
    assert_eq!(response.status(), 503);
    assert_eq!(response.headers()["retry-after"], date);
    assert_eq!(within(response.text()).await.unwrap(), "upstream gone");
    simulator.fault(Fault::status(7));
    let response = Api::Chat.send(&simulator, false).await;
    assert_eq!(response.status(), 500);
}

#[tokio::test]
async fn a_stream_breaks_after_as_many_chunks_as_it_was_told() {
    for api in APIS {
        let simulator = start(api.dialect()).await;
        let whole = format!("Hello from {}. You said: Hi there", api.dialect());
        let first = |words: usize| {
            whole
                .split_inclusive(' ')
                .take(words)
                .collect::<String>()
                .trim_end()
                .to_owned()
        };
        for words in [0, 1, 3, 100] {
            simulator.fault(Fault::cut(words));
            let response = api.send(&simulator, true).await;
            let (seen, end) = read(response).await;
            assert!(end.is_err(), "{api:?} is cut after {words}: {seen}");
            assert_eq!(api.streamed_text(&seen), first(words), "{api:?}, {words}");
            assert!(!api.ended_well(&seen), "{api:?}: {seen}");

            simulator.fault(Fault::close(words));
            let response = api.send(&simulator, true).await;
            let (seen, end) = read(response).await;
            assert!(end.is_ok(), "{api:?} ends well for HTTP: {end:?}");
            assert_eq!(api.streamed_text(&seen), first(words), "{api:?}, {words}");
            assert!(!api.ended_well(&seen), "{api:?}: {seen}");
        }
        let calls = simulator.wait_until_idle().await;
        assert!(
            calls.iter().all(|call| call.outcome == Outcome::Broken),
            "{calls:?}"
        );
    }
}

#[tokio::test]
async fn a_plain_reply_breaks_in_its_middle() {
    for api in APIS {
        let simulator = start(api.dialect()).await;
        for (fault, well) in [
            (Fault::cut(1), false),
            (Fault::reset_after(1), false),
            (Fault::close(1), true),
        ] {
            simulator.fault(fault);
            let response = within(api.request(&simulator, false).send()).await;
            // A reset may overtake the headers.
            let Ok(response) = response else {
                assert!(!well);
                continue;
            };
            assert_eq!(response.status(), 200);
            let (seen, end) = read(response).await;
            assert_eq!(end.is_ok(), well, "{api:?}: {end:?}");
            assert!(
                serde_json::from_str::<Value>(&seen).is_err(),
                "{api:?}: {seen}"
            );
        }
    }
}

#[tokio::test]
async fn an_error_event_ends_a_stream_or_is_all_of_it() {
    for api in APIS {
        let simulator = start(api.dialect()).await;
        for words in [0, 2] {
            simulator.fault(Fault::error_event(words));
            let response = api.send(&simulator, true).await;
            assert_eq!(response.status(), 200);
            let (seen, end) = read(response).await;
            assert!(end.is_ok(), "{api:?}");
            assert!(!api.ended_well(&seen), "{api:?}: {seen}");
            assert_eq!(
                api.streamed_text(&seen).is_empty(),
                words == 0,
                "{api:?}: {seen}"
            );
            let error = match api {
                Api::Messages => "event: error\ndata: {",
                Api::Responses => "event: error\ndata: {\"error\":{",
                Api::Chat => "data: {\"error\":{",
                Api::Generate | Api::GenerateArray => "{\n  \"error\": {",
            };
            let place = seen
                .find(error)
                .unwrap_or_else(|| panic!("{api:?}: {seen}"));
            let before = seen[..place].trim_start_matches('[');
            assert_eq!(before.is_empty(), words == 0, "{api:?}: {seen}");
            if api == Api::GenerateArray {
                serde_json::from_str::<Vec<Value>>(&seen).unwrap();
            }
        }
        simulator.fault(Fault::error_event(2));
        let response = api.send(&simulator, false).await;
        assert!(
            response.status().is_server_error(),
            "a plain reply is the error itself"
        );
    }
}

#[tokio::test]
async fn garbage_is_a_200_that_is_no_reply() {
    for api in APIS {
        let simulator = start(api.dialect()).await;
        for streamed in [false, true] {
            let garbage = async |fault| {
                simulator.fault(fault);
                let response = api.send(&simulator, streamed).await;
                assert_eq!(response.status(), 200);
                let kind = response.headers()["content-type"]
                    .to_str()
                    .unwrap()
                    .to_owned();
                (kind, within(response.text()).await.unwrap())
            };
            let (kind, page) = garbage(Fault::html()).await;
            assert!(kind.starts_with("text/html") && page.starts_with("<!DOCTYPE html>"));
            assert_eq!(garbage(Fault::empty()).await.1, "");
            let (_, error) = garbage(Fault::error_200()).await;
            assert!(serde_json::from_str::<Value>(&error).unwrap()["error"].is_object());
            let (kind, half) = garbage(Fault::garbage()).await;
            assert_eq!(kind, "application/json");
            assert!(serde_json::from_str::<Value>(&half).unwrap_err().is_eof());
        }
    }
}

#[tokio::test]
async fn the_first_calls_fail_and_the_next_succeeds() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.faults([
        Fault::status(503).times(2),
        Fault::none().times(1),
        Fault::denied(),
    ]);
    let mut seen = Vec::new();
    for _ in 0..5 {
        seen.push(Api::Chat.send(&simulator, false).await.status());
    }
    assert_eq!(seen, [503, 503, 200, 401, 401]);
    simulator.clear();
    let response = Api::Chat.send(&simulator, false).await;
    assert_eq!(response.status(), 200);
    let faults: Vec<_> = simulator
        .calls()
        .into_iter()
        .map(|call| call.fault)
        .collect();
    let names = ["status 503", "status 503", "none", "denied", "denied"];
    let expected = names
        .map(|name| Some(name.to_owned()))
        .into_iter()
        .chain([None]);
    assert_eq!(faults, expected.collect::<Vec<_>>());
}

#[tokio::test]
async fn calls_are_shared_out_exactly_among_many_at_once() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.fault(Fault::status(503).times(7));
    let calls = (0..40).map(|_| Api::Chat.request(&simulator, false).send());
    let calls: Vec<_> = calls.map(tokio::spawn).collect();
    let mut failed = 0;
    for call in calls {
        let status = within(call).await.unwrap().unwrap().status();
        failed += u32::from(status == 503);
    }
    assert_eq!(failed, 7);
    assert_eq!(simulator.count(), 40);
}

#[tokio::test]
async fn lateness_comes_before_the_headers_and_slowness_after_them() {
    let simulator = Simulator::builder(Dialect::Anthropic)
        .pace(Pace::new(
            Duration::from_millis(1),
            Duration::from_millis(1),
        ))
        .start()
        .await
        .unwrap();
    let late = Duration::from_millis(60);
    simulator.fault(Fault::late(late));
    let begin = tokio::time::Instant::now();
    Api::Messages.send(&simulator, true).await;
    assert!(begin.elapsed() >= late, "the headers are late");

    simulator.fault(Fault::slow(late));
    let begin = tokio::time::Instant::now();
    let response = Api::Messages.send(&simulator, true).await;
    let (seen, end) = read(response).await;
    assert!(begin.elapsed() >= late, "the first token is late");
    assert!(end.is_ok() && Api::Messages.ended_well(&seen));

    simulator.fault(Fault::slow(late));
    let begin = tokio::time::Instant::now();
    Api::Messages.send(&simulator, false).await;
    assert!(begin.elapsed() >= late, "a plain reply is late as a whole");

    simulator.fault(Fault::status(503).delay(late));
    let begin = tokio::time::Instant::now();
    let response = Api::Messages.send(&simulator, false).await;
    assert_eq!(response.status(), 503);
    assert!(begin.elapsed() >= late, "an error can take its time");
}

#[tokio::test]
async fn a_fault_meets_every_path_but_those_of_control() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.fault(Fault::unavailable());
    let url = format!("{}/v1/models", simulator.url());
    assert_eq!(within(reqwest::get(url)).await.unwrap().status(), 503);
    let (status, _) = ask(&simulator, "/_/fault", json!("none")).await;
    assert_eq!(status, 200);
}

#[tokio::test]
async fn an_error_event_of_responses_is_followed_by_the_failed_response() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.fault(Fault::error_event(1));
    let response = Api::Responses.send(&simulator, true).await;
    let (seen, _) = read(response).await;
    let last = events(&seen).pop().unwrap();
    assert_eq!(last["type"], "response.failed");
    assert_eq!(last["response"]["status"], "failed");
}
