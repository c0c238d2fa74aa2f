use std::time::Duration;

use backstop_core::{Fault, FaultKinds, context};

use crate::{
    Backoff, Random,
    policy::{Policy, Rules},
};

/// A service tells everyone to come back at the same moment. Up to a tenth of the wait it asked
/// for, and no more than this, is added so that they don't.
const SPREAD: Duration = Duration::from_secs(1);

/// How far one call has come with its waits.
pub(crate) struct Waits<B> {
    backoff: B,
    random: Random,
}

impl<B: Backoff> Waits<B> {
    pub(crate) fn new<C, R>(policy: &Policy<C, B, R>) -> Self {
        let seed = policy.rules.seed.as_ref();
        Self {
            backoff: policy.backoff.clone(),
            random: seed.map_or_else(Random::fresh, |seed| seed.stream()),
        }
    }

    /// How long to wait after this failure, the call's `number`th, where that may be waited for.
    pub(crate) fn next(&mut self, number: u32, fault: &Fault, rules: &Rules) -> Option<Duration> {
        let random = &mut self.random;
        // The kind of the last failure decides which row of waits holds, and the number of
        // failures how far along it: both go on in step.
        let usual = self.backoff.next_wait(random)?;
        let own = if FaultKinds::THROTTLED.contains(fault.kind()) {
            let throttled = rules
                .throttled
                .clone()
                .nth(number.saturating_sub(1) as usize)?;
            rules.jitter.throttled().spread(throttled, random)
        } else if self.backoff.is_jittered() {
            usual
        } else {
            rules.jitter.spread(usual, random)
        };
        let Some(asked) = fault.retry_after() else {
            return Some(own);
        };
        // It is better to ask someone else than to wait for longer than one would have anyway.
        if asked > rules.retry_after_cap || (asked > own && context::alternatives()) {
            return None;
        }
        let spread = random.up_to((asked / 10).min(SPREAD));
        Some(own.max(asked.saturating_add(spread)))
    }
}
