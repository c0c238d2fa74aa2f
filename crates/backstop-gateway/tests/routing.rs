//! What one request asks for of the routing.

mod common;

use std::time::Duration;

use backstop_simulator::{Dialect, Fault, Pace, Simulator};
use common::{Answer, PRICES, Running, Setup, hello};
use serde_json::{Value, json};
use tokio::time::Instant;

const PRIMARY: &str = "anthropic:claude-opus-4-8";
const BACKUP: &str = "openai:gpt-5.5";

const LOCAL: &str =
    "[models.plain]\ncandidates = [\"openai:gpt-mini\"]\nretry = { attempts = 1 }\n";

async fn ask(setup: &Setup, wishes: Value) -> Answer {
    let mut body = hello();
    for (name, value) in wishes.as_object().expect("is an object") {
        body[name] = value.clone();
    }
    Answer::read(setup.gateway.chat(body).await).await
}

#[tokio::test]
async fn the_fields_are_never_sent_on() {
    let setup = Setup::new().await;
    let wishes = json!({
        "provider": { "order": ["openai"] },
        "num_retries": 0,
        "seed": 7,
    });
    let answer = ask(&setup, wishes).await;
    assert_eq!(answer.served_by(), BACKUP, "{}", answer.body);
    let sent = setup.backup.calls()[0].json();
    assert_eq!(sent.get("provider"), None);
    assert_eq!(sent.get("num_retries"), None);
    assert_eq!(sent["seed"], 7);
}

#[tokio::test]
async fn models_of_a_request_are_asked_one_after_the_other() {
    let setup = Setup::configured("", LOCAL).await;
    setup.fault(Fault::unavailable());
    let answer = ask(&setup, json!({ "models": ["plain"], "route": "fallback" })).await;
    assert_eq!(answer.served_by(), "openai:gpt-mini", "{}", answer.body);
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn who_wants_no_fallbacks_gets_the_first_ones_error() {
    let setup = Setup::new().await;
    setup.fault(Fault::overloaded());
    for wishes in [
        json!({ "disable_fallbacks": true }),
        json!({ "provider": { "allow_fallbacks": false } }),
        json!({ "provider": { "only": ["anthropic"] } }),
    ] {
        let answer = ask(&setup, wishes).await;
        assert_eq!(answer.status, 503, "{}", answer.body);
    }
    assert_eq!(setup.backup.count(), 0);
}

#[tokio::test]
async fn who_wants_no_retries_has_each_candidate_tried_once() {
    let setup = Setup::with("retry = { attempts = 4, base = \"1ms\" }").await;
    setup.fault(Fault::unavailable());
    let answer = ask(&setup, json!({ "num_retries": 0 })).await;
    assert_eq!(answer.served_by(), BACKUP, "{}", answer.body);
    assert_eq!(setup.primary.count(), 1);
}

#[tokio::test]
async fn who_wants_some_retries_has_them_as_far_as_the_operator_allows() {
    for (wanted, tried) in [(1, 2), (2, 3), (99, 4)] {
        let setup = Setup::with("retry = { attempts = 4, base = \"1ms\" }").await;
        setup.fault(Fault::unavailable());
        setup.backup.fault(Fault::unavailable().times(2));
        let answer = ask(&setup, json!({ "num_retries": wanted })).await;
        assert_eq!(setup.primary.count(), tried, "{wanted}: {}", answer.body);
        // Each candidate has as many of its own.
        assert_eq!(setup.backup.count(), tried.min(3), "{wanted}");
        assert_eq!(answer.status == 200, tried > 2, "{wanted}: {}", answer.body);
    }
}

#[tokio::test]
async fn who_wants_the_cheapest_or_none_above_a_price_gets_it() {
    let setup = Setup::configured("", PRICES).await;
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
    for provider in [
        json!({ "sort": "price" }),
        json!({ "max_price": { "prompt": 2 } }),
        json!({ "max_price": { "prompt": "2", "completion": "5" } }),
    ] {
        let answer = ask(&setup, json!({ "provider": provider })).await;
        assert_eq!(answer.served_by(), BACKUP, "{}", answer.body);
        let sent = setup.backup.calls().pop().expect("it was asked").json();
        assert_eq!(sent.get("provider"), None);
    }
    let least = json!({ "provider": { "max_price": { "completion": 1 } } });
    let answer = ask(&setup, least).await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert!(answer.body.contains("max_price"), "{}", answer.body);
}

#[tokio::test]
async fn no_wish_lifts_the_operators_cap() {
    let setup = Setup::configured("price_cap = 0.0000001", PRICES).await;
    let most = json!({ "provider": { "max_price": { "prompt": 1000, "completion": 1000 } } });
    let answer = ask(&setup, most).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(setup.primary.count() + setup.backup.count(), 0);
}

#[tokio::test]
async fn who_wants_the_quickest_gets_the_one_that_lately_was() {
    let setup = Setup::new().await;
    setup.fault(Fault::slow(Duration::from_millis(300)));
    let sorted = |by: &str| json!({ "stream": true, "provider": { "sort": by } });
    for _ in 0..2 {
        // Each is asked once to be measured, whatever came of it.
        ask(&setup, sorted("latency")).await;
    }
    assert_eq!((setup.primary.count(), setup.backup.count()), (1, 1));
    let answer = ask(&setup, sorted("latency")).await;
    assert_eq!(answer.served_by(), BACKUP, "{}", answer.body);
    assert_eq!(setup.gateway.streamed().await.served_by(), PRIMARY);
}

#[tokio::test]
async fn who_wants_throughput_gets_the_one_that_speaks_fastest() {
    let mut simulators = Vec::new();
    for pause in [30, 1] {
        let pace = Pace::new(Duration::ZERO, Duration::from_millis(pause));
        let simulator = Simulator::builder(Dialect::OpenAi).pace(pace);
        let started = simulator.start().await;
        simulators.push(started.expect("a port is free"));
    }
    let gateway = Running::start(&format!(
        "[providers.slow]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [providers.fast]\ndialect = \"openai\"\nbase_url = \"{}\"\n\
         [models.smart]\ncandidates = [\"slow:s\", \"fast:f\", {{ reply = \"Later.\" }}]\n",
        simulators[0].base_url(),
        simulators[1].base_url(),
    ))
    .await;
    let mut body = hello();
    body["stream"] = true.into();
    body["provider"] = json!({ "sort": "throughput" });
    let mut served = Vec::new();
    for _ in 0..3 {
        let answer = Answer::read(gateway.chat(body.clone()).await).await;
        served.push(answer.served_by().to_owned());
    }
    assert_eq!(served, ["slow:s", "fast:f", "fast:f"]);
}

#[tokio::test]
async fn conditions_say_after_which_failures_the_next_is_asked() {
    let setup = Setup::new().await;
    setup.fault(Fault::denied());
    let wishes = json!({
        "fallback_models": ["gpt-5.5"],
        "fallback_conditions": { "status_codes": [529] },
    });
    let answer = ask(&setup, wishes.clone()).await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    let setup = Setup::new().await;
    setup.fault(Fault::overloaded());
    assert_eq!(ask(&setup, wishes).await.served_by(), BACKUP);
}

#[tokio::test]
async fn a_callers_time_is_shorter_than_the_operators_never_longer() {
    let setup = Setup::with(
        "timeout = { first_token = \"20s\", answer = \"20s\", idle = \"20s\", total = \"20s\" }",
    )
    .await;
    setup.fault(Fault::hang());
    let began = Instant::now();
    let wishes = json!({ "fallback_conditions": { "timeout_ms": 200 } });
    assert_eq!(ask(&setup, wishes).await.served_by(), BACKUP);
    let answer = ask(&setup, json!({ "timeout": 0.2 })).await;
    assert_eq!(answer.status, 504, "{}", answer.body);
    assert!(
        began.elapsed() < Duration::from_secs(15),
        "{:?}",
        began.elapsed()
    );
    assert_eq!(
        ask(&setup, json!({ "num_retries": "many" })).await.status,
        400
    );
}

#[tokio::test]
async fn a_caller_in_a_hurry_opens_no_circuit() {
    let setup = Setup::new().await;
    setup.fault(Fault::slow(Duration::from_millis(200)));
    for wishes in [
        json!({ "fallback_conditions": { "timeout_ms": 0 } }),
        json!({ "fallback_conditions": { "timeout_ms": 20 } }),
        json!({ "timeout": 0.02 }),
        json!({ "timeout": 0.02, "stream": true }),
    ] {
        for _ in 0..6 {
            ask(&setup, wishes.clone()).await;
        }
        let patient = ask(&setup, json!({})).await;
        assert_eq!(patient.served_by(), PRIMARY, "{wishes}: {}", patient.body);
    }
}

#[tokio::test]
async fn a_caller_with_more_time_than_the_operator_hides_no_hanging_candidate() {
    let limit =
        "timeout = { first_token = \"50ms\", answer = \"50ms\", idle = \"20s\", total = \"20s\" }";
    let setup = Setup::with(limit).await;
    setup.fault(Fault::hang());
    let wishes = json!({ "timeout": 600, "fallback_conditions": { "timeout_ms": 60_000 } });
    for _ in 0..6 {
        assert_eq!(ask(&setup, wishes.clone()).await.served_by(), BACKUP);
    }
    let asked = setup.primary.count();
    ask(&setup, json!({})).await;
    assert_eq!(setup.primary.count(), asked, "its circuit is open");
}

#[tokio::test]
async fn a_caller_may_refuse_to_have_a_broken_stream_continued() {
    let setup = Setup::new().await;
    setup.fault(Fault::cut(3));
    let continued = setup.gateway.streamed().await;
    assert!(continued.is_done(), "{}", continued.body);
    let request = setup
        .gateway
        .post("/v1/chat/completions", &common::hello_streamed())
        .header("x-backstop-continue", "false");
    let answer = Answer::read(request.send().await.expect("an answer comes")).await;
    assert!(!answer.is_done(), "{}", answer.body);
    assert!(answer.stream_error().is_some(), "{}", answer.body);
}

#[tokio::test]
async fn a_filtered_request_goes_to_another_only_where_the_operator_says_so() {
    for (more, status, asked) in [("", 400, 0), ("also_after = [\"filtered\"]", 200, 1)] {
        let model = format!(
            "[models.held]\nretry = {{ attempts = 1 }}\ncandidates = [\n\
             \"anthropic:claude-opus-4-8\", {{ candidate = \"openai:gpt-5.5\", {more} }}]\n"
        );
        let setup = Setup::configured("", &model).await;
        setup.fault(Fault::filtered());
        let answer = ask(&setup, json!({ "model": "held" })).await;
        assert_eq!(answer.status, status, "{}", answer.body);
        assert_eq!(setup.backup.count(), asked, "{more}");
    }
}

#[tokio::test]
async fn what_is_too_long_goes_to_a_larger_window_only() {
    for (window, status, asked) in [(9_000, 400, 0), (900_000, 200, 1)] {
        let model = format!(
            "[models.held]\nretry = {{ attempts = 1 }}\ncandidates = [\n\
             {{ candidate = \"anthropic:claude-opus-4-8\", context_window = 10000 }},\n\
             {{ candidate = \"openai:gpt-5.5\", context_window = {window} }}]\n"
        );
        let setup = Setup::configured("", &model).await;
        setup.fault(Fault::too_large());
        let answer = ask(&setup, json!({ "model": "held" })).await;
        assert_eq!(answer.status, status, "{window}: {}", answer.body);
        assert_eq!(setup.backup.count(), asked, "{window}");
    }
}
