//! One circuit for each key.

use std::{num::NonZeroUsize, sync::Mutex, time::Duration};

use backstop_circuit_breaker::{FaultKind, Listener, Registry, State, Transition};
use backstop_core::Name;
use tokio::time::advance;

use crate::support::{OPEN, fail, policy};

fn named(key: &u32) -> Name {
    format!("circuit {key}").into()
}

#[tokio::test(start_paused = true)]
async fn each_key_has_a_circuit_of_its_own() {
    let circuits = Registry::new(policy(), named);
    fail(&circuits.breaker(&1), 2);
    assert_eq!(circuits.breaker(&1).state(), State::Open);
    assert_eq!(circuits.layer(&2).handle().state(), State::Closed);
    assert_eq!(circuits.len(), 2);
}

#[tokio::test(start_paused = true)]
async fn a_key_that_is_borrowed_finds_the_circuit_too() {
    let circuits = Registry::new(policy(), |host: &String| host.as_str().into());
    fail(&circuits.breaker("example.com"), 2);
    let layer = circuits.layer(&"example.com".to_owned());
    assert_eq!(layer.handle().state(), State::Open);
    assert_eq!(&**layer.handle().name(), "example.com");
    assert!(circuits.remove("example.com").is_some());
    assert!(circuits.is_empty());
}

#[tokio::test(start_paused = true)]
async fn drops_the_one_least_recently_asked_for_that_is_as_new() {
    let circuits = Registry::new(policy(), named).limit(NonZeroUsize::new(3).unwrap());
    fail(&circuits.breaker(&1), 2);
    let held = circuits.breaker(&2);
    drop(circuits.breaker(&3));
    drop(circuits.breaker(&4));
    let mut keys: Vec<_> = circuits
        .breakers()
        .into_iter()
        .map(|(key, _)| key)
        .collect();
    keys.sort_unstable();
    assert_eq!(keys, [1, 2, 4]);
    drop(held);
}

#[tokio::test(start_paused = true)]
async fn where_none_can_be_dropped_new_keys_share_one() {
    let circuits = Registry::new(policy(), named).limit(NonZeroUsize::new(2).unwrap());
    for key in [1, 2] {
        fail(&circuits.breaker(&key), 2);
    }
    let [shared, other] = [3, 4].map(|key| circuits.breaker(&key));
    fail(&shared, 2);
    assert_eq!(other.state(), State::Open);
    assert_eq!(&**other.name(), "overflow");
    assert_eq!((circuits.len(), circuits.overflowed()), (2, 2));
    assert_eq!(circuits.breaker(&1).state(), State::Open);
}

/// Hears of the states that circuits enter.
#[derive(Clone, Copy)]
struct Heard(&'static Mutex<Vec<State>>);

impl Listener for Heard {
    fn on_transition(&self, _: &Name, transition: &Transition) {
        let mut heard = self.0.lock().expect("nobody panics with it");
        heard.push(transition.to);
    }
}

#[tokio::test(start_paused = true)]
async fn to_look_for_room_changes_no_circuit_and_tells_nobody() {
    static HEARD: Mutex<Vec<State>> = Mutex::new(Vec::new());
    let policy = policy()
        .max_half_open(Duration::from_secs(1))
        .listener(Heard(&HEARD));
    let circuits = Registry::new(policy, named).limit(NonZeroUsize::MIN);
    fail(&circuits.breaker(&1), 2);
    advance(OPEN).await;
    let probe = circuits.breaker(&1).try_acquire().unwrap();
    // It has been half-open for too long, which would be told once someone asks it.
    advance(2 * OPEN).await;
    HEARD.lock().unwrap().clear();
    assert_eq!(&**circuits.breaker(&2).name(), "overflow");
    assert_eq!(*HEARD.lock().unwrap(), []);
    assert_eq!(circuits.breaker(&1).state(), State::Open);
    assert_eq!(*HEARD.lock().unwrap(), [State::Open]);
    probe.failure(FaultKind::Unavailable);
}

#[tokio::test(start_paused = true)]
async fn a_key_is_never_printed() {
    let circuits = Registry::new(policy(), |_: &String| Name::from("provider"));
    let _circuit = circuits.breaker(&"sk-secret".to_owned());
    assert!(!format!("{circuits:?}").contains("secret"));
}
