//! When the primary fails, the backup answers; what is the caller's fault goes back to the caller.

mod common;

use std::time::Duration;

use backstop_simulator::{Fault, Outcome};
use common::{BACKUP, PRIMARY, Setup, hello};
use serde_json::json;
use tokio::time::Instant;

const PRIMARY_NAME: &str = "anthropic:claude-opus-4-8";
const BACKUP_NAME: &str = "openai:gpt-5.5";

/// Every way to fail before the first content.
fn faults() -> Vec<Fault> {
    vec![
        Fault::overloaded(),
        Fault::unavailable(),
        Fault::error(),
        Fault::rate_limited(Duration::from_secs(60)),
        Fault::quota(),
        Fault::denied(),
        Fault::forbidden(),
        Fault::missing(),
        Fault::hang(),
        Fault::reset(),
        Fault::refuse(),
        Fault::html(),
        Fault::empty(),
        Fault::error_200(),
        Fault::garbage(),
    ]
}

#[tokio::test]
async fn the_primary_answers_while_it_is_well() {
    let setup = Setup::new().await;
    for answer in [setup.gateway.answer().await, setup.gateway.streamed().await] {
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.text(), PRIMARY);
        assert_eq!(answer.served_by(), PRIMARY_NAME);
        assert_eq!(answer.header("proxy-status"), None);
        assert!(
            answer.body.contains("claude-opus-4-8"),
            "the model that answered is named"
        );
    }
    assert_eq!(setup.backup.count(), 0);
}

#[tokio::test]
async fn the_backup_answers_after_every_fault() {
    for fault in faults() {
        let setup = Setup::new().await;
        setup.fault(fault.clone());
        let answer = setup.gateway.answer().await;
        assert_eq!(answer.status, 200, "{fault}: {}", answer.body);
        assert_eq!(answer.text(), BACKUP, "{fault}");
        assert_eq!(answer.served_by(), BACKUP_NAME, "{fault}");
        let failed = answer.header("proxy-status").expect("tells what failed");
        assert!(failed.contains(PRIMARY_NAME), "{fault}: {failed}");
        assert!(answer.header("server-timing").is_some(), "{fault}");
        assert_eq!(answer.json()["model"], "gpt-5.5", "{fault}");
    }
}

#[tokio::test]
async fn the_backup_streams_after_every_fault_before_the_first_content() {
    let mut faults = faults();
    faults.extend([
        Fault::error_event(0),
        Fault::close(0),
        Fault::cut(0),
        Fault::stall(0),
    ]);
    for fault in faults {
        let setup = Setup::new().await;
        setup.fault(fault.clone());
        let answer = setup.gateway.streamed().await;
        assert_eq!(answer.status, 200, "{fault}: {}", answer.body);
        assert_eq!(answer.text(), BACKUP, "{fault}");
        assert_eq!(answer.served_by(), BACKUP_NAME, "{fault}");
        assert!(answer.is_done(), "{fault}");
    }
}

#[tokio::test]
async fn a_wrong_request_is_answered_at_once_by_one_call() {
    let setup = Setup::with("retry = { attempts = 3 }").await;
    setup.fault(Fault::invalid());
    let answer = setup.gateway.answer().await;
    assert_eq!(answer.status, 400, "{}", answer.body);
    assert_eq!(answer.json()["error"]["type"], "invalid_request_error");
    assert_eq!(setup.primary.count(), 1);
    assert_eq!(setup.backup.count(), 0);
}

#[tokio::test]
async fn our_own_key_or_model_name_is_not_the_callers_fault() {
    for fault in [Fault::denied(), Fault::forbidden(), Fault::missing()] {
        let setup = Setup::with("retry = { attempts = 3 }").await;
        setup.fault(fault.clone());
        let answer = setup.gateway.answer().await;
        assert_eq!(answer.served_by(), BACKUP_NAME, "{fault}");
        assert_eq!(setup.primary.count(), 1, "{fault} is not retried");
    }
}

#[tokio::test]
async fn a_failure_is_retried_and_the_answer_is_the_primarys() {
    let setup = Setup::with("retry = { attempts = 2, base = \"10ms\" }").await;
    setup.fault(Fault::unavailable().times(1));
    let answer = setup.gateway.answer().await;
    assert_eq!(answer.served_by(), PRIMARY_NAME);
    assert_eq!(setup.primary.count(), 2);
}

#[tokio::test]
async fn failing_over_waits_for_nothing() {
    let setup = Setup::with("retry = { attempts = 1, base = \"5s\", cap = \"8s\" }").await;
    setup.fault(Fault::unavailable());
    setup.gateway.answer().await;
    let began = Instant::now();
    let answer = setup.gateway.answer().await;
    let took = began.elapsed();
    assert_eq!(answer.served_by(), BACKUP_NAME);
    // Far below the backoff of 5 s, far above what two calls on loopback take.
    assert!(took < Duration::from_secs(2), "{took:?}");
}

#[tokio::test]
async fn a_primary_that_has_become_slow_is_left_alone_for_a_while() {
    let rules = "breaker = { slow_after = \"50ms\", min_calls = 3, open_for = \"60s\" }";
    let setup = Setup::with(rules).await;
    setup.fault(Fault::slow(Duration::from_millis(100)));
    for _ in 0..3 {
        assert_eq!(setup.gateway.streamed().await.served_by(), PRIMARY_NAME);
    }
    assert_eq!(setup.gateway.streamed().await.served_by(), BACKUP_NAME);
    assert_eq!(setup.primary.count(), 3);
}

#[tokio::test]
async fn a_call_makes_no_more_attempts_than_it_may() {
    let model = "max_attempts = 3\nretry = { attempts = 2, base = \"1ms\" }";
    let setup = Setup::with(model).await;
    setup.fault(Fault::unavailable());
    setup.backup.fault(Fault::unavailable());
    assert_eq!(setup.gateway.answer().await.status, 502);
    assert_eq!(setup.primary.count() + setup.backup.count(), 3);
}

#[tokio::test]
async fn an_open_circuit_keeps_the_primary_from_being_called() {
    let setup = Setup::with("breaker = { failures = 3, open_for = \"60s\" }").await;
    setup.fault(Fault::unavailable());
    for _ in 0..10 {
        let answer = setup.gateway.answer().await;
        assert_eq!(answer.served_by(), BACKUP_NAME);
    }
    assert_eq!(setup.primary.count(), 3);
    let answer = setup.gateway.answer().await;
    let failed = answer.header("proxy-status").expect("tells what failed");
    assert!(failed.contains("open"), "{failed}");
}

#[tokio::test]
async fn the_primary_serves_again_when_it_has_recovered() {
    let setup = Setup::with("breaker = { failures = 2, open_for = \"100ms\" }").await;
    setup.fault(Fault::unavailable());
    for _ in 0..4 {
        setup.gateway.answer().await;
    }
    setup.primary.clear();
    let recovered = async {
        loop {
            if setup.gateway.answer().await.served_by() == PRIMARY_NAME {
                return;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(common::BOUND, recovered)
        .await
        .expect("it serves again");
}

#[tokio::test]
async fn when_all_fail_one_error_tells_of_all() {
    let setup = Setup::new().await;
    setup.fault(Fault::overloaded());
    setup
        .backup
        .fault(Fault::rate_limited(Duration::from_secs(7)));
    let answer = setup.gateway.answer().await;
    assert_eq!(answer.status, 429, "{}", answer.body);
    assert_eq!(answer.header("retry-after"), Some("7"));
    let error = &answer.json()["error"];
    let message = error["message"].as_str().expect("is text");
    assert!(message.contains("all 2 candidates failed"), "{message}");
    assert!(
        message.contains(PRIMARY_NAME) && message.contains(BACKUP_NAME),
        "{message}"
    );
    assert!(message.contains("529"), "{message}");
    assert!(error.get("type").is_some() && error.get("code").is_some());
}

#[tokio::test]
async fn the_upstreams_401_is_never_the_callers() {
    let setup = Setup::new().await;
    setup.fault(Fault::denied());
    setup.backup.fault(Fault::denied());
    let answer = setup.gateway.answer().await;
    assert_eq!(answer.status, 503, "{}", answer.body);
    assert_eq!(answer.header("x-should-retry"), Some("false"));
    assert!(!answer.body.contains("sk-secret-key"));
}

#[tokio::test]
async fn the_last_resort_answers_when_all_others_have_failed() {
    let setup = Setup::configured(
        "",
        r#"
[models.held]
candidates = ["anthropic:claude-opus-4-8", { reply = "We are away for a moment." }]
retry = { attempts = 1 }
"#,
    )
    .await;
    setup.fault(Fault::unavailable());
    for stream in [false, true] {
        let mut body = hello();
        body["model"] = "held".into();
        body["stream"] = stream.into();
        let answer = common::Answer::read(setup.gateway.chat(body).await).await;
        assert_eq!(answer.status, 200, "{}", answer.body);
        assert_eq!(answer.text(), "We are away for a moment.");
        assert_eq!(answer.served_by(), "static");
        assert_eq!(answer.header("x-degraded"), Some("true"));
    }
}

#[tokio::test]
async fn the_last_good_answer_is_given_again_while_nobody_answers() {
    let model = r#"
[models.held]
candidates = ["anthropic:claude-opus-4-8", { cached = "1h" }, { reply = "Away." }]
retry = { attempts = 1 }
"#;
    for stream in [false, true] {
        let setup = Setup::configured("", model).await;
        let ask = |question: &str, stream: bool| {
            let mut body = hello();
            body["model"] = "held".into();
            body["messages"][0]["content"] = question.into();
            body["stream"] = stream.into();
            setup.gateway.chat(body)
        };
        let answer = common::Answer::read(ask("Hello!", stream).await).await;
        assert_eq!(answer.served_by(), PRIMARY_NAME, "{}", answer.body);
        setup.fault(Fault::unavailable());
        for again in [false, true] {
            let answer = common::Answer::read(ask("Hello!", again).await).await;
            assert_eq!(answer.served_by(), "cache", "{}", answer.body);
            assert_eq!(answer.text(), PRIMARY);
            assert_eq!(answer.header("x-degraded"), Some("true"));
            assert_eq!(answer.header("age"), Some("0"));
        }
        let answer = common::Answer::read(ask("Something else?", stream).await).await;
        assert_eq!(answer.served_by(), "static", "{}", answer.body);
    }
}

#[tokio::test]
async fn a_caller_who_leaves_cancels_the_call_upstream() {
    for stream in [false, true] {
        let setup =
            Setup::with("timeout = { first_token = \"60s\", answer = \"60s\", idle = \"60s\" }")
                .await;
        setup.fault(if stream {
            Fault::stall(2)
        } else {
            Fault::hang()
        });
        let mut body = hello();
        body["stream"] = stream.into();
        let asking = setup.gateway.post("/v1/chat/completions", &body).send();
        let asking = tokio::spawn(async move {
            let mut response = asking.await.expect("begins to answer");
            while let Ok(Some(_)) = response.chunk().await {}
        });
        setup.primary.wait_for_call(|_| true).await;
        if stream {
            // The answer has begun when the log knows its status.
            setup
                .primary
                .wait_for_call(|call| call.status.is_some())
                .await;
        }
        asking.abort();
        let calls = tokio::time::timeout(common::BOUND, setup.primary.wait_until_idle())
            .await
            .expect("the call upstream ends");
        assert_eq!(calls[0].outcome, Outcome::Cancelled, "streamed: {stream}");
        assert_eq!(setup.backup.count(), 0);
    }
}

#[tokio::test]
async fn two_hundred_requests_through_an_outage_none_lost_none_truncated() {
    let setup = Setup::with(
        "timeout = { first_token = \"300ms\", answer = \"300ms\", idle = \"300ms\", total = \"10s\" }\n\
         breaker = { failures = 3, open_for = \"200ms\" }",
    )
    .await;
    let phases = [
        None,
        Some(Fault::overloaded()),
        Some(Fault::hang()),
        Some(Fault::reset()),
        Some(Fault::cut(3)),
        None,
    ];
    let mut served = [0, 0];
    for i in 0..200 {
        if let Some(phase) = (i % 40 == 0).then(|| &phases[i / 40]) {
            setup.primary.clear();
            if let Some(fault) = phase {
                setup.fault(fault.clone());
            }
        }
        let answer = if i % 2 == 0 {
            setup.gateway.answer().await
        } else {
            setup.gateway.streamed().await
        };
        assert_eq!(answer.status, 200, "{i}: {}", answer.body);
        match answer.served_by() {
            PRIMARY_NAME => served[0] += 1,
            BACKUP_NAME => served[1] += 1,
            other => panic!("{i}: served by {other}"),
        }
        if i % 2 == 1 {
            // One that broke off after its first content is continued, or ends with an error.
            let whole = answer.is_done() && answer.stream_error().is_none();
            let told = !answer.is_done() && answer.stream_error().is_some();
            assert!(whole || told, "{i}: {}", answer.body);
        }
    }
    assert!(served[0] > 0 && served[1] > 0, "{served:?}");
    setup.primary.clear();
    let recovered = async {
        while setup.gateway.answer().await.served_by() != PRIMARY_NAME {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(common::BOUND, recovered)
        .await
        .expect("the primary serves again");
}

#[tokio::test]
async fn keys_are_never_seen() {
    let setup = Setup::new().await;
    let primary_saw = {
        setup.gateway.answer().await;
        setup.primary.calls()[0].clone()
    };
    assert!(primary_saw.header("x-api-key").is_some(), "the key is sent");
    setup.fault(
        Fault::status(401)
            .body(json!({ "error": { "message": "bad key sk-secret-key" } }).to_string()),
    );
    setup.backup.fault(
        Fault::status(500).body("internal error at http://10.1.2.3:8080/ for Bearer sk-secret-key"),
    );
    for answer in [setup.gateway.answer().await, setup.gateway.streamed().await] {
        let seen = format!("{answer:?}");
        assert!(!seen.contains("sk-secret"), "{seen}");
        assert!(!seen.contains("10.1.2.3"), "{seen}");
    }
    let shown = format!("{:?}", setup.gateway.gateway);
    assert!(!shown.contains("sk-secret"), "{shown}");
    assert!(!setup.gateway.gateway.metrics().contains("sk-secret"));
}
