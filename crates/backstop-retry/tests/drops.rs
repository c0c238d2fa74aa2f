//! A call can be dropped at any point, and everything is as it was but for what was really sent.

use std::{
    cell::Cell,
    future::Future,
    num::NonZeroU32,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::pin,
    rc::Rc,
    task::{Context, Poll, Waker},
    time::Duration,
};

use backstop_core::{BoxError, context};
use backstop_retry::{Budget, RetryLayer};
use tokio::{task::yield_now, time::advance};
use tower::{Layer, ServiceBuilder, ServiceExt, limit::ConcurrencyLimitLayer, service_fn};

/// Polls `call` that often, with some time between any two polls, then drops it.
async fn poll_and_drop(call: impl Future, polls: usize) -> bool {
    let mut call = pin!(call);
    let mut cx = Context::from_waker(Waker::noop());
    for _ in 0..polls {
        if call.as_mut().poll(&mut cx).is_ready() {
            return true;
        }
        advance(Duration::from_millis(40)).await;
    }
    false
}

#[tokio::test(start_paused = true)]
async fn dropping_a_call_at_any_point_leaves_nothing_held_and_nothing_marked() {
    let mut points = 0;
    loop {
        let held = Rc::new(());
        let calls = Cell::new(0u32);
        let budget = Budget::tokens(NonZeroU32::new(100).expect("not zero"));
        let service = ServiceBuilder::new()
            .layer(RetryLayer::new().budget(budget.clone()))
            .layer(ConcurrencyLimitLayer::new(1))
            .service(service_fn(|held: Rc<()>| {
                calls.set(calls.get() + 1);
                async move {
                    yield_now().await;
                    tokio::time::sleep(Duration::from_millis(30)).await;
                    drop(held);
                    Err::<(), BoxError>("down".into())
                }
            }));
        let ended = poll_and_drop(service.clone().oneshot(held.clone()), points).await;

        assert_eq!(Rc::strong_count(&held), 1, "after {points} polls");
        let further = calls.get().saturating_sub(1);
        assert_eq!(budget.balance(), 100.0 - 14.0 * f64::from(further));
        assert_eq!(context::attempt(), 0);
        assert!(!context::has_failed());
        // The place in the limit is free again: this would wait for ever otherwise.
        let mut service = service;
        let ready = std::future::poll_fn(|cx| {
            Poll::Ready(tower::Service::<Rc<()>>::poll_ready(&mut service, cx).is_ready())
        });
        assert!(ready.await, "after {points} polls");
        if ended {
            break;
        }
        points += 1;
    }
    assert!(points > 6, "{points} points to drop it at");
}

#[tokio::test(start_paused = true)]
async fn a_panic_further_in_passes_through_and_leaves_nothing_marked() {
    let service = service_fn(|inside: bool| {
        assert!(inside, "in the call");
        async move {
            assert!(!inside, "in the future");
            Ok::<(), BoxError>(())
        }
    });
    for inside in [false, true] {
        let service = RetryLayer::new().layer(service);
        let mut call = Box::pin(service.oneshot(inside));
        let mut cx = Context::from_waker(Waker::noop());
        let polled = catch_unwind(AssertUnwindSafe(|| call.as_mut().poll(&mut cx).is_ready()));
        assert!(polled.is_err());
        assert_eq!(context::attempt(), 0);
        drop(call);
        assert!(!context::has_failed());
    }
}
