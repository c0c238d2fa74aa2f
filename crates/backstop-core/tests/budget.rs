//! The budget: who may try again, and how often.

use std::{
    num::NonZeroU32,
    sync::atomic::{AtomicU32, Ordering},
    thread,
};

use backstop_core::{Budget, FaultKind, FaultKinds, Withdrawal};
use proptest::prelude::*;

const KIND: FaultKind = FaultKind::Unavailable;

fn ratio(share: f64) -> Budget {
    Budget::ratio(share).expect("a share").initial(0)
}

fn tokens(count: u32) -> Budget {
    Budget::tokens(NonZeroU32::new(count).expect("not zero"))
}

fn spend(budget: &Budget, kind: FaultKind) -> bool {
    budget.try_withdraw(kind).map(Withdrawal::spend).is_some()
}

#[test]
fn a_share_is_exact_and_not_rounded_to_the_next_fraction() {
    for (share, granted) in [
        (0.0001, 1),
        (0.001, 10),
        (0.01, 100),
        (0.1, 1000),
        (0.15, 1500),
        (0.3, 3000),
        (0.4, 4000),
        (0.6, 6000),
        (0.75, 7500),
        (0.99, 9900),
        (0.9999, 9999),
        (1.0, 10_000),
    ] {
        let budget = ratio(share);
        let count = (0..10_000).filter(|_| {
            budget.deposit();
            spend(&budget, KIND)
        });
        assert_eq!(count.count(), granted, "{share}");
    }
}

#[test]
fn whether_a_second_try_can_be_paid_is_asked_for_nothing() {
    let budget = tokens(14).cost(FaultKinds::of(&[FaultKind::Overloaded]), 15);
    for _ in 0..3 {
        assert!(budget.affords(KIND));
        assert!(!budget.affords(FaultKind::Overloaded));
    }
    assert!(spend(&budget, KIND));
    assert!(!budget.affords(KIND));
}

#[test]
fn sixty_per_cent_means_at_most_sixty_per_cent_with_sixteen_threads() {
    let (budget, granted) = (ratio(0.6), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                for _ in 0..1000 {
                    budget.deposit();
                    if spend(&budget, KIND) {
                        granted.fetch_add(1, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let granted = granted.into_inner();
    assert!(granted <= 9600);
    assert_eq!(f64::from(granted) + budget.balance(), 9600.0);
}

#[test]
fn never_hands_out_more_than_there_is_under_contention() {
    let (budget, granted) = (tokens(100), AtomicU32::new(0));
    thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                if spend(&budget, KIND) {
                    granted.fetch_add(1, Ordering::Relaxed);
                }
            });
        }
    });
    assert_eq!(granted.into_inner(), 7);
    assert_eq!(budget.balance(), 2.0);
}

#[test]
fn only_the_last_cost_is_given_back_on_success_and_nothing_on_failure() {
    let budget = tokens(30);
    assert!(spend(&budget, KIND));
    assert_eq!(budget.balance(), 16.0);
    let last = budget.try_withdraw(KIND).expect("two left over").spend();
    assert_eq!(budget.balance(), 2.0);
    budget.success(Some(last));
    assert_eq!(budget.balance(), 16.0);
    budget.success(None);
    assert_eq!(budget.balance(), 17.0);
}

#[test]
fn a_budget_by_share_gives_nothing_back_on_success() {
    let budget = ratio(0.5).initial(3);
    let spent = budget.try_withdraw(KIND).expect("three are left").spend();
    budget.success(Some(spent));
    assert_eq!(budget.balance(), 2.0);
}

#[test]
fn a_try_that_reached_nobody_gives_back_its_cost_whatever_the_rules() {
    for budget in [ratio(0.5).initial(20), tokens(20)] {
        let spent = budget.try_withdraw(KIND).expect("enough is left").spend();
        assert!(budget.balance() < 20.0);
        budget.refund(spent);
        assert_eq!(budget.balance(), 20.0);
    }
}

#[test]
fn a_budget_shows_its_balance() {
    assert!(format!("{:?}", ratio(0.5).initial(3)).contains("balance: 3.0"));
}

#[test]
fn a_throttled_try_is_cheaper_and_a_cost_can_be_set_for_each_kind() {
    let budget = tokens(500);
    assert!(spend(&budget, FaultKind::RateLimited));
    assert_eq!(budget.balance(), 495.0);
    let dear = budget.cost(FaultKinds::of(&[FaultKind::RateLimited]), 400);
    assert_eq!(dear.balance(), 500.0);
    assert!(spend(&dear, FaultKind::RateLimited));
    assert!(!spend(&dear, FaultKind::RateLimited));
    assert!(spend(&dear, FaultKind::Overloaded));
    let free = dear.cost(FaultKinds::ALL, 0).initial(0);
    assert!(spend(&free, KIND));
}

#[test]
fn what_is_not_spent_goes_back_when_dropped() {
    let budget = tokens(14);
    let withdrawal = budget.try_withdraw(KIND).expect("the bucket is full");
    assert!(budget.try_withdraw(KIND).is_none());
    drop(withdrawal);
    assert_eq!(budget.balance(), 14.0);
    assert!(spend(&budget, KIND));
    assert_eq!(budget.balance(), 0.0);
}

#[test]
fn an_empty_bucket_refuses_and_a_full_one_takes_no_more() {
    let budget = ratio(1000.0).capacity(NonZeroU32::MIN);
    assert!(!spend(&budget, KIND));
    budget.deposit();
    budget.deposit();
    assert_eq!(budget.balance(), 1.0);
    assert!(spend(&budget, KIND));
    assert!(!spend(&budget, KIND));
    let full = tokens(u32::MAX);
    full.success(None);
    assert_eq!(full.balance(), f64::from(u32::MAX));
    assert_eq!(tokens(5).initial(u32::MAX).balance(), 5.0);
}

#[test]
fn clones_share_the_bucket() {
    let budget = tokens(14);
    assert!(spend(&budget.clone(), KIND));
    assert!(!spend(&budget, KIND));
}

#[test]
fn a_share_that_is_none_is_refused() {
    for share in [
        0.0,
        -0.1,
        1e-9,
        1000.1,
        f64::NAN,
        f64::INFINITY,
        f64::NEG_INFINITY,
    ] {
        assert!(Budget::ratio(share).is_err(), "{share}");
    }
    assert_eq!(
        Budget::ratio(-1.0).expect_err("negative").to_string(),
        "a retry budget of -1 per call: it must be above 0 and at most 1000"
    );
}

#[derive(Clone, Debug)]
enum Step {
    Deposit,
    Spend(usize),
    TakeAndDrop(usize),
    Succeed,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        Just(Step::Deposit),
        (0..FaultKind::ALL.len()).prop_map(Step::Spend),
        (0..FaultKind::ALL.len()).prop_map(Step::TakeAndDrop),
        Just(Step::Succeed),
    ]
}

proptest! {
    #[test]
    fn what_goes_out_never_exceeds_what_was_there_and_came_in(
        initial in 0u32..20,
        share in 1u32..3000,
        steps in prop::collection::vec(step(), 0..200),
    ) {
        let share = f64::from(share) / 1000.0;
        let budget = ratio(share).initial(initial);
        let (mut came_in, mut spent) = (f64::from(initial), 0.0);
        for step in steps {
            match step {
                Step::Deposit => {
                    budget.deposit();
                    came_in += share;
                }
                Step::Spend(kind) => spent += f64::from(spend(&budget, FaultKind::ALL[kind])),
                Step::TakeAndDrop(kind) => drop(budget.try_withdraw(FaultKind::ALL[kind])),
                Step::Succeed => budget.success(None),
            }
            prop_assert!(spent <= came_in + 1e-6);
            prop_assert!((budget.balance() - (came_in - spent).min(100.0)).abs() < 1e-6
                || came_in > 100.0);
        }
    }
}
