//! A timer whose memory is used again.

use std::time::Duration;

use backstop_core::Timer;
use static_assertions::{assert_impl_all, const_assert};
use tokio::time::{Instant, advance};
use tokio_test::{assert_pending, assert_ready, task};

const SECOND: Duration = Duration::from_secs(1);

assert_impl_all!(Timer: Send, Sync, Unpin);
const_assert!(size_of::<Timer>() == size_of::<usize>());

/// A task that polls its timer.
fn polled(mut timer: Timer) -> task::Spawn<impl Future<Output = ()>> {
    task::spawn(std::future::poll_fn(move |cx| timer.poll(cx)))
}

fn set(until: Instant) -> Timer {
    let mut timer = Timer::new();
    timer.set(until);
    timer
}

#[tokio::test(start_paused = true)]
async fn wakes_at_its_instant_and_not_before() {
    let mut task = polled(set(Instant::now() + SECOND));
    assert_pending!(task.poll());
    advance(SECOND / 2).await;
    assert!(!task.is_woken());
    advance(SECOND / 2).await;
    assert!(task.is_woken());
    assert_ready!(task.poll());
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_set_wakes_nobody() {
    let timer = Timer::new();
    assert!(!timer.is_set());
    let mut task = polled(timer);
    assert_pending!(task.poll());
    advance(1000 * SECOND).await;
    assert!(!task.is_woken());
}

#[tokio::test(start_paused = true)]
async fn set_again_it_keeps_to_the_new_instant() {
    let mut timer = set(Instant::now() + SECOND);
    timer.set(Instant::now() + 3 * SECOND);
    let mut task = polled(timer);
    assert_pending!(task.poll());
    advance(2 * SECOND).await;
    assert_pending!(task.poll());
    advance(SECOND).await;
    assert_ready!(task.poll());
}

#[tokio::test(start_paused = true)]
async fn what_one_was_kept_in_never_wakes_the_next_one() {
    for _ in 0..3 {
        let timers: Vec<_> = (1..=100).map(|_| set(Instant::now() + SECOND)).collect();
        drop(timers);
        let mut task = polled(set(Instant::now() + 5 * SECOND));
        assert_pending!(task.poll());
        advance(2 * SECOND).await;
        assert!(!task.is_woken());
        advance(3 * SECOND).await;
        assert_ready!(task.poll());
    }
}

#[test]
fn a_timer_belongs_to_the_runtime_it_was_set_in() {
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut timer = set(Instant::now() + SECOND);
            std::future::poll_fn(|cx| timer.poll(cx)).await;
        });
    }
}
