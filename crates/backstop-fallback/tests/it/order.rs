//! In which order candidates are asked.

use std::{sync::Arc, time::Duration};

use backstop_fallback::{
    Candidate, Chain,
    chain::Profile,
    order::{Cheapest, Fastest, Latency, Left, Order, Weighted, by_key},
};
use tower::ServiceExt;

use crate::support::Replica;

#[tokio::test]
async fn weighted_gives_each_its_share_and_can_be_repeated() {
    let mut runs = Vec::new();
    for _ in 0..2 {
        let replicas = [Replica::up(), Replica::up(), Replica::up()];
        let weights = [1, 3, 0];
        let chain = Chain::new(
            replicas
                .iter()
                .zip(weights)
                .enumerate()
                .map(|(n, (r, weight))| Candidate::new(n.to_string(), r.clone()).weight(weight)),
        )
        .unwrap()
        .order(Weighted::seeded(7));
        for _ in 0..4000 {
            chain.clone().oneshot(1).await.unwrap();
        }
        runs.push(replicas.map(|replica| replica.calls()));
    }
    assert_eq!(runs[0], runs[1]);
    let [one, three, none] = runs[0];
    assert!((900..1100).contains(&one), "{one}");
    assert_eq!(one + three, 4000);
    assert_eq!(none, 0);
}

#[tokio::test]
async fn weighted_asks_one_of_weight_zero_when_no_other_is_left() {
    let (a, b) = (Replica::down(), Replica::up());
    let chain = Chain::new([
        Candidate::new("b", b.clone()).weight(0),
        Candidate::new("a", a.clone()),
    ]);
    let chain = chain.unwrap().order(Weighted::new());
    for _ in 0..20 {
        chain.clone().oneshot(1).await.unwrap();
    }
    assert_eq!((a.calls(), b.calls()), (20, 20));
}

#[tokio::test]
async fn cheapest_goes_up_in_price() {
    let (dear, cheap) = (Replica::up(), Replica::down());
    let chain = Chain::new([
        Candidate::new("dear", dear.clone()).price(30),
        Candidate::new("cheap", cheap.clone()).price(2),
    ]);
    chain.unwrap().order(Cheapest).oneshot(1).await.unwrap();
    assert_eq!((cheap.calls(), dear.calls()), (1, 1));
}

#[tokio::test]
async fn a_key_of_ones_own_makes_an_order() {
    let (a, b) = (Replica::up(), Replica::up());
    let chain = Chain::new([
        Candidate::new("far", a.clone()),
        Candidate::new("near", b.clone()),
    ]);
    let near_first = by_key(|profile: &Profile| &**profile.name() != "near");
    chain.unwrap().order(near_first).oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn fastest_asks_whoever_lately_answered_soonest() {
    let (slow, quick) = (Replica::up().taking(300), Replica::up().taking(20));
    let chain = Chain::new([
        Candidate::new("slow", slow.clone()),
        Candidate::new("quick", quick.clone()),
    ]);
    let chain = chain.unwrap().order(Fastest);
    for _ in 0..12 {
        chain.clone().oneshot(1).await.unwrap();
    }
    // Each is measured once; from then on it is the quicker one.
    assert_eq!((slow.calls(), quick.calls()), (1, 11));
    let latency = |n: usize| {
        let (candidate, _) = &chain.handle().candidates()[n];
        candidate
            .profile()
            .latency()
            .at(tokio::time::Instant::now())
    };
    assert_eq!(latency(0), Duration::from_millis(300));
    assert_eq!(latency(1), Duration::from_millis(20));

    // One that grows slow is noticed at once, and one that was slow is asked again by and by.
    let _ = quick.clone().taking(900);
    chain.clone().oneshot(1).await.unwrap();
    chain.clone().oneshot(1).await.unwrap();
    assert_eq!((slow.calls(), quick.calls()), (2, 12));
    tokio::time::sleep(Duration::from_secs(25)).await;
    let _ = quick.clone().taking(10);
    for _ in 0..3 {
        chain.clone().oneshot(1).await.unwrap();
    }
    assert!(quick.calls() > 12);
}

#[tokio::test(start_paused = true)]
async fn what_was_measured_in_one_chain_is_known_in_another() {
    let (slow, quick) = (Replica::up().taking(300), Replica::up().taking(20));
    let known = [Arc::<Latency>::default(), Arc::default()];
    let chain = || {
        let chain = Chain::new([
            Candidate::new("slow", slow.clone()).latency(known[0].clone()),
            Candidate::new("quick", quick.clone()).latency(known[1].clone()),
        ]);
        chain.unwrap().order(Fastest)
    };
    for _ in 0..4 {
        chain().oneshot(1).await.unwrap();
    }
    assert_eq!((slow.calls(), quick.calls()), (1, 3));
}

#[tokio::test(start_paused = true)]
async fn a_quick_failure_does_not_pass_for_speed() {
    let (broken, sound) = (Replica::down(), Replica::up().taking(200));
    let chain = Chain::new([
        Candidate::new("broken", broken.clone()),
        Candidate::new("sound", sound.clone()),
    ]);
    let chain = chain.unwrap().order(Fastest);
    for _ in 0..10 {
        chain.clone().oneshot(1).await.unwrap();
    }
    assert_eq!((broken.calls(), sound.calls()), (1, 10));
}

#[tokio::test]
async fn an_order_that_names_a_place_that_is_not_left_does_no_harm() {
    #[derive(Clone, Debug)]
    struct Wrong(usize);
    impl Order for Wrong {
        fn next(&self, left: &Left<'_>) -> Option<usize> {
            assert!(left.first().is_some());
            Some(self.0)
        }
    }
    for place in [0, 5, 64, usize::MAX] {
        let chain = Chain::new([
            Candidate::new("a", Replica::down()),
            Candidate::new("b", Replica::up()),
        ]);
        chain.unwrap().order(Wrong(place)).oneshot(1).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn nobody_of_a_lower_tier_is_asked_first_however_fast_and_cheap() {
    let (fixed, slow, dear) = (
        Replica::up(),
        Replica::up().taking(500),
        Replica::up().taking(300),
    );
    let chain = Chain::new([
        Candidate::new("fixed", fixed.clone()).tier(9).weight(1000),
        Candidate::new("slow", slow.clone()).price(10),
        Candidate::new("dear", dear.clone()).price(20),
    ])
    .unwrap();
    for _ in 0..20 {
        chain.clone().order(Fastest).oneshot(1).await.unwrap();
        chain.clone().order(Cheapest).oneshot(1).await.unwrap();
        chain
            .clone()
            .order(Weighted::seeded(1))
            .oneshot(1)
            .await
            .unwrap();
        chain.clone().oneshot(1).await.unwrap();
    }
    assert_eq!(fixed.calls(), 0);
    chain.handle().disable("slow").unwrap();
    dear.set("down");
    chain.order(Cheapest).oneshot(1).await.unwrap();
    assert_eq!(fixed.calls(), 1);
}
