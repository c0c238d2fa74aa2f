//! What the program logs, and what it never does.

#[path = "common/fronts.rs"]
mod fronts;
#[path = "common/program.rs"]
mod program;

use std::{fs::File, process::Stdio};

use backstop_simulator::{Dialect, Fault, Pace, Reply, Simulator};
use fronts::FRONTS;
use program::Program;
use reqwest::Client;

const ASKED: &str = "the caller's own business";
const ANSWERED: &str = "something between the two of them";
const KEY: &str = "sk-upstream-secret";

/// What is logged of one call in each front, one that fails and one that is refused.
async fn logged(more: &str) -> String {
    let provider = Simulator::builder(Dialect::Anthropic).pace(Pace::INSTANT);
    let provider = provider.reply(Reply::text(ANSWERED)).start().await;
    let provider = provider.expect("a port is free");
    let directory = tempfile::tempdir().expect("can be made");
    let path = |name: &str| directory.path().join(name);
    let config = format!(
        "{more}\n[providers.p]\ndialect = \"anthropic\"\nbase_url = \"{}\"\n\
         api_key = \"{KEY}\"\n[models.smart]\ncandidates = [\"p:m\"]\n\
         retry = {{ attempts = 1 }}\n",
        provider.base_url(),
    );
    std::fs::write(path("backstop.toml"), config).expect("can be written");
    let log = File::create(path("log")).expect("can be made");
    let program = Program::logging(&path("backstop.toml"), "debug", Stdio::from(log)).await;
    let client = Client::new();
    let ask = async |path: &str, body: String| {
        let asked = client.post(program.url(path)).body(body);
        let asked = asked.header("x-request-id", "id-of-one");
        let answer = asked.send().await.expect("an answer comes");
        answer.text().await.expect("it comes to its end")
    };
    for front in FRONTS {
        let answer = ask(front.path, front.body(ASKED).to_string()).await;
        assert_eq!(front.read(&answer).text, ANSWERED, "{front:?}");
    }
    provider.fault(Fault::status(401).body(format!("no such key: {KEY}")));
    ask(FRONTS[0].path, FRONTS[0].body(ASKED).to_string()).await;
    ask(FRONTS[0].path, format!("{{ \"model\": \"{ASKED}\"")).await;
    assert!(program.stop().await.success());
    std::fs::read_to_string(path("log")).expect("it is there")
}

#[tokio::test]
async fn neither_prompts_nor_answers_nor_keys_are_logged() {
    let log = logged("").await;
    for never in [ASKED, ANSWERED, KEY] {
        assert!(!log.contains(never), "{never} in {log}");
    }
    // One line for each call, each with its id, whether any candidate was asked or not.
    let lines: Vec<_> = log
        .lines()
        .filter(|line| line.contains("backstop::call"))
        .collect();
    assert_eq!(lines.len(), FRONTS.len() + 2, "{log}");
    assert!(lines.iter().all(|line| line.contains("id-of-one")), "{log}");
    assert!(log.contains("outcome=\"denied\""), "{log}");
    // What is not known is not told as nothing.
    for line in lines {
        let is_answered = line.contains("outcome=\"ok\"");
        assert_eq!(line.contains("output_tokens="), is_answered, "{line}");
    }
}

#[tokio::test]
async fn prompts_and_answers_are_logged_where_that_is_switched_on() {
    let log = logged("log_content = true").await;
    let lines = |what: &str| {
        let lines = log.lines();
        let lines = lines.filter(|line| line.contains("backstop::content") && line.contains(what));
        lines.count()
    };
    assert_eq!(lines(ASKED), FRONTS.len() + 2, "{log}");
    assert_eq!(lines(ANSWERED), FRONTS.len(), "{log}");
    assert!(!log.contains(KEY), "{log}");
}

#[tokio::test]
async fn a_refusal_says_whom_it_was_for() {
    let directory = tempfile::tempdir().expect("can be made");
    let path = |name: &str| directory.path().join(name);
    let hash = backstop_gateway::callers::Hash::of("the-key");
    let config = format!(
        "[providers.p]\ndialect = \"openai\"\nbase_url = \"http://127.0.0.1:1/v1\"\n\
         [models.smart]\ncandidates = [\"p:m\"]\n[keys.team]\nsha256 = \"{hash}\"\n\
         models = [\"smart\"]\n",
    );
    std::fs::write(path("backstop.toml"), config).expect("can be written");
    let log = File::create(path("log")).expect("can be made");
    let program = Program::logging(&path("backstop.toml"), "info", Stdio::from(log)).await;
    let client = Client::new();
    for key in ["the-key", "another-key"] {
        let asked = client.post(program.url("/v1/chat/completions"));
        let asked = asked
            .bearer_auth(key)
            .body("{ \"model\": \"other\", \"messages\": [] }");
        let answer = asked.send().await.expect("an answer comes");
        assert!(answer.status().is_client_error());
    }
    assert!(program.stop().await.success());
    let log = std::fs::read_to_string(path("log")).expect("it is there");
    let refused: Vec<_> = log
        .lines()
        .filter(|it| it.contains("\"refused\""))
        .collect();
    assert_eq!(refused.len(), 2, "{log}");
    assert!(refused[0].contains("caller=\"team\""), "{log}");
    assert!(!refused[1].contains("caller="), "{log}");
    assert!(!log.contains("-key\""), "{log}");
}
