//! What is told keeps to Prometheus' conventions, and the dashboard asks for nothing else.

mod common;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
};

use backstop_simulator::Fault;
use common::Setup;
use serde_json::Value;

const DASHBOARD: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/grafana-dashboard.json");
const REPLY: &str =
    "candidates = [\"anthropic:claude-opus-4-8\", \"openai:gpt-5.5\", { reply = \"Later.\" }]";

const PRICES: &str = r#"
[prices]
"anthropic:claude-opus-4-8" = { input = 5.0, output = 25.0 }
"openai:gpt-5.5" = { input = 1.0, output = 4.0 }
"#;

/// Every query of the dashboard.
fn queries() -> Vec<String> {
    let text = fs::read_to_string(DASHBOARD).expect("it is there");
    let dashboard: Value = serde_json::from_str(&text).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("it has panels");
    panels
        .iter()
        .filter_map(|panel| panel["targets"].as_array())
        .flatten()
        .map(|target| target["expr"].as_str().expect("it is a query").to_owned())
        .collect()
}

/// The words of a query that stand for metrics.
fn metrics_of(query: &str) -> BTreeSet<&str> {
    query
        .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
        .filter(|word| word.starts_with("backstop_"))
        .collect()
}

/// The labels that a query sums by.
fn labels_of(query: &str) -> BTreeSet<&str> {
    query
        .split("by (")
        .skip(1)
        .filter_map(|rest| rest.split(')').next())
        .flat_map(|list| list.split(','))
        .map(str::trim)
        .collect()
}

/// What the gateway tells after it has been through everything.
async fn told() -> String {
    let breaker = "breaker = { failures = 2, open_for = \"60s\" }";
    let setup = Setup::configured(breaker, PRICES).await;
    setup.gateway.streamed().await;
    setup.fault(Fault::cut(2).times(1));
    setup.gateway.streamed().await;
    setup.fault(Fault::overloaded());
    setup.gateway.answer().await;
    let unknown = serde_json::json!({ "model": "none", "messages": [] });
    setup.gateway.chat(unknown).await;
    let toml = common::toml(&setup.primary, &setup.backup, "", "").replace(
        "candidates = [\"anthropic:claude-opus-4-8\", \"openai:gpt-5.5\"]",
        REPLY,
    );
    assert!(toml.contains(REPLY));
    let config = backstop_gateway::config::Config::parse("test.toml", &toml, &|_| {
        Some("sk-secret-key".to_owned())
    });
    setup.gateway.gateway.reload(config).expect("it is right");
    setup.backup.fault(Fault::unavailable());
    let last_resort = setup.gateway.answer().await;
    assert_eq!(last_resort.text(), "Later.");
    setup.gateway.gateway.metrics()
}

#[tokio::test]
async fn every_metric_and_label_of_the_dashboard_is_told() {
    let told = told().await;
    let queries = queries();
    assert!(queries.len() > 15, "{queries:?}");
    for query in &queries {
        let metrics = metrics_of(query);
        assert!(!metrics.is_empty(), "{query}");
        for metric in &metrics {
            let lines: Vec<&str> = told
                .lines()
                .filter(|line| line.split(['{', ' ']).next() == Some(metric))
                .collect();
            assert!(!lines.is_empty(), "{metric} is not told:\n{told}");
            for label in labels_of(query) {
                let label = format!("{label}=\"");
                assert!(
                    lines.iter().all(|line| line.contains(&label)),
                    "{metric} has no {label}"
                );
            }
        }
    }
}

/// The names of metrics, and what each is, by its `# TYPE` line.
fn types(told: &str) -> BTreeMap<&str, &str> {
    let lines = told.lines().filter_map(|line| line.strip_prefix("# TYPE "));
    lines.filter_map(|line| line.split_once(' ')).collect()
}

#[tokio::test]
async fn names_units_and_texts_are_by_convention() {
    let told = told().await;
    let types = types(&told);
    assert!(types.len() > 15, "{types:?}");
    for (name, kind) in &types {
        assert!(told.contains(&format!("# HELP {name} ")), "{name}");
        assert!(name.starts_with("backstop_"), "{name}");
        assert_eq!(name.ends_with("_total"), *kind == "counter", "{name}");
        for unit in ["_ms", "_millis", "_micros", "_minutes", "_kb", "_kib"] {
            assert!(!name.contains(unit), "{name}");
        }
        if ["duration", "overhead", "first_token"]
            .iter()
            .any(|it| name.contains(it))
        {
            assert!(name.ends_with("_seconds"), "{name}");
        }
        if *kind == "histogram" {
            let infinite = format!("{name}_bucket");
            let mut lines = told.lines().filter(|line| line.starts_with(&infinite));
            assert!(lines.any(|line| line.contains("le=\"+Inf\"")), "{name}");
        }
    }
    let samples = told
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty());
    for sample in samples {
        let name = sample.split(['{', ' ']).next().unwrap_or_default();
        let parts = ["_bucket", "_count", "_sum"];
        let base = parts.iter().find_map(|part| name.strip_suffix(part));
        let known = types.contains_key(name) || base.is_some_and(|it| types.contains_key(it));
        assert!(known, "{name} has no type");
    }
}

#[tokio::test]
async fn no_label_takes_a_value_from_a_caller() {
    let setup = Setup::new().await;
    let mut body = common::hello();
    body["model"] = "made up".into();
    body["user"] = "made up".into();
    setup.gateway.chat(body).await;
    let body = serde_json::json!({ "model": "smart", "messages": "made up" });
    assert_eq!(setup.gateway.chat(body).await.status(), 400);
    setup
        .gateway
        .get("/made up")
        .send()
        .await
        .expect("an answer comes");
    setup.gateway.answer().await;
    let told = setup.gateway.gateway.metrics();
    assert!(!told.contains("made up"), "{told}");
    for status in ["400", "404"] {
        let refused = format!("backstop_refusals_total{{front=\"openai\",status=\"{status}\"}} 1");
        assert!(told.contains(&refused), "{told}");
    }
}

/// Prometheus' own tool has the last word, where it is installed.
#[tokio::test]
async fn promtool_has_nothing_to_say() {
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    let promtool = std::env::var("BACKSTOP_PROMTOOL").unwrap_or_else(|_| "promtool".to_owned());
    let started = Command::new(promtool)
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = started else {
        println!("skipped: promtool is not installed");
        return;
    };
    let told = told().await;
    let mut stdin = promtool.stdin.take().expect("it is piped");
    stdin.write_all(told.as_bytes()).expect("it reads");
    drop(stdin);
    let said = promtool.wait_with_output().expect("it ends");
    let text = [said.stdout, said.stderr].concat();
    assert!(said.status.success(), "{}", String::from_utf8_lossy(&text));
    assert!(text.is_empty(), "{}", String::from_utf8_lossy(&text));
}
