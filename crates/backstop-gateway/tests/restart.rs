//! What is known again after a restart, a sudden one too.

mod common;
#[path = "common/program.rs"]
mod program;

use std::{fs, time::Duration};

use backstop_simulator::{Dialect, Fault, Reply};
use common::{Answer, hello, simulator};
use program::Program;
use serde_json::{Value, json};
use tokio::time::{Instant, sleep, timeout};

async fn put(program: &Program, path: &str, body: &Value) {
    let request = reqwest::Client::new().put(program.url(path));
    let answer = request.json(body).send().await.expect("an answer comes");
    assert_eq!(answer.status(), 200);
}

async fn served_by(program: &Program) -> String {
    let request = reqwest::Client::new().post(program.url("/v1/chat/completions"));
    let answer = request.json(&hello()).send().await;
    let answer = Answer::read(answer.expect("an answer comes")).await;
    answer.served_by().to_owned()
}

#[tokio::test]
async fn what_was_changed_by_hand_holds_after_the_program_was_killed() {
    let directory = tempfile::tempdir().expect("can be made");
    let state = directory.path().join("state.json");
    let file = directory.path().join("backstop.toml");
    let provider = simulator(Dialect::OpenAi, Reply::text("hello")).await;
    let config = format!(
        "state_file = \"{}\"\n[providers.p]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"p:a\", \"p:b\", \"p:c\", \"p:d\"]\n",
        state.display(),
        provider.base_url(),
    );
    fs::write(&file, config).expect("can be written");
    let kept = |what: &'static str| {
        let state = state.clone();
        let kept = async move {
            while !fs::read_to_string(&state)
                .unwrap_or_default()
                .contains(what)
            {
                sleep(Duration::from_millis(5)).await;
            }
        };
        async { timeout(common::BOUND, kept).await.expect("it is kept") }
    };

    let program = Program::start(&file).await;
    assert_eq!(served_by(&program).await, "p:a");
    put(
        &program,
        "/admin/models/smart/order",
        &json!(["p:c", "p:d"]),
    )
    .await;
    let off = json!({ "enabled": false });
    put(&program, "/admin/models/smart/candidates/p:c", &off).await;
    put(&program, "/admin/circuits/p:d", &json!({ "do": "isolate" })).await;
    kept("forced_open").await;
    drop(program);

    let program = Program::start(&file).await;
    assert_eq!(served_by(&program).await, "p:a");
    put(&program, "/admin/circuits/p:d", &json!({ "do": "reset" })).await;
    assert_eq!(served_by(&program).await, "p:d");
    let on = json!({ "enabled": true });
    put(&program, "/admin/models/smart/candidates/p:c", &on).await;
    assert_eq!(served_by(&program).await, "p:c");
    put(&program, "/admin/models/smart/order", &json!([])).await;
    assert!(program.stop().await.success());

    let program = Program::start(&file).await;
    assert_eq!(served_by(&program).await, "p:a");
}

#[tokio::test]
async fn an_open_circuit_is_open_after_the_program_was_killed() {
    let directory = tempfile::tempdir().expect("can be made");
    let state = directory.path().join("state.json");
    let file = directory.path().join("backstop.toml");
    let provider = simulator(Dialect::OpenAi, Reply::text("hello")).await;
    provider.fault(Fault::unavailable().times(1));
    let config = format!(
        "state_file = \"{}\"\n[providers.p]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"p:a\", \"p:b\"]\nretry = {{ attempts = 1 }}\n\
         breaker = {{ failures = 1, open_for = \"10m\" }}\n",
        state.display(),
        provider.base_url(),
    );
    fs::write(&file, config).expect("can be written");
    for calls in [2, 3] {
        let program = Program::start(&file).await;
        assert_eq!(served_by(&program).await, "p:b");
        assert_eq!(provider.count(), calls, "the first is left alone");
        let began = Instant::now();
        while !fs::read_to_string(&state)
            .unwrap_or_default()
            .contains("\"open\"")
        {
            assert!(began.elapsed() < Duration::from_secs(5), "it is kept soon");
            sleep(Duration::from_millis(5)).await;
        }
    }
}

#[tokio::test]
async fn a_state_that_can_not_be_read_keeps_nobody_from_starting() {
    let directory = tempfile::tempdir().expect("can be made");
    let state = directory.path().join("state.json");
    let file = directory.path().join("backstop.toml");
    let provider = simulator(Dialect::OpenAi, Reply::text("hello")).await;
    provider.fault(Fault::unavailable().times(1));
    let config = format!(
        "state_file = \"{}\"\n[providers.p]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"p:a\", \"p:b\"]\nretry = {{ attempts = 1 }}\n",
        state.display(),
        provider.base_url(),
    );
    fs::write(&file, config).expect("can be written");
    for broken in ["", "{", "[]", "{\"circuits\":{\"p:a\":7},\"changes\":{}}"] {
        fs::write(&state, broken).expect("can be written");
        let program = Program::start(&file).await;
        assert!(served_by(&program).await.starts_with("p:"));
        assert!(program.stop().await.success());
    }
}
