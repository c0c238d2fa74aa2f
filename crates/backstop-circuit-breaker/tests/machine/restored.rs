//! A window that was saved ages as if it had never been.

use std::time::Duration;

use super::bench::{Bench, rated};

const BUCKET: Duration = Duration::from_secs(6);

#[test]
fn each_bucket_of_a_restored_window_leaves_it_in_its_turn() {
    let mut saved = Bench::new(rated(60, 1_000));
    saved.advance(BUCKET / 2);
    for calls in 1..=12 {
        saved.fail(calls);
        saved.advance(BUCKET);
    }
    let mut restored = Bench::new(rated(60, 1_000));
    restored.advance(BUCKET / 2 + 3 * BUCKET);
    let snapshot = saved.breaker.snapshot_at(saved.now);
    restored
        .breaker
        .restore_at(&snapshot, restored.now)
        .expect("of this version");

    assert_eq!(restored.calls(), [4 + 5 + 6 + 7 + 8 + 9 + 10 + 11 + 12; 2]);
    for _ in 0..11 {
        assert_eq!(restored.calls(), saved.calls());
        restored.advance(BUCKET);
        saved.advance(BUCKET);
    }
    assert_eq!(restored.calls(), [0, 0]);
}

#[test]
fn what_is_too_old_for_a_shorter_window_is_not_restored() {
    let mut saved = Bench::new(rated(120, 1_000));
    saved.advance(BUCKET);
    saved.fail(7);
    saved.advance(10 * BUCKET);
    let snapshot = saved.breaker.snapshot_at(saved.now);
    let restored = Bench::new(rated(60, 1_000));
    restored
        .breaker
        .restore_at(&snapshot, restored.now)
        .expect("of this version");
    assert_eq!(saved.calls(), [7, 7]);
    assert_eq!(restored.calls(), [0, 0]);
}
