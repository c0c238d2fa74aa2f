//! So many tokens a minute.

use std::{
    num::NonZeroU64,
    sync::{Mutex, PoisonError},
};

use tokio::time::Instant;

use super::limit::{Allowance, Left, MINUTE, Over};

/// A limit on tokens. What a call uses is known only when it is over, so the account may be
/// overdrawn; then the caller waits until it is level again.
#[derive(Debug)]
pub(super) struct Tokens {
    limit: NonZeroU64,
    account: Mutex<Account>,
}

#[derive(Debug)]
struct Account {
    /// Below zero when overdrawn.
    level: f64,
    at: Instant,
}

impl Tokens {
    pub(super) fn new(limit: NonZeroU64) -> Self {
        Self {
            limit,
            account: Mutex::new(Account {
                level: limit.get() as f64,
                at: Instant::now(),
            }),
        }
    }

    /// Whether anything is left.
    pub(super) fn check(&self) -> Result<Left, Over> {
        let level = self.with(|level| *level);
        let full = self.limit.get() as f64;
        if level <= 0.0 {
            return Err(Over {
                limit: "tokens per minute",
                retry_after: MINUTE.mul_f64((1.0 - level) / full),
                allowance: Allowance {
                    requests: None,
                    tokens: Some(Left::none(
                        self.limit.get(),
                        MINUTE.mul_f64(1.0 - level / full),
                    )),
                },
            });
        }
        Ok(Left {
            limit: self.limit.get(),
            // A level has fewer digits than a limit may have.
            remaining: (level as u64).min(self.limit.get()),
            reset: MINUTE.mul_f64(1.0 - level / full),
        })
    }

    /// Takes so many off, whether they are there or not.
    pub(super) fn spend(&self, tokens: u64) {
        self.with(|level| *level -= tokens as f64);
    }

    fn with<R>(&self, f: impl FnOnce(&mut f64) -> R) -> R {
        let mut account = self.account.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        let full = self.limit.get() as f64;
        let gained = now.saturating_duration_since(account.at).as_secs_f64() / 60.0 * full;
        account.level = (account.level + gained).min(full);
        account.at = now;
        f(&mut account.level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn what_is_spent_comes_back_with_time() {
        let tokens = Tokens::new(NonZeroU64::new(600).unwrap());
        tokens.spend(900);
        let over = tokens.check().expect_err("is overdrawn");
        tokio::time::advance(over.retry_after).await;
        assert_eq!(tokens.check().expect("is level again").remaining, 1);
        tokio::time::advance(MINUTE * 10).await;
        assert_eq!(tokens.check().expect("is full").remaining, 600);
    }

    #[tokio::test(start_paused = true)]
    async fn no_more_is_left_than_the_limit() {
        for limit in [1, u64::from(u32::MAX), i64::MAX as u64, u64::MAX] {
            let tokens = Tokens::new(NonZeroU64::new(limit).unwrap());
            assert_eq!(tokens.check().expect("is full").remaining, limit);
        }
    }
}
