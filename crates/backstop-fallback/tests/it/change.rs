//! A list of candidates: what changes it, and whom that reaches.

use backstop_fallback::{Candidate, Chain, InvalidChain};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceExt};

use crate::support::{Replica, three};

#[tokio::test]
async fn fails_every_call_while_it_is_empty() {
    let chain: Chain<Replica> = Chain::new([]).unwrap();
    let error = chain.clone().oneshot(1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "no candidate was left: no candidate can be asked now"
    );
    chain
        .handle()
        .replace([Candidate::new("a", Replica::up())])
        .unwrap();
    assert_eq!(chain.oneshot(1).await.unwrap(), "up");
}

#[tokio::test]
async fn keeps_a_call_under_way_in_the_order_it_started_with() {
    let (a, b, c) = (Replica::slow(), Replica::up(), Replica::up());
    let chain = three(&a, &b, &c);
    let handle = chain.handle();
    let mut call = task::spawn(chain.clone().oneshot(1));
    assert_pending!(call.poll());
    handle.reorder(["c", "b"]).unwrap();
    handle.disable("b").unwrap();
    a.release("down");
    assert_ready!(call.poll()).unwrap();
    assert_eq!((b.calls(), c.calls()), (1, 0));

    chain.oneshot(1).await.unwrap();
    assert_eq!((b.calls(), c.calls()), (1, 1));
}

#[tokio::test]
async fn a_change_reaches_every_clone_and_one_that_was_ready_before() {
    let (a, b, c) = (Replica::up(), Replica::up(), Replica::up());
    let mut chain = three(&a, &b, &c);
    let mut clone = chain.clone();
    chain.ready().await.unwrap();
    chain.handle().disable("a").unwrap();
    chain.call(1).await.unwrap();
    clone.ready().await.unwrap().call(1).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (0, 2));

    let standing = |chain: &Chain<Replica>| {
        let all = chain.handle().candidates();
        let names = all.iter().map(|(c, on)| format!("{}:{on}", c.name()));
        names.collect::<Vec<_>>().join(" ")
    };
    assert_eq!(standing(&clone), "a:false b:true c:true");
    chain.handle().reorder(["c", "a", "c"]).unwrap();
    assert_eq!(standing(&clone), "c:true a:false b:true");
    chain.handle().enable("a").unwrap();
    assert_eq!(standing(&clone), "c:true a:true b:true");
    let unknown = chain.handle().reorder(["a", "x"]).unwrap_err();
    assert_eq!(unknown.to_string(), "there is no candidate named \"x\"");
    assert_eq!(standing(&clone), "c:true a:true b:true");
}

#[tokio::test]
async fn loses_no_change_where_threads_make_them_at_once() {
    let up = Replica::up();
    let chain = Chain::new((0..64).map(|n| Candidate::new(n.to_string(), up.clone()))).unwrap();
    std::thread::scope(|scope| {
        for n in 0..64 {
            let handle = chain.handle();
            scope.spawn(move || handle.disable(&n.to_string()).unwrap());
        }
    });
    assert!(chain.handle().candidates().iter().all(|(_, on)| !on));
}

#[test]
fn refuses_two_of_one_name_and_more_than_it_can_hold() {
    let named = |name: &str| Candidate::new(name, Replica::up());
    let duplicate = Chain::new([named("a"), named("b"), named("a")]).unwrap_err();
    assert_eq!(duplicate, InvalidChain::Duplicate("a".into()));
    let many = Chain::new((0..65).map(|n| named(&n.to_string()))).unwrap_err();
    assert_eq!(many, InvalidChain::TooMany(65));
}

#[tokio::test]
async fn a_selection_asks_only_who_is_named_and_enabled() {
    let (a, b, c) = (Replica::down(), Replica::down(), Replica::down());
    let chain = three(&a, &b, &c);
    chain.handle().disable("b").unwrap();
    let error = chain
        .select(["c", "b"])
        .unwrap()
        .oneshot(1)
        .await
        .unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("the only candidate failed: c "),
        "{error}"
    );
    assert_eq!((a.calls(), b.calls(), c.calls()), (0, 0, 1));
    assert_eq!(chain.select(["x"]).unwrap_err().name(), "x");
}
