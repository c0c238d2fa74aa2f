//! The arithmetic of waits, for any number.

use std::time::Duration;

use backstop_retry::{Backoff, Exponential, Jitter, Random, backoff::Decorrelated};
use proptest::prelude::*;

fn millis(exponential: Exponential, count: usize) -> Vec<u128> {
    exponential.take(count).map(|it| it.as_millis()).collect()
}

#[test]
fn doubles_up_to_the_cap_and_stays_there() {
    let backoff = Exponential::new(Duration::from_millis(128), Duration::from_secs(30)).unwrap();
    let expected = [
        128, 256, 512, 1024, 2048, 4096, 8192, 16_384, 30_000, 30_000,
    ];
    assert_eq!(millis(backoff, 10), expected);
    assert_eq!(millis(Exponential::DEFAULT, 3), [50, 100, 200]);
    assert_eq!(
        millis(Exponential::THROTTLED, 6),
        [1000, 2000, 4000, 8000, 16_000, 20_000]
    );
    assert_eq!(Exponential::default(), Exponential::DEFAULT);
    assert_eq!(Exponential::DEFAULT.size_hint(), (usize::MAX, None));
}

#[test]
fn a_backoff_that_would_not_wait_or_begins_above_its_cap_is_refused() {
    let [second, minute] = [1, 60].map(Duration::from_secs);
    let error = Exponential::new(Duration::ZERO, minute).unwrap_err();
    assert_eq!(
        error.to_string(),
        "a backoff with a base of zero would not wait"
    );
    let error = Exponential::new(minute, second).unwrap_err();
    let expected = "a backoff with a base of 60s begins above its cap of 1s";
    assert_eq!(error.to_string(), expected);
    assert_eq!(Decorrelated::new(minute, second), Err(error));
    assert!(Decorrelated::new(Duration::ZERO, second).is_err());
    assert!(Exponential::new(second, second).is_ok());
}

#[test]
fn the_longest_waits_there_are_do_not_overflow() {
    let backoff = Exponential::new(Duration::from_nanos(1), Duration::MAX).unwrap();
    let longest = Duration::from_nanos(u64::MAX);
    assert_eq!(backoff.clone().nth(u32::MAX as usize), Some(longest));
    assert_eq!(backoff.clone().nth(63), Some(Duration::from_nanos(1 << 63)));
    assert_eq!(backoff.clone().nth(64), Some(longest));
    assert_eq!(
        Exponential::new(Duration::MAX, Duration::MAX)
            .unwrap()
            .next(),
        Some(longest)
    );
    let mut random = Random::seeded(0);
    let wait = Jitter::Full.spread(Duration::MAX, &mut random);
    assert!(!wait.is_zero() && wait <= longest);
    let mut decorrelated = Decorrelated::new(Duration::MAX, Duration::MAX).unwrap();
    assert_eq!(decorrelated.next_wait(&mut random), Some(Duration::MAX));
}

#[test]
fn the_shortest_wait_there_is_stays_above_zero() {
    let mut random = Random::seeded(0);
    for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
        let nanosecond = Duration::from_nanos(1);
        assert_eq!(jitter.spread(nanosecond, &mut random), nanosecond);
        assert_eq!(jitter.spread(Duration::ZERO, &mut random), Duration::ZERO);
    }
}

proptest! {
    #[test]
    fn every_wait_is_above_zero_and_at_most_the_cap(
        base in 1..=u64::MAX,
        cap in 1..=u64::MAX,
        attempt in any::<u32>(),
        seed in any::<u64>(),
    ) {
        let (base, cap) = (base.min(cap), base.max(cap));
        let [base, cap] = [base, cap].map(Duration::from_millis);
        let mut random = Random::seeded(seed);
        let wait = Exponential::new(base, cap).unwrap().nth(attempt as usize).unwrap();
        prop_assert!(wait <= cap);
        for jitter in [Jitter::Full, Jitter::Equal, Jitter::None] {
            let spread = jitter.spread(wait, &mut random);
            prop_assert!(!spread.is_zero() && spread <= wait);
            prop_assert!(jitter != Jitter::Equal || spread >= wait / 2);
        }
    }

    #[test]
    fn skipping_ahead_is_the_same_as_going_there(base in 1..1000u64, cap in 1000..u64::MAX, n in 0..80usize) {
        let backoff = Exponential::new(Duration::from_nanos(base), Duration::from_nanos(cap)).unwrap();
        let mut gone = backoff.clone();
        for _ in 0..n {
            gone.next();
        }
        let mut skipped = backoff;
        if let Some(n) = n.checked_sub(1) {
            skipped.nth(n);
        }
        prop_assert_eq!(&skipped, &gone);
        prop_assert_eq!(skipped.next(), gone.next());
    }

    #[test]
    fn decorrelated_waits_stay_between_base_and_cap(
        base in 1..=u64::MAX,
        cap in 1..=u64::MAX,
        seed in any::<u64>(),
    ) {
        let (base, cap) = (base.min(cap), base.max(cap));
        let [base, cap] = [base, cap].map(Duration::from_millis);
        let mut random = Random::seeded(seed);
        let mut backoff = Decorrelated::new(base, cap).unwrap();
        for _ in 0..100 {
            let wait = backoff.next_wait(&mut random).unwrap();
            prop_assert!(wait >= base && wait <= cap);
        }
    }
}
