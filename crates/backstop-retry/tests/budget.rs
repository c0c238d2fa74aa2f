//! The budget, as calls draw on it.

use std::{cell::Cell, future::ready, num::NonZeroU32, rc::Rc, time::Duration};

use backstop_core::{
    Attempt, BoxError, Classify, Fault, FaultKind, Open, Reason, Verdict, classify_fn, context,
};
use backstop_retry::{Budget, RetryLayer};
use tokio_test::{assert_pending, task};
use tower::{Layer, Service, ServiceExt, service_fn};

const DOWN: Fault = Fault::new(FaultKind::Unavailable);

fn layer(budget: &Budget) -> RetryLayer<impl Classify<(), Fault> + Clone + std::fmt::Debug> {
    let classify = classify_fn(|result: Result<&(), &Fault>| match result {
        Ok(()) => Verdict::Success,
        Err(fault) => Verdict::Failure(*fault),
    });
    let attempts = NonZeroU32::new(5).expect("not zero");
    let layer = RetryLayer::new().attempts(attempts).classify(classify);
    layer.budget(budget.clone())
}

fn tokens(count: u32) -> Budget {
    Budget::tokens(NonZeroU32::new(count).expect("not zero"))
}

type Calls = Rc<Cell<u32>>;

/// Fails with `fault` so many times, then succeeds.
fn failing(
    times: u32,
    fault: Fault,
) -> (
    impl Service<(), Response = (), Error = Fault> + Clone,
    Calls,
) {
    let calls = Calls::default();
    let count = calls.clone();
    let service = service_fn(move |()| {
        count.set(count.get() + 1);
        ready(if count.get() > times {
            Ok(())
        } else {
            Err(fault)
        })
    });
    (service, calls)
}

#[tokio::test(start_paused = true)]
async fn the_tokens_go_and_come_as_the_rules_of_aws_say() {
    let budget = tokens(30);
    let (service, _) = failing(2, DOWN);
    assert!(layer(&budget).layer(service).oneshot(()).await.is_ok());
    assert_eq!(budget.balance(), 16.0);
    let (service, _) = failing(1, DOWN);
    assert!(layer(&budget).layer(service).oneshot(()).await.is_ok());
    assert_eq!(budget.balance(), 16.0);
    let (service, _) = failing(0, DOWN);
    assert!(layer(&budget).layer(service).oneshot(()).await.is_ok());
    assert_eq!(budget.balance(), 17.0);
    let throttled = Fault::new(FaultKind::Overloaded);
    let (service, calls) = failing(9, throttled);
    assert!(layer(&budget).layer(service).oneshot(()).await.is_err());
    assert_eq!((budget.balance(), calls.get()), (2.0, 4));
}

#[tokio::test(start_paused = true)]
async fn without_tokens_the_last_error_is_returned_without_a_wait() {
    let budget = tokens(1);
    let (service, calls) = failing(9, DOWN);
    let start = tokio::time::Instant::now();
    let result = layer(&budget).layer(service).oneshot(()).await;
    assert_eq!(result, Err(DOWN));
    assert!(start.elapsed().is_zero());
    assert_eq!(calls.get(), 1);
    assert_eq!(budget.balance(), 1.0);
}

#[tokio::test(start_paused = true)]
async fn in_an_outage_all_clones_together_retry_no_more_than_their_share() {
    let budget = Budget::ratio(0.6).unwrap().initial(0);
    let (service, calls) = failing(u32::MAX, DOWN);
    let layer = layer(&budget);
    for _ in 0..50 {
        let (one, two) = tokio::join!(
            layer.layer(service.clone()).oneshot(()),
            layer.clone().layer(service.clone()).oneshot(()),
        );
        assert!(one.is_err() && two.is_err());
    }
    assert_eq!(calls.get(), 100 + 60);
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_while_it_waits_gives_back_what_it_took() {
    let budget = tokens(14);
    let (service, calls) = failing(9, DOWN);
    let mut call = task::spawn(layer(&budget).layer(service).oneshot(()));
    assert_pending!(call.poll());
    assert_eq!(budget.balance(), 0.0);
    drop(call);
    assert_eq!((budget.balance(), calls.get()), (14.0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_is_dropped_during_a_further_attempt_has_spent_its_tokens() {
    let budget = tokens(14);
    let calls = Cell::new(0);
    let service = service_fn(|()| {
        calls.set(calls.get() + 1);
        let first = calls.get() == 1;
        async move {
            if !first {
                std::future::pending::<()>().await;
            }
            Err::<(), _>(DOWN)
        }
    });
    let mut call = task::spawn(layer(&budget).layer(service).oneshot(()));
    assert_pending!(call.poll());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_pending!(call.poll());
    drop(call);
    assert_eq!((budget.balance(), calls.get()), (0.0, 2));
}

#[tokio::test(start_paused = true)]
async fn a_further_attempt_that_an_open_circuit_refuses_costs_nothing() {
    let budget = Budget::ratio(0.1).unwrap().initial(1);
    let calls = Cell::new(0);
    let service = service_fn(|()| {
        calls.set(calls.get() + 1);
        if calls.get() > 1 {
            context::leave_fault(Open::new("it".into(), Reason::Open, None).fault());
        }
        ready(Err::<(), BoxError>("down".into()))
    });
    let layer = RetryLayer::new().budget(budget.clone());
    assert!(layer.layer(service).oneshot(()).await.is_err());
    assert_eq!(calls.get(), 2);
    assert_eq!(budget.balance(), 1.1);
}

#[tokio::test(start_paused = true)]
async fn one_call_makes_one_deposit_however_many_candidates_it_asks() {
    let budget = Budget::ratio(0.25).unwrap().initial(0);
    let one = layer(&budget).layer(failing(9, DOWN).0);
    let two = layer(&budget).layer(failing(0, DOWN).0);
    let both = async {
        assert!(one.oneshot(()).await.is_err());
        assert!(two.oneshot(()).await.is_ok());
    };
    context::traced(both).await;
    assert_eq!(budget.balance(), 0.25);
}

#[tokio::test(start_paused = true)]
async fn a_candidate_that_was_passed_over_has_made_no_deposit() {
    let budget = Budget::ratio(0.25).unwrap().initial(0);
    let backup = layer(&budget).layer(failing(0, DOWN).0);
    let call = async {
        context::record(Attempt::passed_over(FaultKind::Refused.into()));
        backup.oneshot(()).await.unwrap();
    };
    context::traced(call).await;
    assert_eq!(budget.balance(), 0.25);
}

#[tokio::test(start_paused = true)]
async fn a_retry_whose_circuit_refused_has_made_the_deposit_of_the_call() {
    let budget = Budget::ratio(0.25).unwrap().initial(0);
    let refused = layer(&budget).layer(failing(9, Fault::new(FaultKind::Refused)).0);
    let backup = layer(&budget).layer(failing(0, DOWN).0);
    let both = async {
        assert!(refused.oneshot(()).await.is_err());
        assert!(backup.oneshot(()).await.is_ok());
    };
    context::traced(both).await;
    assert_eq!(budget.balance(), 0.25);
}

#[tokio::test(start_paused = true)]
async fn a_retry_within_another_neither_deposits_nor_gives_back() {
    let budget = tokens(500).initial(100);
    let (service, _) = failing(1, DOWN);
    let service = layer(&budget).layer(layer(&budget).layer(service));
    service.clone().oneshot(()).await.unwrap();
    assert_eq!(budget.balance(), 100.0);
    service.oneshot(()).await.unwrap();
    assert_eq!(budget.balance(), 101.0);
}
