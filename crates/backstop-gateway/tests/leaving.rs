//! A caller that leaves before it is answered: what was done for it is accounted for all the same.

mod common;

use std::time::Duration;

use backstop_simulator::Fault;
use common::{Setup, hello, hello_streamed};
use tokio::time::{sleep, timeout};

const PRICES: &str = r#"
[prices]
"anthropic:claude-opus-4-8" = { input = 5.0, output = 25.0 }
"openai:gpt-5.5" = { input = 1.0, output = 4.0 }
"#;

const PRIMARY: &str = "anthropic:claude-opus-4-8";
const BACKUP: &str = "openai:gpt-5.5";

#[tokio::test]
async fn what_was_under_way_and_what_had_failed_may_have_been_billed() {
    for body in [hello(), hello_streamed()] {
        let limits = "timeout = { first_token = \"1s\", answer = \"1s\" }\n\
                      breaker = { failures = 1 }";
        let setup = Setup::configured(limits, PRICES).await;
        setup.fault(Fault::hang());
        setup.backup.fault(Fault::hang());
        let request = setup.gateway.post("/v1/chat/completions", &body);
        let asking = tokio::spawn(request.send());
        // The primary has had its time, and the backup has just begun.
        setup.backup.wait_for_call(|_| true).await;
        asking.abort();
        let told = async {
            loop {
                let metrics = setup.gateway.gateway.metrics();
                if metrics.contains("outcome=\"caller_left\"") {
                    return metrics;
                }
                sleep(Duration::from_millis(5)).await;
            }
        };
        let told = timeout(common::BOUND, told).await.expect("it is told");
        for attempt in [
            format!("candidate=\"{PRIMARY}\",outcome=\"timed_out\""),
            format!("candidate=\"{BACKUP}\",outcome=\"caller_left\""),
        ] {
            let counted = format!("backstop_attempts_total{{{attempt},status=\"none\"}} 1");
            assert!(told.contains(&counted), "{counted} in {told}");
        }
        for candidate in [PRIMARY, BACKUP] {
            let spent = format!("billed=\"unknown\",caller=\"\",candidate=\"{candidate}\"");
            assert!(told.contains(&spent), "{spent} in {told}");
        }
        // The one had its chance; of the other nothing is known.
        for (candidate, state) in [(PRIMARY, 2), (BACKUP, 0)] {
            let circuit = format!("backstop_circuit_state{{candidate=\"{candidate}\"}} {state}");
            assert!(told.contains(&circuit), "{circuit} in {told}");
        }
    }
}
