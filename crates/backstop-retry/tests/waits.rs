//! How long is waited, and when it is not worth waiting.

use std::{cell::Cell, collections::HashSet, future::ready, iter, num::NonZeroU32, time::Duration};

use backstop_core::{Classify, Deadline, Fault, FaultKind, Verdict, classify_fn, context};
use backstop_retry::{Backoff, Exponential, Jitter, Random, RetryLayer, backoff::Decorrelated};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, ServiceExt, service_fn};

const MS: Duration = Duration::from_millis(1);
const SECOND: Duration = Duration::from_secs(1);

fn layer() -> RetryLayer<impl Classify<(), Fault> + Clone + std::fmt::Debug> {
    RetryLayer::new().classify(classify_fn(|result: Result<&(), &Fault>| match result {
        Ok(()) => Verdict::Success,
        Err(fault) => Verdict::Failure(*fault),
    }))
}

/// The waits of a call that fails with these faults in turn, the last of them for ever.
async fn waits<C, B>(layer: RetryLayer<C, B>, faults: &[Fault]) -> Vec<Duration>
where
    C: Classify<(), Fault> + Clone,
    B: Backoff,
{
    let calls = Cell::new(0);
    let service = service_fn(|()| {
        let fault = faults[calls.get().min(faults.len() - 1)];
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(fault))
    });
    let start = Instant::now();
    let (result, trail) = context::traced(layer.layer(service).oneshot(())).await;
    assert!(result.is_err());
    let waits: Vec<_> = trail.attempts().iter().skip(1).map(|it| it.wait).collect();
    let total: Duration = waits.iter().sum();
    let late = start.elapsed().saturating_sub(total);
    // The timer is exact to the millisecond.
    assert!(start.elapsed() >= total && late <= MS * waits.len() as u32);
    waits
}

fn attempts(count: u32) -> NonZeroU32 {
    NonZeroU32::new(count).expect("not zero")
}

fn hinted(kind: FaultKind, after: Duration) -> Fault {
    Fault::new(kind).with_retry_after(after)
}

const DOWN: Fault = Fault::new(FaultKind::Unavailable);
const BUSY: Fault = Fault::new(FaultKind::Overloaded);

#[tokio::test(start_paused = true)]
async fn the_kind_of_the_last_failure_picks_the_row_and_the_number_of_failures_the_place() {
    let layer = layer().attempts(attempts(8)).jitter(Jitter::None);
    let waited = waits(layer, &[DOWN, BUSY, BUSY, BUSY, BUSY, DOWN, BUSY]).await;
    let expected = [50, 2000, 4000, 8000, 16_000, 1600, 20_000].map(Duration::from_millis);
    assert_eq!(waited, expected);
}

#[tokio::test(start_paused = true)]
async fn an_iterator_of_durations_is_a_backoff_and_its_end_is_the_end() {
    let listed = [MS, 2 * MS].into_iter();
    let layer = layer()
        .attempts(attempts(9))
        .jitter(Jitter::None)
        .backoff(listed);
    assert_eq!(waits(layer, &[DOWN]).await, [MS, 2 * MS]);
}

// There is no runtime here, and so no timer.
#[test]
fn where_there_is_nothing_to_wait_for_the_next_attempt_is_made_at_once() {
    let calls = Cell::new(0);
    let service = service_fn(|()| {
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(DOWN))
    });
    let layer = layer().backoff(iter::repeat(Duration::ZERO));
    let result = assert_ready!(task::spawn(layer.layer(service).oneshot(())).poll());
    assert_eq!((result, calls.get()), (Err(DOWN), 3));
}

#[tokio::test(start_paused = true)]
async fn jitter_keeps_each_wait_above_zero_and_below_its_cap() {
    for _ in 0..200 {
        let layer = layer().attempts(attempts(12));
        let waited = waits(layer, &[DOWN]).await;
        for (n, wait) in waited.iter().enumerate() {
            let cap = (50 * MS * (1 << n)).min(20 * SECOND);
            assert!(!wait.is_zero() && *wait <= cap);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_throttled_call_waits_for_half_of_its_wait_at_least() {
    for _ in 0..200 {
        let waited = waits(layer(), &[BUSY]).await;
        assert!(waited[0] > SECOND / 2 && waited[0] <= SECOND);
        assert!(waited[1] > SECOND && waited[1] <= 2 * SECOND);
    }
}

#[tokio::test(start_paused = true)]
async fn two_calls_do_not_share_a_sequence_nor_do_clones_of_a_layer() {
    let layer = layer().attempts(attempts(5));
    let mut seen = HashSet::new();
    for _ in 0..100 {
        assert!(seen.insert(waits(layer.clone(), &[DOWN]).await));
    }
}

#[tokio::test(start_paused = true)]
async fn a_seed_makes_the_waits_the_same_again_but_not_those_of_two_calls() {
    let run = || async {
        let layer = layer().seed(7);
        [
            waits(layer.clone(), &[DOWN]).await,
            waits(layer, &[DOWN]).await,
        ]
    };
    let [one, two] = run().await;
    assert_ne!(one, two);
    assert_eq!(run().await, [one, two]);
}

#[tokio::test(start_paused = true)]
async fn decorrelated_waits_take_no_further_jitter() {
    let backoff = Decorrelated::new(100 * MS, SECOND).unwrap();
    for _ in 0..200 {
        let layer = layer().attempts(attempts(9)).backoff(backoff.clone());
        let waited = waits(layer, &[DOWN]).await;
        assert!(waited.iter().all(|wait| (100 * MS..=SECOND).contains(wait)));
        assert!(waited[0] <= 300 * MS);
    }
}

#[tokio::test(start_paused = true)]
async fn retry_after_is_a_floor_with_a_little_on_top() {
    let mut seen = HashSet::new();
    for _ in 0..100 {
        for (asked, spread) in [(5 * SECOND, SECOND / 2), (30 * SECOND, SECOND)] {
            let fault = hinted(FaultKind::Unavailable, asked);
            let wait = waits(layer().attempts(attempts(2)), &[fault]).await[0];
            assert!(wait > asked && wait <= asked + spread, "{wait:?}");
            seen.insert(wait);
        }
    }
    // Those who were told the same moment don't come back at the same moment.
    assert!(seen.len() > 190);
}

#[tokio::test(start_paused = true)]
async fn a_short_retry_after_does_not_shorten_the_backoff() {
    let layer = layer().attempts(attempts(2)).jitter(Jitter::None);
    let fault = hinted(FaultKind::Unavailable, MS);
    assert_eq!(waits(layer, &[fault]).await, [50 * MS]);
}

#[tokio::test(start_paused = true)]
async fn beyond_the_cap_the_call_gives_up_at_once_and_leaves_the_hint() {
    for (asked, count) in [(60 * SECOND, 2), (60 * SECOND + MS, 0), (Duration::MAX, 0)] {
        let fault = hinted(FaultKind::Unavailable, asked);
        assert_eq!(waits(layer(), &[fault]).await.len(), count, "{asked:?}");
    }
    let fault = hinted(FaultKind::RateLimited, 61 * SECOND);
    let service = layer().layer(service_fn(|()| ready(Err::<(), _>(fault))));
    let (result, trail) = context::traced(service.oneshot(())).await;
    assert_eq!(result.unwrap_err().retry_after(), Some(61 * SECOND));
    assert_eq!(trail.retry_after(), Some(61 * SECOND));
}

#[tokio::test(start_paused = true)]
async fn a_rate_limit_is_waited_for_only_when_it_says_how_long() {
    let limited = Fault::new(FaultKind::RateLimited);
    assert_eq!(waits(layer(), &[limited]).await.len(), 0);
    let told = limited.with_retry_after(3 * SECOND);
    assert_eq!(waits(layer(), &[told]).await.len(), 2);
    let urged = limited.with_should_retry(true);
    assert_eq!(waits(layer(), &[urged]).await.len(), 2);
    let forbidden = told.with_should_retry(false);
    assert_eq!(waits(layer(), &[forbidden]).await.len(), 0);
}

#[tokio::test(start_paused = true)]
async fn the_outright_word_forbids_but_does_not_command() {
    let forbidden = DOWN.with_should_retry(false);
    assert_eq!(waits(layer(), &[forbidden]).await.len(), 0);
    // A service that calls a denied request worth repeating is mistaken.
    let urged = Fault::new(FaultKind::Denied).with_should_retry(true);
    assert_eq!(waits(layer(), &[urged]).await.len(), 0);
}

/// What `waits` finds with another candidate ready.
async fn waits_with_alternatives(fault: Fault) -> usize {
    let mut call = Box::pin(waits(
        layer().jitter(Jitter::None),
        std::slice::from_ref(&fault),
    ));
    std::future::poll_fn(|cx| {
        let _alternatives = context::enter_alternatives(true);
        call.as_mut().poll(cx)
    })
    .await
    .len()
}

#[tokio::test(start_paused = true)]
async fn with_another_candidate_ready_nothing_is_waited_for_that_the_service_asked_for() {
    let limited = hinted(FaultKind::RateLimited, MS);
    assert_eq!(waits_with_alternatives(limited).await, 0);
    let long = hinted(FaultKind::Unavailable, 30 * SECOND);
    assert_eq!(waits_with_alternatives(long).await, 0);
    // The own backoff is short, and goes on.
    assert_eq!(waits_with_alternatives(DOWN).await, 2);
    let short = hinted(FaultKind::Unavailable, MS);
    assert_eq!(waits_with_alternatives(short).await, 2);
    let as_long = hinted(FaultKind::Unavailable, 50 * MS);
    assert_eq!(waits_with_alternatives(as_long).await, 2);
}

/// How many attempts are made by a deadline, each of which takes a while, and how long all takes.
async fn by_deadline<C>(layer: RetryLayer<C>, limit: Duration, fault: Fault) -> (usize, Duration)
where
    C: Classify<(), Fault> + Clone,
{
    let service = service_fn(|()| async move {
        tokio::time::sleep(400 * MS).await;
        Err::<(), _>(fault)
    });
    let start = Instant::now();
    let deadline = Deadline::after(start, limit);
    let mut call = Box::pin(context::traced(layer.layer(service).oneshot(())));
    let (result, trail) = std::future::poll_fn(|cx| {
        let _deadline = context::enter_deadline(deadline);
        call.as_mut().poll(cx)
    })
    .await;
    assert!(result.is_err());
    (trail.attempted(), start.elapsed())
}

#[tokio::test(start_paused = true)]
async fn no_wait_outlives_the_deadline_and_no_attempt_is_made_that_is_of_no_use() {
    let backoff = Exponential::new(300 * MS, SECOND).unwrap();
    let plain = || layer().jitter(Jitter::None).backoff(backoff.clone());
    // 400, a wait of 300, 400, and then neither a wait of 600 nor another attempt.
    assert_eq!(by_deadline(plain(), 1700 * MS, DOWN).await, (2, 1100 * MS));
    assert_eq!(by_deadline(plain(), 1711 * MS, DOWN).await, (3, 2100 * MS));
    // What would be left after the wait is less than is of use.
    assert_eq!(by_deadline(plain(), 710 * MS, DOWN).await, (1, 400 * MS));
    assert_eq!(by_deadline(plain(), 711 * MS, DOWN).await, (2, 1100 * MS));
    let long = plain().min_useful(400 * MS);
    assert_eq!(by_deadline(long, 1000 * MS, DOWN).await, (1, 400 * MS));
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_would_come_too_late_after_all_is_not_made() {
    let calls = Cell::new(0);
    let service = service_fn(|()| {
        calls.set(calls.get() + 1);
        ready(Err::<(), _>(DOWN))
    });
    let deadline = Deadline::after(Instant::now(), 100 * MS);
    let layer = layer().jitter(Jitter::None);
    let mut call = task::spawn(layer.layer(service).oneshot(()));
    let mut poll = || {
        let _deadline = context::enter_deadline(deadline);
        call.poll()
    };
    assert_pending!(poll());
    // A wait of 50 ms would have left enough, but nobody came back to it in time.
    tokio::time::advance(95 * MS).await;
    assert_eq!(assert_ready!(poll()), Err(DOWN));
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_retry_after_beyond_the_deadline_ends_the_call_at_once() {
    let asked = hinted(FaultKind::RateLimited, 30 * SECOND);
    assert_eq!(
        by_deadline(layer(), 10 * SECOND, asked).await,
        (1, 400 * MS)
    );
    let asked = hinted(FaultKind::RateLimited, 5 * SECOND);
    let (attempts, _) = by_deadline(layer(), 10 * SECOND, asked).await;
    assert_eq!(attempts, 2);
}

#[test]
fn jitter_is_spread_evenly() {
    let mut random = Random::seeded(1);
    for (jitter, low, high) in [(Jitter::Full, 0, 1000), (Jitter::Equal, 500, 1000)] {
        let mut bins = [0u32; 10];
        for _ in 0..10_000 {
            let wait = jitter.spread(1000 * MS, &mut random).as_nanos() - 1;
            let within = wait - low * 1_000_000;
            bins[(within * 10 / ((high - low) * 1_000_000)) as usize] += 1;
        }
        // Five standard deviations.
        assert!(bins.iter().all(|bin| bin.abs_diff(1000) < 150), "{bins:?}");
    }
}

#[test]
fn jitter_keeps_a_resolution_below_the_second_and_is_there_at_the_cap() {
    let mut random = Random::seeded(2);
    let at_cap = Exponential::new(SECOND, 10 * SECOND)
        .unwrap()
        .nth(30)
        .unwrap();
    assert_eq!(at_cap, 10 * SECOND);
    let draws: Vec<_> = (0..1000)
        .map(|_| Jitter::Full.spread(at_cap, &mut random))
        .collect();
    let distinct: HashSet<_> = draws.iter().map(Duration::as_millis).collect();
    assert!(distinct.len() > 900);
    let mean: f64 = draws.iter().map(Duration::as_secs_f64).sum::<f64>() / 1000.0;
    let variance = draws.iter().map(|it| (it.as_secs_f64() - mean).powi(2));
    assert!((variance.sum::<f64>() / 1000.0).sqrt() > 1.0);
}

#[test]
fn two_streams_are_not_correlated() {
    let (mut one, mut two) = (Random::seeded(1), Random::seeded(2));
    let draw = |random: &mut Random| random.up_to(SECOND).as_secs_f64() - 0.5;
    let product: f64 = (0..10_000).map(|_| draw(&mut one) * draw(&mut two)).sum();
    // A correlation of one would give a twelfth of it each time.
    assert!((product / 10_000.0 * 12.0).abs() < 0.1);
}
