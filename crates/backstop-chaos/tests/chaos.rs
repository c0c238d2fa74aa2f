//! What befalls a call, and when.

use std::time::Duration;

use backstop_chaos::{ChaosLayer, InvalidOdds, Mishap, Plan, Switch};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{BoxError, Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

type M = Mishap<&'static str, BoxError>;

fn answers() -> impl Service<(), Response = &'static str, Error = BoxError, Future: Send> + Clone {
    service_fn(|()| async { Ok::<_, BoxError>("fine") })
}

fn on(plan: Plan<M>) -> ChaosLayer<&'static str, BoxError> {
    let layer = ChaosLayer::new(plan);
    layer.switch().turn_on();
    layer
}

async fn run(layer: &ChaosLayer<&'static str, BoxError>, calls: usize) -> Vec<String> {
    let mut seen = Vec::new();
    for _ in 0..calls {
        let reply = layer.layer(answers()).oneshot(()).await;
        seen.push(reply.map_or_else(|error| error.to_string(), str::to_owned));
    }
    seen
}

#[tokio::test]
async fn does_nothing_until_it_is_switched_on() {
    let layer = ChaosLayer::new(Plan::script([Some(M::error(|| "reset".into()))]));
    assert_eq!(run(&layer, 2).await, ["fine", "fine"]);
    layer.switch().turn_on();
    assert_eq!(
        run(&layer, 2).await,
        ["reset", "fine"],
        "the script began when it was on"
    );
    layer.switch().turn_off();
    assert!(!layer.switch().is_on());
}

#[tokio::test]
async fn follows_its_script_across_clones_and_then_lets_all_through() {
    let script = [
        Some(M::error(|| "reset".into())),
        None,
        Some(M::response(|| "<html>")),
    ];
    let layer = on(Plan::script(script.clone()));
    let mut seen = run(&layer, 2).await;
    seen.extend(run(&layer.clone(), 3).await);
    assert_eq!(seen, ["reset", "fine", "<html>", "fine", "fine"]);

    let again = on(Plan::cycle(script));
    assert_eq!(run(&again, 4).await, ["reset", "fine", "<html>", "reset"]);
    assert_eq!(run(&on(Plan::cycle([])), 1).await, ["fine"]);
}

#[tokio::test]
async fn spoils_what_the_service_answers_and_not_its_errors() {
    let spoilt = || {
        M::spoilt(|answer| {
            if answer == "fine" {
                Ok("fi")
            } else {
                Err("no".into())
            }
        })
    };
    assert_eq!(
        run(&on(Plan::script([Some(spoilt())])), 2).await,
        ["fi", "fine"]
    );

    let failing = service_fn(|()| async { Err::<&'static str, BoxError>("down".into()) });
    let spoiling = on(Plan::always(spoilt()));
    let error = spoiling.layer(failing).oneshot(()).await.unwrap_err();
    assert_eq!(error.to_string(), "down");
    let bad = service_fn(|()| async { Ok::<_, BoxError>("bad") });
    let error = spoiling.layer(bad).oneshot(()).await.unwrap_err();
    assert_eq!(error.to_string(), "no");
}

#[tokio::test]
async fn meets_its_odds_and_can_be_repeated() {
    let odds = |seed| {
        let odds = [
            (0.3, M::error(|| "reset".into())),
            (0.1, M::response(|| "<html>")),
        ];
        on(Plan::random(seed, odds).unwrap())
    };
    let first = run(&odds(7), 2000).await;
    assert_eq!(first, run(&odds(7), 2000).await);
    assert_ne!(first, run(&odds(8), 2000).await);
    let count = |what: &str| first.iter().filter(|seen| *seen == what).count();
    assert!((540..660).contains(&count("reset")), "{}", count("reset"));
    assert!((150..250).contains(&count("<html>")), "{}", count("<html>"));
}

#[test]
fn refuses_odds_that_cannot_be() {
    for wrong in [-0.1, 1.1, f64::NAN, f64::INFINITY] {
        assert!(Plan::random(1, [(wrong, ())]).is_err(), "{wrong}");
    }
    assert!(Plan::random(1, [(0.1, ()); 10]).is_ok());
    let too_many: Result<_, InvalidOdds> = Plan::random(1, [(0.1, ()); 11]);
    assert!(too_many.is_err());
}

#[tokio::test(start_paused = true)]
async fn delays_an_answer() {
    let start = Instant::now();
    let layer = on(Plan::always(M::late(Duration::from_secs(3))));
    assert_eq!(run(&layer, 1).await, ["fine"]);
    assert_eq!(start.elapsed(), Duration::from_secs(3));

    let layer = on(Plan::always(
        M::response(|| "late").after(Duration::from_secs(2)),
    ));
    assert_eq!(run(&layer, 1).await, ["late"]);
    assert_eq!(start.elapsed(), Duration::from_secs(5));
}

#[tokio::test(start_paused = true)]
async fn hangs_without_a_call() {
    let (service, mut handle) = mock::pair::<(), &'static str>();
    let mut service = on(Plan::always(M::hang())).layer(service);
    let mut call = task::spawn(service.ready().await.unwrap().call(()));
    assert_pending!(call.poll());
    tokio::time::advance(Duration::from_secs(86_400)).await;
    assert_pending!(call.poll());
    drop(call);
    assert_pending!(task::spawn(handle.next_request()).poll());
}

#[tokio::test]
async fn honours_the_readiness_of_the_service() {
    let (service, mut handle) = mock::pair::<(), &'static str>();
    handle.allow(0);
    let mut service = on(Plan::script([])).layer(service);
    let mut ready = task::spawn(service.ready());
    assert_pending!(ready.poll());
    handle.allow(1);
    assert_ready!(ready.poll()).unwrap();
}

#[tokio::test]
async fn one_switch_serves_many() {
    let switch = Switch::new();
    let layers = ["a", "b"].map(|text| {
        ChaosLayer::new(Plan::always(M::error(move || text.into()))).switched_by(switch.clone())
    });
    switch.turn_on();
    assert_eq!(run(&layers[0], 1).await, ["a"]);
    assert_eq!(run(&layers[1], 1).await, ["b"]);
}
