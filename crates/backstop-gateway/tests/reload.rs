//! What a reload takes over, what it leaves, and what it says of that.

mod common;

use std::time::Duration;

use backstop_gateway::config::Config;
use backstop_simulator::{Dialect, Simulator};
use common::{BOUND, Setup};
use reqwest::Method;
use serde_json::{Value, json};

const PRIMARY: &str = "anthropic:claude-opus-4-8";
const BACKUP: &str = "openai:gpt-5.5";

async fn put(setup: &Setup, path: &str, body: Value) -> u16 {
    setup.admin(Method::PUT, path, body).await.status
}

async fn status(setup: &Setup) -> Value {
    let shown = setup.admin(Method::GET, "/status.json", Value::Null).await;
    shown.json()
}

/// Reloads with `model` more of the model, and `more` besides.
fn reload(setup: &Setup, model: &str, more: &str) {
    let toml = common::toml(&setup.primary, &setup.backup, model, "");
    let config = Config::parse("test.toml", &format!("{more}\n{toml}"), &|_| {
        Some("sk-secret-key".to_owned())
    });
    setup.gateway.gateway.reload(config).expect("is taken over");
}

#[tokio::test]
async fn who_was_taken_out_by_hand_stays_out_until_put_back() {
    let setup = Setup::new().await;
    let path = format!("/admin/models/smart/candidates/{PRIMARY}");
    assert_eq!(put(&setup, &path, json!({ "enabled": false })).await, 200);
    reload(&setup, "continue = false", "");
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
    let shown = status(&setup).await;
    assert_eq!(shown["models"][0]["candidates"][0]["enabled"], false);

    assert_eq!(put(&setup, &path, json!({ "enabled": true })).await, 200);
    reload(&setup, "", "");
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
}

#[tokio::test]
async fn an_order_made_by_hand_holds_and_is_shown_until_it_is_undone() {
    let setup = Setup::new().await;
    let path = "/admin/models/smart/order";
    assert_eq!(put(&setup, path, json!([BACKUP])).await, 200);
    reload(&setup, "continue = false", "");
    assert_eq!(setup.gateway.answer().await.served_by(), BACKUP);
    assert_eq!(status(&setup).await["models"][0]["reordered"], true);

    assert_eq!(put(&setup, path, json!([])).await, 200);
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
    assert_eq!(status(&setup).await["models"][0]["reordered"], false);
    assert_eq!(put(&setup, path, json!(["nobody"])).await, 404);
    assert_eq!(
        put(&setup, "/admin/models/none/order", json!([BACKUP])).await,
        404
    );
}

#[tokio::test]
async fn an_order_made_by_hand_is_the_order_whatever_it_is_made_by_otherwise() {
    for order in ["latency", "price", "weight"] {
        let model = format!("order = \"{order}\"");
        let setup = Setup::with(&model).await;
        let path = "/admin/models/smart/order";
        for (first, then) in [(BACKUP, PRIMARY), (PRIMARY, BACKUP)] {
            assert_eq!(put(&setup, path, json!([first, then])).await, 200);
            for _ in 0..8 {
                assert_eq!(setup.gateway.answer().await.served_by(), first, "{order}");
            }
            reload(&setup, &model, "");
            assert_eq!(setup.gateway.answer().await.served_by(), first, "{order}");
        }
    }
}

#[tokio::test]
async fn what_is_about_a_candidate_that_is_gone_is_forgotten() {
    let setup = Setup::new().await;
    let path = format!("/admin/models/smart/candidates/{BACKUP}");
    put(&setup, &path, json!({ "enabled": false })).await;
    put(
        &setup,
        "/admin/models/smart/order",
        json!([BACKUP, PRIMARY]),
    )
    .await;
    let toml = common::toml(&setup.primary, &setup.backup, "", "");
    let parse = |toml: &str| Config::parse("test.toml", toml, &|_| Some("k".to_owned()));
    let alone = toml.replace(&format!(", \"{BACKUP}\""), "");
    assert_ne!(alone, toml);
    let gateway = &setup.gateway.gateway;
    gateway.reload(parse(&alone)).expect("is taken over");
    assert_eq!(setup.gateway.answer().await.served_by(), PRIMARY);
    gateway.reload(parse(&toml)).expect("is taken over");
    let shown = status(&setup).await;
    let candidates = shown["models"][0]["candidates"].as_array().expect("a list");
    assert!(candidates.iter().all(|it| it["enabled"] == true), "{shown}");
}

#[tokio::test]
async fn what_only_a_start_can_change_is_told() {
    let setup = Setup::new().await;
    assert_eq!(status(&setup).await["waiting"], json!([]));
    let more = "listen = \"127.0.0.1:4999\"\nstate_file = \"/tmp/state\"\n\
                [limits]\nshutdown = \"1s\"\nbody = \"1KiB\"\n\
                [telemetry]\notlp = \"http://127.0.0.1:4318\"\n";
    reload(&setup, "", more);
    assert_eq!(
        status(&setup).await["waiting"],
        json!(["listen", "state_file", "telemetry", "limits.shutdown"])
    );
    // What can be changed at once has been.
    let mut body = common::hello();
    body["messages"][0]["content"] = Value::from("x".repeat(2_000));
    assert_eq!(setup.gateway.chat(body).await.status(), 413);
    reload(&setup, "", "");
    assert_eq!(status(&setup).await["waiting"], json!([]));
}

#[tokio::test]
async fn a_key_that_changes_in_a_file_of_its_own_is_taken_over() {
    let setup = Setup::new().await;
    let primary = Simulator::builder(Dialect::Anthropic).api_key("new key");
    let primary = primary.start().await.expect("a port is free");
    let directory = tempfile::tempdir().expect("can be made");
    let path = |name: &str| directory.path().join(name);
    std::fs::write(path("key"), "old key\n").expect("can be written");
    let key = format!("${{file:{}}}", path("key").display());
    let toml = common::toml(&primary, &setup.backup, "", "")
        .replace("${ANTHROPIC_API_KEY}", &key)
        .replace("${OPENAI_API_KEY}", "k");
    std::fs::write(path("backstop.toml"), toml).expect("can be written");
    let config = Config::load(&path("backstop.toml")).expect("is right");
    let gateway = common::Running::of(config).await;
    let _watching = backstop_gateway::reload::watch(gateway.gateway.clone());
    assert_eq!(gateway.answer().await.served_by(), BACKUP);
    std::fs::write(path("key"), "new key\n").expect("can be written");
    let changed = async {
        while gateway.answer().await.served_by() != PRIMARY {
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    };
    let changed = tokio::time::timeout(BOUND, changed).await;
    changed.expect("it is noticed");
}
