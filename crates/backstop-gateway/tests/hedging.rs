//! A candidate that is started beside one that is slow.

mod common;

use std::time::Duration;

use backstop_simulator::Fault;
use common::{PRICES, Setup, hello_streamed};

const PRIMARY: &str = "anthropic:claude-opus-4-8";
const BACKUP: &str = "openai:gpt-5.5";

/// Longer than any of these tests takes, and within the limits of an attempt.
const SLOW: Duration = Duration::from_secs(20);

const HEDGED: &str = "hedge = { first_token = \"50ms\", answer = \"50ms\" }\n\
                      timeout = { first_token = \"30s\", answer = \"30s\", idle = \"30s\" }";

#[tokio::test]
async fn a_slow_primary_loses_to_the_backup_and_both_are_accounted_for() {
    let setup = Setup::configured(HEDGED, PRICES).await;
    setup.fault(Fault::slow(SLOW));
    let streamed = setup.gateway.streamed().await;
    assert_eq!(streamed.served_by(), BACKUP, "{}", streamed.body);
    assert_eq!(streamed.text(), common::BACKUP);
    assert!(streamed.is_done(), "{}", streamed.body);
    let told = streamed.header("proxy-status").unwrap_or_default();
    assert!(told.contains("another was faster"), "{told}");
    let plain = setup.gateway.answer().await;
    assert_eq!(plain.served_by(), BACKUP, "{}", plain.body);

    let metrics = setup.gateway.gateway.metrics();
    let lost = format!(
        "backstop_attempts_total{{candidate=\"{PRIMARY}\",outcome=\"outrun\",status=\"none\"}} 2"
    );
    assert!(metrics.contains(&lost), "{metrics}");
    // What the loser may cost is not hidden in the winner's account.
    for (billed, candidate) in [("unknown", PRIMARY), ("yes", BACKUP)] {
        let spent = format!("billed=\"{billed}\",caller=\"\",candidate=\"{candidate}\"");
        assert!(metrics.contains(&spent), "{spent} in {metrics}");
    }
    // Nobody has failed.
    assert!(!metrics.contains("backstop_fallbacks_total{"), "{metrics}");
    assert!(metrics.contains(&format!(
        "backstop_circuit_state{{candidate=\"{PRIMARY}\"}} 0"
    )));
    let status = setup.gateway.get("/status.json").send().await;
    let status = status.expect("an answer comes").text().await.expect("ends");
    assert!(!status.contains("another was faster"), "{status}");
}

#[tokio::test]
async fn nobody_is_started_beside_one_that_answers_in_time() {
    let patient = HEDGED.replace("50ms", "20s");
    let setup = Setup::with(&patient).await;
    assert_eq!(setup.gateway.streamed().await.served_by(), PRIMARY);
    assert_eq!(setup.backup.count(), 0);
}

#[tokio::test]
async fn a_lesser_answer_is_not_raced_for() {
    let model = format!(
        "[models.lesser]\n{}\nretry = {{ attempts = 1 }}\ncandidates = [\"{PRIMARY}\", \
         {{ candidate = \"{BACKUP}\", degraded = \"A lesser one.\" }}, {{ reply = \"Later.\" }}]\n",
        HEDGED.replace("50ms", "1ms"),
    );
    let setup = Setup::configured("", &model).await;
    setup.fault(Fault::slow(Duration::from_millis(200)));
    let mut body = hello_streamed();
    body["model"] = "lesser".into();
    let answer = common::Answer::read(setup.gateway.chat(body).await).await;
    assert_eq!(answer.served_by(), PRIMARY, "{}", answer.body);
    assert_eq!(setup.backup.count(), 0);
}
