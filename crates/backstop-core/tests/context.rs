//! The slots of a call's context, and the trail in them.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use backstop_core::{
    Attempt, Deadline, Fault, FaultKind, Name, Trail,
    context::{self, Captured, Due, Scope},
};
use tokio::{
    task::yield_now,
    time::{Instant, advance},
};
use tokio_test::{assert_pending, assert_ready, task};

fn failed(number: u32) -> Attempt {
    Attempt::new(number, Fault::new(FaultKind::Unavailable))
}

fn numbers(trail: &Trail) -> Vec<u32> {
    trail
        .attempts()
        .iter()
        .map(|attempt| attempt.number)
        .collect()
}

#[tokio::test(start_paused = true)]
async fn a_deadline_may_only_be_tightened() {
    let now = Instant::now();
    let [early, late] = [1, 2].map(|s| Deadline::after(now, Duration::from_secs(s)));
    assert_eq!(context::deadline(), None);
    {
        let _outer = context::enter_deadline(early);
        let _inner = context::enter_deadline(late);
        assert_eq!(context::deadline(), Some(early));
    }
    {
        let _outer = context::enter_deadline(late);
        {
            let _inner = context::enter_deadline(early);
            assert_eq!(context::deadline(), Some(early));
        }
        assert_eq!(context::deadline(), Some(late));
    }
    assert_eq!(context::deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn a_deadline_may_be_hidden_from_what_is_further_in() {
    let [early, late] = [1, 2].map(|s| Deadline::after(Instant::now(), Duration::from_secs(s)));
    let _outer = context::enter_deadline(early);
    {
        let _hidden = context::without_deadline();
        assert_eq!(context::deadline(), None);
        let _own = context::enter_deadline(late);
        assert_eq!(context::deadline(), Some(late));
    }
    assert_eq!(context::deadline(), Some(early));
}

#[test]
fn slots_are_empty_again_after_a_panic() {
    let mut scope = Scope::open();
    let result = catch_unwind(AssertUnwindSafe(|| {
        let _trail = scope.enter();
        let _attempt = context::enter_attempt(3);
        let _alternatives = context::enter_alternatives(true);
        context::record(failed(1));
        panic!("in the middle of a call");
    }));
    assert!(result.is_err());
    assert_eq!((context::attempt(), context::alternatives()), (0, false));
    assert!(context::trail().is_empty());
    let _trail = scope.enter();
    assert_eq!(numbers(&context::trail()), [1]);
}

#[test]
fn recording_outside_any_scope_does_nothing() {
    context::record(failed(1));
    assert!(context::trail().is_empty());
    let mut scope = Scope::open();
    let _trail = scope.enter();
    assert!(context::trail().is_empty());
}

#[test]
fn only_the_outermost_scope_owns_the_trail() {
    let mut outer = Scope::open();
    {
        let _trail = outer.enter();
        let mut inner = Scope::open();
        {
            let _trail = inner.enter();
            context::record(failed(1));
        }
        context::record(failed(2));
        assert_eq!(numbers(&context::trail()), [1, 2]);
    }
    assert!(context::trail().is_empty());
}

#[tokio::test]
async fn calls_polled_in_turns_on_one_task_do_not_mix() {
    async fn call(first: u32) {
        for number in first..first + 3 {
            context::record(failed(number));
            yield_now().await;
        }
    }
    let ((_, ones), (_, tens)) = tokio::join!(context::traced(call(1)), context::traced(call(10)));
    assert_eq!(numbers(&ones), [1, 2, 3]);
    assert_eq!(numbers(&tens), [10, 11, 12]);
}

#[test]
fn the_layer_nearest_to_a_failure_records_it() {
    let mut scope = Scope::open();
    let _trail = scope.enter();
    let outer = context::mark();
    let inner = context::mark();
    context::record_since(inner, failed(1));
    context::record_since(outer, failed(99));
    assert_eq!(numbers(&context::trail()), [1]);
}

#[test]
fn the_innermost_name_wins() {
    let mut scope = Scope::open();
    let _trail = scope.enter();
    context::record(failed(1));
    let mark = context::mark();
    context::record(failed(2));
    let [inner, outer] = ["inner", "outer"].map(Name::from);
    context::name_since(mark, &inner);
    context::name_since(mark, &outer);
    let trail = context::trail();
    let names: Vec<_> = trail
        .attempts()
        .iter()
        .map(|attempt| attempt.candidate.as_deref())
        .collect();
    assert_eq!(names, [None, Some("inner")]);
}

#[test]
fn a_trail_keeps_a_bounded_number_of_attempts_and_counts_the_rest() {
    let mut trail = Trail::new();
    for number in 1..=40 {
        trail.push(failed(number));
    }
    assert_eq!((trail.attempts().len(), trail.omitted()), (Trail::LIMIT, 8));
    assert!(trail.to_string().ends_with("; and 8 more"));
}

#[test]
fn a_trail_is_full_without_losing_count_of_a_scope() {
    let mut scope = Scope::open();
    let _trail = scope.enter();
    for number in 1..=40 {
        let mark = context::mark();
        context::record_since(mark, failed(number));
        context::record_since(mark, failed(99));
    }
    assert_eq!(context::trail().omitted(), 8);
}

#[tokio::test]
async fn what_is_captured_can_be_carried_to_another_task() {
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(5));
    let captured = {
        let _deadline = context::enter_deadline(deadline);
        let _attempt = context::enter_attempt(2);
        Captured::now()
    };
    let seen = tokio::spawn(captured.carry(async {
        yield_now().await;
        (context::deadline(), context::attempt())
    }));
    assert_eq!(seen.await.unwrap(), (Some(deadline), 2));
    let bare = tokio::spawn(async { (context::deadline(), context::attempt()) });
    assert_eq!(bare.await.unwrap(), (None, 0));
}

#[tokio::test(start_paused = true)]
async fn a_reading_of_the_clock_is_shared_only_within_its_guard() {
    let before = Instant::now();
    advance(Duration::from_secs(1)).await;
    {
        let _now = context::enter_now(before);
        assert_eq!(context::now(), before);
    }
    assert_eq!(context::now(), Instant::now());
}

#[test]
fn a_traced_future_gives_the_trail_on_success_too() {
    let mut call = task::spawn(context::traced(async {
        context::record(failed(1));
        yield_now().await;
        7
    }));
    assert_pending!(call.poll());
    assert!(context::trail().is_empty());
    let (value, trail) = assert_ready!(call.poll());
    assert_eq!((value, numbers(&trail)), (7, vec![1]));
}

#[test]
fn names_are_shared_and_not_copied() {
    let name: Name = "anthropic".into();
    let mut trail = Trail::new();
    trail.push(failed(1).on(name.clone()));
    assert!(Arc::ptr_eq(
        trail.attempts()[0].candidate.as_ref().unwrap(),
        &name
    ));
}

#[test]
fn a_call_that_is_dropped_leaves_its_trail_to_whoever_drops_it() {
    let mut call = task::spawn(context::traced(async {
        context::record(failed(1));
        yield_now().await;
    }));
    context::begin_poll();
    assert_pending!(call.poll());
    let trail = context::trail_of_dropped(|| drop(call));
    assert_eq!(numbers(&trail), [1]);
    context::begin_poll();
    assert!(context::trail_of_dropped(|| ()).is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_limit_is_put_on_the_clock_when_someone_asks_for_it() {
    let within = |seconds| Due::within(Duration::from_secs(seconds));
    let mut outer = within(5);
    {
        let _outer = outer.enter();
        advance(Duration::from_secs(1)).await;
        let expected = Deadline::after(Instant::now(), Duration::from_secs(5));
        assert_eq!(context::deadline(), Some(expected));
        let mut inner = within(9);
        {
            let _inner = inner.enter();
            assert_eq!(context::deadline(), Some(expected));
        }
        assert_eq!(inner.deadline(), Some(expected));
        let mut tighter = within(2);
        {
            let _tighter = tighter.enter();
            let expected = Deadline::after(Instant::now(), Duration::from_secs(2));
            assert_eq!(context::deadline(), Some(expected));
        }
        assert_eq!(context::deadline(), Some(expected));
    }
    assert!(outer.deadline().is_some());
    assert_eq!(context::deadline(), None);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_limit_never_begins_at_an_earlier_poll() {
    context::begin_poll();
    let earlier = context::paused_at();
    advance(Duration::from_secs(9)).await;
    // Something that polls in `call`, where nobody says that a poll begins.
    let mut due = Due::within(Duration::from_secs(5));
    let _due = due.enter();
    let expected = Deadline::after(Instant::now(), Duration::from_secs(5));
    assert_eq!(context::deadline_of_paused(), Some(expected));
    assert_eq!(context::paused_at(), earlier + Duration::from_secs(9));
}

#[tokio::test(start_paused = true)]
async fn the_time_of_a_limit_begins_once() {
    let (mut due, mut never) = (Due::within(Duration::from_secs(5)), Due::NEVER);
    let placed = due.place(Instant::now);
    assert_eq!(placed, Some(Deadline::after(Instant::now(), due.limit())));
    advance(Duration::from_secs(1)).await;
    assert_eq!(due.place(Instant::now), placed);
    assert_eq!(never.place(Instant::now), None);
}

#[test]
fn no_limit_leaves_an_outer_one_in_place() {
    let mut outer = Due::within(Duration::from_secs(5));
    let mut never = Due::NEVER;
    {
        let _outer = outer.enter();
        let _never = never.enter();
        assert!(context::deadline().is_some());
    }
    assert!(outer.deadline().is_some());
    assert_eq!(never.deadline(), None);
}
