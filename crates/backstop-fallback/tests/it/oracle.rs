//! A chain against a simple loop that does what a chain is said to do.

use std::sync::Arc;

use backstop_core::{FaultKind, context};
use backstop_fallback::{Candidate, Chain, FAIL_OVER};
use proptest::prelude::*;
use tower::ServiceExt;

use crate::support::{Door, Replica, by_text};

/// What a candidate does when its turn comes.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answers,
    Fails(FaultKind),
    RespondsWith(FaultKind),
    IsShut,
}

fn does() -> impl Strategy<Value = Does> {
    let kind = || proptest::sample::select(&FaultKind::ALL[..]);
    prop_oneof![
        Just(Does::Answers),
        kind().prop_map(Does::Fails),
        kind().prop_map(Does::RespondsWith),
        Just(Does::IsShut),
    ]
}

/// How many are called, and what the caller gets: the text of a response or of an error.
fn expected(all: &[Does]) -> (Vec<u32>, String) {
    let mut calls = vec![0; all.len()];
    let mut last = "no candidate can be asked now".to_owned();
    for (place, does) in all.iter().enumerate() {
        calls[place] = 1;
        let (kind, is_error) = match does {
            Does::IsShut => {
                calls[place] = 0;
                continue;
            }
            Does::Answers => return (calls, "up".to_owned()),
            Does::Fails(kind) => (kind, true),
            Does::RespondsWith(kind) => (kind, false),
        };
        last = kind.label().to_owned();
        let is_last = all[place + 1..]
            .iter()
            .all(|does| matches!(does, Does::IsShut));
        if !FAIL_OVER.contains(*kind) || (is_last && !is_error) {
            return (calls, last);
        }
    }
    (calls, format!("exhausted: {last}"))
}

proptest! {
    #[test]
    fn asks_whom_it_should_and_returns_what_it_should(all in proptest::collection::vec(does(), 0..6)) {
        let replicas: Vec<Replica> = all
            .iter()
            .map(|does| match does {
                Does::Answers | Does::IsShut => Replica::up(),
                Does::Fails(kind) => Replica::failing(kind.label()),
                Does::RespondsWith(kind) => Replica::answering(kind.label()),
            })
            .collect();
        let candidates = replicas.iter().zip(&all).enumerate().map(|(place, (replica, does))| {
            let candidate = Candidate::new(place.to_string(), replica.clone());
            match does {
                Does::IsShut => candidate.gate(Arc::new(Door::shut())),
                _ => candidate,
            }
        });
        let chain = Chain::new(candidates).unwrap().classify(by_text());
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let (result, trail) = runtime.block_on(context::traced(chain.oneshot(1)));
        let got = match result {
            Ok(text) => text.to_owned(),
            Err(error) => match error.source() {
                Some(last) => format!("exhausted: {last}"),
                None => error.to_string(),
            },
        };
        let calls: Vec<u32> = replicas.iter().map(Replica::calls).collect();
        prop_assert_eq!((calls, got), expected(&all));
        prop_assert!(!context::alternatives());
        prop_assert!(trail.attempts().len() <= all.len());
    }
}
