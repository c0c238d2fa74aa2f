//! Every failure is on the trail of its call, once and under the right name, whatever the layers
//! are and wherever the call is made and polled.

#![cfg(test)]

use std::{
    num::NonZeroU32,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    task::Poll,
    time::Duration,
};

use backstop_circuit_breaker::Policy;
use backstop_core::{BoxError, Exhausted, Fault, FaultKind, Gate, Name, Trail, context};
use backstop_fallback::{Candidate, Chain, FallbackLayer};
use backstop_retry::{Exponential, Jitter, RetryLayer};
use backstop_served_by::ServedByLayer;
use backstop_timeout::TimeoutLayer;
use proptest::{collection::vec, prelude::*};
use tokio::time::{Instant, sleep};
use tower::{Layer, Service, ServiceExt, service_fn, util::BoxCloneSyncService};

const MS: Duration = Duration::from_millis(1);
const HOUR: Duration = Duration::from_secs(3600);
const SHUT: &str = "shut";

/// Layers inside each other, and services innermost.
#[derive(Clone, Debug)]
enum Stack {
    /// What each call comes to in turn: whether it answers, and after how many milliseconds.
    Service(Vec<(bool, u64)>),
    Retry(u32, Box<Self>),
    Timeout(Box<Self>),
    Breaker(Box<Self>),
    ServedBy(Box<Self>),
    /// Whether the primary's gate is shut, the primary, and the backup.
    Fallback(bool, Box<Self>, Box<Self>),
    /// Whether it is hedged, and the candidates, each with whether its gate is shut.
    Chain(bool, Vec<(bool, Self)>),
}

fn stacks() -> impl Strategy<Value = Stack> {
    let call = (prop::bool::weighted(0.2), 0..3_u64);
    let service = vec(call, 1..4).prop_map(Stack::Service);
    service.prop_recursive(5, 12, 3, |inner| {
        let boxed = || inner.clone().prop_map(Box::new);
        let is_shut = || prop::bool::weighted(0.3);
        let candidate = (is_shut(), inner.clone());
        prop_oneof![
            3 => (2..4_u32, boxed()).prop_map(|(attempts, it)| Stack::Retry(attempts, it)),
            1 => boxed().prop_map(Stack::Timeout),
            1 => boxed().prop_map(Stack::Breaker),
            2 => boxed().prop_map(Stack::ServedBy),
            3 => (is_shut(), boxed(), boxed()).prop_map(|(is_shut, a, b)| Stack::Fallback(is_shut, a, b)),
            3 => (any::<bool>(), vec(candidate, 1..4)).prop_map(|(is_hedged, all)| Stack::Chain(is_hedged, all)),
        ]
    })
}

type Boxed = BoxCloneSyncService<(), (), BoxError>;

/// The names of the attempts that failed, in the order in which they did.
type Failures = Arc<Mutex<Vec<Option<Name>>>>;

/// What a layer does about a failure further in.
#[derive(Clone)]
enum Outer {
    /// Names what has been recorded.
    Names(Name),
    /// Records what has not been.
    Retry,
    /// Both.
    Asks(Name),
}

/// The name on the record of a failure inside these layers, the innermost last; none where none of
/// them records it.
fn recorded_as(layers: &[Outer]) -> Option<Option<Name>> {
    // Of several retries only the outermost does anything.
    let outermost = layers.iter().position(|it| matches!(it, Outer::Retry));
    let records = |(place, layer): (usize, &Outer)| match layer {
        Outer::Names(_) => false,
        Outer::Retry => Some(place) == outermost,
        Outer::Asks(_) => true,
    };
    let all = layers.iter().enumerate();
    let by = all.rev().find_map(|it| records(it).then_some(it.0))?;
    Some(layers[..=by].iter().rev().find_map(|layer| match layer {
        Outer::Names(name) | Outer::Asks(name) => Some(name.clone()),
        Outer::Retry => None,
    }))
}

#[derive(Clone)]
struct Door {
    is_shut: bool,
}

impl Gate for Door {
    fn admits(&self, _: Instant) -> Result<(), Fault> {
        if self.is_shut {
            return Err(Fault::new(FaultKind::Refused).because(SHUT));
        }
        Ok(())
    }
}

/// Builds a stack, and keeps account of its failures.
struct Builder {
    failures: Failures,
    layers: Vec<Outer>,
    names: u32,
}

impl Builder {
    fn build(stack: &Stack) -> (Boxed, Failures) {
        let failures = Failures::default();
        let mut builder = Self {
            failures: failures.clone(),
            layers: Vec::new(),
            names: 0,
        };
        (builder.stack(stack), failures)
    }

    fn name(&mut self) -> Name {
        self.names += 1;
        self.names.to_string().into()
    }

    fn inside(&mut self, layer: Outer, stack: &Stack) -> Boxed {
        self.layers.push(layer);
        let inner = self.stack(stack);
        self.layers.pop();
        inner
    }

    fn stack(&mut self, stack: &Stack) -> Boxed {
        match stack {
            Stack::Service(calls) => self.service(calls),
            Stack::Retry(attempts, inner) => {
                let backoff = Exponential::new(MS, 2 * MS).expect("it grows");
                let layer = RetryLayer::new()
                    .attempts(NonZeroU32::new(*attempts).expect("not zero"))
                    .backoff(backoff)
                    .jitter(Jitter::None);
                Boxed::new(layer.layer(self.inside(Outer::Retry, inner)))
            }
            Stack::Timeout(inner) => {
                Boxed::new(TimeoutLayer::new().total(HOUR).layer(self.stack(inner)))
            }
            Stack::Breaker(inner) => {
                let never = Policy::new().consecutive(NonZeroU32::MAX);
                Boxed::new(never.layer("breaker").layer(self.stack(inner)))
            }
            Stack::ServedBy(inner) => {
                let name = self.name();
                let layer = ServedByLayer::new(name.clone()).put(|(): &mut (), _| ());
                Boxed::new(layer.layer(self.inside(Outer::Names(name), inner)))
            }
            Stack::Fallback(is_shut, primary, backup) => self.fallback(*is_shut, primary, backup),
            Stack::Chain(is_hedged, candidates) => self.chain(*is_hedged, candidates),
        }
    }

    fn fallback(&mut self, is_shut: bool, primary: &Stack, backup: &Stack) -> Boxed {
        let [first, second] = [self.name(), self.name()];
        let primary = self.inside(Outer::Asks(first.clone()), primary);
        let backup = self.inside(Outer::Asks(second.clone()), backup);
        let layer = FallbackLayer::new(backup).names(first, second);
        Boxed::new(layer.gate(Door { is_shut }).layer(primary))
    }

    fn chain(&mut self, is_hedged: bool, candidates: &[(bool, Stack)]) -> Boxed {
        let candidates = candidates.iter().map(|(is_shut, stack)| {
            let name = self.name();
            let inner = self.inside(Outer::Asks(name.clone()), stack);
            let is_shut = *is_shut;
            Candidate::new(name, inner).gate(Arc::new(Door { is_shut }))
        });
        let chain = Chain::new(candidates).expect("the names differ");
        if is_hedged {
            // Nobody is so slow that another would be started beside it.
            Boxed::new(chain.hedge(HOUR))
        } else {
            Boxed::new(chain)
        }
    }

    fn service(&self, calls: &[(bool, u64)]) -> Boxed {
        let calls = calls.to_vec();
        let made = Arc::new(AtomicUsize::new(0));
        let (failures, name) = (self.failures.clone(), recorded_as(&self.layers));
        Boxed::new(service_fn(move |()| {
            let (answers, takes) = calls[made.fetch_add(1, Ordering::Relaxed) % calls.len()];
            let (failures, name) = (failures.clone(), name.clone());
            async move {
                if takes > 0 {
                    sleep(MS * takes as u32).await;
                }
                if answers {
                    return Ok(());
                }
                let mut failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
                failures.extend(name);
                Err("down".into())
            }
        }))
    }
}

/// That a call which has ended left on its trail what it should, and nothing anywhere else.
fn check((result, trail): (Result<(), BoxError>, Trail), failures: &Failures) {
    let (asked, passed_over): (Vec<_>, Vec<_>) =
        trail.attempts().iter().partition(|it| it.number > 0);
    let names: Vec<_> = asked.iter().map(|it| it.candidate.clone()).collect();
    let failures = failures.lock().unwrap_or_else(PoisonError::into_inner);
    if trail.omitted() == 0 {
        assert_eq!(names, *failures, "{trail}");
    }
    for attempt in passed_over {
        assert_eq!(attempt.fault.reason(), Some(SHUT), "{trail}");
        assert!(attempt.candidate.is_some(), "{trail}");
    }
    if let Err(Ok(exhausted)) = result.map_err(|error| error.downcast::<Exhausted>()) {
        assert_eq!(exhausted.trail().to_string(), trail.to_string());
    }
    assert_eq!(context::mark(), context::Mark::default());
    assert!(context::may_attempt() && !context::alternatives());
    assert_eq!((context::attempt(), context::deadline()), (0, None));
}

/// Makes the call of a stack in all the places where it can be made and polled.
async fn call_everywhere(stack: &Stack, beside: &Stack) {
    let (service, failures) = Builder::build(stack);
    check(context::traced(service.oneshot(())).await, &failures);

    // Made outside, and polled a first time there.
    let (mut service, failures) = Builder::build(stack);
    let mut call = tokio_test::task::spawn(service.ready().await.expect("ready").call(()));
    if call.poll().is_pending() {
        check(context::traced(call).await, &failures);
    }

    // Made outside and inside another call, and polled in turns.
    let (mut one, failures_of_one) = Builder::build(stack);
    let (mut two, failures_of_two) = Builder::build(beside);
    let one = one.ready().await.expect("ready").call(());
    let two = two.ready().await.expect("ready");
    let make = std::future::poll_fn(|_| Poll::Ready(two.call(())));
    let (two, trail) = context::traced(make).await;
    assert!(trail.is_empty(), "{trail}");
    let (one, two) = tokio::join!(context::traced(one), context::traced(two));
    check(one, &failures_of_one);
    check(two, &failures_of_two);
}

proptest! {
    #[test]
    fn every_failure_is_on_the_trail_once_and_under_the_right_name(
        stack in stacks(),
        beside in stacks(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_time()
            .start_paused(true)
            .build()
            .expect("a runtime");
        runtime.block_on(call_everywhere(&stack, &beside));
    }
}
