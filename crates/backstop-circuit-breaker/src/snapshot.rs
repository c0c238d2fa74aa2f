//! What a circuit knows, to be kept over a restart.

use std::{error::Error, fmt};

use tokio::time::Instant;

use crate::{
    Cause, CircuitBreaker, Listener, State, cold::Cold, state::Machine, sync::Ordering,
    window::Bucket,
};

/// What a circuit knows at one moment: its state, its waits and its counts.
///
/// All times in it are relative, so it can be restored in another process, at another time and
/// under other rules: time stands still in between. A half-open circuit is saved as an open one
/// whose wait is over. An isolation is not saved, as those who keep it up don't survive.
///
/// With the feature `serde` it can be written and read. Whatever is read can be restored without
/// harm; what makes no sense in it is passed over.
#[derive(Clone, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
pub struct Snapshot {
    version: u32,
    state: Saved,
    /// What is left of the open wait, or of the time for which a closed circuit is held off.
    wait_micros: u64,
    openings: u32,
    consecutive_failures: u32,
    /// How long each bucket is.
    bucket_micros: u64,
    /// Calls, failures and slow calls of each bucket of the time window, the newest first.
    buckets: Vec<[u32; 3]>,
    /// The last calls, the oldest first: `f` for a failure, `s` for a success, capital if slow.
    last_calls: String,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "serde", serde(rename_all = "snake_case"))]
enum Saved {
    Closed,
    Disabled,
    ForcedOpen,
    MetricsOnly,
    Open,
}

/// A snapshot of a version that is not known here.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct UnknownVersion {
    version: u32,
}

impl UnknownVersion {
    /// The version.
    #[must_use]
    pub const fn version(&self) -> u32 {
        self.version
    }
}

impl fmt::Display for UnknownVersion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "snapshot of version {}, expected {}",
            self.version,
            Snapshot::VERSION
        )
    }
}

impl Error for UnknownVersion {}

impl Snapshot {
    /// The version of the snapshots that are made here.
    pub const VERSION: u32 = 1;
}

impl<L: Listener> CircuitBreaker<L> {
    /// What the circuit knows.
    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.snapshot_at(Instant::now())
    }

    /// The [`snapshot`](Self::snapshot) at this instant.
    #[must_use]
    pub fn snapshot_at(&self, now: Instant) -> Snapshot {
        let state = self.state_at(now);
        let machine = &self.shared.machine;
        let now = self.shared.tick(now);
        machine.save(&mut machine.cold(), state, now)
    }

    /// Takes over what a circuit knew. An isolated circuit stays as it is.
    ///
    /// # Errors
    ///
    /// Where the snapshot is of a version that is not known here.
    pub fn restore(&self, snapshot: &Snapshot) -> Result<(), UnknownVersion> {
        self.restore_at(snapshot, Instant::now())
    }

    /// [`restore`](Self::restore) at this instant.
    ///
    /// # Errors
    ///
    /// Where the snapshot is of a version that is not known here.
    pub fn restore_at(&self, snapshot: &Snapshot, now: Instant) -> Result<(), UnknownVersion> {
        if snapshot.version != Snapshot::VERSION {
            return Err(UnknownVersion {
                version: snapshot.version,
            });
        }
        self.order_at(now, |shared, cold, now| {
            shared.machine.load(cold, snapshot, now)
        });
        Ok(())
    }
}

impl Machine {
    fn save(&self, cold: &mut Cold, state: State, now: u64) -> Snapshot {
        let word = self.word.load();
        let left = self.until.load(Ordering::Relaxed).saturating_sub(now);
        let (state, wait_micros) = match state {
            State::Closed if word.is_held() => (Saved::Closed, left),
            State::Disabled => (Saved::Disabled, 0),
            State::ForcedOpen if cold.isolated == 0 => (Saved::ForcedOpen, 0),
            State::HalfOpen => (Saved::Open, 0),
            State::MetricsOnly => (Saved::MetricsOnly, 0),
            State::Open => (Saved::Open, left),
            State::Closed | State::ForcedOpen => (Saved::Closed, 0),
        };
        let (buckets, last_calls) = match &cold.last {
            Some(last) => (Vec::new(), last.iter().map(letter).collect()),
            None => (
                cold.past.save(now, &self.present, &self.rules),
                String::new(),
            ),
        };
        Snapshot {
            version: Snapshot::VERSION,
            state,
            wait_micros,
            openings: cold.attempt,
            consecutive_failures: word.consecutive(),
            bucket_micros: self.rules.width,
            buckets,
            last_calls,
        }
    }

    fn load(&self, cold: &mut Cold, snapshot: &Snapshot, now: u64) {
        let cause = Cause::Restored;
        cold.attempt = snapshot.openings;
        match snapshot.state {
            Saved::Open => return self.open_for(cold, now, cause, snapshot.wait_micros),
            Saved::ForcedOpen => return self.change(cold, State::ForcedOpen, now, cause, 0),
            Saved::Disabled => return self.begin_counting(cold, State::Disabled, now, cause),
            Saved::MetricsOnly => self.begin_counting(cold, State::MetricsOnly, now, cause),
            Saved::Closed => self.begin_counting(cold, State::Closed, now, cause),
        }
        if let Some(last) = &mut cold.last {
            let size = last.size();
            let skipped = snapshot.last_calls.chars().count().saturating_sub(size);
            for (failed, slow) in snapshot.last_calls.chars().skip(skipped).filter_map(call) {
                last.add(failed, slow);
            }
        } else if self.rules.width != 0 {
            let width = snapshot.bucket_micros;
            let buckets = (0..).zip(&snapshot.buckets);
            let aged = buckets.map(|(i, bucket): (u64, _)| {
                let age = i.saturating_mul(width) / self.rules.width;
                (age, Bucket::of(*bucket))
            });
            cold.past.load(aged, &self.present, &self.rules);
        }
        let word = self.word.load();
        self.word
            .store(word.with_consecutive(snapshot.consecutive_failures));
        if snapshot.state == Saved::Closed && snapshot.wait_micros > 0 {
            let until = now.saturating_add(snapshot.wait_micros);
            self.until.store(until, Ordering::Release);
            self.word.hold();
        }
    }
}

fn letter((failed, slow): (bool, bool)) -> char {
    match (failed, slow) {
        (true, true) => 'F',
        (true, false) => 'f',
        (false, true) => 'S',
        (false, false) => 's',
    }
}

fn call(letter: char) -> Option<(bool, bool)> {
    Some(match letter {
        'F' => (true, true),
        'f' => (true, false),
        'S' => (false, true),
        's' => (false, false),
        _ => return None,
    })
}
