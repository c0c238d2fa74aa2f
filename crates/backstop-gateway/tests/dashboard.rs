//! The dashboard asks for what the gateway really tells.

mod common;

use std::{collections::BTreeSet, fs};

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
