//! The budget under every interleaving of threads:
//! `RUSTFLAGS="--cfg loom" cargo test --release -p backstop-core --test loom`.

#![cfg(loom)]

use backstop_core::{Budget, FaultKind, Withdrawal};
use loom::{model::Builder, thread};

const KIND: FaultKind = FaultKind::Connect;

/// A bucket with so many tokens in it, to which each call adds half of one.
fn budget(initial: u32) -> Budget {
    Budget::ratio(0.5).expect("a share").initial(initial)
}

/// Every interleaving with up to three switches that no thread asked for, or as many as
/// `LOOM_MAX_PREEMPTIONS` says.
fn model(run: impl Fn() + Sync + Send + 'static) {
    let mut builder = Builder::new();
    builder.preemption_bound = builder.preemption_bound.or(Some(3));
    builder.check(run);
}

#[test]
fn no_token_is_handed_out_twice_and_none_is_lost() {
    model(|| {
        let budget = budget(1);
        let depositor = {
            let budget = budget.clone();
            thread::spawn(move || {
                budget.deposit();
                budget.deposit();
            })
        };
        let drawer = {
            let budget = budget.clone();
            thread::spawn(move || budget.try_withdraw(KIND).map(Withdrawal::spend).is_some())
        };
        // Dropped unspent, so it is there again in the end.
        drop(budget.try_withdraw(KIND));
        depositor.join().expect("no panic");
        let spent = drawer.join().expect("no panic");
        assert_eq!(budget.balance() + f64::from(spent), 2.0);
    });
}

#[test]
fn of_three_that_want_the_last_two_tokens_two_get_one() {
    model(|| {
        let budget = budget(2);
        let others = [(); 2].map(|()| {
            let budget = budget.clone();
            thread::spawn(move || budget.try_withdraw(KIND).map(Withdrawal::spend).is_some())
        });
        let own = budget.try_withdraw(KIND).map(Withdrawal::spend).is_some();
        let others = others.map(|other| other.join().expect("no panic"));
        let granted = others.into_iter().chain([own]).filter(|got| *got).count();
        assert_eq!(granted, 2);
        assert_eq!(budget.balance(), 0.0);
    });
}

#[test]
fn a_bucket_never_overflows_its_capacity() {
    model(|| {
        let budget = budget(1).capacity(std::num::NonZeroU32::MIN);
        let others = [(); 2].map(|()| {
            let budget = budget.clone();
            thread::spawn(move || budget.deposit())
        });
        drop(budget.try_withdraw(KIND));
        assert!(budget.balance() <= 1.0);
        for other in others {
            other.join().expect("no panic");
        }
        assert_eq!(budget.balance(), 1.0);
    });
}
