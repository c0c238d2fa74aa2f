//! What is known again after a restart, a sudden one too.

mod common;
#[path = "common/program.rs"]
mod program;

use std::{fs, path::PathBuf, time::Duration};

use backstop_simulator::{Dialect, Fault, Reply, Simulator};
use common::{Answer, hello, simulator};
use program::Program;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    net::TcpStream,
    time::{sleep, timeout},
};

/// The files of a program that keeps its state, in front of one provider.
struct Setup {
    _directory: TempDir,
    state: PathBuf,
    file: PathBuf,
    provider: Simulator,
}

impl Setup {
    async fn of(model: &str) -> Self {
        let directory = tempfile::tempdir().expect("can be made");
        let state = directory.path().join("state.json");
        let file = directory.path().join("backstop.toml");
        let provider = simulator(Dialect::OpenAi, Reply::text("hello")).await;
        let config = format!(
            "state_file = \"{}\"\n[providers.p]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
             [models.smart]\n{model}\n",
            state.display(),
            provider.base_url(),
        );
        fs::write(&file, config).expect("can be written");
        Self {
            _directory: directory,
            state,
            file,
            provider,
        }
    }

    /// Waits until this is in the state that is kept.
    async fn kept(&self, what: &str) {
        let is_kept = || fs::read_to_string(&self.state).is_ok_and(|state| state.contains(what));
        let kept = async {
            while !is_kept() {
                sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(common::BOUND, kept).await.expect("it is kept");
    }
}

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
    let setup = Setup::of(r#"candidates = ["p:a", "p:b", "p:c", "p:d"]"#).await;

    let program = Program::start(&setup.file).await;
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
    setup.kept("forced_open").await;
    drop(program);

    let program = Program::start(&setup.file).await;
    assert_eq!(served_by(&program).await, "p:a");
    put(&program, "/admin/circuits/p:d", &json!({ "do": "reset" })).await;
    assert_eq!(served_by(&program).await, "p:d");
    let on = json!({ "enabled": true });
    put(&program, "/admin/models/smart/candidates/p:c", &on).await;
    assert_eq!(served_by(&program).await, "p:c");
    put(&program, "/admin/models/smart/order", &json!([])).await;
    assert!(program.stop().await.success());

    let program = Program::start(&setup.file).await;
    assert_eq!(served_by(&program).await, "p:a");
}

#[tokio::test]
async fn an_open_circuit_is_open_after_the_program_was_killed() {
    let setup = Setup::of(
        r#"candidates = ["p:a", "p:b"]
retry = { attempts = 1 }
breaker = { failures = 1, open_for = "10m" }"#,
    )
    .await;
    setup.provider.fault(Fault::unavailable().times(1));
    for calls in [2, 3] {
        let program = Program::start(&setup.file).await;
        assert_eq!(served_by(&program).await, "p:b");
        assert_eq!(setup.provider.count(), calls, "the first is left alone");
        setup.kept("\"open\"").await;
    }
}

#[tokio::test]
async fn who_is_told_to_stop_twice_waits_for_nothing_and_keeps_its_state() {
    let setup = Setup::of("candidates = [\"p:m\"]\n[limits]\nshutdown = \"1h\"").await;
    setup.provider.fault(Fault::hang());
    let mut program = Program::start(&setup.file).await;
    let url = program.url("/v1/chat/completions");
    let asked = tokio::spawn(reqwest::Client::new().post(url).json(&hello()).send());
    let stopped = async {
        while setup.provider.count() == 0 {
            sleep(Duration::from_millis(5)).await;
        }
        fs::remove_file(&setup.state).ok();
        program.tell().await;
        // Told once, it takes no more calls, and goes on with that one.
        while TcpStream::connect(program.address).await.is_ok() {
            sleep(Duration::from_millis(5)).await;
        }
        assert!(!asked.is_finished());
        loop {
            program.tell().await;
            if let Ok(ended) = timeout(Duration::from_millis(100), program.ended()).await {
                return ended;
            }
        }
    };
    let ended = timeout(common::BOUND, stopped).await.expect("it stops");
    assert!(ended.success());
    setup.kept("circuits").await;
    let cut = timeout(common::BOUND, asked).await.expect("it is told");
    assert!(cut.expect("does not panic").is_err());
}

#[tokio::test]
async fn a_state_that_can_not_be_read_keeps_nobody_from_starting() {
    let setup = Setup::of(
        r#"candidates = ["p:a", "p:b"]
retry = { attempts = 1 }"#,
    )
    .await;
    setup.provider.fault(Fault::unavailable().times(1));
    for broken in ["", "{", "[]", "{\"circuits\":{\"p:a\":7},\"changes\":{}}"] {
        fs::write(&setup.state, broken).expect("can be written");
        let program = Program::start(&setup.file).await;
        assert!(served_by(&program).await.starts_with("p:"));
        assert!(program.stop().await.success());
    }
}

#[cfg(unix)]
#[tokio::test]
async fn a_state_that_is_to_be_kept_in_a_device_leaves_it_as_it_is() {
    use std::os::unix::fs::FileTypeExt as _;

    let mut setup = Setup::of("candidates = [\"p:m\"]").await;
    // As `/dev/null` is, but nobody else's.
    let pipe = setup.state.with_extension("pipe");
    let made = std::process::Command::new("mkfifo").arg(&pipe).status();
    assert!(made.expect("is on every system").success());
    let config = fs::read_to_string(&setup.file).expect("is there");
    let config = config.replace("state.json", "state.pipe");
    fs::write(&setup.file, config).expect("can be written");
    setup.state = pipe;
    let program = Program::start(&setup.file).await;
    assert_eq!(served_by(&program).await, "p:m");
    assert!(program.stop().await.success());
    let left = fs::metadata(&setup.state).expect("is there");
    assert!(left.file_type().is_fifo());
}
