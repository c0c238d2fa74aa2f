//! What no candidate can do, and what only some of them can.

mod common;

use std::time::Duration;

use backstop_simulator::{Dialect, Fault, Pace, Simulator};
use common::{
    Answer, Running, Setup,
    paths::{PATHS, asking, tool},
};
use serde_json::{Value, json};

async fn ask(gateway: &Running, path: &str, more: &Value) -> Answer {
    let request = gateway.post(path, &asking(path, more));
    Answer::read(request.send().await.expect("an answer comes")).await
}

#[tokio::test]
async fn what_no_candidate_can_do_is_the_requests_fault_and_not_worth_another_try() {
    let candidates = "candidates = [{ candidate = \"a:one\", lacks = [\"tools\"] }, \
                      { candidate = \"b:two\", lacks = [\"tools\"] }]";
    let (gateway, first, second) = two(candidates).await;
    for path in PATHS {
        for stream in [false, true] {
            let more = json!({ "tools": [tool(path, "look")], "stream": stream });
            let answer = ask(&gateway, path, &more).await;
            assert_eq!(answer.status, 400, "{path}: {}", answer.body);
            assert_eq!(answer.header("x-should-retry"), Some("false"), "{path}");
            let error = &answer.json()["error"];
            assert_eq!(error["type"], "invalid_request_error", "{path}");
            let message = error["message"].as_str().unwrap_or_default();
            for told in ["a:one does not take tools", "b:two does not take tools"] {
                assert!(message.contains(told), "{path}: {message}");
            }
        }
    }
    assert_eq!(first.count() + second.count(), 0);
}

async fn two(candidates: &str) -> (Running, Simulator, Simulator) {
    let provider = || {
        Simulator::builder(Dialect::OpenAi)
            .pace(Pace::INSTANT)
            .start()
    };
    let first = provider().await.expect("a port is free");
    let second = provider().await.expect("a port is free");
    let gateway = Running::start(&format!(
        "[providers.a]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [providers.b]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\nretry = {{ attempts = 1 }}\n{candidates}\n",
        first.base_url(),
        second.base_url(),
    ))
    .await;
    (gateway, first, second)
}

#[tokio::test]
async fn who_can_not_do_it_does_not_hide_how_the_others_failed() {
    for unable in ["lacks = [\"tools\"]", "context_window = 1"] {
        let candidates = format!(
            "candidates = [\"a:one\", {{ candidate = \"b:two\", {unable} }}]\n\
             breaker = {{ failures = 1000, min_calls = 1000 }}"
        );
        for path in PATHS {
            let (gateway, first, _second) = two(&candidates).await;
            first.fault(Fault::rate_limited(Duration::from_secs(7)));
            let answer = ask(&gateway, path, &json!({ "tools": [tool(path, "look")] })).await;
            assert_eq!(answer.status, 429, "{unable} {path}: {}", answer.body);
            let wait = answer.header("retry-after").expect("a time to wait");
            assert!(["6", "7"].contains(&wait), "{wait}");
            assert_eq!(answer.header("x-should-retry"), None);
        }
    }
}

#[tokio::test]
async fn what_does_not_fit_any_candidate_is_too_long() {
    let candidates = "candidates = [{ candidate = \"a:one\", context_window = 1 }, \
                      { candidate = \"b:two\", context_window = 2 }]";
    let (gateway, ..) = two(candidates).await;
    for path in PATHS {
        let answer = ask(&gateway, path, &Value::Null).await;
        assert_eq!(answer.status, 400, "{path}: {}", answer.body);
        assert!(
            answer.body.contains("tokens and the model takes 2"),
            "{}",
            answer.body
        );
        assert_eq!(answer.header("x-should-retry"), Some("false"), "{path}");
    }
}

#[tokio::test]
async fn what_was_said_before_must_come_along_unless_the_provider_keeps_it() {
    let setup = Setup::new().await;
    for (field, value) in [
        ("previous_response_id", json!("resp_1")),
        ("conversation", json!("conv_1")),
        ("background", json!(true)),
    ] {
        let answer = ask(&setup.gateway, PATHS[2], &json!({ field: value })).await;
        assert_eq!(answer.status, 400, "{field}: {}", answer.body);
        assert_eq!(answer.json()["error"]["param"], field);
        let message = answer.json()["error"]["message"].to_string();
        assert!(message.contains(field), "{message}");
        assert_eq!(answer.header("x-should-retry"), Some("false"));
    }
    assert_eq!(setup.primary.count() + setup.backup.count(), 0);
    // What says nothing keeps nobody from answering.
    let usual = json!({
        "previous_response_id": null, "background": false, "store": false,
        "truncation": "disabled", "metadata": {}, "parallel_tool_calls": true,
    });
    let answer = ask(&setup.gateway, PATHS[2], &usual).await;
    assert_eq!(answer.status, 200, "{}", answer.body);

    let provider = Simulator::builder(Dialect::OpenAi)
        .pace(Pace::INSTANT)
        .start();
    let provider = provider.await.expect("a port is free");
    let gateway = Running::start(&format!(
        "[providers.a]\ndialect = \"responses\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"a:one\"]\n",
        provider.base_url(),
    ))
    .await;
    ask(
        &gateway,
        PATHS[2],
        &json!({ "previous_response_id": "resp_1" }),
    )
    .await;
    let sent = provider.calls()[0].json();
    assert_eq!(sent["previous_response_id"], "resp_1");
}

#[tokio::test]
async fn a_last_message_of_the_assistants_goes_to_no_claude_that_would_refuse_it() {
    let setup = Setup::new().await;
    let messages = json!([
        { "role": "user", "content": "Hello!" },
        { "role": "assistant", "content": "Good" },
    ]);
    let answer = ask(&setup.gateway, PATHS[0], &json!({ "messages": messages })).await;
    assert_eq!(answer.served_by(), "openai:gpt-5.5", "{}", answer.body);
    assert_eq!(setup.primary.count(), 0);
}

#[tokio::test]
async fn a_field_that_says_nothing_keeps_no_candidate_from_answering() {
    let setup = Setup::new().await;
    for (path, more) in [
        (
            PATHS[0],
            json!({ "logit_bias": null, "modalities": ["text"], "verbosity": "medium" }),
        ),
        (PATHS[1], json!({ "mcp_servers": null })),
    ] {
        let answer = ask(&setup.gateway, path, &more).await;
        let served = answer.served_by();
        assert_eq!(
            served, "anthropic:claude-opus-4-8",
            "{path}: {}",
            answer.body
        );
    }
}

#[tokio::test]
async fn forms_that_only_one_dialect_has_go_to_its_own_providers_as_they_are() {
    let (gateway, first, _second) = two("candidates = [\"a:one\", \"b:two\"]").await;
    let allowed = json!({
        "type": "allowed_tools", "allowed_tools": { "mode": "auto", "tools": [] },
    });
    for (field, value) in [
        ("tool_choice", allowed),
        (
            "response_format",
            json!({ "type": "grammar", "grammar": "x" }),
        ),
        ("logprobs", json!(true)),
        ("made_up", json!({ "deep": [1.50] })),
    ] {
        let more = json!({ field: value, "tools": [tool(PATHS[0], "look")] });
        ask(&gateway, PATHS[0], &more).await;
        let sent = first.calls().pop().expect("a call").json();
        assert_eq!(sent[field], value, "{field}");
        // Elsewhere they can't be said, so who speaks another is passed over.
        let setup = Setup::new().await;
        ask(&setup.gateway, PATHS[0], &more).await;
        assert_eq!(setup.primary.count(), 0, "{field}");
    }
}

#[tokio::test]
async fn how_likely_each_token_was_is_never_left_out_in_silence() {
    let (gateway, first, second) = two("candidates = [\"a:one\", \"b:two\"]").await;
    let answer = ask(&gateway, PATHS[2], &json!({ "top_logprobs": 2 })).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(first.count() + second.count(), 0);
}

#[tokio::test]
async fn both_of_openais_dialects_know_how_much_is_to_be_said() {
    let (gateway, first, _second) = two("candidates = [\"a:one\", \"b:two\"]").await;
    let more = json!({ "text": { "verbosity": "low" } });
    let answer = ask(&gateway, PATHS[2], &more).await;
    assert_eq!(answer.status, 200, "{}", answer.body);
    assert_eq!(first.calls()[0].json()["verbosity"], "low");
}

#[tokio::test]
async fn a_response_to_nothing_is_refused() {
    let setup = Setup::new().await;
    let answer = ask(&setup.gateway, PATHS[2], &json!({ "input": [] })).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error"]["param"], "input");
}

#[tokio::test]
async fn what_is_for_the_gateway_is_taken_off_and_all_else_stays_as_it_came() {
    let (gateway, first, _second) = two("candidates = [\"a:one\", \"b:two\"]").await;
    let messages = json!([
        { "role": "user", "content": "Hello!", "made_up": [1.50] },
        { "role": "assistant", "content": "Yes?", "reasoning_details": [{ "text": "Hm." }] },
        { "role": "user", "content": [{ "type": "text", "text": "Go on.", "deep": null }] },
    ]);
    let more = json!({ "num_retries": 0, "route": "fallback", "messages": messages });
    ask(&gateway, PATHS[0], &more).await;
    let sent = first.calls()[0].json();
    assert_eq!(sent["messages"], messages);
    assert!(sent.get("num_retries").is_none() && sent.get("route").is_none());
}
