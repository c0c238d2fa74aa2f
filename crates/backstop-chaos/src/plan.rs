use std::{
    error::Error,
    fmt,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

/// Which call meets which fault: by script or by chance. Clones share the count of calls, so that
/// a plan goes on where another clone of it stopped.
///
/// ```
/// use backstop_chaos::Plan;
///
/// # fn main() -> Result<(), backstop_chaos::InvalidOdds> {
/// // The first call meets a fault, the second none, the third another; then all is well.
/// let script = Plan::script([Some("overloaded"), None, Some("reset")]);
/// // One call in ten is overloaded, one in a hundred reset; the same ones with the same seed.
/// let odds = Plan::random(7, [(0.1, "overloaded"), (0.01, "reset")])?;
/// # Ok(()) }
/// ```
pub struct Plan<T> {
    calls: Arc<AtomicU64>,
    rule: Rule<T>,
}

enum Rule<T> {
    Script {
        faults: Arc<[Option<T>]>,
        again: bool,
    },
    Random {
        seed: u64,
        odds: Arc<[(f64, T)]>,
    },
}

impl<T> Plan<T> {
    /// Each call meets the next of these; once they are used up, none.
    #[must_use]
    pub fn script(faults: impl IntoIterator<Item = Option<T>>) -> Self {
        Self::by(Rule::Script {
            faults: faults.into_iter().collect(),
            again: false,
        })
    }

    /// Each call meets the next of these; once they are used up, it begins again.
    #[must_use]
    pub fn cycle(faults: impl IntoIterator<Item = Option<T>>) -> Self {
        Self::by(Rule::Script {
            faults: faults.into_iter().collect(),
            again: true,
        })
    }

    /// Every call meets this fault.
    #[must_use]
    pub fn always(fault: T) -> Self {
        Self::cycle([Some(fault)])
    }

    /// Each call meets one of these faults, with its probability from 0 to 1, or none. The seed and
    /// the call's number decide, so that a run can be repeated.
    ///
    /// # Errors
    ///
    /// One of them is no probability, or they come to more than 1.
    pub fn random(
        seed: u64,
        odds: impl IntoIterator<Item = (f64, T)>,
    ) -> Result<Self, InvalidOdds> {
        let odds: Arc<[_]> = odds.into_iter().collect();
        let total: f64 = odds.iter().map(|(odds, _)| odds).sum();
        let valid = odds.iter().all(|(odds, _)| (0.0..=1.0).contains(odds));
        // Sums of tenths are not exact; what is too much by rounding is no mistake.
        if !valid || total > 1.0 + 1e-9 {
            return Err(InvalidOdds(total));
        }
        Ok(Self::by(Rule::Random { seed, odds }))
    }

    fn by(rule: Rule<T>) -> Self {
        Self {
            calls: Arc::default(),
            rule,
        }
    }

    /// What the next call meets.
    pub(crate) fn next(&self) -> Option<&T> {
        let call = self.calls.fetch_add(1, Ordering::Relaxed);
        match &self.rule {
            Rule::Script { faults, again } => {
                let count = faults.len() as u64;
                let place = if *again {
                    call.checked_rem(count)?
                } else {
                    call
                };
                faults.get(usize::try_from(place).ok()?)?.as_ref()
            }
            Rule::Random { seed, odds } => {
                let mut at = fastrand::Rng::with_seed(seed.wrapping_add(call)).f64();
                odds.iter().find_map(|(odds, fault)| {
                    at -= odds;
                    (at < 0.0).then_some(fault)
                })
            }
        }
    }
}

impl<T> Clone for Plan<T> {
    fn clone(&self) -> Self {
        Self {
            calls: self.calls.clone(),
            rule: match &self.rule {
                Rule::Script { faults, again } => Rule::Script {
                    faults: faults.clone(),
                    again: *again,
                },
                Rule::Random { seed, odds } => Rule::Random {
                    seed: *seed,
                    odds: odds.clone(),
                },
            },
        }
    }
}

impl<T: fmt::Debug> fmt::Debug for Plan<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.rule {
            Rule::Script { faults, again } => f
                .debug_struct("Script")
                .field("faults", faults)
                .field("again", again)
                .finish(),
            Rule::Random { seed, odds } => f
                .debug_struct("Random")
                .field("seed", seed)
                .field("odds", odds)
                .finish(),
        }
    }
}

/// Odds that can't be: see [`Plan::random`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidOdds(f64);

impl fmt::Display for InvalidOdds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "odds of {} in all: each and all must be from 0 to 1",
            self.0
        )
    }
}

impl Error for InvalidOdds {}
