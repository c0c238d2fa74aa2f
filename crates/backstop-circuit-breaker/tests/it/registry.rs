//! One circuit for each key.

use std::num::NonZeroUsize;

use backstop_circuit_breaker::{Registry, State};
use backstop_core::Name;

use crate::support::{fail, policy};

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

#[tokio::test(start_paused = true)]
async fn a_key_is_never_printed() {
    let circuits = Registry::new(policy(), |_: &String| Name::from("provider"));
    let _circuit = circuits.breaker(&"sk-secret".to_owned());
    assert!(!format!("{circuits:?}").contains("secret"));
}
