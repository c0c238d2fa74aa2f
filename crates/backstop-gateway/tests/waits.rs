//! How long the gateway waits before a second try.

mod common;

use std::time::Duration;

use backstop_simulator::Fault;
use common::Setup;
use tokio::time::Instant;

/// Far longer than a test may take, where a wait is not the one that should be taken.
const LONG: &str = "20s";

async fn served_soon(retry: &str, fault: Fault) {
    let retry = format!("retry = {{ attempts = 3, {retry} }}\ntimeout = {{ total = \"60s\" }}");
    let setup = Setup::with(&retry).await;
    setup.fault(fault.times(2));
    let began = Instant::now();
    let answer = setup.gateway.answer().await;
    assert_eq!(answer.text(), common::PRIMARY, "{}", answer.body);
    assert_eq!(setup.primary.count(), 3);
    assert!(began.elapsed() < Duration::from_secs(5), "{began:?}");
}

#[tokio::test]
async fn a_provider_that_gets_too_many_calls_has_waits_of_its_own() {
    let own = format!(
        "base = \"{LONG}\", cap = \"{LONG}\", throttled = {{ base = \"1ms\", cap = \"2ms\" }}"
    );
    served_soon(&own, Fault::overloaded()).await;
    let usual = format!(
        "base = \"1ms\", cap = \"2ms\", throttled = {{ base = \"{LONG}\", cap = \"{LONG}\" }}"
    );
    served_soon(&usual, Fault::unavailable()).await;
}

#[tokio::test]
async fn waits_can_be_nothing_but_chance() {
    let waits = "backoff = \"decorrelated\", base = \"1ms\", cap = \"20ms\"";
    served_soon(waits, Fault::unavailable()).await;
}
