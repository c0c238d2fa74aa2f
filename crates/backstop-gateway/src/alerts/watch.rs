//! What is too much, and when it is no longer.

use std::{collections::VecDeque, fmt, time::Duration};

use tokio::time::Instant;

use crate::{config::write_duration, ledger::readable};

/// An alert is over when what it is about has fallen to this part of its threshold, so that it
/// does not come and go.
const OVER: f64 = 0.5;

/// In how many parts a window slides on.
const PARTS: u32 = 20;

/// Something began or is over, to be told.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Notice {
    pub(super) alert: &'static str,
    pub(super) raised: bool,
    pub(super) value: f64,
    pub(super) threshold: f64,
    window: Duration,
}

/// A sum over a sliding window, and whether it is too much.
#[derive(Debug)]
pub(super) struct Watch {
    alert: &'static str,
    threshold: Option<f64>,
    window: Duration,
    parts: VecDeque<Part>,
    raised: bool,
}

#[derive(Debug)]
struct Part {
    began: Instant,
    sum: f64,
    calls: u64,
}

impl Watch {
    pub(super) const fn new(alert: &'static str, threshold: Option<f64>, window: Duration) -> Self {
        Self {
            alert,
            threshold,
            window,
            parts: VecDeque::new(),
            raised: false,
        }
    }

    pub(super) fn add(&mut self, now: Instant, amount: f64, calls: u64) {
        let length = self.window / PARTS;
        let present = self
            .parts
            .back_mut()
            .filter(|part| now.saturating_duration_since(part.began) < length);
        match present {
            Some(part) => {
                part.sum += amount;
                part.calls += calls;
            }
            None => self.parts.push_back(Part {
                began: now,
                sum: amount,
                calls,
            }),
        }
        self.forget(now);
    }

    fn forget(&mut self, now: Instant) {
        let window = self.window;
        self.parts
            .retain(|part| now.saturating_duration_since(part.began) < window);
    }

    /// What there is to tell at `now`. The `value` is made of the sum, of how many calls it is
    /// over, and of whether there is an alert already.
    pub(super) fn check(
        &mut self,
        now: Instant,
        value: impl FnOnce(f64, u64, bool) -> f64,
    ) -> Option<Notice> {
        let threshold = self.threshold?;
        self.forget(now);
        // From nothing on: the sum of no parts would be below it.
        let sum = self.parts.iter().fold(0.0, |sum, part| sum + part.sum);
        let calls = self.parts.iter().map(|part| part.calls).sum();
        let value = value(sum, calls, self.raised);
        let raised = if self.raised {
            value > threshold * OVER
        } else {
            value >= threshold
        };
        (raised != self.raised).then(|| {
            self.raised = raised;
            Notice {
                alert: self.alert,
                raised,
                value: readable(value),
                threshold,
                window: self.window,
            }
        })
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            alert,
            raised,
            value,
            threshold,
            window,
        } = self;
        let state = if *raised {
            "too high"
        } else {
            "back to normal"
        };
        let window = write_duration(*window);
        write!(
            f,
            "Backstop: {alert} {state}: {value:.3} over the last {window}, threshold {threshold}"
        )
    }
}

#[cfg(test)]
mod tests {
    use tokio::time;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn tells_once_and_once_more_when_it_is_over() {
        let mut watch = Watch::new("error rate", Some(0.5), Duration::from_secs(60));
        let rate = |sum: f64, calls: u64, _| if calls == 0 { 0.0 } else { sum / calls as f64 };
        for _ in 0..10 {
            watch.add(Instant::now(), 1.0, 1);
        }
        let notice = watch.check(Instant::now(), rate).expect("all have failed");
        assert!(notice.raised);
        assert_eq!(watch.check(Instant::now(), rate), None);
        // At 0.4 it is below the threshold, and not yet over.
        for _ in 0..15 {
            watch.add(Instant::now(), 0.0, 1);
        }
        assert_eq!(watch.check(Instant::now(), rate), None);
        time::advance(Duration::from_secs(61)).await;
        let notice = watch.check(Instant::now(), rate).expect("all is forgotten");
        assert!(!notice.raised);
        assert_eq!(
            notice.to_string(),
            "Backstop: error rate back to normal: 0.000 over the last 1m, threshold 0.5"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn tells_a_sum_as_people_write_it() {
        let mut watch = Watch::new("spend", Some(0.3), Duration::from_secs(60));
        for amount in [0.1, 0.2] {
            watch.add(Instant::now(), amount, 1);
        }
        let notice = watch
            .check(Instant::now(), |sum, _, _| sum)
            .expect("is spent");
        assert_eq!(notice.value.to_string(), "0.3");
        time::advance(Duration::from_secs(61)).await;
        let notice = watch
            .check(Instant::now(), |sum, _, _| sum)
            .expect("is over");
        let told = "Backstop: spend back to normal: 0.000 over the last 1m, threshold 0.3";
        assert_eq!(notice.to_string(), told);
        assert!(notice.value.is_sign_positive());
    }
}
