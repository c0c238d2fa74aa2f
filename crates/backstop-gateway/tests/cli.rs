//! What the program says to a person, and what it ends with.

mod common;

use std::{
    fs,
    path::Path,
    process::{Output, Stdio},
};

use backstop_simulator::{Dialect, Reply};
use common::simulator;
use tokio::{
    io::{AsyncBufReadExt, BufReader},
    net::TcpListener,
    process::Command,
    time::timeout,
};

const MODEL: &str = "[models.smart]\ncandidates = [\"p:m\"]\nretry = { attempts = 1 }\n";

/// Runs it with these words, to its end.
async fn backstop(words: &[&str]) -> (i32, String) {
    let run = Command::new(env!("CARGO_BIN_EXE_backstop"))
        .args(words)
        .env("RUST_LOG", "off")
        .kill_on_drop(true)
        .output();
    let Output {
        status,
        stdout,
        stderr,
    } = timeout(common::BOUND, run)
        .await
        .expect("it ends")
        .expect("it runs");
    let said = [stdout, stderr].map(|it| String::from_utf8(it).expect("is text"));
    (status.code().expect("it was not killed"), said.concat())
}

/// A config in a file.
fn written(directory: &Path, config: &str) -> String {
    let path = directory.join("backstop.toml");
    fs::write(&path, config).expect("can be written");
    path.display().to_string()
}

fn provider(base_url: &str) -> String {
    format!("[providers.p]\ndialect = \"openai\"\nbase_url = \"{base_url}\"\n")
}

#[tokio::test]
async fn a_check_finds_what_would_keep_the_gateway_from_starting() {
    let directory = tempfile::tempdir().expect("can be made");
    let none = directory.path().join("none.pem").display().to_string();
    let empty = directory.path().join("empty.pem").display().to_string();
    fs::write(&empty, "").expect("can be written");
    for (config, wrong) in [
        (
            format!("[tls]\ncertificate = \"{none}\"\nkey = \"{none}\"\n"),
            "backstop.toml:2:15: `tls.certificate` names the file ",
        ),
        (
            format!("[tls]\ncertificate = \"{empty}\"\nkey = \"{empty}\"\n"),
            "empty.pem: ",
        ),
    ] {
        let config = format!("{config}{}{MODEL}", provider("https://here/v1"));
        let file = written(directory.path(), &config);
        for words in [["check", &file], ["--config", &file]] {
            let (status, said) = backstop(&words).await;
            assert_eq!(status, 2, "{said}");
            assert!(said.contains(wrong), "{said}");
        }
    }
}

#[tokio::test]
async fn a_start_that_fails_says_why() {
    let directory = tempfile::tempdir().expect("can be made");
    let taken = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = taken.local_addr().expect("is bound").to_string();
    let config = format!("{}{MODEL}", provider("https://here/v1"));
    let file = written(directory.path(), &config);
    let (status, said) = backstop(&["--config", &file, "--listen", &address]).await;
    assert_eq!(status, 2, "{said}");
    assert!(
        said.contains(&format!("can't listen on {address}: ")),
        "{said}"
    );
}

#[tokio::test]
async fn a_start_says_where_it_listens_and_a_stop_what_is_waited_for() {
    let directory = tempfile::tempdir().expect("can be made");
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("is made");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("cert.pem"), own.cert.pem()).expect("can be written");
    fs::write(path("key.pem"), own.signing_key.serialize_pem()).expect("can be written");
    let tls = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n[admin]\nlisten = \"127.0.0.1:0\"\n",
        path("cert.pem"),
        path("key.pem"),
    );
    let config = format!("{tls}{}{MODEL}", provider("https://here/v1"));
    let file = written(directory.path(), &config);
    let mut child = Command::new(env!("CARGO_BIN_EXE_backstop"))
        .args(["--listen", "127.0.0.1:0", "--config", &file])
        .env("RUST_LOG", "info")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .expect("it starts");
    let mut lines = BufReader::new(child.stdout.take().expect("is piped")).lines();
    let mut said = Vec::new();
    while let Some(line) = timeout(common::BOUND, lines.next_line())
        .await
        .expect("it says so")
        .expect("can be read")
    {
        said.push(line);
        if said
            .last()
            .is_some_and(|line| line.starts_with("for the operator on http://"))
        {
            break;
        }
    }
    let said = said.join("\n");
    assert!(said.contains("listening on https://127.0.0.1:"), "{said}");
    let id = child.id().expect("it runs").to_string();
    let told = Command::new("kill").args(["-TERM", &id]).status().await;
    assert!(told.expect("it can be told").success());
    let ended = timeout(common::BOUND, child.wait_with_output()).await;
    let ended = ended.expect("it ends").expect("it ran");
    assert!(ended.status.success());
    let log = String::from_utf8_lossy(&ended.stderr);
    assert!(
        log.contains("told to stop: what is running may go on for 30s"),
        "{log}"
    );
}

#[tokio::test]
async fn a_probe_fails_where_a_candidate_does_and_says_why() {
    let directory = tempfile::tempdir().expect("can be made");
    let there = simulator(Dialect::OpenAi, Reply::text("hello")).await;
    let config = format!("{}{MODEL}", provider(&there.base_url()));
    let file = written(directory.path(), &config);
    let (status, said) = backstop(&["probe", "--config", &file]).await;
    assert_eq!(status, 0, "{said}");

    let free = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let nobody = free.local_addr().expect("is bound");
    drop(free);
    let config = format!("{}{MODEL}", provider(&format!("http://{nobody}/v1")));
    let file = written(directory.path(), &config);
    let (status, said) = backstop(&["probe", "--config", &file]).await;
    assert_eq!(status, 1, "{said}");
    assert!(said.contains("efused"), "{said}");
    assert_eq!(said.matches("p:m").count(), 1, "{said}");

    let nobody = format!("http://{nobody}");
    let (status, said) = backstop(&["explain", "-m", "smart", "--gateway", &nobody]).await;
    assert_eq!(status, 2, "{said}");
    assert!(said.contains("efused"), "{said}");
}

#[tokio::test]
async fn a_key_of_any_name_can_be_written_into_the_config() {
    let directory = tempfile::tempdir().expect("can be made");
    for name in ["team-1", "a \"b\"", "a.b", "c\\d", "è"] {
        let (status, said) = backstop(&["key", name]).await;
        assert_eq!(status, 0, "{said}");
        let (_, lines) = said.split_once("config:\n").expect("what to write");
        let config = format!("{}{MODEL}{lines}", provider("https://here/v1"));
        let (status, said) = backstop(&["check", &written(directory.path(), &config)]).await;
        assert_eq!(status, 0, "{name}: {said}");
    }
}

#[tokio::test]
async fn a_check_draws_when_the_turn_of_each_candidate_comes() {
    let directory = tempfile::tempdir().expect("can be made");
    let config = format!(
        "{}[models.smart]\norder = \"weight\"\nprice_cap = 0.5\nmax_attempts = 4\n\
         candidates = [{{ candidate = \"p:a\", weight = 9, also_after = [\"filtered\"] }}, \
         {{ candidate = \"p:b\", only_after = [\"too_large\"] }}, \
         {{ candidate = \"p:c\", tier = 2, degraded = \"Less.\" }}]\n\
         [models.plain]\ncandidates = [\"p:m\"]\n",
        provider("https://here/v1"),
    );
    let (status, said) = backstop(&["check", &written(directory.path(), &config)]).await;
    assert_eq!(status, 0, "{said}");
    for told in [
        "/v1   tier 0   weight 9   after filtered too\n",
        "/v1   tier 0   weight 1   after too_large only\n",
        "/v1   tier 2   weight 1   a lesser answer\n",
        "\n     within a tier by chance, in proportion to their weights\n",
        "\n     no more than 4 attempts in all\n",
        "\n     none for whom the call would cost more than 0.5 USD\n",
    ] {
        assert!(said.contains(told), "{told} in {said}");
    }
    let (plain, _) = said.split_once("smart").expect("it comes after the other");
    for word in ["tier", "weight", "after"] {
        assert!(!plain.contains(word), "{said}");
    }
}

#[tokio::test]
async fn what_is_asked_for_and_not_there_is_told_at_once() {
    let directory = tempfile::tempdir().expect("can be made");
    let config = format!("{}{MODEL}", provider("https://here/v1"));
    let file = written(directory.path(), &config);
    for command in ["drill", "probe"] {
        let (status, said) = backstop(&[command, "-c", &file, "-m", "samrt"]).await;
        assert_eq!(status, 2, "{said}");
        assert_eq!(said, "no model is named \"samrt\": there are smart\n");
    }
    for words in [&["probe", "-c", &file, "--tries", "0"][..], &["key", ""]] {
        let (status, said) = backstop(words).await;
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("error: "), "{said}");
    }
}

#[tokio::test]
async fn a_drill_in_which_nothing_could_happen_is_refused() {
    for word in ["--phase=0", "--phase=-1", "--phase=x", "--workers=0"] {
        let (status, said) = backstop(&["drill", word]).await;
        assert_eq!(status, 2, "{said}");
        assert!(said.contains("invalid value"), "{said}");
    }
}

#[tokio::test]
async fn that_nobody_reads_on_is_no_failure() {
    let directory = tempfile::tempdir().expect("can be made");
    let config = format!("{}{MODEL}", provider("https://here/v1"));
    let file = written(directory.path(), &config);
    let mut child = Command::new(env!("CARGO_BIN_EXE_backstop"))
        .args(["check", &file])
        .stdout(Stdio::piped())
        .spawn()
        .expect("it starts");
    drop(child.stdout.take());
    let status = timeout(common::BOUND, child.wait()).await.expect("it ends");
    assert!(status.expect("it runs").success());
}
