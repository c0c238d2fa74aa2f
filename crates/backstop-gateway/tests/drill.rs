//! The drill and the probe, on the chain that the program has without a config.

use std::time::Duration;

use backstop_gateway::{demo::Demo, drill::Drill, probe};
use backstop_simulator::{Fault, Pace};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_in_a_drill() {
    let demo = Demo::start_at(Pace::INSTANT).await.expect("starts");
    let mut drill = Drill::default();
    drill.phase = Duration::from_millis(1_500);
    drill.workers = 4;
    let config = demo.config().expect("is right");
    let report = drill.run(config, |_| {}).await.expect("can be done");
    let lines: Vec<String> = report.phases.iter().map(ToString::to_string).collect();
    assert!(report.passed(), "{}\n{report}", lines.join("\n"));
    let by = |phase: usize| {
        report.phases[phase]
            .served
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(by(0), ["anthropic:claude-opus-4-8"]);
    assert!(by(1).contains(&"openai:gpt-5.5".to_owned()), "{:?}", by(1));
    assert!(report.recovery.is_some());
}

#[tokio::test]
async fn a_drill_needs_a_chain_that_can_fail() {
    let demo = Demo::start().await.expect("starts");
    let mut drill = Drill::default();
    drill.model = Some("none".to_owned());
    let config = demo.config().expect("is right");
    let error = drill
        .run(config, |_| {})
        .await
        .expect_err("there is no such model");
    assert_eq!(error.to_string(), "no model is named none");
}

#[tokio::test]
async fn a_probe_measures_and_suggests_an_order() {
    let demo = Demo::start_at(Pace::INSTANT).await.expect("starts");
    demo.primary().fault(Fault::denied());
    let config = demo.config().expect("is right");
    let measured = probe::probe(&config, "*", 1, |_| {})
        .await
        .expect("can be done");
    assert!(measured[0].first_token.is_err());
    assert!(measured[1].first_token.is_ok());
    assert!(measured[1].connect.is_some());
    let order = probe::suggest(&measured);
    assert_eq!(&*order[0], "openai:gpt-5.5");
}
