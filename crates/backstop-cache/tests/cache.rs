//! What is kept, for how long, and who is told that it was kept.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use backstop_cache::{Cache, CacheLayer, Cached, NotCached};
use backstop_core::{BoxError, Fault, FaultKind, ServedBy, Stamp, Verdict, classify_fn, context};
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

const HOUR: Duration = Duration::from_secs(3600);

#[derive(Clone, Debug, Default)]
struct Answer {
    text: &'static str,
    served_by: Option<ServedBy>,
}

impl Stamp for Answer {
    fn served_by(&self) -> Option<&ServedBy> {
        self.served_by.as_ref()
    }

    fn served_by_mut(&mut self) -> Option<&mut ServedBy> {
        self.served_by.as_mut()
    }

    fn stamp(&mut self, stamp: ServedBy) {
        self.served_by = Some(stamp);
    }
}

fn key(request: &u32) -> Option<u32> {
    (*request != 0).then_some(*request)
}

fn cache() -> Cache<u32, &'static str> {
    Cache::new("cache", 100, HOUR)
}

async fn from(cache: &Cache<u32, &'static str>, request: u32) -> Result<&'static str, BoxError> {
    Cached::new(cache.clone(), key)
        .unmarked()
        .oneshot(request)
        .await
}

fn answers(
    text: &'static str,
) -> impl Service<u32, Response = &'static str, Error = BoxError, Future: Send> + Clone {
    service_fn(move |_: u32| async move { Ok(text) })
}

#[tokio::test]
async fn answers_with_the_last_success_of_the_same_key() {
    let cache = cache();
    let layer = CacheLayer::new(cache.clone(), key);
    layer.layer(answers("old")).oneshot(1).await.unwrap();
    layer.layer(answers("new")).oneshot(1).await.unwrap();
    assert_eq!(from(&cache, 1).await.unwrap(), "new");
    let error = from(&cache, 2).await.unwrap_err();
    assert!(error.is::<NotCached>());
    assert_eq!(context::fault().unwrap().kind(), FaultKind::Refused);
}

#[tokio::test]
async fn keeps_neither_errors_nor_failing_responses_nor_what_has_no_key() {
    let cache = cache();
    let layer = CacheLayer::new(cache.clone(), key).classify(classify_fn(
        |result: Result<&&'static str, &BoxError>| match result {
            Ok(&"bad") => Fault::new(FaultKind::Unavailable).into(),
            Ok(_) => Verdict::Success,
            Err(_) => Fault::new(FaultKind::Connect).into(),
        },
    ));
    let fails = service_fn(|_: u32| async { Err::<&'static str, BoxError>("down".into()) });
    layer.layer(fails).oneshot(1).await.unwrap_err();
    layer.layer(answers("bad")).oneshot(2).await.unwrap();
    layer.layer(answers("good")).oneshot(0).await.unwrap();
    for request in 0..3 {
        assert!(from(&cache, request).await.is_err(), "{request}");
    }
}

#[tokio::test(start_paused = true)]
async fn hands_out_nothing_older_than_its_maximum() {
    let cache = cache();
    cache.insert(1, "kept");
    tokio::time::advance(HOUR).await;
    assert_eq!(cache.get(&1), Some(("kept", HOUR)));
    tokio::time::advance(Duration::from_millis(1)).await;
    assert_eq!(cache.get(&1), None);
    assert!(from(&cache, 1).await.is_err());
}

#[tokio::test]
async fn forgets_all_when_cleared() {
    let cache = cache();
    cache.insert(1, "kept");
    cache.clear();
    assert_eq!(cache.get(&1), None);
}

#[tokio::test(start_paused = true)]
async fn marks_an_answer_as_degraded_and_tells_its_age() {
    let cache: Cache<u32, Answer> = Cache::new("cache", 100, HOUR);
    let mut original = Answer {
        text: "hello",
        ..Answer::default()
    };
    original.stamp(ServedBy::new("primary".into()).requested("asked".into()));
    cache.insert(1, original);
    tokio::time::advance(Duration::from_secs(61)).await;

    let service = Cached::<_, _, Answer, BoxError>::new(cache, key);
    let answer = service.oneshot(1).await.unwrap();
    assert_eq!(answer.text, "hello");
    let stamp = answer.served_by.unwrap();
    assert_eq!(&*stamp.name, "cache");
    assert_eq!(stamp.requested.as_deref(), Some("asked"));
    assert!(stamp.degraded);
    assert_eq!(stamp.age, Some(Duration::from_secs(61)));
}

#[tokio::test]
async fn keeps_a_part_of_a_response_that_is_no_clone() {
    #[derive(Debug)]
    struct Unclonable(String);
    let cache = Cache::new("cache", 100, HOUR)
        .keeping(|answer: &Unclonable| Some(answer.0.clone()), Unclonable);
    let service = service_fn(|_: u32| async { Ok::<_, BoxError>(Unclonable("hello".into())) });
    CacheLayer::new(cache.clone(), key)
        .layer(service)
        .oneshot(1)
        .await
        .unwrap();
    let cached = Cached::<_, _, Unclonable, BoxError>::new(cache, key).unmarked();
    assert_eq!(cached.oneshot(1).await.unwrap().0, "hello");
}

#[tokio::test]
async fn makes_one_call_of_several_at_once() {
    let (service, mut handle) = mock::pair::<u32, &'static str>();
    let layer = CacheLayer::new(cache(), key).single_flight();
    let service = layer.layer(service);
    let mut calls: Vec<_> = (0..3)
        .map(|_| task::spawn(service.clone().oneshot(1)))
        .collect();
    let mut other = task::spawn(service.clone().oneshot(2));
    for call in &mut calls {
        assert_pending!(call.poll());
    }
    assert_pending!(other.poll());
    let (request, reply) = handle.next_request().await.unwrap();
    assert_eq!(request, 1);
    assert_eq!(
        handle.next_request().await.unwrap().0,
        2,
        "another key has a call of its own"
    );
    reply.send_response("answer");
    for call in &mut calls {
        assert!(call.is_woken());
        assert_eq!(assert_ready!(call.poll()).unwrap(), "answer");
    }
    assert_pending!(task::spawn(handle.next_request()).poll());
}

#[tokio::test]
async fn each_calls_for_itself_where_the_one_that_was_waited_for_fails_or_leaves() {
    for leaves in [false, true] {
        let (service, mut handle) = mock::pair::<u32, &'static str>();
        let layer = CacheLayer::new(cache(), key).single_flight();
        let service = layer.layer(service);
        let mut leader = task::spawn(service.clone().oneshot(1));
        assert_pending!(leader.poll());
        let mut followers: Vec<_> = (0..2)
            .map(|_| task::spawn(service.clone().oneshot(1)))
            .collect();
        for follower in &mut followers {
            assert_pending!(follower.poll());
        }
        let (_, reply) = handle.next_request().await.unwrap();
        if leaves {
            drop(leader);
        } else {
            reply.send_error("down");
            assert_ready!(leader.poll()).unwrap_err();
        }
        for follower in &mut followers {
            assert!(follower.is_woken());
            assert_pending!(follower.poll());
        }
        for follower in &mut followers {
            handle.next_request().await.unwrap().1.send_response("own");
            assert_eq!(assert_ready!(follower.poll()).unwrap(), "own");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_follower_takes_no_answer_that_is_older_than_its_call() {
    let cache = cache();
    cache.insert(1, "old");
    tokio::time::advance(Duration::from_secs(1)).await;
    let (service, mut handle) = mock::pair::<u32, &'static str>();
    let service = CacheLayer::new(cache, key).single_flight().layer(service);
    let mut leader = task::spawn(service.clone().oneshot(1));
    assert_pending!(leader.poll());
    let mut follower = task::spawn(service.oneshot(1));
    assert_pending!(follower.poll());
    tokio::time::advance(Duration::from_millis(1)).await;
    drop(leader);
    assert_pending!(follower.poll());
    assert!(handle.next_request().await.is_some());
}

#[tokio::test]
async fn a_follower_that_leaves_disturbs_nobody() {
    let (service, mut handle) = mock::pair::<u32, &'static str>();
    let service = CacheLayer::new(cache(), key).single_flight().layer(service);
    let mut leader = task::spawn(service.clone().oneshot(1));
    assert_pending!(leader.poll());
    let mut follower = task::spawn(service.clone().oneshot(1));
    assert_pending!(follower.poll());
    drop(follower);
    handle
        .next_request()
        .await
        .unwrap()
        .1
        .send_response("answer");
    assert_eq!(assert_ready!(leader.poll()).unwrap(), "answer");
    let mut next = task::spawn(service.oneshot(1));
    assert_pending!(next.poll());
    assert!(handle.next_request().await.is_some(), "the flight is over");
}

#[tokio::test]
async fn several_at_once_are_several_calls_unless_asked_otherwise() {
    let count = Arc::new(AtomicU32::new(0));
    let counted = count.clone();
    let service = service_fn(move |_: u32| {
        counted.fetch_add(1, Ordering::Relaxed);
        std::future::pending::<Result<&'static str, BoxError>>()
    });
    let service = CacheLayer::new(cache(), key).layer(service);
    for _ in 0..2 {
        assert_pending!(task::spawn(service.clone().oneshot(1)).poll());
    }
    assert_eq!(count.load(Ordering::Relaxed), 2);
}

#[tokio::test]
async fn a_miss_leaves_its_fault_in_the_poll_that_tells_it() {
    let mut cached = Cached::new(cache(), key).unmarked();
    let answer: Result<&str, BoxError> = {
        let call = cached.call(7);
        context::clear_fault();
        call.await
    };
    assert!(answer.unwrap_err().is::<NotCached>());
    assert_eq!(context::fault().unwrap().kind(), FaultKind::Refused);
}
