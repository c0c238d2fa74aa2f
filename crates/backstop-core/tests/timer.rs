//! A timer that is used again.

use std::{
    cell::Cell,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Wake, Waker},
    time::Duration,
};

use backstop_core::{Deadline, Timer};
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
    assert!(timer.is_set());
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
async fn one_that_is_started_wakes_who_started_it() {
    let until = Instant::now() + SECOND;
    let mut timer = Timer::new();
    let mut task = task::spawn(std::future::poll_fn(move |cx| {
        if timer.is_set() {
            timer.poll(cx)
        } else {
            timer.start(until, cx)
        }
    }));
    assert_pending!(task.poll());
    advance(SECOND).await;
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

/// A task of which is counted how often it is woken, and whose waker tells whether it is held.
#[derive(Default)]
struct Counted(AtomicUsize);

impl Wake for Counted {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

fn start(until: Instant, task: &Arc<Counted>) -> Timer {
    let mut timer = Timer::new();
    let waker = Waker::from(task.clone());
    assert_pending!(timer.start(until, &mut Context::from_waker(&waker)));
    timer
}

#[tokio::test(start_paused = true)]
async fn one_that_is_used_again_lets_go_of_the_task_before() {
    let (before, after) = <(Arc<Counted>, Arc<Counted>)>::default();
    drop(start(Instant::now() + SECOND, &before));
    assert_eq!(Arc::strong_count(&before), 2);
    let timer = start(Instant::now() + 2 * SECOND, &after);
    assert_eq!(Arc::strong_count(&before), 1);
    advance(SECOND).await;
    assert_eq!(after.0.load(Ordering::Relaxed), 0);
    advance(SECOND).await;
    assert_eq!(before.0.load(Ordering::Relaxed), 0);
    assert_eq!(after.0.load(Ordering::Relaxed), 1);
    drop(timer);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_used_again_for_an_earlier_instant_wakes_then() {
    let (before, after) = <(Arc<Counted>, Arc<Counted>)>::default();
    drop(start(Instant::now() + 5 * SECOND, &before));
    let timer = start(Instant::now() + SECOND, &after);
    advance(SECOND).await;
    assert_eq!(after.0.load(Ordering::Relaxed), 1);
    drop(timer);
}

#[tokio::test(start_paused = true)]
async fn one_that_is_not_used_again_comes_due_once() {
    let task = Arc::<Counted>::default();
    drop(start(Instant::now() + SECOND, &task));
    advance(SECOND).await;
    assert_eq!(task.0.load(Ordering::Relaxed), 1);
    assert_eq!(Arc::strong_count(&task), 1);
    // It can be used again all the same.
    let timer = start(Instant::now() + SECOND, &task);
    advance(SECOND).await;
    assert_eq!(task.0.load(Ordering::Relaxed), 2);
    drop(timer);
}

#[test]
fn a_timer_belongs_to_the_runtime_it_was_set_in() {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .unwrap()
    };
    let wait = async || {
        let mut timer = set(Instant::now() + SECOND);
        std::future::poll_fn(|cx| timer.poll(cx)).await;
    };
    let [one, other] = [runtime(), runtime()];
    for runtime in [&one, &other, &one] {
        runtime.block_on(wait());
    }
    // Nor does the end of one concern the others.
    drop(one);
    other.block_on(wait());
    runtime().block_on(wait());
}

#[test]
fn may_be_polled_and_dropped_in_another_thread_and_while_that_ends() {
    thread_local! {
        static HELD: Cell<Option<Timer>> = const { Cell::new(None) };
    }
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let elsewhere = |f: fn() -> Timer| {
        let handle = runtime.handle().clone();
        let thread = std::thread::spawn(move || {
            let _runtime = handle.enter();
            // Held before the thread has any place for a timer, and so dropped after that; then
            // held after it has one.
            HELD.set(Some(Timer::new()));
            HELD.set(Some(f()));
            f()
        });
        thread.join().unwrap()
    };
    let mut timer = elsewhere(|| set(Instant::now() + SECOND));
    runtime.block_on(std::future::poll_fn(|cx| timer.poll(cx)));
    drop(timer);
    let mut timer = elsewhere(|| {
        drop(set(Instant::now()));
        set(Instant::now() + SECOND)
    });
    runtime.block_on(std::future::poll_fn(|cx| timer.poll(cx)));
}

/// A timer that is taken back while another one lets go of its waker.
struct Nested(Mutex<Option<Timer>>);

impl Wake for Nested {
    fn wake(self: Arc<Self>) {
        drop(self.0.lock().expect("nobody panicked").take());
    }
}

#[tokio::test(start_paused = true)]
async fn may_be_dropped_by_the_waker_that_another_one_held() {
    let inner = set(Instant::now() + SECOND);
    let waker = Waker::from(Arc::new(Nested(Mutex::new(Some(inner)))));
    let mut outer = set(Instant::now() + SECOND);
    assert!(outer.poll(&mut Context::from_waker(&waker)).is_pending());
    drop(waker);
    // Nobody waits for it any more, but it holds the last waker until it is used again.
    drop(outer);
    let mut outer = set(Instant::now() + 2 * SECOND);
    // The waker goes now, and the other timer with that.
    assert_pending!(outer.poll(&mut Context::from_waker(Waker::noop())));
    let mut task = polled(set(Instant::now() + SECOND));
    assert_pending!(task.poll());
    advance(SECOND).await;
    assert_ready!(task.poll());
}

#[tokio::test(start_paused = true)]
async fn may_be_set_for_centuries_ahead() {
    let far = Instant::now() + Duration::from_secs(400 * 365 * 86_400);
    let mut task = polled(set(far));
    assert_pending!(task.poll());
    let far = Deadline::after(Instant::now(), Duration::MAX);
    let mut task = polled(set(far.instant()));
    assert_pending!(task.poll());
}
