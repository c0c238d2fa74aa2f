//! A stand-in in each dialect answers, plain and streamed.

use backstop_simulator::{Dialect, Fault, Outcome, Pace, Simulator};
use serde_json::{Value, json};

#[tokio::test]
async fn an_openai_client_gets_a_reply() {
    let simulator = Simulator::builder(Dialect::OpenAi)
        .pace(Pace::INSTANT)
        .start()
        .await
        .unwrap();
    let url = format!("{}/chat/completions", simulator.base_url());
    let body = json!({"model": "gpt-5.5", "messages": [{"role": "user", "content": "Hi there"}]});
    let reply: Value = reqwest::Client::new()
        .post(&url)
        .json(&body)
        .send()
        .await
        .unwrap()
        .json()
        .await
        .unwrap();
    assert_eq!(
        reply["choices"][0]["message"]["content"],
        "Hello from openai. You said: Hi there"
    );
    assert_eq!(reply["choices"][0]["finish_reason"], "stop");
    let calls = simulator.wait_until_idle().await;
    assert_eq!(calls[0].outcome, Outcome::Completed);
    assert_eq!(calls[0].json(), body);
}

#[tokio::test]
async fn a_stream_is_cut_in_the_middle() {
    let simulator = Simulator::builder(Dialect::Anthropic)
        .pace(Pace::INSTANT)
        .start()
        .await
        .unwrap();
    simulator.fault(Fault::cut(2));
    let url = format!("{}/v1/messages", simulator.base_url());
    let body = json!({
        "model": "claude-opus-4-8", "max_tokens": 100, "stream": true,
        "messages": [{"role": "user", "content": "Hi there"}],
    });
    let request = reqwest::Client::new()
        .post(&url)
        .header("anthropic-version", "2023-06-01");
    let mut response = request.json(&body).send().await.unwrap();
    let mut seen = String::new();
    let error = loop {
        match response.chunk().await {
            Ok(Some(chunk)) => seen.push_str(std::str::from_utf8(&chunk).unwrap()),
            Ok(None) => panic!("the stream ended well: {seen}"),
            Err(error) => break error,
        }
    };
    assert!(error.is_body() || error.is_decode(), "{error:?}");
    assert_eq!(seen.matches("text_delta").count(), 2, "{seen}");
    assert_eq!(
        simulator.wait_until_idle().await[0].outcome,
        Outcome::Broken
    );
}
