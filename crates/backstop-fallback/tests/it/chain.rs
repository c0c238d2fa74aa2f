//! A list of candidates: who is asked.

use std::{sync::Arc, time::Duration};

use backstop_core::{BoxError, Exhausted, FaultKind, FaultKinds, context};
use backstop_fallback::{Candidate, Chain, FAIL_OVER, NoCandidate};
use tokio_test::{assert_pending, assert_ready, task};
use tower::ServiceExt;
use tower_test::mock;

use crate::support::{Door, Replica, by_text, three};

#[tokio::test]
async fn asks_one_after_the_other_until_one_answers() {
    let (a, b, c) = (Replica::down(), Replica::down(), Replica::up());
    let chain = three(&a, &b, &c);
    let (reply, trail) = context::traced(chain.clone().oneshot(1)).await;
    assert_eq!(reply.unwrap(), "up");
    assert_eq!(
        trail.to_string(),
        "a unavailable after 0 ms; b unavailable after 0 ms"
    );
    a.set("up");
    assert_eq!(chain.oneshot(1).await.unwrap(), "up");
    assert_eq!((a.calls(), b.calls(), c.calls()), (2, 1, 1));
}

#[tokio::test]
async fn lists_all_that_failed_where_none_answers() {
    let down = Replica::down();
    let error = three(&down, &down, &down).oneshot(1).await.unwrap_err();
    assert!(
        error.to_string().starts_with("all 3 candidates failed: a "),
        "{error}"
    );
    assert_eq!(error.source().unwrap().to_string(), "down");
}

#[tokio::test]
async fn returns_what_is_the_callers_doing_at_once_and_unchanged() {
    let (a, b) = (Replica::failing("invalid"), Replica::up());
    let chain = three(&a, &b, &b).classify(by_text());
    assert_eq!(chain.oneshot(1).await.unwrap_err().to_string(), "invalid");
    assert_eq!((a.calls(), b.calls()), (1, 0));
}

#[tokio::test]
async fn returns_a_failing_last_response_as_it_is() {
    let (a, b) = (
        Replica::answering("unavailable"),
        Replica::answering("overloaded"),
    );
    let chain = Chain::new([Candidate::new("a", a), Candidate::new("b", b)]).unwrap();
    assert_eq!(
        chain.classify(by_text()).oneshot(1).await.unwrap(),
        "overloaded"
    );
}

#[tokio::test]
async fn passes_over_whoever_its_gate_refuses() {
    let (a, b) = (Replica::up(), Replica::up());
    let door = Arc::new(Door::shut());
    let chain = Chain::new([
        Candidate::new("a", a.clone()).gate(door.clone()),
        Candidate::new("b", b.clone()),
    ])
    .unwrap();
    let (reply, trail) = context::traced(chain.clone().oneshot(1)).await;
    assert_eq!(reply.unwrap(), "up");
    assert_eq!(trail.to_string(), "a circuit open, retry in 41 s");
    assert_eq!((a.calls(), b.calls()), (0, 1));

    door.open();
    chain.oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (1, 1));
}

#[tokio::test]
async fn fails_without_a_call_where_every_gate_refuses() {
    let a = Replica::up();
    let door = Arc::new(Door::shut());
    let chain = Chain::new([
        Candidate::new("a", a.clone()).gate(door.clone()),
        Candidate::new("b", a.clone()).gate(door),
    ])
    .unwrap();
    let error = chain.oneshot(1).await.unwrap_err();
    let exhausted: &Exhausted = error.downcast_ref().unwrap();
    assert_eq!(exhausted.retry_after(), Some(Duration::from_secs(41)));
    assert_eq!(exhausted.fault().kind(), FaultKind::Refused);
    assert!(exhausted.last::<NoCandidate>().is_some());
    assert_eq!(a.calls(), 0);
}

#[tokio::test]
async fn records_whoever_is_passed_over_after_the_last_to_be_asked() {
    let door = Arc::new(Door::shut());
    let shut = |name| Candidate::new(name, Replica::up()).gate(door.clone());
    let down = Candidate::new("a", Replica::down());
    let chain = Chain::new([down, shut("b"), shut("c")]).unwrap();
    let (error, trail) = context::traced(chain.oneshot(1)).await;
    let told = "a unavailable after 0 ms; b circuit open, retry in 41 s; \
                c circuit open, retry in 41 s";
    assert_eq!(trail.to_string(), told);
    let error = error.unwrap_err();
    assert_eq!(
        error.to_string(),
        format!("all 3 candidates failed: {told}")
    );
    let exhausted: &Exhausted = error.downcast_ref().unwrap();
    assert_eq!(exhausted.fault().kind(), FaultKind::Unavailable);
    assert_eq!(exhausted.retry_after(), Some(Duration::from_secs(41)));
}

#[tokio::test]
async fn a_gate_that_opens_when_the_request_is_gone_opens_too_late() {
    let (a, b) = (Replica::slow(), Replica::up());
    let door = Arc::new(Door::shut());
    let chain = Chain::new([
        Candidate::new("a", a.clone()),
        Candidate::new("b", b.clone()).gate(door.clone()),
    ])
    .unwrap();
    let mut call = task::spawn(chain.oneshot(1));
    assert_pending!(call.poll());
    door.open();
    a.release("down");
    let error = assert_ready!(call.poll()).unwrap_err();
    assert!(error.is::<Exhausted>(), "{error}");
    assert_eq!((a.calls(), b.calls()), (1, 0));
}

#[tokio::test]
async fn records_a_failure_however_many_were_passed_over_before() {
    let door = Arc::new(Door::shut());
    for shut in 0..4 {
        let shut = (0..shut)
            .map(|place| Candidate::new(place.to_string(), Replica::up()).gate(door.clone()));
        let down = Candidate::new("down", Replica::down());
        let chain = Chain::new(shut.chain([down])).unwrap();
        let (error, trail) = context::traced(chain.oneshot(1)).await;
        assert!(error.is_err());
        assert_eq!(trail.attempted(), 1, "{trail}");
        assert_eq!(trail.last().unwrap().candidate.as_deref(), Some("down"));
    }
}

#[tokio::test]
async fn waits_only_for_the_last_to_be_ready() {
    let (first, mut f) = mock::pair::<u32, &'static str>();
    let (second, mut s) = mock::pair();
    let (third, mut t) = mock::pair();
    f.allow(0);
    s.allow(0);
    t.allow(0);
    let chain = Chain::new([
        Candidate::new("first", first),
        Candidate::new("second", second),
        Candidate::new("third", third),
    ])
    .unwrap();
    let mut call = task::spawn(context::traced(chain.oneshot(1)));
    assert_pending!(call.poll());
    t.allow(1);
    assert!(call.is_woken());
    assert_pending!(call.poll());
    t.next_request().await.unwrap().1.send_response("third");
    let (reply, trail) = assert_ready!(call.poll());
    assert_eq!(reply.unwrap(), "third");
    assert_eq!(trail.to_string(), "first not ready; second not ready");
}

#[tokio::test]
async fn passes_over_whoever_fails_to_become_ready() {
    let (first, mut f) = mock::pair::<u32, &'static str>();
    let (second, mut s) = mock::pair();
    f.send_error("gone");
    let chain = Chain::new([
        Candidate::new("first", first),
        Candidate::new("second", second),
    ])
    .unwrap();
    let mut call = task::spawn(chain.oneshot(1));
    assert_pending!(call.poll());
    s.next_request().await.unwrap().1.send_response("second");
    assert_eq!(assert_ready!(call.poll()).unwrap(), "second");
}

#[tokio::test]
async fn asks_a_larger_candidate_after_too_large_and_no_other() {
    let (small, other, large) = (Replica::failing("too_large"), Replica::up(), Replica::up());
    let chain = Chain::new([
        Candidate::new("small", small),
        Candidate::new("other", other.clone()),
        Candidate::new("large", large.clone()).on(FAIL_OVER.with(FaultKind::TooLarge)),
    ])
    .unwrap();
    chain.classify(by_text()).oneshot(1).await.unwrap();
    assert_eq!((other.calls(), large.calls()), (0, 1));
}

#[tokio::test]
async fn never_begins_with_a_specialist() {
    let (specialist, b) = (Replica::up(), Replica::up());
    let chain = Chain::new([
        Candidate::new("specialist", specialist.clone()).on(FaultKinds::of(&[FaultKind::Filtered])),
        Candidate::new("b", b.clone()),
    ])
    .unwrap()
    .classify(by_text());
    chain.clone().oneshot(1).await.unwrap();
    assert_eq!((specialist.calls(), b.calls()), (0, 1));

    b.set("filtered");
    chain.oneshot(1).await.unwrap();
    assert_eq!((specialist.calls(), b.calls()), (1, 2));
}

#[tokio::test]
async fn begins_though_it_goes_on_after_few_kinds() {
    let (a, b) = (Replica::failing("connect"), Replica::up());
    let chain = three(&a, &b, &b).on(FaultKinds::of(&[FaultKind::Overloaded]));
    let error = chain.classify(by_text()).oneshot(1).await.unwrap_err();
    assert_eq!(error.to_string(), "connect");
    assert_eq!(b.calls(), 0);
}

#[tokio::test]
async fn asks_only_those_that_cost_nothing_beyond_its_bound_on_attempts() {
    let (a, b, fixed) = (Replica::down(), Replica::down(), Replica::up());
    let chain = Chain::new([
        Candidate::new("a", a.clone()),
        Candidate::new("b", b.clone()),
        Candidate::new("fixed", fixed.clone()).free(),
    ])
    .unwrap()
    .max_attempts(1.try_into().unwrap());
    chain.oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls(), fixed.calls()), (1, 0, 1));
}

#[tokio::test]
async fn sends_each_candidate_a_request_of_its_own() {
    let (a, b) = (Replica::down(), Replica::up());
    let chain = Chain::new(
        [(a.clone(), 10), (b.clone(), 20)]
            .into_iter()
            .enumerate()
            .map(|(i, (replica, add))| {
                Candidate::new(i.to_string(), replica).map_request(move |n: u32| n + add)
            }),
    )
    .unwrap();
    chain.oneshot(1).await.unwrap();
    assert_eq!((a.last_request(), b.last_request()), (11, 21));
}

#[tokio::test]
async fn tells_a_retry_further_in_whether_another_candidate_could_be_asked() {
    let (a, b) = (
        Replica::answering("alternatives"),
        Replica::answering("alternatives"),
    );
    let door = Arc::new(Door::shut());
    let chain = Chain::new([
        Candidate::new("a", a),
        Candidate::new("b", b).gate(door.clone()),
    ])
    .unwrap();
    assert_eq!(chain.clone().oneshot(1).await.unwrap(), "alone");
    door.open();
    assert_eq!(chain.oneshot(1).await.unwrap(), "with others");
}

#[tokio::test]
async fn clones_no_request_for_the_last() {
    #[derive(Debug)]
    struct Once;
    impl Clone for Once {
        fn clone(&self) -> Self {
            panic!("cloned");
        }
    }
    let service = tower::service_fn(|_: Once| async { Ok::<_, BoxError>(()) });
    let chain = Chain::new([Candidate::new("only", service)]).unwrap();
    chain.oneshot(Once).await.unwrap();
}

#[tokio::test]
async fn waits_for_the_first_where_there_is_no_other() {
    let (service, mut handle) = mock::pair::<u32, &'static str>();
    handle.allow(0);
    let door = Arc::new(Door::shut());
    let chain = Chain::new([
        Candidate::new("only", service),
        Candidate::new("shut", mock::pair().0).gate(door),
    ])
    .unwrap();
    let mut call = task::spawn(chain.oneshot(1));
    assert_pending!(call.poll());
    handle.allow(1);
    assert_pending!(call.poll());
    handle.next_request().await.unwrap().1.send_response("late");
    assert_eq!(assert_ready!(call.poll()).unwrap(), "late");
}

#[tokio::test]
async fn gives_everything_back_when_dropped_at_any_await_point() {
    let (a, b) = (Replica::slow(), Replica::slow());
    let chain = Chain::new([
        Candidate::new("a", a.clone()),
        Candidate::new("b", b.clone()),
    ]);
    let chain = chain.unwrap();
    let mut call = task::spawn(chain.clone().oneshot(1));
    assert_pending!(call.poll());
    drop(call);
    assert_eq!((a.dropped(), b.calls()), (1, 0));

    let mut call = task::spawn(chain.oneshot(1));
    assert_pending!(call.poll());
    a.release("down");
    assert_pending!(call.poll());
    drop(call);
    assert_eq!((a.dropped(), b.dropped()), (1, 1));
    assert!(context::trail().is_empty() && !context::alternatives());
}
