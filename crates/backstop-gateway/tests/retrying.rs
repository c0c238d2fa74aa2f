//! What a client that retries by itself is told: when to try again, and where that is useless.

mod common;

use std::time::Duration;

use backstop_simulator::{Dialect, Fault, Pace, Simulator};
use common::{
    Answer, Running,
    paths::{PATHS, asking},
};
use serde_json::json;

/// Each failure, the status that a caller is answered with, and whether another try may help.
fn failures() -> Vec<(Fault, u16, bool)> {
    vec![
        (Fault::denied(), 503, false),
        (Fault::forbidden(), 503, false),
        (Fault::quota(), 503, false),
        (Fault::missing(), 502, false),
        (Fault::invalid(), 400, false),
        (Fault::filtered(), 400, false),
        (Fault::too_large(), 400, false),
        (Fault::unavailable(), 502, true),
        (Fault::error(), 502, true),
        (Fault::overloaded(), 503, true),
        (Fault::html(), 502, true),
        (Fault::rate_limited(Duration::from_secs(7)), 429, true),
    ]
}

#[tokio::test]
async fn a_client_is_told_where_another_try_is_useless() {
    for (fault, status, may_help) in failures() {
        for path in PATHS {
            for stream in [false, true] {
                let provider = Simulator::builder(Dialect::Anthropic).pace(Pace::INSTANT);
                let provider = provider.start().await.expect("a port is free");
                provider.fault(fault.clone());
                let gateway = Running::start(&format!(
                    "[providers.p]\ndialect = \"anthropic\"\nbase_url = \"{}\"\n\
                     [models.smart]\ncandidates = [\"p:m\"]\nretry = {{ attempts = 1 }}\n",
                    provider.base_url(),
                ))
                .await;
                let body = asking(path, &json!({ "stream": stream }));
                let response = gateway.post(path, &body).send().await;
                let answer = Answer::read(response.expect("an answer comes")).await;
                let what = format!("{fault} by {path}: {}", answer.body);
                assert_eq!(answer.status, status, "{what}");
                let told = answer.header("x-should-retry");
                assert_eq!(told, (!may_help).then_some("false"), "{what}");
                let wait = answer.header("retry-after");
                let due = (status == 429).then_some("7");
                assert_eq!(wait, due, "{what}");
                let millis = answer.header("retry-after-ms");
                assert_eq!(millis, due.map(|_| "7000"), "{what}");
            }
        }
    }
}

#[tokio::test]
async fn a_client_is_told_when_a_provider_that_is_held_off_is_asked_again() {
    let provider = Simulator::builder(Dialect::OpenAi).pace(Pace::INSTANT);
    let provider = provider.start().await.expect("a port is free");
    provider.fault(Fault::denied());
    let gateway = Running::start(&format!(
        "[providers.p]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"p:m\"]\nretry = {{ attempts = 1 }}\n",
        provider.base_url(),
    ))
    .await;
    for path in PATHS {
        let request = gateway.post(path, &asking(path, &json!({})));
        let answer = Answer::read(request.send().await.expect("an answer comes")).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
        if path != PATHS[0] {
            let wait: u64 = answer
                .header("retry-after")
                .and_then(|wait| wait.parse().ok())
                .unwrap_or_default();
            assert!((1..=120).contains(&wait), "{wait}: {}", answer.body);
        }
    }
    assert_eq!(provider.count(), 1);
}
