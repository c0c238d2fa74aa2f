//! The page for people to look at, as a browser gets it.

mod common;

use std::process::Stdio;

use backstop_gateway::callers::Hash;
use common::Setup;
use tokio::process::Command;

/// What `script.js` reads of each part, by its own account of it.
const OF_STATUS: [&str; 8] = [
    "changes",
    "failures",
    "in_flight",
    "models",
    "reload_error",
    "uptime_seconds",
    "version",
    "waiting",
];
const OF_CANDIDATE: [&str; 11] = [
    "circuit",
    "enabled",
    "error_rate",
    "failed",
    "first_token_p50_ms",
    "first_token_p95_ms",
    "minutes",
    "name",
    "passed_over",
    "served",
    "tokens_per_second",
];

#[tokio::test]
async fn the_page_is_one_file_that_runs_nothing_but_its_own_script() {
    let setup = Setup::new().await;
    let answer = setup.gateway.get("/").send().await.expect("it answers");
    assert_eq!(answer.status(), 200);
    let header = |name: &str| answer.headers()[name].to_str().expect("is text").to_owned();
    assert!(header("content-type").starts_with("text/html"));
    assert_eq!(header("x-content-type-options"), "nosniff");
    let policy = header("content-security-policy");
    assert!(policy.starts_with("default-src 'none'; script-src 'sha256-"));
    assert!(!policy.contains("unsafe"));
    let html = answer.text().await.expect("it comes to its end");
    assert!(html.starts_with("<!doctype html>"));
    assert!(!html.contains("{style}") && !html.contains("{script}"));
}

/// As a person opens it whose link holds the admin key.
#[tokio::test]
async fn a_browser_shows_the_page_by_an_address_that_holds_a_key() {
    let chromium = std::env::var("BACKSTOP_CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let keys = format!(
        "[keys.team]\nsha256 = \"{}\"\n[admin]\nsha256 = \"{}\"\n",
        Hash::of("team key"),
        Hash::of("admin"),
    );
    let setup = Setup::configured("", &keys).await;
    let mut browser = Command::new(chromium);
    browser
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .arg("--virtual-time-budget=2000")
        .arg(format!("http://any:admin@{}/", setup.gateway.address))
        .stderr(Stdio::null())
        .kill_on_drop(true);
    let shown = match tokio::time::timeout(common::BOUND, browser.output()).await {
        Ok(Err(_)) => return eprintln!("skipped: there is no Chromium"),
        shown => shown.expect("it is not stuck").expect("it runs"),
    };
    let page = String::from_utf8_lossy(&shown.stdout);
    assert!(page.contains(">live</p>"), "{page}");
}

#[tokio::test]
async fn the_status_has_all_that_the_page_reads() {
    let setup = Setup::new().await;
    let answer = setup.gateway.get("/status.json").send().await;
    let status: serde_json::Value = answer
        .expect("it answers")
        .json()
        .await
        .expect("it is JSON");
    for name in OF_STATUS {
        assert!(status.get(name).is_some(), "{name}");
    }
    assert_eq!(status["models"][0]["reordered"], false);
    let candidate = &status["models"][0]["candidates"][0];
    for name in OF_CANDIDATE {
        assert!(candidate.get(name).is_some(), "{name}");
    }
    for name in ["name", "state", "retry_after_ms"] {
        assert!(candidate["circuit"].get(name).is_some(), "{name}");
    }
}
