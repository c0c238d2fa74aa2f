use std::{num::NonZeroU32, time::Duration};

use backstop_core::{AtOnce, ErrorsAreTransient, FaultKind, FaultKinds, Name};

use crate::{CircuitBreaker, CircuitBreakerLayer, Listener, OpenWait, Rate, Window};

/// The failures that count, unless told otherwise: what speaks of the service's health.
pub const FAILURES: FaultKinds = FaultKinds::of(&[
    FaultKind::Connect,
    FaultKind::Interrupted,
    FaultKind::Malformed,
    FaultKind::Overloaded,
    FaultKind::TimedOut,
    FaultKind::Unavailable,
]);

/// The failures that open the circuit at once, unless told otherwise: no call will do better until
/// a person has seen to it.
pub const AT_ONCE: FaultKinds = FaultKinds::of(&[FaultKind::Denied, FaultKind::Missing]);

/// The failures that hold calls off without being counted, unless told otherwise: the service is
/// well, and asks to be left alone.
pub const HOLD_OFF: FaultKinds =
    FaultKinds::of(&[FaultKind::QuotaExhausted, FaultKind::RateLimited]);

/// The rules of a circuit: when it opens, for how long, and how it finds out that the service is
/// back.
///
/// It is no layer. [`layer`](Self::layer) makes a circuit with a name and the layer that guards a
/// service with it, so that two services don't share a circuit by mistake.
///
/// ```
/// use std::{num::NonZeroU32, time::Duration};
/// use backstop_circuit_breaker::{OpenWait, Policy, Rate, Window};
///
/// const POLICY: Policy = Policy::new()
///     .consecutive(NonZeroU32::new(3).unwrap())
///     .failure_rate(Rate::HALF)
///     .window(Window::time(Duration::from_secs(30)))
///     .open_for(OpenWait::growing(Duration::from_secs(5), Duration::from_secs(300)));
///
/// let anthropic = POLICY.layer("anthropic");
/// let openai = POLICY.layer("openai");
/// ```
///
/// # Defaults
///
/// | rule | default |
/// |---|---|
/// | failures in a row | 5 |
/// | failure rate | half of the calls in the last 60 s, once there are 10 |
/// | slow calls | no rule |
/// | open | 60 s, spread down to 30 s |
/// | half-open | one probe; its lease is the open wait; three leases at most |
/// | counted as failures | `Connect`, `Interrupted`, `Malformed`, `Overloaded`, `TimedOut`, `Unavailable` |
/// | opens at once | `Denied`, `Missing` |
/// | holds off | `RateLimited` until its Retry-After, `QuotaExhausted` for 10 min |
/// | Retry-After | honoured up to 10 min |
#[derive(Clone, Copy, Debug)]
#[must_use]
pub struct Policy<L = ()> {
    pub(crate) consecutive: Option<NonZeroU32>,
    pub(crate) failure_rate: Option<Rate>,
    pub(crate) slow: Option<(Duration, Rate)>,
    pub(crate) window: Window,
    pub(crate) min_calls: NonZeroU32,
    pub(crate) wait: OpenWait,
    pub(crate) retry_after_cap: Duration,
    pub(crate) quota_wait: Duration,
    pub(crate) probes: NonZeroU32,
    pub(crate) probe_failures: u32,
    pub(crate) probe_lease: Option<Duration>,
    pub(crate) max_half_open: Option<Duration>,
    pub(crate) failures: FaultKinds,
    pub(crate) at_once: FaultKinds,
    pub(crate) hold_off: FaultKinds,
    pub(crate) seed: Option<u64>,
    pub(crate) listener: L,
}

impl Policy {
    /// The default rules.
    pub const fn new() -> Self {
        Self {
            consecutive: Some(NonZeroU32::new(5).expect("five is not zero")),
            failure_rate: Some(Rate::HALF),
            slow: None,
            window: Window::time(Duration::from_secs(60)),
            min_calls: NonZeroU32::new(10).expect("ten is not zero"),
            wait: OpenWait::fixed(Duration::from_secs(60)),
            retry_after_cap: Duration::from_secs(600),
            quota_wait: Duration::from_secs(600),
            probes: NonZeroU32::MIN,
            probe_failures: 0,
            probe_lease: None,
            max_half_open: None,
            failures: FAILURES,
            at_once: AT_ONCE,
            hold_off: HOLD_OFF,
            seed: None,
            listener: (),
        }
    }
}

impl Default for Policy {
    fn default() -> Self {
        Self::new()
    }
}

impl<L> Policy<L> {
    /// Opens after so many failures in a row. Neither a neutral result nor one that only holds off
    /// ends the run. Default: 5.
    pub const fn consecutive(mut self, failures: NonZeroU32) -> Self {
        self.consecutive = Some(failures);
        self
    }

    /// Never opens for the failures in a row alone.
    pub const fn without_consecutive(mut self) -> Self {
        self.consecutive = None;
        self
    }

    /// Opens when this share of the calls in the window has failed, or more. Default: half.
    pub const fn failure_rate(mut self, rate: Rate) -> Self {
        self.failure_rate = Some(rate);
        self
    }

    /// Never opens for the failure rate.
    pub const fn without_failure_rate(mut self) -> Self {
        self.failure_rate = None;
        self
    }

    /// Opens when this share of the calls in the window, or more, took `after` or longer until
    /// they answered. A call that is still under way counts from the moment that it has taken so
    /// long, or an eighth of `after` later at most; a response's tail has no speed.
    ///
    /// Such a rule takes a short lock when a call begins and when it ends. Default: no such rule.
    pub const fn slow_calls(mut self, after: Duration, rate: Rate) -> Self {
        self.slow = Some((after, rate));
        self
    }

    /// Which calls the two rates are taken over. Default: those of the last 60 s.
    pub const fn window(mut self, window: Window) -> Self {
        self.window = window;
        self
    }

    /// How many calls there must be in the window before a rate says anything. More than a window
    /// over calls can hold counts as that many. Default: 10.
    pub const fn min_calls(mut self, calls: NonZeroU32) -> Self {
        self.min_calls = calls;
        self
    }

    /// How long the circuit stays open. Default: 60 s, spread down to 30 s.
    pub const fn open_for(mut self, wait: OpenWait) -> Self {
        self.wait = wait;
        self
    }

    /// How far a service's own Retry-After is honoured, which otherwise is a floor on the open
    /// wait, and how long a rate limit holds off. Default: 10 min.
    pub const fn retry_after_cap(mut self, cap: Duration) -> Self {
        self.retry_after_cap = cap;
        self
    }

    /// How long an exhausted quota holds off where the service does not say. Default: 10 min.
    pub const fn quota_wait(mut self, wait: Duration) -> Self {
        self.quota_wait = wait;
        self
    }

    /// How many calls a half-open circuit lets through before it decides. Default: 1.
    pub const fn probes(mut self, probes: NonZeroU32) -> Self {
        self.probes = probes;
        self
    }

    /// How many of the probes may fail. All of them may not: as many counts as one less.
    /// Default: 0.
    pub const fn probe_failures(mut self, failures: u32) -> Self {
        self.probe_failures = failures;
        self
    }

    /// How long a probe may take before its place is given to another; its result then counts for
    /// nothing. The limit on an attempt is the right lease. Below 1 ms counts as 1 ms. Default: the
    /// open wait.
    pub const fn probe_lease(mut self, lease: Duration) -> Self {
        self.probe_lease = Some(lease);
        self
    }

    /// How long the circuit stays half-open without a verdict before it opens again. Default: three
    /// leases.
    pub const fn max_half_open(mut self, limit: Duration) -> Self {
        self.max_half_open = Some(limit);
        self
    }

    /// Which faults count as failures. Those in none of the three sets are neutral: they move
    /// nothing and give a probe's place back. Default: [`FAILURES`](crate::FAILURES).
    pub const fn failures(mut self, kinds: FaultKinds) -> Self {
        self.failures = kinds;
        self
    }

    /// Which faults open the circuit at once. Default: [`AT_ONCE`](crate::AT_ONCE), which suits a
    /// client with one key and one name; with none of them a 404 is neutral.
    pub const fn at_once(mut self, kinds: FaultKinds) -> Self {
        self.at_once = kinds;
        self
    }

    /// Which faults hold calls off for as long as the service says, and otherwise count neither as
    /// a failure nor as a success. A probe fails by them. Default: [`HOLD_OFF`](crate::HOLD_OFF).
    pub const fn hold_off(mut self, kinds: FaultKinds) -> Self {
        self.hold_off = kinds;
        self
    }

    /// Makes the jitter repeatable. A seed shared by many circuits makes them probe together.
    pub const fn seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Who hears of what happens to the circuits that this policy makes.
    pub fn listener<M: Listener>(self, listener: M) -> Policy<M> {
        Policy {
            consecutive: self.consecutive,
            failure_rate: self.failure_rate,
            slow: self.slow,
            window: self.window,
            min_calls: self.min_calls,
            wait: self.wait,
            retry_after_cap: self.retry_after_cap,
            quota_wait: self.quota_wait,
            probes: self.probes,
            probe_failures: self.probe_failures,
            probe_lease: self.probe_lease,
            max_half_open: self.max_half_open,
            failures: self.failures,
            at_once: self.at_once,
            hold_off: self.hold_off,
            seed: self.seed,
            listener,
        }
    }
}

impl<L: Listener + Clone> Policy<L> {
    /// Makes a circuit, and a layer that guards a service with it. Clones of the layer, and all
    /// services that it is put round, share the circuit.
    pub fn layer(
        &self,
        name: impl Into<Name>,
    ) -> CircuitBreakerLayer<ErrorsAreTransient, AtOnce, L> {
        self.breaker(name).layer()
    }

    /// Makes a circuit to be asked by hand, without tower.
    #[must_use]
    pub fn breaker(&self, name: impl Into<Name>) -> CircuitBreaker<L> {
        CircuitBreaker::new(self, name.into())
    }
}
