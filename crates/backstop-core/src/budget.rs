//! A budget of tokens for second tries.

use std::{error::Error, fmt, num::NonZeroU32, sync::Arc};

#[cfg(loom)]
use loom::sync::atomic::{AtomicU64, Ordering};
#[cfg(not(loom))]
use std::sync::atomic::{AtomicU64, Ordering};

use crate::{FaultKind, FaultKinds};

/// Bounds the load that second tries add: retries, failovers, hedges. Each takes tokens from a
/// bucket, and where too few are left it is not made. First tries are never held up.
///
/// Clones share the bucket, so one budget can bound a whole stack, and all clones of it. It is one
/// atomic number: exact, however many threads draw on it.
///
/// ```
/// use backstop_core::{Budget, FaultKind};
///
/// # fn main() -> Result<(), backstop_core::InvalidBudget> {
/// let budget = Budget::ratio(0.5)?.initial(0);
/// budget.deposit();
/// assert!(budget.try_withdraw(FaultKind::Unavailable).is_none());
/// budget.deposit();
/// let withdrawal = budget.try_withdraw(FaultKind::Unavailable).expect("a whole token");
/// let spent = withdrawal.spend();
/// // The second try is made here; it succeeds.
/// budget.success(Some(spent));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Budget {
    bucket: Arc<Bucket>,
}

struct Bucket {
    /// In millionths of a token, so that a ratio such as 0.15 is exact.
    level: AtomicU64,
    rules: Rules,
}

#[derive(Clone, Copy)]
struct Rules {
    capacity: u64,
    initial: u64,
    per_call: u64,
    per_success: u64,
    refunds: bool,
    /// By kind, in whole tokens.
    costs: [u32; FaultKind::ALL.len()],
}

const TOKEN: u64 = 1_000_000;

const fn tokens(whole: u32) -> u64 {
    whole as u64 * TOKEN
}

impl Budget {
    /// At most this share of calls may be tried a second time: 0.2 is one in five. Each call
    /// deposits the share, and each second try takes one token.
    ///
    /// The bucket holds up to 100 tokens and begins with 10, so that a service which has just
    /// begun can retry at all.
    ///
    /// # Errors
    ///
    /// A share that is not above zero — less than a millionth counts as zero — and at most 1000.
    pub fn ratio(share: f64) -> Result<Self, InvalidBudget> {
        if !(share > 0.0 && share <= 1000.0) {
            return Err(InvalidBudget(share));
        }
        // In range, so nothing is cut off but the fraction that was rounded.
        let per_call = (share * TOKEN as f64).round() as u64;
        if per_call == 0 {
            return Err(InvalidBudget(share));
        }
        Ok(Self::new(Rules {
            capacity: tokens(100),
            initial: tokens(10),
            per_call,
            per_success: 0,
            refunds: false,
            costs: [1; FaultKind::ALL.len()],
        }))
    }

    /// A full bucket of this many tokens, 500 being usual. A second try takes 14 of them, or 5
    /// where the service said that it was overloaded or called too often. A first try that
    /// succeeds gives one, and a second one that does gives back what it took: the rules of the
    /// AWS SDKs.
    ///
    /// While everything fails, 500 tokens last for 35 second tries; then there are none.
    #[must_use]
    pub fn tokens(capacity: NonZeroU32) -> Self {
        let budget = Self::new(Rules {
            capacity: tokens(capacity.get()),
            initial: tokens(capacity.get()),
            per_call: 0,
            per_success: TOKEN,
            refunds: true,
            costs: [14; FaultKind::ALL.len()],
        });
        budget.cost(FaultKinds::THROTTLED, 5)
    }

    fn new(rules: Rules) -> Self {
        let level = AtomicU64::new(rules.initial.min(rules.capacity));
        Self {
            bucket: Arc::new(Bucket { level, rules }),
        }
    }

    fn rules(&self) -> Rules {
        self.bucket.rules
    }

    /// A new bucket that holds at most this many tokens.
    #[must_use]
    pub fn capacity(self, capacity: NonZeroU32) -> Self {
        Self::new(Rules {
            capacity: tokens(capacity.get()),
            ..self.rules()
        })
    }

    /// A new bucket that begins with this many tokens, or full where they are more than it holds.
    #[must_use]
    pub fn initial(self, initial: u32) -> Self {
        Self::new(Rules {
            initial: tokens(initial),
            ..self.rules()
        })
    }

    /// A new bucket that gives this many tokens for a second try after a failure of these kinds.
    #[must_use]
    pub fn cost(self, kinds: FaultKinds, cost: u32) -> Self {
        let mut rules = self.rules();
        for kind in kinds.iter() {
            rules.costs[kind as usize] = cost;
        }
        Self::new(rules)
    }

    /// A call begins: it deposits its share. Call it once for each call, not for second tries.
    #[inline]
    pub fn deposit(&self) {
        self.bucket.add(self.bucket.rules.per_call);
    }

    /// A try succeeded: the first one, or a later one that was paid for by `spent`.
    #[inline]
    pub fn success(&self, spent: Option<Spent>) {
        let rules = &self.bucket.rules;
        self.bucket.add(match spent {
            None => rules.per_success,
            Some(spent) if rules.refunds => spent.cost,
            Some(_) => 0,
        });
    }

    /// A second try was refused before it reached anyone: it costs nothing.
    pub fn refund(&self, spent: Spent) {
        self.bucket.add(spent.cost);
    }

    /// Takes what a second try costs after a failure of this kind; none where too few tokens are
    /// left. A hedge, which begins while the first try is still waiting, counts as one after
    /// [`FaultKind::TimedOut`].
    #[must_use]
    pub fn try_withdraw(&self, kind: FaultKind) -> Option<Withdrawal> {
        let cost = tokens(self.bucket.rules.costs[kind as usize]);
        self.bucket.take(cost).then(|| Withdrawal {
            budget: self.clone(),
            cost,
        })
    }

    /// Whether enough tokens are left for a second try after a failure of this kind. Nothing is
    /// taken: another may have taken them by the time it is made.
    #[must_use]
    pub fn affords(&self, kind: FaultKind) -> bool {
        let cost = tokens(self.bucket.rules.costs[kind as usize]);
        self.bucket.level.load(Ordering::Relaxed) >= cost
    }

    /// How many tokens are left.
    #[must_use]
    pub fn balance(&self) -> f64 {
        self.bucket.level.load(Ordering::Relaxed) as f64 / TOKEN as f64
    }
}

// The level stands for itself: nothing else is published with it, so relaxed ordering is enough.
impl Bucket {
    #[inline]
    fn add(&self, amount: u64) {
        if amount == 0 {
            return;
        }
        let capacity = self.rules.capacity;
        // A full bucket is only read: the line stays shared between the cores.
        let _ = self
            .level
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| {
                (level < capacity).then(|| level.saturating_add(amount).min(capacity))
            });
    }

    fn take(&self, amount: u64) -> bool {
        self.level
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |level| {
                level.checked_sub(amount)
            })
            .is_ok()
    }
}

impl fmt::Debug for Budget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Budget")
            .field("balance", &self.balance())
            .finish_non_exhaustive()
    }
}

/// What was taken from a [`Budget`] for a second try. Unless it is spent, it goes back when
/// dropped: a try that was never made costs nothing.
#[derive(Debug)]
#[must_use = "the tokens go back when it is dropped"]
pub struct Withdrawal {
    budget: Budget,
    cost: u64,
}

impl Withdrawal {
    /// The second try is made: the tokens are gone, whatever becomes of it.
    #[must_use = "the budget wants it back where the try succeeds"]
    pub fn spend(mut self) -> Spent {
        Spent {
            cost: std::mem::take(&mut self.cost),
        }
    }
}

impl Drop for Withdrawal {
    fn drop(&mut self) {
        self.budget.bucket.add(self.cost);
    }
}

/// What a second try cost, to be handed to [`Budget::success`] where it succeeds.
#[derive(Debug)]
pub struct Spent {
    cost: u64,
}

/// A share of calls that can't be one: see [`Budget::ratio`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct InvalidBudget(f64);

impl fmt::Display for InvalidBudget {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(share) = self;
        write!(
            f,
            "a retry budget of {share} per call: it must be above 0 and at most 1000"
        )
    }
}

impl Error for InvalidBudget {}
