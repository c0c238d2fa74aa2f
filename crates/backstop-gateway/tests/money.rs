//! Prices, orders made of them, and lesser answers that are known as such.

mod common;

use std::time::Duration;

use backstop_gateway::config::Config;
use backstop_simulator::{Dialect, Fault, Reply};
use common::{Answer, Running, Setup, hello, sample, simulator};
use serde_json::Value;

const PRIMARY: &str = "anthropic:claude-opus-4-8";
const BACKUP: &str = "openai:gpt-5.5";

const PRICES: &str = r#"
[prices]
"anthropic:claude-opus-4-8" = { input = 5.0, output = 25.0, cached = 0.5 }
"openai:gpt-5.5" = { input = 1.0, output = 4.0 }
"#;

#[tokio::test]
async fn the_cheapest_is_asked_first_and_a_reply_last() {
    let setup = Setup::configured("order = \"price\"", PRICES).await;
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
    setup.backup.fault(Fault::unavailable());
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
}

#[tokio::test]
async fn what_is_dearer_than_a_call_may_be_is_passed_over() {
    // About twenty tokens in and ten out: 0.00035 for the one, 0.00006 for the other.
    let setup = Setup::configured("price_cap = 0.0001", PRICES).await;
    let mut body = hello();
    body["max_tokens"] = 10.into();
    let answer = Answer::read(setup.gateway.chat(body.clone()).await).await;
    assert_eq!(answer.served_by(), BACKUP, "{}", answer.body);
    body["max_tokens"] = 1_000_000.into();
    let answer = Answer::read(setup.gateway.chat(body).await).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert!(
        answer.body.contains("every candidate is dearer"),
        "{}",
        answer.body
    );
}

#[tokio::test]
async fn calls_are_spread_by_weight() {
    let a = simulator(Dialect::OpenAi, Reply::text("hello")).await;
    let b = simulator(Dialect::OpenAi, Reply::text("hello")).await;
    let toml = format!(
        r#"
[providers.a]
dialect = "openai"
base_url = "{}"
[providers.b]
dialect = "openai"
base_url = "{}"
[models.smart]
order = "weight"
candidates = [{{ candidate = "a:x", weight = 9 }}, {{ candidate = "b:x", weight = 1 }}]
"#,
        a.base_url(),
        b.base_url(),
    );
    let gateway = Running::start(&toml).await;
    for _ in 0..200 {
        assert_eq!(gateway.answer().await.status, 200);
    }
    // One in ten of 200, give or take five standard deviations.
    assert!((2..=42).contains(&b.count()), "{} of 200", b.count());
    assert_eq!(a.count() + b.count(), 200);
}

#[tokio::test]
async fn the_fastest_is_asked_first_and_a_reload_does_not_forget_who_that_is() {
    let setup = Setup::with("order = \"latency\"").await;
    setup.fault(Fault::slow(Duration::from_millis(400)));
    for _ in 0..3 {
        setup.gateway.streamed().await;
    }
    assert_eq!((setup.primary.count(), setup.backup.count()), (1, 2));
    let toml = common::toml(&setup.primary, &setup.backup, "order = \"latency\"", "");
    let config = Config::parse("test.toml", &toml, &|_| Some("sk-secret-key".to_owned()));
    setup.gateway.gateway.reload(config).expect("is right");
    assert_eq!(setup.gateway.streamed().await.served_by(), BACKUP);
}

#[tokio::test]
async fn a_tier_comes_after_the_one_below_it_whatever_the_order_and_the_list() {
    for order in ["priority", "price", "weight", "latency"] {
        let model = format!(
            "[models.held]\norder = \"{order}\"\nretry = {{ attempts = 1 }}\ncandidates = [\n\
             {{ reply = \"Later.\" }},\n\
             {{ candidate = \"openai:gpt-5.5\", tier = 1 }},\n\
             \"anthropic:claude-opus-4-8\",\n]\n"
        );
        let setup = Setup::configured("", &model).await;
        let mut body = hello();
        body["model"] = Value::from("held");
        let ask = async || {
            let answer = Answer::read(setup.gateway.chat(body.clone()).await).await;
            answer.served_by().to_owned()
        };
        assert_eq!(ask().await, PRIMARY, "{order}");
        setup.fault(Fault::unavailable());
        assert_eq!(ask().await, BACKUP, "{order}");
        setup.backup.fault(Fault::unavailable());
        assert_eq!(ask().await, "static", "{order}");
    }
}

#[tokio::test]
async fn a_lesser_answer_is_known_as_one() {
    let model = r#"
[models.held]
candidates = [
    "anthropic:claude-opus-4-8",
    { candidate = "openai:gpt-5.5", degraded = "Advanced analysis is temporarily limited." },
]
retry = { attempts = 1 }
"#;
    let setup = Setup::configured("", model).await;
    let ask = || {
        let mut body = hello();
        body["model"] = Value::from("held");
        setup.gateway.chat(body)
    };
    let answer = Answer::read(ask().await).await;
    assert_eq!(answer.header("x-degraded"), None);
    setup.fault(Fault::unavailable());
    let answer = Answer::read(ask().await).await;
    assert_eq!(answer.header("x-degraded"), Some("true"));
    assert_eq!(
        answer.header("x-degraded-message"),
        Some("Advanced analysis is temporarily limited.")
    );
}

#[tokio::test]
async fn every_attempt_is_accounted_for() {
    let setup = Setup::configured("", PRICES).await;
    setup.gateway.answer().await;
    setup.fault(Fault::hang());
    setup.gateway.answer().await;
    let metrics = setup.gateway.gateway.metrics();
    let spent = |candidate: &str, billed: &str| {
        let billed = format!("billed=\"{billed}\"");
        sample(&metrics, "backstop_spend_total", &[candidate, &billed])
    };
    assert!(spent(PRIMARY, "yes") > 0.0);
    assert!(
        spent(PRIMARY, "unknown") > 0.0,
        "what timed out may have been billed"
    );
    assert!(spent(BACKUP, "yes") > 0.0);
}

#[tokio::test]
async fn a_part_of_an_answer_is_on_the_account_of_who_gave_it() {
    let setup = Setup::configured("", PRICES).await;
    setup.fault(Fault::cut(3));
    assert!(setup.gateway.streamed().await.is_done());
    let metrics = setup.gateway.gateway.metrics();
    let value = |name, labels: [&str; 2]| sample(&metrics, name, &labels);
    let output = |by| value("backstop_tokens_total", [by, "type=\"output\""]);
    let (first, second) = (output(PRIMARY), output(BACKUP));
    assert!(first > 0.0 && second > 0.0, "{metrics}");
    // The dearer one is asked for its own part only, and told that it may not be billed.
    let input = |by| value("backstop_tokens_total", [by, "type=\"input\""]);
    let cost = (5.0 * input(PRIMARY) + 25.0 * first) / 1e6;
    let spent = value("backstop_spend_total", [PRIMARY, "billed=\"unknown\""]);
    assert!((spent - cost).abs() < 1e-9, "{spent} and {cost}: {metrics}");
    let cost = (input(BACKUP) + 4.0 * second) / 1e6;
    let spent = value("backstop_spend_total", [BACKUP, "billed=\"yes\""]);
    assert!((spent - cost).abs() < 1e-9, "{spent} and {cost}: {metrics}");
}

#[tokio::test]
async fn an_alert_is_posted_once() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let listener = tokio::net::TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("is bound");
    let alerts =
        format!("[alerts]\nwebhook = \"http://{address}/hook\"\nerror_rate = 0.5\nmin_calls = 3\n");
    let setup = Setup::configured("", &alerts).await;
    setup.fault(Fault::unavailable());
    setup.backup.fault(Fault::unavailable());
    for _ in 0..4 {
        assert_eq!(setup.gateway.answer().await.status, 502);
    }
    let posted = async {
        // Who can't be told at first is told again, and not at every turn.
        let mut tries = Vec::new();
        for _ in 0..3 {
            drop(listener.accept().await.expect("someone is told"));
            tries.push(tokio::time::Instant::now());
        }
        assert!(
            tries[2] - tries[1] > Duration::from_millis(1_500),
            "{tries:?}"
        );
        let (mut stream, _) = listener.accept().await.expect("someone is told");
        let mut posted = Vec::new();
        while !posted.ends_with(b"}") {
            let read = stream.read_buf(&mut posted).await.expect("can be read");
            assert_ne!(read, 0, "the notice comes whole");
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n";
        stream.write_all(answer).await.expect("can be answered");
        String::from_utf8(posted).expect("is text")
    };
    let posted = tokio::time::timeout(common::BOUND, posted)
        .await
        .expect("in time");
    assert!(posted.contains("\"state\":\"raised\""), "{posted}");
    assert!(posted.contains("error rate too high"), "{posted}");
    let again = tokio::time::timeout(Duration::from_millis(2_500), listener.accept()).await;
    assert!(again.is_err(), "it is told once");
}
