//! The calls of the last while, in a ring of buckets.

use crate::{
    rules::Rules,
    sync::{AtomicU64, Ordering},
};

/// How many calls there were, and what became of them.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Tally {
    pub(crate) calls: u64,
    pub(crate) failures: u64,
    pub(crate) slow: u64,
}

const COUNT_BITS: u32 = 24;
const COUNT: u64 = (1 << COUNT_BITS) - 1;
const TAG_SHIFT: u32 = 48;
const TIME: u64 = (1 << TAG_SHIFT) - 1;

/// The part of a time window that is changed without a lock: the bucket of the present, and the
/// sum of the past.
///
/// `head` names the present bucket: a tag, new each time that the bucket is emptied, and the
/// instant at which it ends. `current` counts in it and bears the same tag, so a count can't get
/// into a bucket that another thread has emptied meanwhile. The rest, [`Past`], is kept under the
/// machine's lock, which is taken once a bucket.
///
/// ```text
/// head     tag 16 | end in microseconds 48, wrapping
/// current  tag 16 | calls 24 | failures 24
/// past     calls 32 | failures 32
/// ```
#[derive(Debug)]
#[repr(C)]
pub(crate) struct Present {
    head: AtomicU64,
    current: AtomicU64,
    past: AtomicU64,
}

/// The present bucket can't take this call without the lock: its time is over, it is full, or
/// another thread is emptying it.
#[derive(Debug)]
pub(crate) struct Stale;

/// The bucket of no instant: what `head` is while the present bucket is being emptied.
const EMPTYING: u64 = 0;

impl Present {
    pub(crate) fn new(width: u64) -> Self {
        Self {
            head: AtomicU64::new(width & TIME),
            current: AtomicU64::new(0),
            past: AtomicU64::new(0),
        }
    }

    /// Counts a call that ended at `now`, unless `still` says no: its generation has passed.
    #[inline]
    pub(crate) fn add(
        &self,
        now: u64,
        failed: bool,
        rules: &Rules,
        still: impl Fn() -> bool,
    ) -> Result<Added, Stale> {
        let head = self.head.load(Ordering::Acquire);
        // Asked after the head was read: whoever ends a generation empties the bucket first, so
        // that either this says no or the tags differ.
        if !still() {
            return Ok(Added::TooLate);
        }
        let left = (head & TIME).wrapping_sub(now) & TIME;
        if left.wrapping_sub(1) >= rules.width {
            return Err(Stale);
        }
        let mut current = self.current.load(Ordering::Relaxed);
        loop {
            if (current ^ head) >> TAG_SHIFT != 0 || calls(current) == COUNT {
                return Err(Stale);
            }
            let more = current + (1 << COUNT_BITS) + u64::from(failed);
            match self.current.compare_exchange_weak(
                current,
                more,
                Ordering::AcqRel,
                Ordering::Relaxed,
            ) {
                Ok(_) => break current = more,
                Err(now) => current = now,
            }
        }
        // A success only lowers the rate of failures: it can open the circuit only by being the
        // call with which there are enough.
        if !failed && calls(current) > u64::from(rules.min_calls) {
            return Ok(Added::Harmless);
        }
        let past = self.past.load(Ordering::Acquire);
        if self.head.load(Ordering::Acquire) != head {
            return Ok(Added::Unknown);
        }
        Ok(Added::Tally(Tally {
            calls: calls(current) + (past >> 32),
            failures: (current & COUNT) + (past & u64::from(u32::MAX)),
            slow: 0,
        }))
    }
}

/// What came of counting a call.
#[derive(Debug)]
pub(crate) enum Added {
    /// It was counted, and can't have reached a threshold.
    Harmless,
    /// It was counted, and this is the whole window, as of then.
    Tally(Tally),
    /// It was not counted: its generation has passed.
    TooLate,
    /// It was counted, and another thread has begun a new bucket meanwhile.
    Unknown,
}

const fn calls(current: u64) -> u64 {
    current >> COUNT_BITS & COUNT
}

#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Bucket {
    pub(crate) calls: u32,
    pub(crate) failures: u32,
    pub(crate) slow: u32,
}

impl Bucket {
    /// A bucket of calls, failures and slow calls; of neither of the latter there are more than
    /// there are calls.
    pub(crate) fn of([calls, failures, slow]: [u32; 3]) -> Self {
        Self {
            calls,
            failures: failures.min(calls),
            slow: slow.min(calls),
        }
    }

    /// Adds calls to the bucket; one that overflows is halved, which keeps its rates.
    pub(crate) fn add(&mut self, calls: u64, failures: u64, slow: u64) {
        let mut sums = [
            u64::from(self.calls).saturating_add(calls),
            u64::from(self.failures).saturating_add(failures),
            u64::from(self.slow).saturating_add(slow),
        ];
        while sums.iter().any(|sum| *sum > u64::from(u32::MAX / 16)) {
            sums = sums.map(|sum| sum / 2);
        }
        // Lossless: each sum has just been made to fit.
        [self.calls, self.failures, self.slow] = sums.map(|sum| sum as u32);
    }
}

/// The part of a time window that is kept under the machine's lock: all buckets but for what
/// [`Present`] has counted since the newest was begun.
#[derive(Debug)]
pub(crate) struct Past {
    ring: [Bucket; crate::Window::BUCKETS],
    /// The newest bucket.
    at: u8,
    tag: u16,
    /// When the newest bucket ends.
    end: u64,
}

impl Past {
    pub(crate) fn new(width: u64) -> Self {
        Self {
            ring: Default::default(),
            at: 0,
            tag: 0,
            end: width,
        }
    }

    /// Moves the window to `now`. An instant before the newest bucket changes nothing: the clock
    /// was read by another thread a moment ago.
    pub(crate) fn roll(&mut self, now: u64, present: &Present, rules: &Rules) {
        if now >= self.end {
            self.advance(now, present, rules);
        }
    }

    fn advance(&mut self, now: u64, present: &Present, rules: &Rules) {
        let steps = (now - self.end) / rules.width + 1;
        self.change(present, |past| {
            for _ in 0..steps.min(u64::from(rules.buckets)) {
                past.at = (past.at + 1) % rules.buckets;
                *past.newest() = Bucket::default();
            }
            past.end = past.end.saturating_add(steps.saturating_mul(rules.width));
        });
    }

    /// Counts a call under the lock.
    pub(crate) fn add(
        &mut self,
        now: u64,
        failed: bool,
        slow: bool,
        present: &Present,
        rules: &Rules,
    ) {
        self.roll(now, present, rules);
        self.change(present, |past| {
            past.newest().add(1, u64::from(failed), u64::from(slow));
        });
    }

    /// Forgets everything.
    pub(crate) fn clear(&mut self, now: u64, present: &Present, rules: &Rules) {
        self.roll(now, present, rules);
        self.change(present, |past| past.ring = Default::default());
    }

    /// All buckets at `now`, the newest first.
    pub(crate) fn save(&mut self, now: u64, present: &Present, rules: &Rules) -> Vec<[u32; 3]> {
        if rules.width == 0 {
            return Vec::new();
        }
        self.roll(now, present, rules);
        self.change(present, |_| {});
        let [at, buckets] = [self.at, rules.buckets].map(usize::from);
        (0..buckets)
            .map(|age| self.ring[(at + buckets - age) % buckets])
            .map(|bucket| [bucket.calls, bucket.failures, bucket.slow])
            .collect()
    }

    /// Adds buckets, each by its age in buckets.
    pub(crate) fn load(
        &mut self,
        saved: impl Iterator<Item = (u64, Bucket)>,
        present: &Present,
        rules: &Rules,
    ) {
        let [at, buckets] = [self.at, rules.buckets].map(usize::from);
        self.change(present, |past| {
            for (age, saved) in saved.take(crate::Window::BUCKETS) {
                match usize::try_from(age) {
                    Ok(age) if age < buckets => {
                        let bucket = &mut past.ring[(at + buckets - age) % buckets];
                        let [calls, failures, slow] =
                            [saved.calls, saved.failures, saved.slow].map(u64::from);
                        bucket.add(calls, failures, slow);
                    }
                    _ => {}
                }
            }
        });
    }

    /// Takes the present bucket away from the other threads, adds it to the ring, changes that,
    /// and gives them an empty one.
    fn change(&mut self, present: &Present, change: impl FnOnce(&mut Self)) {
        self.tag = self.tag.wrapping_add(1);
        let tag = u64::from(self.tag) << TAG_SHIFT;
        present.head.store(EMPTYING, Ordering::Release);
        let counted = present.current.swap(tag, Ordering::AcqRel);
        self.newest().add(calls(counted), counted & COUNT, 0);
        change(self);
        let sum = self.sum();
        present
            .past
            .store(sum.calls << 32 | sum.failures, Ordering::Release);
        present.head.store(tag | self.end & TIME, Ordering::Release);
    }

    /// All calls of the window at the instant that it was last moved to.
    pub(crate) fn tally(&self, present: &Present) -> Tally {
        let current = present.current.load(Ordering::Acquire);
        let sum = self.sum();
        Tally {
            calls: sum.calls + calls(current),
            failures: sum.failures + (current & COUNT),
            slow: sum.slow,
        }
    }

    fn sum(&self) -> Tally {
        self.ring
            .iter()
            .fold(Tally::default(), |sum, bucket| Tally {
                calls: sum.calls + u64::from(bucket.calls),
                failures: sum.failures + u64::from(bucket.failures),
                slow: sum.slow + u64::from(bucket.slow),
            })
    }

    fn newest(&mut self) -> &mut Bucket {
        &mut self.ring[usize::from(self.at)]
    }
}
