//! Conversations that move between providers, turn by turn.

mod common;

use backstop_simulator::{Dialect, Fault, Reply, Simulator};
use common::{Answer, Running, hello, simulator};
use serde_json::{Value, json};

fn look() -> Reply {
    Reply::tool_call("look", json!({ "city": "Bern" }))
}

/// Claude first, and a Mistral model after it.
async fn claude_and_mistral() -> (Running, Simulator, Simulator) {
    let claude = simulator(Dialect::Anthropic, look()).await;
    let mistral = simulator(Dialect::OpenAi, look()).await;
    let gateway = Running::start(&format!(
        "[providers.claude]\ndialect = \"anthropic\"\nbase_url = \"{}\"\n\
         [providers.mistral]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\nretry = {{ attempts = 1 }}\n\
         breaker = {{ failures = 1000, min_calls = 1000 }}\n\
         candidates = [\"claude:claude-opus-4-8\", \"mistral:mistral-large-latest\"]\n",
        claude.base_url(),
        mistral.base_url(),
    ))
    .await;
    (gateway, claude, mistral)
}

fn asking(messages: &[Value]) -> Value {
    json!({
        "model": "smart", "max_tokens": 100, "messages": messages,
        "tools": [{ "type": "function", "function": {
            "name": "look", "parameters": { "type": "object" },
        } }],
    })
}

/// The ids of the calls in a conversation as a provider was sent it, and those of the results.
fn ids(messages: &Value) -> (Vec<String>, Vec<String>) {
    let (mut calls, mut results) = (Vec::new(), Vec::new());
    let text = |value: &Value| value.as_str().map(str::to_owned);
    for message in messages.as_array().into_iter().flatten() {
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            calls.extend(text(&call["id"]));
        }
        results.extend(text(&message["tool_call_id"]));
        for block in message["content"].as_array().into_iter().flatten() {
            if block["type"] == "tool_use" {
                calls.extend(text(&block["id"]));
            }
            results.extend(text(&block["tool_use_id"]));
        }
    }
    (calls, results)
}

#[tokio::test]
async fn calls_keep_their_ids_through_a_conversation_that_goes_to_mistral_and_back() {
    let (gateway, claude, mistral) = claude_and_mistral().await;
    let mut messages = vec![json!({ "role": "user", "content": "Look!" })];
    let mut given = Vec::new();
    // By turns Claude answers, and is down so that the other does.
    for turn in 0..4 {
        if turn % 2 == 1 {
            claude.fault(Fault::unavailable());
        } else {
            claude.clear();
        }
        let answer = Answer::read(gateway.chat(asking(&messages)).await).await;
        let served = if turn % 2 == 1 { "mistral" } else { "claude" };
        assert!(answer.served_by().starts_with(served), "{}", answer.body);
        let message = answer.json()["choices"][0]["message"].clone();
        let id = message["tool_calls"][0]["id"].clone();
        given.push(id.as_str().expect("an id").to_owned());
        messages.push(message);
        messages.push(json!({ "role": "tool", "tool_call_id": id, "content": "sunny" }));
    }
    claude.clear();
    Answer::read(gateway.chat(asking(&messages)).await).await;
    // Claude knows every call by the id that the caller was given.
    let (calls, results) = ids(&claude.calls().pop().expect("a call").json()["messages"]);
    assert_eq!(calls, given);
    assert_eq!(results, given);
    // Mistral is told ids of its own form, the same in every turn, and call and result agree.
    let told: Vec<_> = mistral
        .calls()
        .iter()
        .map(|it| ids(&it.json()["messages"]))
        .collect();
    for (calls, results) in &told {
        assert_eq!(calls, results);
        for id in calls {
            let plain = id.bytes().all(|byte| byte.is_ascii_alphanumeric());
            assert!(id.len() == 9 && plain, "{id}");
        }
    }
    let [(first, _), (second, _)] = &told[..] else {
        panic!("{told:?}");
    };
    assert!(second.starts_with(first), "{told:?}");
}

#[tokio::test]
async fn what_a_model_may_write_is_limited_as_configured() {
    let claude = simulator(Dialect::Anthropic, Reply::text("Yes.")).await;
    let gateway = Running::start(&format!(
        "[providers.a]\ndialect = \"anthropic\"\nbase_url = \"{}\"\n[models.smart]\n\
         candidates = [{{ candidate = \"a:claude-opus-4-8\", max_output = 50 }}]\n",
        claude.base_url(),
    ))
    .await;
    for (asked, sent) in [(json!(null), 50), (json!(1000), 50), (json!(20), 20)] {
        let mut body = hello();
        body["max_tokens"] = asked;
        gateway.chat(body).await;
        let call = claude.calls().pop().expect("a call");
        assert_eq!(call.json()["max_tokens"], sent);
    }
}

#[tokio::test]
async fn what_a_model_can_do_is_what_the_config_says() {
    let first = simulator(Dialect::OpenAi, Reply::text("One.")).await;
    let second = simulator(Dialect::OpenAi, Reply::text("Two.")).await;
    let image = json!([{ "type": "image_url", "image_url": { "url": "https://x.org/a.png" } }]);
    for (can, served) in [("", "b:two"), (", can = [\"images\"]", "a:gpt-4")] {
        let gateway = Running::start(&format!(
            "[providers.a]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
             [providers.b]\ndialect = \"openai\"\nbase_url = \"{}\"\n[models.smart]\n\
             candidates = [{{ candidate = \"a:gpt-4\"{can} }}, \"b:two\"]\n",
            first.base_url(),
            second.base_url(),
        ))
        .await;
        let mut body = hello();
        body["messages"][0]["content"] = image.clone();
        let answer = Answer::read(gateway.chat(body).await).await;
        assert_eq!(answer.served_by(), served, "{can}: {}", answer.body);
    }
}
