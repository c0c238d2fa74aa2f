//! Streams that break off: who is told to have served, what is never continued, and how much is
//! read of an answer that nobody takes.

mod common;

use backstop_simulator::{Dialect, Fault, Outcome, Pace, Reply, Simulator};
use common::{
    Answer, BOUND, Running, Setup,
    paths::{PATHS, asking, is_end_marker, is_error},
};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpSocket,
    time::timeout,
};

/// What one front is asked for a stream, and this besides.
fn streaming(path: &str, more: &Value) -> Value {
    let mut body = asking(path, more);
    body["stream"] = true.into();
    body
}

async fn ask(setup: &Setup, path: &str, more: &Value) -> Answer {
    let request = setup.gateway.post(path, &streaming(path, more));
    Answer::read(request.send().await.expect("an answer comes")).await
}

/// What the last event before the end marker says of who served.
fn told(answer: &Answer) -> Value {
    let events: Vec<_> = answer.events().collect();
    let (last, before) = events.split_last().expect("there are events");
    assert!(is_end_marker(last), "{}", answer.body);
    let before: Value = serde_json::from_str(before.last().expect("there are two")).expect("JSON");
    before["backstop"].clone()
}

#[tokio::test]
async fn the_last_event_before_the_end_says_who_served_in_every_front() {
    for path in PATHS {
        let setup = Setup::new().await;
        let answer = ask(&setup, path, &Value::Null).await;
        let primary = "anthropic:claude-opus-4-8";
        assert_eq!(answer.served_by(), primary);
        let whole = told(&answer);
        assert_eq!(whole["served_by"], primary, "{path}: {}", answer.body);
        assert_eq!(whole["attempts"], json!([]), "{path}");

        setup.fault(Fault::cut(3));
        let answer = ask(&setup, path, &Value::Null).await;
        assert_eq!(answer.served_by(), primary, "the header says who began");
        let continued = told(&answer);
        let served = continued["served_by"].as_str().unwrap_or_default();
        assert!(served.contains(primary), "{path}: {continued}");
        assert!(served.contains("openai:gpt-5.5"), "{path}: {continued}");
        let attempts = continued["attempts"].to_string();
        assert!(attempts.contains("interrupted"), "{path}: {attempts}");
    }
}

/// The call ends with an explicit error, in the words of its front, and without an end marker.
fn assert_broken(path: &str, answer: &Answer) {
    let last = answer.events().last();
    let last = last.and_then(|data| serde_json::from_str(data).ok());
    let last = last.unwrap_or_default();
    assert!(is_error(path, &last), "{path}: {}", answer.body);
    let ended = answer.events().any(is_end_marker);
    assert!(!ended, "{path}: {}", answer.body);
}

#[tokio::test]
async fn json_is_not_continued() {
    for path in PATHS {
        let setup = Setup::new().await;
        setup
            .primary
            .reply(Reply::text("{ \"a\" : 1 , \"b\" : 2 , \"c\" : 3 }"));
        setup.fault(Fault::cut(3));
        let schema = json!({ "type": "object" });
        let more = match path {
            "/v1/messages" => json!({
                "output_config": { "format": { "type": "json_schema", "schema": schema } },
            }),
            "/v1/responses" => json!({
                "text": { "format": { "type": "json_schema", "name": "x", "schema": schema } },
            }),
            _ => json!({ "response_format": {
                "type": "json_schema", "json_schema": { "name": "x", "schema": schema },
            } }),
        };
        let answer = ask(&setup, path, &more).await;
        assert_broken(path, &answer);
        assert_eq!(setup.backup.count(), 0, "{path}: {}", answer.body);
    }
}

#[tokio::test]
async fn thinking_is_not_continued() {
    for path in PATHS {
        let setup = Setup::new().await;
        let thought = "Let me think about this for rather a long while.";
        setup.primary.reply(Reply::text("Done.").thinking(thought));
        setup.fault(Fault::cut(3));
        let more = match path {
            "/v1/messages" => json!({ "thinking": { "type": "adaptive" } }),
            "/v1/responses" => json!({ "reasoning": { "effort": "high" } }),
            _ => json!({ "reasoning_effort": "high" }),
        };
        let answer = ask(&setup, path, &more).await;
        assert_broken(path, &answer);
        assert_eq!(setup.backup.count(), 0, "{path}: {}", answer.body);
    }
}

/// Much more than all the buffers of the sockets on the way.
const LARGE: usize = 48 << 20;

#[tokio::test(flavor = "multi_thread")]
async fn a_caller_who_does_not_read_holds_the_provider_up() {
    let pieces = vec!["x".repeat(64 << 10); LARGE >> 16];
    let provider = Simulator::builder(Dialect::OpenAi)
        .pace(Pace::INSTANT)
        .reply(Reply::chunks(pieces))
        .start()
        .await
        .expect("a port is free");
    let gateway = Running::start(&format!(
        "[providers.p]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"p:m\"]\ncontinue = false\n",
        provider.base_url(),
    ))
    .await;
    let socket = TcpSocket::new_v4().expect("a socket");
    socket.set_recv_buffer_size(16 << 10).expect("a size");
    let mut caller = socket.connect(gateway.address).await.expect("connects");
    let body = streaming(PATHS[0], &json!({ "max_tokens": null })).to_string();
    let head = format!(
        "POST {} HTTP/1.1\r\nhost: x\r\nconnection: close\r\ncontent-length: {}\r\n\r\n{body}",
        PATHS[0],
        body.len(),
    );
    caller.write_all(head.as_bytes()).await.expect("is sent");
    // It reads the beginning of the answer, and then nothing for a while.
    let mut beginning = vec![0; 1 << 10];
    caller.read_exact(&mut beginning).await.expect("an answer");
    // In the time in which another takes in all of the same, the provider gets rid of nothing.
    let other = gateway.post(
        PATHS[0],
        &streaming(PATHS[0], &json!({ "max_tokens": null })),
    );
    let other = Answer::read(other.send().await.expect("an answer comes")).await;
    assert!(other.is_done() && other.body.len() > LARGE);
    assert_eq!(provider.calls()[0].outcome, Outcome::Open);
    // What was held up is all there once it reads on.
    let mut rest = Vec::new();
    timeout(BOUND, caller.read_to_end(&mut rest))
        .await
        .expect("in time")
        .expect("to the end");
    let xs = rest.iter().filter(|byte| **byte == b'x').count();
    assert!(xs > LARGE - (64 << 10), "{xs}");
    let end = String::from_utf8_lossy(&rest[rest.len() - 200..]);
    assert!(end.contains("[DONE]"), "{end}");
}
