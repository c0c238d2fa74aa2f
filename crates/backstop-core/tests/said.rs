//! What the layers of one call say to each other.

use std::time::Duration;

use backstop_core::{
    Attempt, Deadline, Fault, FaultKind,
    context::{self, Due, Scope},
};
use tokio::time::Instant;

const GONE: Fault = Fault::new(FaultKind::Connect);

#[test]
fn what_is_said_is_heard_only_while_its_guard_lives() {
    let heard = || (context::alternatives(), context::attempt());
    assert_eq!(heard(), (false, 0));
    {
        let _alternatives = context::enter_alternatives(true);
        let _attempt = context::enter_attempt(2);
        assert_eq!(heard(), (true, 2));
        let _none = context::enter_alternatives(false);
        assert_eq!(heard(), (false, 2));
    }
    assert_eq!(heard(), (false, 0));
}

#[test]
fn a_fault_that_is_left_is_there_until_it_is_dropped_or_another_poll_begins() {
    for drop in [context::clear_fault, context::begin_poll] {
        context::leave_fault(GONE);
        assert_eq!(context::fault(), Some(GONE));
        drop();
        assert_eq!(context::fault(), None);
    }
}

#[test]
fn only_who_is_asked_before_all_others_is_the_first() {
    let mut scope = Scope::open();
    let _trail = scope.enter();
    assert!(context::is_first());
    {
        let _beside = context::enter_beside();
        assert!(!context::is_first(), "another has yet to answer");
    }
    context::record(Attempt::passed_over(GONE));
    assert!(context::is_first(), "nobody has been asked");
    context::record(Attempt::new(1, GONE));
    assert!(!context::is_first(), "another has failed");
}

#[tokio::test(start_paused = true)]
async fn a_deadline_has_passed_from_its_instant_on() {
    let (now, second) = (Instant::now(), Duration::from_secs(1));
    let deadline = Deadline::after(now, second);
    for (after, remaining, passed) in [
        (Duration::ZERO, second, false),
        (second, Duration::ZERO, true),
        (2 * second, Duration::ZERO, true),
    ] {
        assert_eq!(deadline.remaining(now + after), remaining);
        assert_eq!(deadline.has_passed(now + after), passed);
    }
}

#[tokio::test(start_paused = true)]
async fn a_deadline_that_would_overflow_the_clock_is_thirty_years_ahead() {
    let year = Duration::from_secs(365 * 86_400);
    let now = Instant::now();
    for (limit, ahead) in [(29 * year, 29 * year), (Duration::MAX, 30 * year)] {
        assert_eq!(Deadline::after(now, limit).remaining(now), ahead);
    }
}

#[tokio::test(start_paused = true)]
async fn of_two_limits_the_one_that_is_due_first_is_before_the_other() {
    let seconds = Duration::from_secs;
    let within = |limit| Due::within(seconds(limit));
    let by = |ahead| Due::by(Deadline::after(Instant::now(), seconds(ahead)));
    for (one, other, is_before) in [
        (within(1), within(2), true),
        (within(1), within(1), false),
        (within(2), within(1), false),
        (within(1), Due::NEVER, true),
        (Due::NEVER, within(1), false),
        (Due::NEVER, Due::NEVER, false),
        (by(1), within(2), true),
        (within(2), by(1), false),
        (by(1), Due::NEVER, true),
        (Due::NEVER, by(1), false),
    ] {
        assert_eq!(one.is_before(other), is_before, "{one:?} and {other:?}");
    }
    let now = [within(0), within(1), by(0), Due::NEVER].map(|due| due.is_now());
    assert_eq!(now, [true, false, true, false]);
}
