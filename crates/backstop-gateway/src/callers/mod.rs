//! Who may call, and how much.

mod key;
mod limit;
mod tokens;

use std::{collections::BTreeMap, sync::Arc};

use backstop_core::Name;
use http::HeaderMap;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::config;

pub use self::key::{Hash, NewKey};
pub(crate) use self::limit::{Allowance, Left, Over};
use self::{limit::Requests, tokens::Tokens};

/// Everyone who may call.
#[derive(Debug, Default)]
pub(crate) struct Callers {
    callers: Vec<Arc<Caller>>,
}

/// One who may call.
#[derive(Debug)]
pub(crate) struct Caller {
    pub(crate) name: Name,
    config: config::Key,
    requests: Option<Arc<Requests>>,
    tokens: Option<Arc<Tokens>>,
    running: Option<Arc<Semaphore>>,
}

/// What one call of a caller holds until it is over.
#[derive(Debug)]
pub(crate) struct Admitted {
    /// How much is left, for the response's headers.
    pub(crate) allowance: Allowance,
    _running: Option<OwnedSemaphorePermit>,
}

impl Callers {
    /// Those in `keys`. Who was there before, by whatever key, keeps what it has used of limits that
    /// stay the same.
    pub(crate) fn new(keys: &BTreeMap<Name, config::Key>, before: &Self) -> Self {
        let callers = keys.iter().map(|(name, config)| {
            let known = before.callers.iter().find(|caller| caller.name == *name);
            match known {
                Some(caller) if caller.config == *config => caller.clone(),
                known => Arc::new(Caller::new(
                    name.clone(),
                    config.clone(),
                    known.map(|it| &**it),
                )),
            }
        });
        Self {
            callers: callers.collect(),
        }
    }

    /// Whether anyone may call without a key.
    pub(crate) fn is_open(&self) -> bool {
        self.callers.is_empty()
    }

    /// Whose key is in `headers`, if it is anyone's.
    pub(crate) fn find(&self, headers: &HeaderMap) -> Option<&Arc<Caller>> {
        let hash = Hash::of(key::presented(headers)?);
        // Every key is compared, whichever fits, so that the time taken tells nothing.
        self.callers.iter().fold(None, |found, caller| {
            if caller.config.sha256.is(&hash) {
                Some(caller)
            } else {
                found
            }
        })
    }
}

impl Caller {
    fn new(name: Name, config: config::Key, before: Option<&Self>) -> Self {
        let same = |is_same: fn(&config::Key, &config::Key) -> bool| {
            before.filter(|before| is_same(&before.config, &config))
        };
        Self {
            name,
            requests: match same(|a, b| a.requests_per_minute == b.requests_per_minute) {
                Some(before) => before.requests.clone(),
                None => config
                    .requests_per_minute
                    .map(|limit| Arc::new(Requests::new(limit))),
            },
            tokens: match same(|a, b| a.tokens_per_minute == b.tokens_per_minute) {
                Some(before) => before.tokens.clone(),
                None => config
                    .tokens_per_minute
                    .map(|limit| Arc::new(Tokens::new(limit))),
            },
            running: match same(|a, b| a.concurrent == b.concurrent) {
                Some(before) => before.running.clone(),
                None => config
                    .concurrent
                    .map(|limit| Arc::new(Semaphore::new(limit.get() as usize))),
            },
            config,
        }
    }

    /// Whether it may ask for this model.
    pub(crate) fn may_use(&self, model: &str) -> bool {
        self.config.models.is_empty() || self.config.models.iter().any(|it| it == model)
    }

    /// Takes one call on, where that is within the limits.
    pub(crate) fn admit(&self) -> Result<Admitted, Over> {
        let running = match &self.running {
            Some(running) => Some(
                running
                    .clone()
                    .try_acquire_owned()
                    .map_err(|_| Over::concurrent())?,
            ),
            None => None,
        };
        let mut allowance = Allowance::default();
        if let Some(tokens) = &self.tokens {
            allowance.tokens = Some(tokens.check()?);
        }
        if let Some(requests) = &self.requests {
            allowance.requests = Some(requests.check()?);
        }
        Ok(Admitted {
            allowance,
            _running: running,
        })
    }

    /// Counts what a call has used.
    pub(crate) fn used(&self, tokens: u64) {
        if let Some(limit) = &self.tokens {
            limit.spend(tokens);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::num::{NonZeroU32, NonZeroU64};

    use super::*;

    fn caller(change: impl FnOnce(&mut config::Key)) -> Caller {
        let mut key = config::Key::new(Hash::of("a key"));
        change(&mut key);
        Caller::new(Name::from("team"), key, None)
    }

    #[test]
    fn finds_the_caller_by_either_header() {
        let keys = BTreeMap::from([
            (Name::from("a"), config::Key::new(Hash::of("key of a"))),
            (Name::from("b"), config::Key::new(Hash::of("key of b"))),
        ]);
        let callers = Callers::new(&keys, &Callers::default());
        let found = |header: &'static str, value: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(header, value.parse().unwrap());
            callers.find(&headers).map(|caller| caller.name.to_string())
        };
        assert_eq!(
            found("authorization", "Bearer key of b").as_deref(),
            Some("b")
        );
        assert_eq!(found("x-api-key", "key of a").as_deref(), Some("a"));
        assert_eq!(found("x-api-key", "key of c"), None);
        assert_eq!(found("authorization", "Basic key of a"), None);
        assert!(callers.find(&HeaderMap::new()).is_none());
    }

    #[test]
    fn takes_on_so_many_requests_a_minute_and_no_more() {
        let caller = caller(|key| key.requests_per_minute = NonZeroU32::new(3));
        for left in [2, 1, 0] {
            let admitted = caller.admit().expect("is within the limit");
            assert_eq!(admitted.allowance.requests.unwrap().remaining, left);
        }
        let over = caller.admit().expect_err("is beyond the limit");
        assert!(over.retry_after.as_secs() <= 20 && !over.retry_after.is_zero());
    }

    #[test]
    fn a_caller_who_has_spent_its_tokens_waits() {
        let caller = caller(|key| key.tokens_per_minute = NonZeroU64::new(60));
        caller.admit().expect("nothing is spent");
        caller.used(90);
        let over = caller.admit().expect_err("all is spent, and more");
        assert!((29..=31).contains(&over.retry_after.as_secs()), "{over:?}");
    }

    #[test]
    fn a_running_call_holds_its_place_until_it_is_over() {
        let caller = caller(|key| key.concurrent = NonZeroU32::new(1));
        let running = caller.admit().expect("is the first");
        caller.admit().expect_err("is the second");
        drop(running);
        caller.admit().expect("is the only one again");
    }

    #[test]
    fn a_reload_forgets_nothing_of_a_caller_that_stays_the_same() {
        let mut key = config::Key::new(Hash::of("a key"));
        key.requests_per_minute = NonZeroU32::new(1);
        let mut keys = BTreeMap::from([(Name::from("a"), key)]);
        let before = Callers::new(&keys, &Callers::default());
        before.callers[0].admit().expect("is within the limit");

        let same = Callers::new(&keys, &before);
        same.callers[0].admit().expect_err("has used its limit");

        keys.get_mut("a").unwrap().requests_per_minute = NonZeroU32::new(2);
        let raised = Callers::new(&keys, &before);
        raised.callers[0].admit().expect("has a new limit");
    }

    #[test]
    fn a_new_key_or_one_other_limit_does_not_give_back_what_was_used_of_the_rest() {
        let mut key = config::Key::new(Hash::of("a key"));
        key.tokens_per_minute = NonZeroU64::new(60);
        key.concurrent = NonZeroU32::new(1);
        let mut keys = BTreeMap::from([(Name::from("a"), key)]);
        let before = Callers::new(&keys, &Callers::default());
        let running = before.callers[0].admit().expect("nothing is spent");

        let key = keys.get_mut("a").unwrap();
        key.sha256 = Hash::of("another key");
        key.requests_per_minute = NonZeroU32::new(2);
        let after = Callers::new(&keys, &before);
        let over = after.callers[0].admit().expect_err("one is running");
        assert!(over.to_string().ends_with("concurrent requests"));
        // A call that began before the reload counts still.
        before.callers[0].used(90);
        drop(running);
        let over = after.callers[0].admit().expect_err("all is spent");
        assert!(over.to_string().ends_with("tokens per minute"));
    }
}
