//! Whose a trail is, where a call is made in one place and polled in another.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    task::Poll,
};

use backstop_core::{
    Attempt, Fault, FaultKind, Trail,
    context::{self, Scope},
};
use tokio::task::yield_now;
use tokio_test::{assert_pending, assert_ready, task};

fn record(number: u32) {
    context::record(Attempt::new(number, Fault::new(FaultKind::Unavailable)));
}

fn numbers(trail: &Trail) -> Vec<u32> {
    let numbers = trail.attempts().iter().map(|attempt| attempt.number);
    numbers.collect()
}

/// What a layer does whose inner service fails with these attempts, one a poll.
fn layer(attempts: Vec<u32>) -> impl Future<Output = Vec<u32>> {
    let mut scope = Scope::open();
    let mut left = attempts.into_iter();
    std::future::poll_fn(move |cx| {
        let _trail = scope.enter();
        match left.next() {
            Some(number) => {
                record(number);
                cx.waker().wake_by_ref();
                Poll::Pending
            }
            None => Poll::Ready(numbers(&context::trail())),
        }
    })
}

#[tokio::test]
async fn a_call_made_before_it_is_followed_has_its_trail_followed() {
    let call = layer(vec![1, 2]);
    let (seen, trail) = context::traced(call).await;
    assert_eq!((seen, numbers(&trail)), (vec![1, 2], vec![1, 2]));
}

#[tokio::test]
async fn a_call_made_outside_another_takes_nothing_from_its_trail() {
    let call = layer(vec![2]);
    let ((), trail) = context::traced(async {
        record(1);
        call.await;
        record(3);
    })
    .await;
    assert_eq!(numbers(&trail), [1, 2, 3]);
}

#[tokio::test]
async fn a_call_that_goes_on_inside_another_brings_its_trail_along() {
    let mut call = task::spawn(layer(vec![1, 2]));
    assert_pending!(call.poll());
    assert!(context::trail().is_empty());
    let (seen, trail) = context::traced(call).await;
    assert_eq!((seen, numbers(&trail)), (vec![1, 2], vec![1, 2]));
}

#[test]
fn a_call_made_inside_another_that_goes_on_alone_has_a_trail_of_its_own() {
    let mut outer = Scope::open();
    let mut call = {
        let _trail = outer.enter();
        record(1);
        task::spawn(layer(vec![3]))
    };
    assert_pending!(call.poll());
    assert_eq!(assert_ready!(call.poll()), [3]);
}

#[test]
fn what_is_recorded_in_call_is_of_the_first_poll() {
    let mut outer = Scope::open();
    let _trail = outer.enter();
    let mut call = Scope::open();
    call.record(Attempt::passed_over(Fault::new(FaultKind::Refused)));
    assert!(context::trail().is_empty());
    let before = context::mark();
    drop(call.enter());
    assert_ne!(context::mark(), before);
    drop(call.enter());
    assert_eq!(numbers(&context::trail()), [0]);
}

#[tokio::test]
async fn what_is_followed_inside_another_call_has_its_own_trail_and_adds_to_the_outer_one() {
    let ((), outer) = context::traced(async {
        record(1);
        let inner = context::traced(async {
            record(2);
            yield_now().await;
            record(3);
        });
        let ((), inner) = inner.await;
        assert_eq!(numbers(&inner), [2, 3]);
        record(4);
    })
    .await;
    assert_eq!(numbers(&outer), [1, 2, 3, 4]);
}

#[test]
fn a_panic_in_what_is_followed_leaves_the_outer_trail_in_place() {
    let mut outer = Scope::open();
    let _trail = outer.enter();
    record(1);
    let mut inner = task::spawn(context::traced(async {
        record(2);
        panic!("in the middle of a call");
    }));
    let result = catch_unwind(AssertUnwindSafe(|| inner.poll().is_ready()));
    assert!(result.is_err());
    assert_eq!(numbers(&context::trail()), [1]);
}

#[test]
fn calls_that_are_dropped_together_all_leave_their_trails() {
    context::begin_poll();
    let mut calls = [1, 2].map(|number| task::spawn(layer(vec![number])));
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    let trail = context::trail_of_dropped(|| drop(calls));
    assert_eq!(numbers(&trail), [1, 2]);
}
