//! Spans, at a collector that takes nothing but what OTLP over HTTP in JSON allows.

#[path = "common/program.rs"]
mod program;

use std::{collections::BTreeMap, path::Path, time::Duration};

use backstop_simulator::{Dialect, Fault, Simulator};
use program::Program;
use reqwest::Client;
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    time::timeout,
};

const TRACE: &str = "0af7651916cd43dd8448eb211c80319c";
const CALLER: &str = "b7ad6b7169203331";

/// Nothing here takes this long unless something is broken.
const BOUND: Duration = Duration::from_secs(30);

/// Takes one request, and gives back its spans.
async fn collected(listener: &TcpListener) -> Vec<Span> {
    let (mut stream, _) = listener.accept().await.expect("someone connects");
    let mut read = Vec::new();
    let (head, body) = loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_ascii_lowercase();
            let length = head
                .lines()
                .find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
            if Some(body.len()) == length {
                break (head, body.to_owned());
            }
        }
        assert_ne!(stream.read_buf(&mut read).await.expect("can be read"), 0);
    };
    assert!(head.starts_with("post /v1/traces http/1.1"), "{head}");
    assert!(head.contains("content-type: application/json"), "{head}");
    assert!(head.contains("x-team: search"), "{head}");
    let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\n\
                   content-type: application/json\r\ncontent-length: 2\r\n\r\n{}";
    stream.write_all(answer).await.expect("can be answered");
    let body: Value = serde_json::from_str(&body).expect("is JSON");
    let resource = &body["resourceSpans"][0];
    let named = attributes(&resource["resource"]["attributes"]);
    assert_eq!(named["service.name"], "test");
    let scope = &resource["scopeSpans"][0];
    assert_eq!(scope["scope"]["name"], "backstop");
    let spans = scope["spans"].as_array().expect("is a list");
    spans.iter().map(Span::read).collect()
}

/// A span, read as strictly as OTLP's JSON is defined.
#[derive(Debug)]
struct Span {
    trace: String,
    id: String,
    parent: String,
    name: String,
    kind: u64,
    failed: bool,
    attributes: BTreeMap<String, Value>,
}

impl Span {
    fn read(span: &Value) -> Self {
        let text = |name: &str| {
            span[name]
                .as_str()
                .unwrap_or_else(|| panic!("{name}: {span}"))
        };
        let id = |name: &str, length: usize| {
            let id = text(name);
            let hex = id
                .bytes()
                .all(|b| b.is_ascii_digit() || (b'a'..=b'f').contains(&b));
            assert!(hex && id.len() == length, "{name}: {span}");
            id.to_owned()
        };
        // 64-bit numbers are strings there, because JSON's numbers have no room for them.
        let at = |name: &str| text(name).parse::<u64>().expect("is a number in quotes");
        assert!(at("startTimeUnixNano") <= at("endTimeUnixNano"));
        let parent = text("parentSpanId");
        Self {
            trace: id("traceId", 32),
            id: id("spanId", 16),
            parent: if parent.is_empty() {
                String::new()
            } else {
                id("parentSpanId", 16)
            },
            name: text("name").to_owned(),
            kind: span["kind"].as_u64().expect("is a number"),
            failed: span["status"]["code"] == 2,
            attributes: attributes(&span["attributes"]),
        }
    }
}

/// The attributes of something, each with its one value.
fn attributes(list: &Value) -> BTreeMap<String, Value> {
    let read = |it: &Value| {
        let key = it["key"].as_str().expect("has a key").to_owned();
        (key, value(&it["value"]))
    };
    list.as_array()
        .expect("is a list")
        .iter()
        .map(read)
        .collect()
}

fn value(value: &Value) -> Value {
    let fields = value.as_object().expect("is one of several");
    assert_eq!(fields.len(), 1, "{value}");
    let (kind, inner) = fields.iter().next().expect("there is one");
    match kind.as_str() {
        "stringValue" if inner.is_string() => inner.clone(),
        "boolValue" if inner.is_boolean() => inner.clone(),
        "doubleValue" if inner.is_number() => inner.clone(),
        "intValue" => {
            let number = inner.as_str().expect("is in quotes");
            json!(number.parse::<i64>().expect("is a number"))
        }
        "arrayValue" => {
            let values = inner["values"].as_array().expect("is a list");
            values.iter().map(self::value).collect()
        }
        _ => panic!("{value} is no value"),
    }
}

async fn simulator(dialect: Dialect) -> Simulator {
    let started = Simulator::builder(dialect).start().await;
    started.expect("a port is free")
}

/// What the program needs: a place for its config, a collector, and two providers.
async fn surroundings() -> (TempDir, TcpListener, Simulator, Simulator) {
    (
        tempfile::tempdir().expect("can be made"),
        TcpListener::bind("127.0.0.1:0")
            .await
            .expect("a port is free"),
        simulator(Dialect::Anthropic).await,
        simulator(Dialect::OpenAi).await,
    )
}

/// The program, before two providers, with a collector; and asked once, within a trace.
async fn asked(
    directory: &Path,
    collector: &TcpListener,
    providers: [&Simulator; 2],
    streamed: bool,
    flags: &str,
) -> Program {
    let config = format!(
        "[providers.anthropic]\ndialect = \"anthropic\"\nbase_url = \"{}\"\n\
         [providers.openai]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"anthropic:claude-opus-4-8\", \"openai:gpt-5.5\"]\n\
         retry = {{ attempts = 1 }}\n\
         [telemetry]\notlp = \"http://{}\"\nservice = \"test\"\n\
         headers = {{ x-team = \"search\" }}\n",
        providers[0].base_url(),
        providers[1].base_url(),
        collector.local_addr().expect("is bound"),
    );
    let path = directory.join("backstop.toml");
    std::fs::write(&path, config).expect("can be written");
    let program = Program::start(&path).await;
    let body = json!({
        "model": "smart", "stream": streamed, "max_tokens": 100,
        "messages": [{ "role": "user", "content": "Hello!" }],
    });
    let answer = Client::new()
        .post(program.url("/v1/chat/completions"))
        .header("traceparent", format!("00-{TRACE}-{CALLER}-{flags}"))
        .header("content-type", "application/json")
        .body(body.to_string())
        .send()
        .await
        .expect("an answer comes");
    assert_eq!(answer.status(), 200);
    answer.bytes().await.expect("it comes to its end");
    program
}

#[tokio::test]
async fn a_call_and_its_attempts_are_one_trace() {
    for streamed in [false, true] {
        let (directory, collector, primary, backup) = surroundings().await;
        primary.fault(Fault::overloaded());
        let providers = [&primary, &backup];
        let _program = asked(directory.path(), &collector, providers, streamed, "01").await;
        let spans = timeout(BOUND, collected(&collector)).await;
        let spans = spans.expect("spans come within seconds");
        assert_eq!(spans.len(), 3, "{spans:#?}");
        assert!(spans.iter().all(|span| span.trace == TRACE), "{spans:#?}");

        let call = spans.iter().find(|span| span.kind == 2).expect("the call");
        assert_eq!((&*call.name, &*call.parent), ("chat smart", CALLER));
        assert_eq!(call.attributes["gen_ai.operation.name"], "chat");
        assert_eq!(call.attributes["gen_ai.request.model"], "smart");
        assert_eq!(call.attributes["gen_ai.response.model"], "gpt-5.5");
        assert!(!call.failed);

        let attempts: Vec<_> = spans.iter().filter(|span| span.kind == 3).collect();
        assert!(attempts.iter().all(|it| it.parent == call.id), "{spans:#?}");
        let [failed, served] = ["anthropic", "openai"].map(|name| {
            let mut of = attempts.iter();
            of.find(|it| it.attributes["gen_ai.provider.name"] == name)
                .expect("each was asked")
        });
        assert!(failed.failed && !served.failed);
        assert_eq!(failed.attributes["error.type"], "overloaded");
        assert_eq!(failed.attributes["http.response.status_code"], 529);
        assert_eq!(failed.attributes["gen_ai.request.model"], "claude-opus-4-8");
        assert_eq!(served.attributes["gen_ai.response.model"], "gpt-5.5");
        assert_eq!(
            served.attributes["gen_ai.response.finish_reasons"],
            json!(["stop"])
        );
        for span in [call, served] {
            for usage in ["gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"] {
                let tokens = span.attributes[usage].as_i64();
                assert!(tokens.is_some_and(|it| it > 0), "{usage}: {span:#?}");
            }
        }
        // What was asked and answered is nobody's business.
        assert!(!format!("{spans:?}").contains("Hello!"));

        // Each provider is told of its own attempt as its parent.
        for (provider, attempt) in [(&primary, failed), (&backup, served)] {
            let seen = provider.calls()[0].header("traceparent").map(str::to_owned);
            assert_eq!(seen, Some(format!("00-{TRACE}-{}-01", attempt.id)));
        }
    }
}

#[tokio::test]
async fn who_stops_has_sent_the_last_spans() {
    let (directory, collector, primary, backup) = surroundings().await;
    let providers = [&primary, &backup];
    let program = asked(directory.path(), &collector, providers, false, "01").await;
    let stopped = tokio::spawn(program.stop());
    let spans = timeout(BOUND, collected(&collector)).await;
    assert_eq!(spans.expect("they are sent").len(), 2);
    assert!(stopped.await.expect("it ends").success());
}

#[tokio::test]
async fn a_trace_that_its_caller_does_not_keep_is_passed_on_and_not_sent() {
    let (directory, collector, primary, backup) = surroundings().await;
    let providers = [&primary, &backup];
    let program = asked(directory.path(), &collector, providers, false, "00").await;
    let calls = primary.calls();
    let seen = calls[0].header("traceparent").expect("it is passed on");
    assert!(
        seen.starts_with(&format!("00-{TRACE}-")) && seen.ends_with("-00"),
        "{seen}"
    );
    // What there is would be sent before the program ends.
    assert!(program.stop().await.success());
    let sent = timeout(Duration::from_millis(200), collector.accept()).await;
    assert!(sent.is_err(), "nothing is sent");
}
