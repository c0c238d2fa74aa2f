//! Who may call, for what, and how much.

mod common;

use backstop_gateway::callers::Hash;
use backstop_simulator::{Fault, Reply};
use common::{Answer, Setup, hello, hello_streamed};
use reqwest::RequestBuilder;
use serde_json::json;

async fn setup(limits: &str) -> Setup {
    let keys = format!(
        "[keys.team]\nsha256 = \"{}\"\n{limits}\n",
        Hash::of("team key")
    );
    Setup::configured("", &keys).await
}

fn ask(setup: &Setup) -> RequestBuilder {
    setup.gateway.post("/v1/chat/completions", &hello())
}

async fn send(request: RequestBuilder) -> Answer {
    Answer::read(request.send().await.expect("an answer comes")).await
}

#[tokio::test]
async fn a_key_is_needed_where_there_are_keys() {
    let setup = setup("").await;
    for request in [ask(&setup), ask(&setup).bearer_auth("another key")] {
        let answer = send(request).await;
        assert_eq!(answer.status, 401, "{}", answer.body);
        assert_eq!(answer.json()["error"]["code"], "invalid_api_key");
        // Nothing in these words is taken for a key.
        assert!(!answer.body.contains("[key]"), "{}", answer.body);
    }
    assert_eq!(setup.primary.count(), 0);
    for request in [
        ask(&setup).bearer_auth("team key"),
        ask(&setup).header("x-api-key", "team key"),
    ] {
        assert_eq!(send(request).await.status, 200);
    }
    let call = &setup.primary.calls()[0];
    assert_eq!(
        call.header("authorization"),
        None,
        "no key of a caller goes on"
    );
}

#[tokio::test]
async fn a_page_of_another_site_may_not_call_where_nobody_needs_a_key() {
    let open = Setup::new().await;
    let (origin, site) = ("origin", "sec-fetch-site");
    for page in [
        vec![(origin, "http://evil.example"), (site, "cross-site")],
        vec![(origin, "http://127.0.0.1:3000")],
        vec![(origin, "null")],
        // A name that leads to this machine.
        vec![(origin, "http://evil.example"), ("host", "evil.example")],
    ] {
        let with = |ask: RequestBuilder| page.iter().fold(ask, |ask, (k, v)| ask.header(*k, *v));
        let answer = send(with(ask(&open))).await;
        assert_eq!(answer.status, 403, "{page:?}: {}", answer.body);
        let keyed = setup("").await;
        let answer = send(with(ask(&keyed).bearer_auth("team key"))).await;
        assert_eq!(answer.status, 200, "{page:?}: {}", answer.body);
    }
    assert_eq!(open.primary.count(), 0);
    for program in [("host", "host.docker.internal:4000"), (site, "none")] {
        let answer = send(ask(&open).header(program.0, program.1)).await;
        assert_eq!(answer.status, 200, "{program:?}: {}", answer.body);
    }
}

#[tokio::test]
async fn a_caller_may_use_its_models_only() {
    let other = setup("models = [\"other\"]").await;
    let answer = send(ask(&other).bearer_auth("team key")).await;
    assert_eq!(answer.status, 404, "{}", answer.body);
    let own = setup("models = [\"smart\"]").await;
    assert_eq!(send(ask(&own).bearer_auth("team key")).await.status, 200);
    let any = "models = [\"*\"]\n[models.\"*\"]\ncandidates = [\"openai:gpt-5.5\"]";
    let any = setup(any).await;
    for (setup, names) in [
        (&other, &[] as &[_]),
        (&own, &["smart"]),
        (&any, &["gpt-5.5"]),
    ] {
        let list = setup.gateway.get("/v1/models").bearer_auth("team key");
        let list = send(list).await.json();
        let models = list["data"].as_array().expect("a list");
        let listed: Vec<_> = models.iter().map(|model| &model["id"]).collect();
        assert_eq!(listed, names);
    }
    for (setup, name, told) in [
        (&other, "smart", 404),
        (&own, "smart", 200),
        (&own, "whatever", 404),
        (&any, "smart", 404),
        (&any, "whatever", 200),
    ] {
        let path = format!("/v1/models/{name}");
        let answer = send(setup.gateway.get(&path).bearer_auth("team key")).await;
        assert_eq!(answer.status, told, "{name}: {}", answer.body);
        let mut body = hello();
        body["model"] = name.into();
        let request = setup.gateway.post("/v1/chat/completions", &body);
        let answer = send(request.bearer_auth("team key")).await;
        assert_eq!(answer.status, told, "{name}: {}", answer.body);
    }
}

#[tokio::test]
async fn requests_beyond_the_limit_are_told_when_to_come_back() {
    let setup = setup("requests_per_minute = 2").await;
    let answer = send(ask(&setup).bearer_auth("team key")).await;
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("1"));
    send(ask(&setup).bearer_auth("team key")).await;
    let answer = send(ask(&setup).bearer_auth("team key")).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    let seconds: u64 = answer
        .header("retry-after")
        .expect("is told")
        .parse()
        .expect("a number");
    assert!((1..=30).contains(&seconds), "{seconds}");
    assert_eq!(answer.json()["error"]["code"], "rate_limit_exceeded");
    assert_eq!(answer.header("x-ratelimit-limit-requests"), Some("2"));
    assert_eq!(answer.header("x-ratelimit-remaining-requests"), Some("0"));
    assert!(answer.header("x-ratelimit-reset-requests").is_some());
    assert_eq!(setup.primary.count(), 2);

    let body = json!({
        "model": "smart", "max_tokens": 9, "messages": [{ "role": "user", "content": "Hello!" }],
    });
    let request = setup.gateway.post("/v1/messages", &body);
    let answer = send(request.header("x-api-key", "team key")).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(answer.json()["error"]["type"], "rate_limit_error");
    assert_eq!(
        answer.header("anthropic-ratelimit-requests-limit"),
        Some("2")
    );
    assert_eq!(
        answer.header("anthropic-ratelimit-requests-remaining"),
        Some("0")
    );
    let reset = answer.header("anthropic-ratelimit-requests-reset");
    let reset = reset.expect("it is told");
    assert!(reset.starts_with("20") && reset.ends_with('Z'), "{reset}");
    assert!(answer.header("request-id").is_some());
}

#[tokio::test]
async fn tokens_are_counted_when_they_have_been_used() {
    let setup = setup("tokens_per_minute = 10").await;
    setup.primary.reply(Reply::text("word ".repeat(200)));
    assert_eq!(send(ask(&setup).bearer_auth("team key")).await.status, 200);
    let answer = send(ask(&setup).bearer_auth("team key")).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert!(answer.body.contains("tokens per minute"), "{}", answer.body);
}

#[tokio::test]
async fn who_leaves_a_stream_before_it_tells_its_usage_has_used_what_came() {
    let setup = setup("tokens_per_minute = 100").await;
    setup.primary.reply(Reply::text("word ".repeat(500)));
    setup.fault(Fault::stall(400));
    let request = setup
        .gateway
        .post("/v1/chat/completions", &hello_streamed());
    let answer = request.bearer_auth("team key").send().await;
    let mut answer = answer.expect("an answer comes");
    let mut words = 0;
    while words < 300 {
        let chunk = answer.chunk().await.expect("it is not over");
        let chunk = chunk.expect("it is not over");
        words += String::from_utf8_lossy(&chunk).matches("word").count();
    }
    drop(answer);
    let left = async {
        while !setup.gateway.gateway.metrics().contains("caller_left") {
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
    };
    let left = tokio::time::timeout(common::BOUND, left).await;
    left.expect("it is seen");
    let answer = send(ask(&setup).bearer_auth("team key")).await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert!(answer.body.contains("tokens per minute"), "{}", answer.body);
}

#[tokio::test]
async fn requests_beyond_what_the_gateway_takes_on_are_refused_at_once() {
    let setup = Setup::configured("", "[limits]\nrequests = 1\n").await;
    setup.fault(Fault::hang());
    let first = tokio::spawn(ask(&setup).send());
    setup.primary.wait_for_call(|_| true).await;
    let answer = send(ask(&setup)).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.header("retry-after"), Some("1"));
    first.abort();
}

#[tokio::test]
async fn a_caller_who_does_not_finish_its_request_is_let_go() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let setup =
        Setup::configured("", "[limits]\nheader = \"200ms\"\nbody_read = \"200ms\"\n").await;
    let open = || tokio::net::TcpStream::connect(setup.gateway.address);
    let mut head = open().await.expect("connects");
    head.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        .await
        .expect("is sent");
    let mut body = open().await.expect("connects");
    body.write_all(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: 9\r\n\r\n{")
        .await
        .expect("is sent");
    let mut answer = Vec::new();
    let read = async {
        // A connection that is closed, or reset, has been let go.
        let _ = head.read_to_end(&mut Vec::new()).await;
        let _ = body.read_to_end(&mut answer).await;
    };
    tokio::time::timeout(common::BOUND, read)
        .await
        .expect("both are let go");
    assert!(String::from_utf8_lossy(&answer).starts_with("HTTP/1.1 408"));
}

/// What is answered to these bytes on a connection of their own, which sends no more.
async fn answered(setup: &Setup, sent: &[u8]) -> String {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let stream = tokio::net::TcpStream::connect(setup.gateway.address).await;
    let mut stream = stream.expect("connects");
    // Who is refused may be left before all is sent.
    stream.write_all(sent).await.ok();
    let mut answer = Vec::new();
    let read = stream.read_to_end(&mut answer);
    let _ = tokio::time::timeout(common::BOUND, read)
        .await
        .expect("ends");
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn what_says_that_it_is_too_large_is_refused_before_it_comes() {
    let setup = Setup::configured("", "[limits]\nbody = \"1KiB\"\nheader = \"300ms\"\n").await;
    let head = "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\nexpect: 100-continue\r\n";
    let sent = format!("{head}content-length: 2000\r\n\r\n");
    let answer = answered(&setup, sent.as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
}

#[tokio::test]
async fn a_head_that_is_too_large_is_refused() {
    let setup = Setup::configured("", "[limits]\nheader = \"300ms\"\n").await;
    for (length, status) in [(8 << 10, 200), (100 << 10, 431)] {
        let cookie = "x".repeat(length);
        let sent = format!("GET /healthz HTTP/1.1\r\nhost: x\r\ncookie: {cookie}\r\n\r\n");
        let answer = answered(&setup, sent.as_bytes()).await;
        assert!(
            answer.starts_with(&format!("HTTP/1.1 {status}")),
            "{answer}"
        );
    }
}

#[tokio::test]
async fn connections_beyond_the_cap_wait_and_hold_nothing_up() {
    let setup = Setup::configured("", "[limits]\nconnections = 1\nheader = \"300ms\"\n").await;
    let idle = tokio::net::TcpStream::connect(setup.gateway.address).await;
    let idle = idle.expect("connects");
    // It says nothing, and is let go for the next, which was not refused meanwhile.
    assert_eq!(send(ask(&setup)).await.status, 200);
    drop(idle);
}
