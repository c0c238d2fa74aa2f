//! Faults, replies and the log over HTTP.

use backstop_simulator::{Dialect, Simulator};
use serde_json::{Value, json};

use crate::client::{Api, get, start, within};

async fn put(url: &str, body: &str) -> (u16, Value) {
    let request = reqwest::Client::new().put(url).body(body.to_owned());
    within(async {
        let response = request.send().await.unwrap();
        (response.status().as_u16(), response.json().await.unwrap())
    })
    .await
}

async fn delete(url: &str) {
    let response = within(reqwest::Client::new().delete(url).send())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_fault_is_put_read_and_taken_away() {
    let simulator = start(Dialect::Anthropic).await;
    let url = format!("{}/_/fault", simulator.url());
    assert_eq!(
        put(&url, "overloaded").await,
        (200, json!({"set": ["overloaded"]}))
    );
    let response = Api::Messages.send(&simulator, false).await;
    assert_eq!(response.status(), 529);
    delete(&url).await;
    let response = Api::Messages.send(&simulator, false).await;
    assert_eq!(response.status(), 200);

    let sequence =
        r#"[{"status": 503, "headers": {"retry-after": "7"}, "body": {"a": 1}}, "hang"]"#;
    put(&url, sequence).await;
    let pending = get(&simulator, "/_/fault").await;
    assert_eq!(pending[0], json!({"fault": "status 503", "times": 1}));
    let response = Api::Messages.send(&simulator, false).await;
    assert_eq!(response.headers()["retry-after"], "7");
    assert_eq!(within(response.text()).await.unwrap(), r#"{"a":1}"#);
    assert_eq!(
        get(&simulator, "/_/fault").await,
        json!([{"fault": "hang", "times": 1}])
    );
}

#[tokio::test]
async fn a_fault_that_is_none_is_refused_and_the_set_one_stays() {
    let simulator = start(Dialect::Anthropic).await;
    let url = format!("{}/_/fault", simulator.url());
    put(&url, "unavailable").await;
    let (status, refusal) = put(&url, "overlaoded").await;
    assert_eq!(status, 400);
    assert!(
        refusal["error"]
            .as_str()
            .unwrap()
            .contains("the presets are")
    );
    assert_eq!(get(&simulator, "/_/fault").await[0]["fault"], "unavailable");
}

#[tokio::test]
async fn the_log_tells_each_call_without_its_key() {
    let simulator = start(Dialect::Anthropic).await;
    let request = Api::Messages.request(&simulator, false);
    within(request.header("x-api-key", "s3cret").send())
        .await
        .unwrap();
    within(simulator.wait_until_idle()).await;
    let log = get(&simulator, "/_/log").await;
    let call = &log[0];
    assert_eq!(call["method"], "POST");
    assert_eq!(call["path"], "/v1/messages");
    assert_eq!(call["headers"]["x-api-key"], "[redacted]");
    assert_eq!(call["headers"]["anthropic-version"], "2023-06-01");
    assert_eq!(call["body"]["messages"][0]["content"], "Hi there");
    assert_eq!(
        (&call["status"], &call["outcome"]),
        (&json!(200), &json!("completed"))
    );
    assert!(!format!("{:?}", simulator.calls()).contains("s3cret"));
    let keyed = Simulator::builder(Dialect::Anthropic).api_key("s3cret");
    assert!(!format!("{keyed:?}").contains("s3cret"));
    let keyed = within(keyed.start()).await.unwrap();
    assert!(!format!("{keyed:?}").contains("s3cret"));

    delete(&format!("{}/_/log", simulator.url())).await;
    assert_eq!(get(&simulator, "/_/log").await, json!([]));
    assert_eq!(simulator.count(), 1, "a count is not forgotten");
}

#[tokio::test]
async fn a_reply_is_put_and_taken_away() {
    let simulator = start(Dialect::OpenAi).await;
    let url = format!("{}/_/reply", simulator.url());
    let reply = r#"{"text": "Sunny.", "tool_calls": [{"name": "rain", "arguments": {"mm": 0}}]}"#;
    assert_eq!(put(&url, reply).await.0, 200);
    let response = Api::Chat.send(&simulator, false).await;
    let reply: Value = within(response.json()).await.unwrap();
    assert_eq!(Api::Chat.text(&reply), "Sunny.");
    assert_eq!(reply["choices"][0]["finish_reason"], "tool_calls");
    assert_eq!(put(&url, r#"{"txet": "Sunny."}"#).await.0, 400);
    delete(&url).await;
    let response = Api::Chat.send(&simulator, false).await;
    let reply: Value = within(response.json()).await.unwrap();
    assert_eq!(
        Api::Chat.text(&reply),
        "Hello from openai. You said: Hi there"
    );
}

#[tokio::test]
async fn help_is_at_hand() {
    let simulator = start(Dialect::OpenAi).await;
    for (path, status) in [("/_/", 200), ("/_/flaut", 404)] {
        let url = format!("{}{path}", simulator.url());
        let response = within(reqwest::get(url)).await.unwrap();
        assert_eq!(response.status(), status);
        assert!(
            within(response.text())
                .await
                .unwrap()
                .contains("PUT    /_/fault")
        );
    }
    assert_eq!(simulator.count(), 0, "control calls are not counted");
}
