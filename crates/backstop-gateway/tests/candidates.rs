//! What the config says of a candidate, as its provider and the caller come to see it.

mod common;

use std::time::Duration;

use backstop_simulator::{Dialect, Fault, Pace, Reply, Simulator};
use common::{Answer, BACKUP, PRIMARY, Running, Setup, hello, hello_streamed};
use serde_json::{Value, json};
use tokio::time::Instant;

async fn provider(reply: Reply) -> Simulator {
    Simulator::builder(Dialect::OpenAi)
        .pace(Pace::INSTANT)
        .reply(reply)
        .start()
        .await
        .expect("a port is free")
}

/// A gateway with two providers, whose candidates are `candidates`, with `model` more of the model.
async fn gateway(first: &Simulator, second: &Simulator, model: &str) -> Running {
    Running::start(&format!(
        "[providers.a]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [providers.b]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\nretry = {{ attempts = 1 }}\n{model}\n",
        first.base_url(),
        second.base_url(),
    ))
    .await
}

/// Hello, and this besides.
fn asking(more: &Value) -> Value {
    let mut body = hello();
    for (name, value) in more.as_object().expect("an object") {
        body[name] = value.clone();
    }
    body
}

async fn ask(gateway: &Running, more: Value) -> Answer {
    Answer::read(gateway.chat(asking(&more)).await).await
}

#[tokio::test]
async fn a_request_that_needs_more_passes_a_candidate_over_and_says_why() {
    let first = provider(Reply::text(PRIMARY)).await;
    let second = provider(Reply::text(BACKUP)).await;
    let model = "candidates = [{ candidate = \"a:one\", lacks = [\"tools\", \"seed\"], \
                 context_window = 50 }, \"b:two\"]";
    let gateway = gateway(&first, &second, model).await;
    let tool = json!({ "type": "function", "function": { "name": "look", "parameters": {} } });
    for (more, why) in [
        (json!({ "tools": [tool] }), "does not take tools"),
        (json!({ "seed": 7 }), "takes no seed"),
        (
            json!({ "messages": [{ "role": "user", "content": "word ".repeat(100) }] }),
            "does not fit the context",
        ),
    ] {
        let answer = ask(&gateway, more).await;
        assert_eq!(answer.served_by(), "b:two", "{answer:?}");
        let trail = answer.header("proxy-status").unwrap_or_default();
        assert!(trail.contains(why), "{why}: {trail}");
    }
    assert_eq!(first.count(), 0);
    assert_eq!(ask(&gateway, json!({})).await.served_by(), "a:one");
}

#[tokio::test]
async fn a_loss_that_is_allowed_is_left_out() {
    let first = provider(Reply::text(PRIMARY)).await;
    let second = provider(Reply::text(BACKUP)).await;
    let model = "candidates = [{ candidate = \"a:one\", lacks = [\"seed\"] }, \"b:two\"]\n\
                 allow_loss = [\"seed\"]";
    let gateway = gateway(&first, &second, model).await;
    let answer = ask(&gateway, json!({ "seed": 7 })).await;
    assert_eq!(answer.served_by(), "a:one");
    assert_eq!(first.calls()[0].json()["seed"], Value::Null);
}

#[tokio::test]
async fn a_system_prompt_is_adapted_for_each_candidate() {
    let first = provider(Reply::text(PRIMARY)).await;
    let second = provider(Reply::text(BACKUP)).await;
    first.fault(Fault::unavailable());
    let model = "candidates = [{ candidate = \"a:one\", system = \"Be brief. {system}\" }, \
                 { candidate = \"b:two\", system = \"Be kind.\" }]";
    let gateway = gateway(&first, &second, model).await;
    let messages = json!([
        { "role": "system", "content": "You are a pirate." },
        { "role": "user", "content": "Hello!" },
    ]);
    ask(&gateway, json!({ "messages": messages })).await;
    let sent = |provider: &Simulator| provider.calls()[0].json()["messages"][0]["content"].clone();
    assert_eq!(sent(&first), "Be brief. You are a pirate.");
    assert_eq!(sent(&second), "Be kind.");
}

#[tokio::test]
async fn an_answer_that_does_not_match_the_schema_is_answered_by_the_next() {
    let first = provider(Reply::text("{\"age\":\"unknown\"}")).await;
    let second = provider(Reply::text("{\"age\":7}")).await;
    let schema = json!({
        "type": "object", "properties": { "age": { "type": "integer" } }, "required": ["age"],
    });
    let format = json!({
        "type": "json_schema", "json_schema": { "name": "person", "schema": schema },
    });
    let candidates = "candidates = [\"a:one\", \"b:two\"]";
    let trusting = gateway(&first, &second, candidates).await;
    let answer = ask(&trusting, json!({ "response_format": format })).await;
    assert_eq!(answer.served_by(), "a:one");

    let model = format!("{candidates}\nvalidate = \"schema\"");
    let strict = gateway(&first, &second, &model).await;
    for streamed in [false, true] {
        let more = json!({ "response_format": format, "stream": streamed });
        let answer = ask(&strict, more).await;
        assert_eq!(answer.served_by(), "b:two", "{}", answer.body);
        assert_eq!(answer.text(), "{\"age\":7}");
    }
}

#[tokio::test]
async fn a_stream_that_fails_before_its_commit_point_is_answered_by_the_next() {
    let first = provider(Reply::text(PRIMARY)).await;
    let second = provider(Reply::text(BACKUP)).await;
    for (commit, served) in [
        ("first_content", "a:one"),
        ("1000 characters", "b:two"),
        ("20s", "b:two"),
        ("none", "a:one"),
    ] {
        first.fault(Fault::cut(3).times(1));
        let model =
            format!("candidates = [\"a:one\", \"b:two\"]\ncontinue = false\ncommit = \"{commit}\"");
        let gateway = gateway(&first, &second, &model).await;
        let answer = gateway.streamed().await;
        assert_eq!(answer.served_by(), served, "{commit}: {}", answer.body);
        assert_eq!(answer.is_done(), served == "b:two", "{commit}");
        assert_eq!(answer.stream_error().is_some(), served == "a:one");
    }
}

#[tokio::test]
async fn nothing_is_continued_where_the_model_says_so() {
    let setup = Setup::with("continue = false").await;
    setup.fault(Fault::cut(3));
    let answer = setup.gateway.streamed().await;
    assert!(answer.stream_error().is_some(), "{}", answer.body);
    assert!(!answer.is_done());
    assert_eq!(setup.backup.count(), 0);
}

#[tokio::test]
async fn azure_is_asked_by_its_paths_its_version_and_its_header() {
    let azure = provider(Reply::text(PRIMARY)).await;
    let gateway = Running::start(&format!(
        "[providers.azure]\ndialect = \"openai\"\n\
         base_url = \"{}/openai/deployments/{{model}}\"\napi_key = \"${{AZURE_API_KEY}}\"\n\
         api_key_header = \"api-key\"\nquery = {{ api-version = \"2024-10-21\" }}\n\
         headers = {{ x-team = \"search\" }}\n\
         [models.smart]\ncandidates = [\"azure:gpt-4o-eu\"]\n",
        azure.url(),
    ))
    .await;
    let answer = Answer::read(gateway.chat(hello_streamed()).await).await;
    assert_eq!(answer.text(), PRIMARY, "{}", answer.body);
    let call = &azure.calls()[0];
    assert_eq!(
        call.path,
        "/openai/deployments/gpt-4o-eu/chat/completions?api-version=2024-10-21"
    );
    assert!(call.header("api-key").is_some());
    assert!(call.header("authorization").is_none());
    assert_eq!(call.header("x-team"), Some("search"));
}

#[tokio::test]
async fn a_stream_that_is_passed_on_at_once_is_not_waited_for_for_ever() {
    let limits = "timeout = { first_token = \"300ms\", idle = \"20s\", total = \"20s\" }";
    let setup = Setup::with(&format!("{limits}\ncommit = \"none\"")).await;
    setup.fault(Fault::stall(0));
    let began = Instant::now();
    let answer = setup.gateway.streamed().await;
    assert!(answer.stream_error().is_some(), "{}", answer.body);
    assert!(
        began.elapsed() < Duration::from_secs(10),
        "{:?}",
        began.elapsed()
    );
}
