//! The layer round a service.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use backstop_circuit_breaker::{
    CircuitBreakerLayer, FaultKind, Gate, Jitter, Open, OpenWait, Policy, State,
};
use backstop_core::{BoxError, Deadline, Fault, Verdict, classify_fn, context};
use tokio_test::{assert_pending, assert_ready, assert_ready_err, assert_ready_ok, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock::{self, Handle, Mock, Spawn};

const OPEN: Duration = Duration::from_secs(5);

fn policy() -> Policy {
    Policy::new()
        .consecutive(NonZeroU32::new(2).expect("two is not zero"))
        .open_for(OpenWait::fixed(OPEN).jitter(Jitter::None))
}

type Guarded = backstop_circuit_breaker::CircuitBreakerService<Mock<u32, u32>>;

fn guard(layer: &CircuitBreakerLayer) -> (Spawn<Guarded>, Handle<u32, u32>) {
    mock::spawn_layer(layer.clone())
}

/// One call through the mock, answered or failed.
async fn call(
    service: &mut Spawn<Guarded>,
    handle: &mut Handle<u32, u32>,
    answer: Result<u32, &'static str>,
) -> Result<u32, BoxError> {
    assert_ready_ok!(service.poll_ready());
    let response = service.call(1);
    let (_, send) = handle.next_request().await.expect("a call");
    match answer {
        Ok(answer) => send.send_response(answer),
        Err(error) => send.send_error(error),
    }
    response.await
}

async fn open(service: &mut Spawn<Guarded>, handle: &mut Handle<u32, u32>) {
    for _ in 0..2 {
        let failed = call(service, handle, Err("down")).await;
        failed.expect_err("the mock is down");
    }
}

#[tokio::test(start_paused = true)]
async fn passes_calls_while_closed() {
    let (mut service, mut handle) = guard(&policy().layer("mock"));
    assert_eq!(call(&mut service, &mut handle, Ok(7)).await.unwrap(), 7);
}

#[tokio::test(start_paused = true)]
async fn answers_from_call_while_open_and_asks_nothing_of_the_service() {
    let layer = policy().layer("mock");
    let (mut service, mut handle) = guard(&layer);
    open(&mut service, &mut handle).await;

    // The service inside is not ready, and that does not matter.
    handle.allow(0);
    assert_ready_ok!(service.poll_ready());
    let mut refused = task::spawn(service.call(1));
    let error = assert_ready_err!(refused.poll());
    let open: &Open = error.downcast_ref().unwrap();
    assert_eq!(&**open.name(), "mock");
    assert_eq!(open.retry_after(), Some(OPEN));
    assert_eq!(error.to_string(), "mock: circuit open, retry in 5.0 s");
    let fault = context::fault().unwrap();
    assert_eq!(fault.kind(), FaultKind::Refused);
    assert_eq!(fault.retry_after(), Some(OPEN));
    assert_eq!(layer.handle().counts().refused, 1);
}

#[tokio::test(start_paused = true)]
async fn probes_after_the_wait_and_closes() {
    let layer = policy().layer("mock");
    let (mut service, mut handle) = guard(&layer);
    open(&mut service, &mut handle).await;
    tokio::time::advance(OPEN).await;
    assert!(layer.handle().admits(tokio::time::Instant::now()).is_ok());
    call(&mut service, &mut handle, Ok(7)).await.unwrap();
    assert_eq!(layer.handle().state(), State::Closed);
}

#[tokio::test(start_paused = true)]
async fn waits_for_the_service_to_be_ready_while_closed() {
    let (mut service, mut handle) = guard(&policy().layer("mock"));
    handle.allow(0);
    assert_pending!(service.poll_ready());
    handle.allow(1);
    assert_ready_ok!(service.poll_ready());
}

#[tokio::test(start_paused = true)]
async fn a_service_found_not_ready_for_good_has_failed() {
    let layer = policy().layer("mock");
    for _ in 0..2 {
        let (mut service, mut handle) = guard(&layer);
        handle.send_error("gone");
        assert_ready_err!(service.poll_ready());
    }
    assert_eq!(layer.handle().state(), State::Open);

    tokio::time::advance(OPEN).await;
    let (mut service, mut handle) = guard(&layer);
    handle.send_error("still gone");
    assert_ready_err!(service.poll_ready());
    assert_eq!(layer.handle().counts().openings, 2);
}

#[tokio::test(start_paused = true)]
async fn clones_and_further_services_share_the_circuit() {
    let layer = policy().layer("mock");
    let (mut one, mut handle) = guard(&layer);
    let (mut other, _other_handle) = guard(&layer.clone());
    open(&mut one, &mut handle).await;
    assert_ready_ok!(other.poll_ready());
    assert!(other.call(1).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_is_neutral_before_its_deadline_and_timed_out_from_it_on() {
    let layer = policy().layer("mock");
    let (mut service, mut handle) = guard(&layer);
    let deadline = Deadline::after(tokio::time::Instant::now(), Duration::from_secs(1));
    for (waits, failures) in [(999, 0), (1, 1)] {
        tokio::time::advance(Duration::from_millis(waits)).await;
        assert_ready_ok!(service.poll_ready());
        let mut response = task::spawn(service.call(1));
        let (_, _send) = handle.next_request().await.unwrap();
        {
            let _entered = context::enter_deadline(deadline);
            assert_pending!(response.poll());
        }
        drop(response);
        assert_eq!(layer.handle().counts().consecutive_failures, failures);
    }
}

#[tokio::test(start_paused = true)]
async fn fifty_calls_cut_by_a_deadline_further_out_open_the_circuit() {
    let layer = policy().layer("mock");
    let service = layer.layer(service_fn(|()| {
        std::future::pending::<Result<(), BoxError>>()
    }));
    let mut cut = 0;
    for _ in 0..50 {
        let mut service = service.clone();
        let now = tokio::time::Instant::now();
        let mut response = Box::pin(service.ready().await.unwrap().call(()));
        let limited = std::future::poll_fn(|cx| {
            let _entered = context::enter_deadline(Deadline::after(now, OPEN));
            response.as_mut().poll(cx)
        });
        cut += u32::from(tokio::time::timeout(OPEN, limited).await.is_err());
    }
    // Two were enough; while the circuit was open the others were answered at once.
    assert!(cut < 50);
    assert!(layer.handle().counts().openings > 0);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_call_or_poll_is_a_failure() {
    let layer = policy().layer("mock");
    let in_call = layer.layer(service_fn(
        |()| -> std::future::Ready<Result<(), BoxError>> {
            std::panic::resume_unwind(Box::new("fell over"))
        },
    ));
    let in_poll = layer.layer(service_fn(|()| async {
        std::panic::resume_unwind(Box::new("fell over"));
        #[expect(unreachable_code, reason = "gives the block its type")]
        Ok::<(), BoxError>(())
    }));
    tokio::task::LocalSet::new()
        .run_until(async {
            let fell = tokio::task::spawn_local(in_call.oneshot(())).await;
            assert!(fell.unwrap_err().is_panic());
            let fell = tokio::task::spawn_local(in_poll.oneshot(())).await;
            assert!(fell.unwrap_err().is_panic());
        })
        .await;
    assert_eq!(layer.handle().state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_of_a_layer_further_in_is_neutral() {
    let inner = policy().layer("inner");
    inner.handle().force_open();
    let outer = policy().layer("outer");
    let service = outer.layer(inner.layer(service_fn(|()| async { Ok::<_, BoxError>(()) })));
    for _ in 0..10 {
        service.clone().oneshot(()).await.unwrap_err();
    }
    assert_eq!(outer.handle().counts().consecutive_failures, 0);
}

#[tokio::test(start_paused = true)]
async fn a_fault_that_another_call_left_behind_is_not_this_ones() {
    let layer = policy().layer("mock");
    let service = layer.layer(service_fn(|()| async {
        Err::<(), BoxError>("down".into())
    }));
    context::leave_fault(Fault::new(FaultKind::Refused));
    service.oneshot(()).await.unwrap_err();
    assert_eq!(layer.handle().counts().consecutive_failures, 1);
}

#[tokio::test(start_paused = true)]
async fn a_response_can_be_a_failure() {
    let layer =
        policy().layer("mock").classify(classify_fn(
            |result: Result<&u32, &BoxError>| match result {
                Ok(500..) => Fault::new(FaultKind::Unavailable).into(),
                Ok(400..) => Verdict::Neutral,
                _ => Verdict::Success,
            },
        ));
    let service = layer.layer(service_fn(|n: u32| async move { Ok::<_, BoxError>(n) }));
    for status in [500, 404, 404, 503] {
        assert_eq!(service.clone().oneshot(status).await.unwrap(), status);
    }
    assert_eq!(layer.handle().state(), State::Open);
}

#[tokio::test(start_paused = true)]
async fn the_slot_of_a_probe_is_free_again_wherever_the_call_is_dropped() {
    /// Pends so many times, then answers.
    async fn steps(pends: u32) -> Result<u32, BoxError> {
        for _ in 0..pends {
            tokio::task::yield_now().await;
        }
        Ok(pends)
    }
    let policy = policy().slow_calls(Duration::from_secs(1), backstop_circuit_breaker::Rate::ALL);
    for dropped_after in 0..=4 {
        let layer = policy.layer("mock");
        let mut service = layer.layer(service_fn(|()| steps(4)));
        layer.handle().open_for(Duration::ZERO);
        let mut response = task::spawn(service.ready().await.unwrap().call(()));
        for _ in 0..dropped_after {
            assert_pending!(response.poll());
        }
        assert_eq!(layer.handle().counts().probes, 1);
        drop(response);
        assert_eq!(layer.handle().counts().probes, 0);
        let mut response = task::spawn(service.ready().await.unwrap().call(()));
        while response.poll().is_pending() {}
        assert_eq!(layer.handle().state(), State::Closed);

        let mut response = task::spawn(service.ready().await.unwrap().call(()));
        assert_pending!(response.poll());
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(layer.handle().counts().slow_in_flight, 1);
        drop(response);
        assert_eq!(layer.handle().counts().slow_in_flight, 0);
    }
}

#[tokio::test(start_paused = true)]
async fn a_service_that_cannot_be_sent_or_cloned_will_do() {
    let calls = std::rc::Rc::new(AtomicU32::new(0));
    let counted = calls.clone();
    let layer = policy().layer("local");
    let service = layer.layer(service_fn(move |_: std::rc::Rc<str>| {
        counted.fetch_add(1, Ordering::Relaxed);
        async { Err::<std::rc::Rc<str>, BoxError>("down".into()) }
    }));
    service.oneshot("hello".into()).await.unwrap_err();
    assert_eq!(calls.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn follows_the_changes_of_state_in_order() {
    let layer = policy().layer("mock");
    let handle = layer.handle();
    let mut transitions = handle.transitions();
    let waiting = task::spawn(async move {
        let mut seen = Vec::new();
        while let Some(transition) = transitions.next().await {
            seen.push(transition.to_string());
        }
        seen
    });
    let mut waiting = waiting;
    assert_pending!(waiting.poll());
    handle.open_for(OPEN);
    tokio::time::advance(OPEN).await;
    handle.try_acquire().unwrap().success();
    assert!(waiting.is_woken());
    assert_pending!(waiting.poll());
    drop((layer, handle));
    let seen = assert_ready!(waiting.poll());
    let expected = [
        "closed to open: by hand",
        "open to half-open: wait over",
        "half-open to closed: probes succeeded",
    ];
    assert_eq!(seen, expected);
}
