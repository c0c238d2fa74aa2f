//! What the operator sees while the gateway runs, and who may see it.

mod common;

use std::time::Duration;

use backstop_gateway::{callers::Hash, config::Config, reload};
use backstop_simulator::Fault;
use common::{Setup, sample};
use reqwest::Method;
use serde_json::{Value, json};

const PRIMARY: &str = "anthropic:claude-opus-4-8";
const BACKUP: &str = "openai:gpt-5.5";

#[tokio::test]
async fn a_reload_keeps_open_circuits_open() {
    let setup = Setup::with("breaker = { failures = 2, open_for = \"60s\" }").await;
    setup.fault(Fault::unavailable());
    for _ in 0..2 {
        setup.gateway.answer().await;
    }
    setup.primary.clear();
    let rules = "breaker = { failures = 2, open_for = \"60s\" }\ncontinue = false";
    let toml = common::toml(&setup.primary, &setup.backup, rules, "");
    let config = Config::parse("test.toml", &toml, &|_| Some("sk-secret-key".to_owned()));
    setup.gateway.gateway.reload(config).expect("is right");
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
    assert_eq!(setup.primary.count(), 2);
}

#[tokio::test]
async fn a_wrong_config_is_refused_and_the_running_one_stays() {
    let setup = Setup::new().await;
    let config = Config::parse("test.toml", "[models.smart]\ncandidates = []", &|_| None);
    let error = setup.gateway.gateway.reload(config).expect_err("is wrong");
    assert!(error.to_string().starts_with("test.toml:2:14"), "{error}");
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
    let status = setup
        .admin(Method::GET, "/status.json", Value::Null)
        .await
        .json();
    let shown = status["reload_error"].as_str().expect("is shown");
    assert!(shown.contains("nobody could answer"), "{shown}");
}

#[tokio::test]
async fn a_changed_file_is_taken_over_without_losing_a_request() {
    let setup = Setup::new().await;
    let directory = tempfile::tempdir().expect("can be made");
    let path = directory.path().join("backstop.toml");
    let toml = common::toml(&setup.primary, &setup.backup, "", "")
        .replace("${ANTHROPIC_API_KEY}", "k")
        .replace("${OPENAI_API_KEY}", "k");
    std::fs::write(&path, &toml).expect("can be written");
    let gateway = common::Running::of(Config::load(&path).expect("is right")).await;
    let _watching = reload::watch(gateway.gateway.clone());
    assert_eq!(gateway.answer().await.served_by(), PRIMARY);

    let swapped = toml.replace(
        &format!("[\"{PRIMARY}\", \"{BACKUP}\"]"),
        &format!("[\"{BACKUP}\", \"{PRIMARY}\"]"),
    );
    assert_ne!(swapped, toml);
    std::fs::write(&path, &swapped).expect("can be written");
    let changed = async {
        loop {
            let answer = gateway.answer().await;
            assert_eq!(answer.status, 200, "{}", answer.body);
            if answer.served_by() == BACKUP {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(common::BOUND, changed)
        .await
        .expect("the new order holds");
}

#[tokio::test]
async fn the_status_tells_of_states_failures_and_changes() {
    let setup = Setup::with("breaker = { failures = 1, open_for = \"60s\" }").await;
    setup.gateway.streamed().await;
    setup.fault(Fault::overloaded());
    setup.gateway.answer().await;
    let status = setup
        .admin(Method::GET, "/status.json", Value::Null)
        .await
        .json();
    let primary = &status["models"][0]["candidates"][0];
    assert_eq!(primary["name"], PRIMARY);
    assert_eq!(primary["circuit"]["state"], "open");
    assert_eq!(primary["served"], 1);
    assert_eq!(primary["failed"]["overloaded"], 1);
    assert_eq!(primary["error_rate"], 0.5);
    assert!(primary["first_token_p50_ms"].is_number());
    assert_eq!(status["failures"][0]["candidate"], PRIMARY);
    assert_eq!(status["failures"][0]["status"], 529);
    assert_eq!(status["changes"][0]["to"], "open");
    assert_eq!(status["in_flight"], 0);
}

#[tokio::test]
async fn metrics_count_what_happened() {
    let setup = Setup::with("breaker = { failures = 1, open_for = \"60s\" }").await;
    setup.gateway.streamed().await;
    setup.fault(Fault::overloaded());
    setup.gateway.answer().await;
    setup.gateway.answer().await;
    let metrics = setup.admin(Method::GET, "/metrics", Value::Null).await.body;
    let value = |name, labels: &[&str]| sample(&metrics, name, labels);
    assert_eq!(
        value(
            "backstop_requests_total",
            &["outcome=\"ok\"", "model=\"smart\""]
        ),
        3.0
    );
    let attempts = "backstop_attempts_total";
    assert_eq!(
        value(
            attempts,
            &[PRIMARY, "outcome=\"overloaded\"", "status=\"529\""]
        ),
        1.0
    );
    assert_eq!(value(attempts, &[PRIMARY, "outcome=\"refused\""]), 1.0);
    assert_eq!(value(attempts, &[BACKUP, "outcome=\"ok\""]), 2.0);
    let fallbacks = "backstop_fallbacks_total";
    assert_eq!(
        value(fallbacks, &["reason=\"overloaded\"", "to=\"openai"]),
        1.0
    );
    assert_eq!(value("backstop_circuit_state", &[PRIMARY]), 2.0);
    assert_eq!(value("backstop_circuit_state", &[BACKUP]), 0.0);
    assert_eq!(value("backstop_first_token_seconds_count", &[PRIMARY]), 1.0);
    assert_eq!(value("backstop_overhead_seconds_count", &[]), 3.0);
    assert!(metrics.contains("# HELP backstop_requests_total"));
}

#[tokio::test]
async fn with_keys_the_operators_part_needs_the_admin_key() {
    let keys = format!(
        "[keys.team]\nsha256 = \"{}\"\n[admin]\nsha256 = \"{}\"\n",
        Hash::of("team key"),
        Hash::of("admin key"),
    );
    let setup = Setup::configured("", &keys).await;
    for path in [
        "/",
        "/status.json",
        "/metrics",
        "/admin/explain?model=smart",
    ] {
        let get = || setup.gateway.get(path);
        for (request, status) in [
            (get(), 401),
            (get().bearer_auth("team key"), 401),
            (get().bearer_auth("admin key"), 200),
            (get().basic_auth("anyone", Some("admin key")), 200),
        ] {
            let answer = request.send().await.expect("an answer comes");
            assert_eq!(answer.status(), status, "{path}");
        }
    }
    let healthz = setup
        .gateway
        .get("/healthz")
        .send()
        .await
        .expect("an answer comes");
    assert_eq!(healthz.status(), 200);
}

#[tokio::test]
async fn the_operators_own_listener_takes_no_orders_of_another_sites_page() {
    let setup = Setup::new().await;
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await;
    let listener = listener.expect("a port is free");
    let address = listener.local_addr().expect("is bound");
    let _serving = setup.gateway.gateway.serve_admin(listener);
    let url = format!("http://{address}/admin/models/smart/order");
    let put = || {
        let put = setup.gateway.client.put(&url).timeout(common::BOUND);
        put.header("content-type", "application/json")
            .body(json!([BACKUP]).to_string())
    };
    for (name, value) in [("host", "evil.example"), ("sec-fetch-site", "cross-site")] {
        let answer = put().header(name, value).send().await;
        assert_eq!(answer.expect("an answer comes").status(), 403, "{name}");
    }
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
    let answer = put().send().await;
    assert_eq!(answer.expect("an answer comes").status(), 200);
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
}

#[tokio::test]
async fn a_reload_does_not_do_away_with_the_keys_of_an_open_gateway() {
    let setup = Setup::new().await;
    let keys = format!("[keys.team]\nsha256 = \"{}\"\n", Hash::of("team key"));
    let toml = common::toml(&setup.primary, &setup.backup, "", &keys);
    let open = format!("listen = \"0.0.0.0:0\"\n{toml}");
    let parse = |toml: &str| Config::parse("test.toml", toml, &|_| Some("k".to_owned()));
    let gateway = backstop_gateway::Gateway::new(parse(&open).expect("is right")).expect("is made");
    let toml = common::toml(&setup.primary, &setup.backup, "", "");
    let error = gateway
        .reload(parse(&toml))
        .expect_err("nobody would need a key");
    assert!(
        error.to_string().contains("open to other machines"),
        "{error}"
    );
}

#[tokio::test]
async fn another_key_takes_over_from_one_that_is_refused_or_held_off() {
    let setup = Setup::new().await;
    let toml = common::toml(&setup.primary, &setup.backup, "", "").replace(
        "api_key = \"${ANTHROPIC_API_KEY}\"",
        "api_key = [\"${FIRST}\", \"${SECOND}\"]",
    );
    let config = Config::parse("test.toml", &toml, &|name| Some(format!("key {name}")));
    let gateway = common::Running::of(config.expect("is right")).await;
    setup.fault(Fault::rate_limited(Duration::from_secs(60)).times(1));
    assert_eq!(gateway.answer().await.served_by(), format!("{PRIMARY}#2"));
    assert_eq!(gateway.answer().await.served_by(), format!("{PRIMARY}#2"));
    assert_eq!(setup.primary.count(), 3, "the first key is left alone");
    assert_eq!(setup.backup.count(), 0);

    // A new first key is not what the old one was.
    let config = Config::parse("test.toml", &toml, &|name| Some(format!("new {name}")));
    gateway.gateway.reload(config).expect("is right");
    assert_eq!(gateway.answer().await.served_by(), PRIMARY);
}

#[tokio::test]
async fn an_open_circuit_is_open_after_a_restart() {
    let directory = tempfile::tempdir().expect("can be made");
    let path = directory.path().join("state.json");
    let setup = Setup::new().await;
    let rules = "breaker = { failures = 1, open_for = \"60s\" }";
    let toml = common::toml(&setup.primary, &setup.backup, rules, "");
    let toml = format!("state_file = \"{}\"\n{toml}", path.display());
    setup.fault(Fault::unavailable());
    for _ in 0..2 {
        let gateway = common::Running::start(&toml).await;
        let keeping = backstop_gateway::state::keep(&gateway.gateway).expect("a file is named");
        assert_eq!(gateway.answer().await.served_by(), BACKUP);
        drop(keeping);
    }
    assert_eq!(setup.primary.count(), 1, "the second one knew");
}

#[tokio::test]
async fn other_rules_do_not_make_a_circuit_forget() {
    let setup = Setup::with("breaker = { failures = 1, open_for = \"60s\" }").await;
    setup.fault(Fault::unavailable());
    setup.gateway.answer().await;
    let rules = "breaker = { failures = 4, open_for = \"30s\" }";
    let toml = common::toml(&setup.primary, &setup.backup, rules, "");
    let config = Config::parse("test.toml", &toml, &|_| Some("sk-secret-key".to_owned()));
    setup.gateway.gateway.reload(config).expect("is right");
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
    assert_eq!(setup.primary.count(), 1);
}
