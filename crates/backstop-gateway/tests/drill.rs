//! The drill and the probe, on the chain that the program has without a config.

use std::time::Duration;

use backstop_gateway::{config::Config, demo::Demo, drill::Drill, probe};
use backstop_simulator::{Fault, Pace};
use futures_util::future::join_all;

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

#[tokio::test(flavor = "multi_thread")]
async fn who_is_asked_first_fails_whatever_the_order_is_made_by() {
    let providers = "[providers.a]\ndialect = \"openai\"\nproxy = \"http://127.0.0.1:9\"\n\
                     [providers.b]\ndialect = \"openai\"\n\
                     [prices]\n\"a:m\" = { input = 5, output = 5 }\n\
                     \"b:m\" = { input = 1, output = 1 }\n[models.smart]\n";
    let all = "candidates = [\"a:m\", \"b:m\"]\norder";
    let special =
        "candidates = [{ candidate = \"a:m\", only_after = [\"denied\"] }, \"b:m\"]\norder";
    let weighty = "candidates = [{ candidate = \"a:m\", weight = 0 }, \"b:m\"]\norder";
    let drills = [
        (format!("{all} = \"priority\""), "a:m"),
        (format!("{all} = \"latency\""), "a:m"),
        (format!("{all} = \"price\""), "b:m"),
        (format!("{special} = \"priority\""), "b:m"),
        (format!("{weighty} = \"weight\""), "b:m"),
    ];
    let drills = drills.map(async |(model, first)| {
        let config = Config::parse("test.toml", &format!("{providers}{model}"), &|_| None);
        let mut drill = Drill::default();
        drill.phase = Duration::from_millis(300);
        drill.workers = 2;
        let report = drill.run(config.expect("is right"), |_| {}).await;
        let report = report.expect("can be done");
        let served: Vec<_> = report.phases[0].served.keys().collect();
        assert_eq!(served, [first], "{model}");
        // It is the one that hangs in the third.
        let served = &report.phases[2].served;
        assert!(!served.contains_key(first), "{model}: {served:?}");
        assert!(report.recovery.is_some(), "{model}");
    });
    join_all(drills).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_lost_in_a_drill_with_faults_in_front_of_the_providers() {
    let demo = Demo::start_at(Pace::INSTANT).await.expect("starts");
    let mut drill = Drill::with_chaos();
    drill.phase = Duration::from_millis(1_500);
    drill.workers = 4;
    drill.rest = Duration::from_millis(5);
    drill.as_configured = true;
    let mut config = demo.config().expect("is right");
    for model in config.models.values_mut() {
        let limits = &mut model.timeout;
        limits.first_token = Duration::from_secs(1);
        limits.answer = Duration::from_secs(1);
        limits.idle = Duration::from_secs(1);
        model.breaker.open_for = Duration::from_millis(300);
    }
    let report = drill.run(config, |_| {}).await.expect("can be done");
    let lines: Vec<String> = report.phases.iter().map(ToString::to_string).collect();
    assert!(report.passed(), "{}\n{report}", lines.join("\n"));
    let names: Vec<_> = report.phases.iter().map(|phase| phase.name).collect();
    assert_eq!(names[0], "healthy");
    assert!(
        names.contains(&"cutting") && names.contains(&"denying"),
        "{names:?}"
    );
    // The providers were asked themselves: the first while it was well, the second in its place.
    let (first, second) = (demo.primary().count(), demo.backup().count());
    assert!(first > 0 && second > 0, "{first} and {second}");
    let served = |phase: usize, by: &str| report.phases[phase].served.contains_key(by);
    assert!(!served(0, "openai:gpt-5.5"), "{}", lines[0]);
    assert!(served(1, "openai:gpt-5.5"), "{}", lines[1]);
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
