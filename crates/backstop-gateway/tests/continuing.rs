//! How an answer that broke off is gone on with, as the config says of each candidate.

mod common;

use backstop_simulator::{Dialect, Fault, Pace, Prefill, Reply, Simulator};
use common::{Answer, Running};
use serde_json::{Value, json};

const TEXT: &str = "One two three four five six seven eight nine ten eleven twelve.";

async fn simulator(dialect: Dialect, prefill: Prefill) -> Simulator {
    Simulator::builder(dialect)
        .pace(Pace::INSTANT)
        .prefill(prefill)
        .reply(Reply::text(TEXT))
        .start()
        .await
        .expect("a port is free")
}

struct Setup {
    gateway: Running,
    primary: Simulator,
    backup: Simulator,
}

impl Setup {
    /// The primary breaks off, and the backup goes on as `resumes` says.
    async fn new(backup: Dialect, prefill: Prefill, resumes: &str) -> Self {
        Self::with(backup, prefill, resumes, "").await
    }

    /// The same, with this line more about the model.
    async fn with(backup: Dialect, prefill: Prefill, resumes: &str, model: &str) -> Self {
        let primary = simulator(Dialect::OpenAi, Prefill::Ignore).await;
        let backup_is = if backup == Dialect::OpenAi {
            "openai"
        } else {
            "anthropic"
        };
        let backup = simulator(backup, prefill).await;
        primary.fault(Fault::cut(5));
        let gateway = Running::start(&format!(
            "[providers.primary]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
             [providers.backup]\ndialect = \"{backup_is}\"\nbase_url = \"{}\"\n\
             [models.smart]\nretry = {{ attempts = 1 }}\n\
             candidates = [\"primary:p\", {{ candidate = \"backup:b\", {resumes} }}]\n{model}\n",
            primary.base_url(),
            backup.base_url(),
        ))
        .await;
        Self {
            gateway,
            primary,
            backup,
        }
    }

    async fn ask(&self) -> Answer {
        let body = json!({
            "model": "smart", "stream": true, "max_tokens": 200,
            "stream_options": { "include_usage": true },
            "messages": [{ "role": "user", "content": "Count." }],
        });
        Answer::read(self.gateway.chat(body).await).await
    }

    /// The last messages that the backup was sent, and the rest of its request.
    fn sent(&self) -> (Vec<Value>, Value) {
        let sent = self.backup.calls()[0].json();
        let messages = sent["messages"].as_array().cloned().unwrap_or_default();
        (messages, sent)
    }
}

fn text_of(message: &Value) -> String {
    match &message["content"] {
        Value::String(text) => text.clone(),
        parts => parts[0]["text"].as_str().unwrap_or_default().to_owned(),
    }
}

#[tokio::test]
async fn a_model_that_takes_a_begun_answer_is_given_it() {
    let resumes = "resumes = \"prefill\", can = [\"prefill\"]";
    let setup = Setup::new(Dialect::Anthropic, Prefill::Accept, resumes).await;
    let answer = setup.ask().await;
    assert_eq!(answer.text(), TEXT, "{}", answer.body);
    assert!(answer.is_done());
    let (messages, sent) = setup.sent();
    let last = messages.last().expect("a message");
    assert_eq!(last["role"], "assistant");
    assert!(TEXT.starts_with(&text_of(last)) && !text_of(last).is_empty());
    let limit = sent["max_tokens"].as_u64().expect("a limit");
    assert!(limit < 200, "what was said already counts: {limit}");
}

#[tokio::test]
async fn a_model_that_does_not_is_told_to_go_on() {
    for dialect in [Dialect::OpenAi, Dialect::Anthropic] {
        let setup = Setup::new(dialect, Prefill::Ignore, "resumes = \"instruction\"").await;
        let answer = setup.ask().await;
        assert_eq!(answer.text(), TEXT, "{dialect}: {}", answer.body);
        let (messages, _) = setup.sent();
        let [.., partial, instruction] = &messages[..] else {
            panic!("{messages:?}");
        };
        assert_eq!(partial["role"], "assistant");
        assert_eq!(instruction["role"], "user");
        let words = text_of(partial);
        let last = words.split_whitespace().last().expect("words");
        assert!(text_of(instruction).contains(last), "{instruction}");
    }
}

#[tokio::test]
async fn a_server_that_goes_on_with_the_last_message_is_told_so() {
    let resumes = "resumes = \"continue_final_message\"";
    let setup = Setup::new(Dialect::OpenAi, Prefill::Ignore, resumes).await;
    let answer = setup.ask().await;
    assert_eq!(answer.text(), TEXT, "{}", answer.body);
    let (messages, sent) = setup.sent();
    assert_eq!(messages.last().expect("a message")["role"], "assistant");
    assert_eq!(sent["continue_final_message"], true);
    assert_eq!(sent["add_generation_prompt"], false);
}

#[tokio::test]
async fn a_model_that_does_not_go_on_with_answers_is_not_asked_to() {
    let setup = Setup::new(Dialect::OpenAi, Prefill::Ignore, "resumes = \"never\"").await;
    let answer = setup.ask().await;
    let error = answer.stream_error().expect("an error");
    assert_eq!(error["error"]["code"], "stream_interrupted");
    assert!(!answer.is_done());
    assert_eq!(setup.backup.count(), 0);
}

#[tokio::test]
async fn who_refuses_to_go_on_does_not_hide_why_the_answer_broke_off() {
    let resumes = "resumes = \"prefill\", can = [\"prefill\"]";
    let setup = Setup::new(Dialect::Anthropic, Prefill::Reject, resumes).await;
    let answer = setup.ask().await;
    assert_eq!(setup.backup.count(), 1);
    let error = answer.stream_error().expect("an error");
    assert_eq!(error["error"]["code"], "stream_interrupted", "{error}");
    let message = error["error"]["message"].as_str().unwrap_or_default();
    assert!(!message.contains("prefill"), "{message}");
    assert!(error["error"]["usage"]["output_tokens"].as_u64() > Some(0));
    // The attempts tell of both.
    let attempts = error["error"]["attempts"].to_string();
    assert!(attempts.contains("interrupted"), "{attempts}");
    assert!(attempts.contains("backup:b"), "{attempts}");
    assert!(!answer.is_done());
}

#[tokio::test]
async fn a_continued_answer_is_one_answer_and_costs_what_both_parts_did() {
    let setup = Setup::new(
        Dialect::OpenAi,
        Prefill::Ignore,
        "resumes = \"instruction\"",
    )
    .await;
    let answer = setup.ask().await;
    let events: Vec<Value> = answer
        .events()
        .filter_map(|data| serde_json::from_str(data).ok())
        .collect();
    let first = &events[0];
    for event in &events {
        assert_eq!(event["id"], first["id"], "{event}");
        assert_eq!(event["model"], first["model"], "{event}");
    }
    let finishes = events
        .iter()
        .filter(|it| it["choices"][0]["finish_reason"].is_string());
    assert_eq!(finishes.count(), 1);
    let usage = events.iter().rev().find(|it| it["usage"].is_object());
    let usage = &usage.expect("the usage is told")["usage"];
    // What the backup alone would have counted: the whole conversation, and the words it wrote.
    let alone = setup.backup.calls()[0].json();
    let body = json!({ "model": "b", "messages": alone["messages"], "max_tokens": 200 });
    let again = setup
        .gateway
        .client
        .post(format!("{}/chat/completions", setup.backup.base_url()));
    let again = again
        .body(body.to_string())
        .send()
        .await
        .expect("an answer");
    let again: Value = serde_json::from_str(&again.text().await.expect("text")).expect("JSON");
    let tokens = |name: &str| usage[name].as_u64().unwrap_or_default();
    let backups = |name: &str| again["usage"][name].as_u64().unwrap_or_default();
    assert!(
        tokens("prompt_tokens") > backups("prompt_tokens"),
        "{usage}"
    );
    assert!(
        tokens("completion_tokens") > backups("completion_tokens"),
        "{usage}"
    );
    assert_eq!(
        tokens("total_tokens"),
        tokens("prompt_tokens") + tokens("completion_tokens")
    );
}

#[tokio::test]
async fn a_stream_that_stalls_is_gone_on_with_too() {
    let primary = simulator(Dialect::Anthropic, Prefill::Accept).await;
    let backup = simulator(Dialect::OpenAi, Prefill::Ignore).await;
    primary.fault(Fault::stall(5));
    let gateway = Running::start(&format!(
        "[providers.primary]\ndialect = \"anthropic\"\nbase_url = \"{}\"\n\
         [providers.backup]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\nretry = {{ attempts = 1 }}\ntimeout = {{ idle = \"200ms\" }}\n\
         candidates = [\"primary:p\", \"backup:b\"]\n",
        primary.base_url(),
        backup.base_url(),
    ))
    .await;
    let answer = gateway.streamed().await;
    assert_eq!(answer.text(), TEXT, "{}", answer.body);
    assert!(answer.is_done());
    // The provider's work was cancelled.
    primary.wait_until_idle().await;
}

#[tokio::test]
async fn an_answer_is_not_continued_where_the_caller_refuses() {
    for path in ["/v1/chat/completions", "/v1/messages", "/v1/responses"] {
        let setup = Setup::new(Dialect::OpenAi, Prefill::Ignore, "weight = 1").await;
        let body = common::paths::asking(path, &json!({ "stream": true }));
        let request = setup
            .gateway
            .post(path, &body)
            .header("x-backstop-continue", "false");
        let answer = Answer::read(request.send().await.expect("an answer comes")).await;
        assert_eq!(setup.primary.count(), 1);
        assert_eq!(setup.backup.count(), 0, "{path}: {}", answer.body);
        assert!(!answer.events().any(common::paths::is_end_marker), "{path}");
    }
}

#[tokio::test]
async fn an_answer_that_is_too_long_to_be_kept_is_not_continued() {
    for (max_partial, whole) in [("8B", false), ("1KiB", true)] {
        let held = format!("continue = {{ max_partial = \"{max_partial}\" }}");
        let resumes = "resumes = \"instruction\"";
        let setup = Setup::with(Dialect::OpenAi, Prefill::Ignore, resumes, &held).await;
        let answer = setup.ask().await;
        assert_eq!(answer.is_done(), whole, "{}", answer.body);
        assert_eq!(answer.stream_error().is_none(), whole, "{}", answer.body);
    }
}
