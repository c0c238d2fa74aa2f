//! Every failed attempt of a call, in order.

use std::{cell::Cell, fmt, sync::Arc, time::Duration};

use smallvec::SmallVec;

use crate::Fault;

/// The name of a candidate, a circuit or a cache: shared, so that passing it on costs no
/// allocation.
pub type Name = Arc<str>;

/// One failed attempt.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Attempt {
    /// Who was asked, where a name was given.
    pub candidate: Option<Name>,
    /// Which attempt on this candidate it was, from 1 on; 0 where the candidate was passed over
    /// without being called.
    pub number: u32,
    /// What went wrong.
    pub fault: Fault,
    /// How long the attempt took.
    pub duration: Duration,
    /// How long the layer waited before it.
    pub wait: Duration,
}

impl Attempt {
    /// The attempt `number` on a candidate yet unnamed, which failed with `fault`.
    #[must_use]
    pub const fn new(number: u32, fault: Fault) -> Self {
        Self {
            candidate: None,
            number,
            fault,
            duration: Duration::ZERO,
            wait: Duration::ZERO,
        }
    }

    /// The candidate passed over without being called, because of `fault`.
    #[must_use]
    pub const fn passed_over(fault: Fault) -> Self {
        Self::new(0, fault)
    }

    /// The same attempt, on this candidate.
    #[must_use]
    pub fn on(mut self, candidate: Name) -> Self {
        self.candidate = Some(candidate);
        self
    }

    /// The same attempt, which took this long.
    #[must_use]
    pub const fn took(mut self, duration: Duration) -> Self {
        self.duration = duration;
        self
    }

    /// The same attempt, made after a wait.
    #[must_use]
    pub const fn waited(mut self, wait: Duration) -> Self {
        self.wait = wait;
        self
    }
}

impl fmt::Display for Attempt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(candidate) = &self.candidate {
            write!(f, "{candidate} ")?;
        }
        write!(f, "{}", self.fault)?;
        if self.number > 0 {
            write!(f, " after {}", Rounded(self.duration))?;
        }
        if let Some(wait) = self.fault.retry_after() {
            write!(f, ", retry in {}", Rounded(wait))?;
        }
        Ok(())
    }
}

/// Every failed attempt of a call, in order, up to [`Trail::LIMIT`] of them.
///
/// It costs nothing while nothing fails and allocates once, at the first failure. It ends up on
/// the response and on the error.
///
/// A copy of a trail shares what is on it. What a thread's last trail was kept in is used again for
/// the next one, so that a service whose first candidate is down doesn't allocate at every call.
#[derive(Clone, Debug, Default)]
pub struct Trail(Option<Arc<Recorded>>);

thread_local! {
    /// What the last trail was kept in, empty.
    static SPARE: Cell<Option<Arc<Recorded>>> = const { Cell::new(None) };
}

/// A word beside the pointer would be carried by every layer's future, so all of it is behind it.
#[derive(Clone, Debug, Default)]
struct Recorded {
    attempts: SmallVec<[Attempt; Trail::FIRST]>,
    omitted: u32,
    /// Whether the call has made its deposit into a budget.
    deposited: bool,
}

impl Trail {
    /// How many attempts a trail keeps; further ones are only counted.
    pub const LIMIT: usize = 32;

    /// What the first failure makes room for: two attempts on each of four candidates.
    const FIRST: usize = 8;

    /// A trail with nothing on it.
    #[inline]
    #[must_use]
    pub const fn new() -> Self {
        Self(None)
    }

    /// The attempts, in the order in which they ended.
    #[must_use]
    pub fn attempts(&self) -> &[Attempt] {
        self.0.as_ref().map_or(&[], |recorded| &recorded.attempts)
    }

    /// How many attempts there were beyond those that are listed.
    #[must_use]
    pub fn omitted(&self) -> u32 {
        self.0.as_ref().map_or(0, |recorded| recorded.omitted)
    }

    /// How many attempts were really made: without the candidates that were passed over.
    #[must_use]
    pub fn attempted(&self) -> usize {
        let listed = self.attempts().iter().filter(|attempt| attempt.number > 0);
        listed.count().saturating_add(self.omitted() as usize)
    }

    /// Whether nothing failed.
    #[inline]
    #[must_use]
    pub const fn is_empty(&self) -> bool {
        self.0.is_none()
    }

    /// The last failure.
    #[must_use]
    pub fn last(&self) -> Option<&Attempt> {
        self.attempts().last()
    }

    /// How many different candidates are on the trail.
    #[must_use]
    pub fn candidates(&self) -> usize {
        let attempts = self.attempts();
        attempts
            .iter()
            .enumerate()
            .filter(|(i, attempt)| {
                !attempts[..*i]
                    .iter()
                    .any(|earlier| earlier.candidate == attempt.candidate)
            })
            .count()
    }

    /// The shortest wait that any service on the trail asked for.
    #[must_use]
    pub fn retry_after(&self) -> Option<Duration> {
        self.attempts()
            .iter()
            .filter_map(|attempt| attempt.fault.retry_after())
            .min()
    }

    /// How many attempts were recorded, listed or not.
    pub(crate) fn recorded(&self) -> u32 {
        // There are [`Trail::LIMIT`] at most.
        let listed = self.attempts().len() as u32;
        listed.saturating_add(self.omitted())
    }

    /// Adds one attempt.
    pub fn push(&mut self, attempt: Attempt) {
        let recorded = Arc::make_mut(self.0.get_or_insert_with(spare));
        if recorded.attempts.len() == Self::LIMIT {
            recorded.omitted = recorded.omitted.saturating_add(1);
        } else {
            recorded.attempts.push(attempt);
        }
    }

    /// Notes that the call has made its deposit, where anything has failed in it.
    pub(crate) fn note_deposit(&mut self) {
        if let Some(recorded) = &mut self.0 {
            Arc::make_mut(recorded).deposited = true;
        }
    }

    /// Whether the call has made its deposit, or has asked someone without.
    pub(crate) fn has_deposited(&self) -> bool {
        self.0.as_ref().is_some_and(|recorded| recorded.deposited) || self.attempted() > 0
    }

    /// Adds all attempts of a later trail, those that it only counted too.
    pub fn append(&mut self, later: Self) {
        if self.is_empty() {
            *self = later;
            return;
        }
        for attempt in later.attempts() {
            self.push(attempt.clone());
        }
        if let Some(recorded) = &mut self.0 {
            let recorded = Arc::make_mut(recorded);
            recorded.omitted = recorded.omitted.saturating_add(later.omitted());
            recorded.deposited |= later.0.as_ref().is_some_and(|later| later.deposited);
        }
    }

    /// Names the attempts from index `from` on that have no name yet.
    pub(crate) fn name_from(&mut self, from: usize, name: &Name) {
        let Some(recorded) = &mut self.0 else {
            return;
        };
        for attempt in Arc::make_mut(recorded).attempts.iter_mut().skip(from) {
            attempt.candidate.get_or_insert_with(|| name.clone());
        }
    }
}

impl Drop for Trail {
    #[inline]
    fn drop(&mut self) {
        if let Some(recorded) = self.0.take() {
            keep(recorded);
        }
    }
}

/// Keeps what a trail was kept in for the next one, unless another trail shares it.
#[cold]
fn keep(mut recorded: Arc<Recorded>) {
    if let Some(sole) = Arc::get_mut(&mut recorded) {
        sole.attempts.clear();
        sole.omitted = 0;
        sole.deposited = false;
        // A thread that is about to end has no use for it.
        let _ = SPARE.try_with(|spare| spare.set(Some(recorded)));
    }
}

fn spare() -> Arc<Recorded> {
    let spare = SPARE.try_with(Cell::take).ok().flatten();
    spare.unwrap_or_default()
}

impl fmt::Display for Trail {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (i, attempt) in self.attempts().iter().enumerate() {
            if i > 0 {
                f.write_str("; ")?;
            }
            write!(f, "{attempt}")?;
        }
        match self.omitted() {
            0 => Ok(()),
            more => write!(f, "; and {more} more"),
        }
    }
}

/// A duration as a person reads one: `212 ms`, `41 s`.
pub(crate) struct Rounded(pub(crate) Duration);

impl fmt::Display for Rounded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(duration) = self;
        if *duration >= Duration::from_secs(10) {
            write!(f, "{} s", duration.as_secs_f64().round())
        } else if *duration >= Duration::from_secs(1) {
            write!(f, "{:.1} s", duration.as_secs_f64())
        } else if *duration >= Duration::from_millis(1) || duration.is_zero() {
            write!(f, "{} ms", duration.as_millis())
        } else {
            write!(f, "{} µs", duration.as_micros())
        }
    }
}
