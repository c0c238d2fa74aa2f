//! How long a circuit is open.

use std::{collections::HashMap, time::Duration};

use backstop_circuit_breaker::{Jitter, OpenWait, Policy};

use super::bench::{Bench, n, policy};

#[test]
fn circuits_that_opened_together_do_not_probe_together() {
    const CIRCUITS: u32 = 200;
    let wait = Duration::from_secs(5);
    let policy = Policy::new()
        .consecutive(n(1))
        .open_for(OpenWait::fixed(wait));
    let mut probes = HashMap::new();
    for _ in 0..CIRCUITS {
        let bench = Bench::new(policy);
        bench.fail(1);
        let left = bench.breaker.remaining_at(bench.now).unwrap();
        assert!(wait / 2 <= left && left <= wait);
        *probes.entry(left.as_millis() / 100).or_insert(0) += 1;
    }
    // Eight of them fall on each tenth of a second. Without jitter all do on one.
    let most = probes.values().max();
    assert!(most < Some(&(CIRCUITS / 5)), "{most:?} at once");
}

#[test]
fn a_seed_makes_the_wait_the_same_again() {
    let left = |seed| {
        let bench = Bench::new(Policy::new().seed(seed));
        bench.fail(5);
        bench.breaker.remaining_at(bench.now)
    };
    assert_eq!(left(1), left(1));
    assert_ne!(left(1), left(2));
}

#[test]
fn a_wait_grows_by_the_factor_it_is_given() {
    let wait = OpenWait::growing(Duration::from_secs(1), Duration::from_secs(60));
    for (factor, waits) in [(1.0, [1, 1, 1]), (3.0, [1, 3, 9])] {
        let wait = wait.factor(factor).unwrap();
        let mut bench = Bench::new(policy().open_for(wait.jitter(Jitter::None)));
        bench.fail(5);
        for seconds in waits {
            let left = bench.breaker.remaining_at(bench.now).unwrap();
            assert_eq!(left, Duration::from_secs(seconds));
            bench.advance(left);
            bench.fail(1);
        }
    }
    for factor in [0.99, 0.0, -2.0, f64::NAN, f64::INFINITY] {
        assert!(wait.factor(factor).is_err(), "{factor}");
    }
}
