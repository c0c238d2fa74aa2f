//! Two services: when the backup is asked, and what the caller gets.

use std::{
    cell::Cell,
    convert::Infallible,
    rc::Rc,
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::Duration,
};

use backstop_core::{
    Attempt, BoxError, Deadline, Exhausted, Fault, FaultKind, Gate, Verdict, classify_fn, context,
};
use backstop_fallback::FallbackLayer;
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn, util::ServiceFn};
use tower_test::mock::{self, Mock};

type Reply = Result<&'static str, BoxError>;

fn pair() -> (
    Mock<u32, &'static str>,
    mock::Handle<u32, &'static str>,
    Mock<u32, &'static str>,
    mock::Handle<u32, &'static str>,
) {
    let (primary, p) = mock::pair();
    let (backup, b) = mock::pair();
    (primary, p, backup, b)
}

fn fails(
    with: &'static str,
) -> impl Service<u32, Response = &'static str, Error = BoxError, Future: Send> + Clone {
    service_fn(move |_: u32| async move { Reply::Err(with.into()) })
}

fn answers(
    with: &'static str,
) -> impl Service<u32, Response = &'static str, Error = BoxError, Future: Send> + Clone {
    service_fn(move |_: u32| async move { Reply::Ok(with) })
}

/// Reads the kind of a failure out of an error's text.
fn by_text() -> backstop_core::ClassifyFn<fn(Result<&&'static str, &BoxError>) -> Verdict> {
    fn classify(result: Result<&&'static str, &BoxError>) -> Verdict {
        let text = match result {
            Ok(text) => (*text).to_owned(),
            Err(error) => error.to_string(),
        };
        let found = FaultKind::ALL.into_iter().find(|kind| kind.label() == text);
        match found {
            Some(kind) => Fault::new(kind).into(),
            None if text == "cancelled" => Verdict::Neutral,
            None => Verdict::Success,
        }
    }
    classify_fn(classify)
}

#[tokio::test(start_paused = true)]
async fn answers_from_the_primary_and_leaves_the_backup_alone() {
    let (primary, mut p, backup, mut b) = pair();
    let mut service = FallbackLayer::new(backup).layer(primary);

    let mut call = task::spawn(service.ready().await.unwrap().call(1));
    assert_pending!(call.poll());
    let (request, reply) = p.next_request().await.unwrap();
    assert_eq!(request, 1);
    reply.send_response("primary");

    assert_eq!(assert_ready!(call.poll()).unwrap(), "primary");
    assert!(task::spawn(b.next_request()).poll().is_pending());
}

#[tokio::test(start_paused = true)]
async fn asks_the_backup_with_no_wait_where_the_primary_fails() {
    let (primary, mut p, backup, mut b) = pair();
    let mut service = FallbackLayer::new(backup).layer(primary);
    let start = Instant::now();

    let mut call = task::spawn(service.ready().await.unwrap().call(1));
    assert_pending!(call.poll());
    p.next_request().await.unwrap().1.send_error("down");
    assert_pending!(call.poll());
    let (request, reply) = b.next_request().await.unwrap();
    assert_eq!(request, 1);
    reply.send_response("backup");

    assert_eq!(assert_ready!(call.poll()).unwrap(), "backup");
    assert_eq!(start.elapsed(), Duration::ZERO);
}

#[tokio::test(start_paused = true)]
async fn fails_over_on_every_kind_that_is_not_the_callers_doing() {
    let over = [
        FaultKind::Connect,
        FaultKind::Denied,
        FaultKind::Malformed,
        FaultKind::Missing,
        FaultKind::Overloaded,
        FaultKind::QuotaExhausted,
        FaultKind::RateLimited,
        FaultKind::Refused,
        FaultKind::TimedOut,
        FaultKind::Unavailable,
    ];
    for kind in FaultKind::ALL {
        let layer = FallbackLayer::new(answers("backup")).classify(by_text());
        let error = layer.layer(fails(kind.label())).oneshot(1).await;
        let response = layer.layer(answers(kind.label())).oneshot(1).await;
        if over.contains(&kind) {
            assert_eq!(error.unwrap(), "backup", "{kind:?}");
            assert_eq!(response.unwrap(), "backup", "{kind:?}");
        } else {
            assert_eq!(error.unwrap_err().to_string(), kind.label(), "{kind:?}");
            assert_eq!(response.unwrap(), kind.label(), "{kind:?}");
        }
    }
}

#[tokio::test]
async fn does_not_fail_over_where_the_caller_cancelled() {
    let layer = FallbackLayer::new(answers("backup")).classify(by_text());
    let error = layer
        .layer(fails("cancelled"))
        .oneshot(1)
        .await
        .unwrap_err();
    assert_eq!(error.to_string(), "cancelled");
}

#[tokio::test(start_paused = true)]
async fn lists_all_that_failed_where_the_backup_fails_too() {
    let slow = service_fn(|_: u32| async {
        tokio::time::sleep(Duration::from_millis(212)).await;
        Reply::Err("overloaded".into())
    });
    let layer = FallbackLayer::new(fails("connect")).classify(by_text());
    let error = layer.layer(slow).oneshot(1).await.unwrap_err();

    assert_eq!(
        error.to_string(),
        "all 2 candidates failed: primary overloaded after 212 ms; \
         backup no connection after 0 ms"
    );
    let exhausted: &Exhausted = error.downcast_ref().unwrap();
    assert_eq!(exhausted.fault().kind(), FaultKind::Connect);
    assert_eq!(error.source().unwrap().to_string(), "connect");
}

#[tokio::test]
async fn leaves_the_fault_for_the_next_layer_out_with_the_soonest_retry() {
    let after = |wait| {
        classify_fn(
            move |result: Result<&&'static str, &BoxError>| match result {
                Ok(_) => Verdict::Success,
                Err(error) if error.to_string() == "soon" => Fault::new(FaultKind::RateLimited)
                    .with_retry_after(wait)
                    .into(),
                Err(_) => Fault::new(FaultKind::Overloaded)
                    .with_retry_after(10 * wait)
                    .into(),
            },
        )
    };
    let wait = Duration::from_secs(3);
    let layer = FallbackLayer::new(fails("later")).classify(after(wait));
    let (left, _) = context::traced(async {
        let _ = layer.layer(fails("soon")).oneshot(1).await.unwrap_err();
        context::fault()
    })
    .await;
    let left = left.unwrap();
    assert_eq!(left.kind(), FaultKind::Overloaded);
    assert_eq!(left.retry_after(), Some(wait));
}

#[tokio::test]
async fn returns_a_failing_last_response_as_it_is() {
    let layer = FallbackLayer::new(answers("overloaded")).classify(by_text());
    let service = layer.layer(answers("unavailable"));
    let (result, trail) = context::traced(service.oneshot(1)).await;
    assert_eq!(result.unwrap(), "overloaded");
    assert_eq!(trail.attempts().len(), 2);
}

#[tokio::test]
async fn passes_over_a_primary_that_is_pending() {
    let (primary, mut p) = mock::pair();
    p.allow(0);
    let service = FallbackLayer::new(answers("backup")).layer(primary);
    let (result, trail) = context::traced(service.oneshot(1)).await;
    assert_eq!(result.unwrap(), "backup");
    assert_eq!(trail.to_string(), "primary not ready");
}

#[tokio::test]
async fn passes_over_a_primary_that_fails_to_become_ready_and_stays_ready_itself() {
    let (primary, mut p) = mock::pair();
    let mut service = FallbackLayer::new(answers("backup")).layer(primary);
    for _ in 0..2 {
        p.send_error("gone");
        let reply = service.ready().await.unwrap().call(1).await;
        assert_eq!(reply.unwrap(), "backup");
    }
}

#[tokio::test]
async fn waits_for_the_backup_to_be_ready() {
    let (primary, mut p, backup, mut b) = pair();
    b.allow(0);
    let mut service = FallbackLayer::new(backup).layer(primary);
    let mut call = task::spawn(service.ready().await.unwrap().call(1));
    assert_pending!(call.poll());
    p.next_request().await.unwrap().1.send_error("down");
    assert_pending!(call.poll());

    b.allow(1);
    assert!(call.is_woken());
    assert_pending!(call.poll());
    b.next_request().await.unwrap().1.send_response("backup");
    assert_eq!(assert_ready!(call.poll()).unwrap(), "backup");
}

#[tokio::test]
async fn fails_with_the_backups_readiness_error_where_that_is_the_last() {
    let (backup, mut b) = mock::pair::<u32, &'static str>();
    b.send_error("gone");
    let service = FallbackLayer::new(backup).layer(fails("down"));
    let error = service.oneshot(1).await.unwrap_err();
    assert!(error.is::<Exhausted>(), "{error}");
    assert_eq!(error.source().unwrap().to_string(), "gone");
}

/// A request that counts how often it is cloned.
#[derive(Debug, Default)]
struct Counted(Arc<AtomicU32>);

impl Clone for Counted {
    fn clone(&self) -> Self {
        self.0.fetch_add(1, Ordering::Relaxed);
        Self(self.0.clone())
    }
}

#[derive(Clone)]
struct Closed;

impl Gate for Closed {
    fn admits(&self, _: Instant) -> Result<(), Fault> {
        let wait = Duration::from_secs(41);
        Err(Fault::new(FaultKind::Refused)
            .because("circuit open")
            .with_retry_after(wait))
    }
}

#[tokio::test]
async fn clones_the_request_once_and_not_at_all_where_the_gate_refuses() {
    let count = Arc::new(AtomicU32::new(0));
    let down = service_fn(|_: Counted| async { Err::<(), BoxError>("down".into()) });
    let up = service_fn(|_: Counted| async { Ok::<(), BoxError>(()) });

    let layer = FallbackLayer::new(up);
    layer
        .layer(down)
        .oneshot(Counted(count.clone()))
        .await
        .unwrap();
    assert_eq!(count.swap(0, Ordering::Relaxed), 1);

    let calls = Arc::new(AtomicU32::new(0));
    let called = calls.clone();
    let down = service_fn(move |_: Counted| {
        called.fetch_add(1, Ordering::Relaxed);
        async { Err::<(), BoxError>("down".into()) }
    });
    let service = layer.gate(Closed).layer(down);
    let (_, trail) = context::traced(service.oneshot(Counted(count.clone()))).await;
    assert_eq!(count.load(Ordering::Relaxed), 0);
    assert_eq!(calls.load(Ordering::Relaxed), 0);
    assert_eq!(trail.to_string(), "primary circuit open, retry in 41 s");
    assert_eq!(trail.attempted(), 0);
}

#[tokio::test]
async fn clones_the_backup_once_a_call() {
    #[derive(Debug)]
    struct Backup(Arc<AtomicU32>);
    impl Clone for Backup {
        fn clone(&self) -> Self {
            self.0.fetch_add(1, Ordering::Relaxed);
            Self(self.0.clone())
        }
    }
    impl Service<u32> for Backup {
        type Response = &'static str;
        type Error = BoxError;
        type Future = std::future::Ready<Reply>;
        fn poll_ready(
            &mut self,
            _: &mut std::task::Context<'_>,
        ) -> std::task::Poll<Result<(), BoxError>> {
            std::task::Poll::Ready(Ok(()))
        }
        fn call(&mut self, _: u32) -> Self::Future {
            std::future::ready(Ok("backup"))
        }
    }
    let count = Arc::new(AtomicU32::new(0));
    let mut service = FallbackLayer::new(Backup(count.clone())).layer(fails("down"));
    count.store(0, Ordering::Relaxed);
    service.ready().await.unwrap().call(1).await.unwrap();
    assert_eq!(count.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn sends_the_backup_a_request_of_another_type() {
    let backup = service_fn(|name: String| async move { Ok::<_, BoxError>(name) });
    let primary = service_fn(|_: u32| async { Err::<String, BoxError>("down".into()) });
    let layer = FallbackLayer::new(backup).map_request(|id: u32| format!("user {id}"));
    assert_eq!(layer.layer(primary).oneshot(7).await.unwrap(), "user 7");
}

#[tokio::test]
async fn drops_a_failed_response_before_the_backup_is_asked() {
    struct Held(&'static str, Arc<AtomicU32>);
    impl Drop for Held {
        fn drop(&mut self) {
            self.1.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let held = Arc::new(AtomicU32::new(0));
    let (one, two) = (held.clone(), held.clone());
    let primary = service_fn(move |_: u32| {
        one.fetch_add(1, Ordering::Relaxed);
        let held = Held("unavailable", one.clone());
        async { Ok::<_, BoxError>(held) }
    });
    let backup = service_fn(move |_: u32| {
        let before = two.fetch_add(1, Ordering::Relaxed);
        assert_eq!(before, 0, "the failed response is still held");
        let held = Held("backup", two.clone());
        async { Ok::<_, BoxError>(held) }
    });
    let layer =
        FallbackLayer::new(backup).classify(classify_fn(|result: Result<&Held, &BoxError>| {
            match result {
                Ok(Held("unavailable", _)) | Err(_) => Fault::new(FaultKind::Unavailable).into(),
                Ok(_) => Verdict::Success,
            }
        }));
    let reply = layer.layer(primary).oneshot(1).await.unwrap();
    assert_eq!(reply.0, "backup");
    drop(reply);
    assert_eq!(held.load(Ordering::Relaxed), 0);
}

#[tokio::test]
async fn tells_a_retry_further_in_whether_another_candidate_is_left() {
    let tell = |fail: bool| {
        service_fn(move |_: u32| {
            let in_call = context::alternatives();
            async move {
                let seen = (in_call, context::alternatives());
                if fail {
                    Err(format!("{seen:?}").into())
                } else {
                    Ok(seen)
                }
            }
        })
    };
    let service = FallbackLayer::new(tell(false)).layer(tell(true));
    let (result, trail) = context::traced(service.oneshot(1)).await;
    assert_eq!(result.unwrap(), (false, false));
    assert_eq!(trail.attempts().len(), 1);

    let seen: ServiceFn<_> = tell(false);
    let service = FallbackLayer::new(seen).layer(seen);
    let alone: Result<(bool, bool), BoxError> = service.oneshot(1).await;
    assert_eq!(alone.unwrap(), (true, true));
}

#[tokio::test]
async fn counts_the_attempts_of_a_retry_further_in_against_its_bound() {
    let retried = service_fn(|_: u32| async {
        for number in 1..=2 {
            context::record(Attempt::new(number, Fault::new(FaultKind::Unavailable)));
        }
        assert!(context::may_attempt(), "a third attempt is allowed");
        context::record(Attempt::new(3, Fault::new(FaultKind::Unavailable)));
        assert!(!context::may_attempt(), "a fourth is not");
        Reply::Err("down".into())
    });
    let layer = FallbackLayer::new(answers("backup")).max_attempts(3.try_into().unwrap());
    let error = layer.layer(retried).oneshot(1).await.unwrap_err();
    let exhausted: &Exhausted = error.downcast_ref().unwrap();
    assert_eq!(exhausted.trail().attempts().len(), 3);
    assert!(
        exhausted
            .trail()
            .attempts()
            .iter()
            .all(|a| a.candidate.as_deref() == Some("primary"))
    );
}

#[tokio::test(start_paused = true)]
async fn asks_no_backup_once_the_deadline_has_passed() {
    let deadline = Deadline::after(Instant::now(), Duration::from_secs(1));
    let slow = service_fn(|_: u32| async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        Reply::Err("too late".into())
    });
    let call = FallbackLayer::new(answers("backup")).layer(slow).oneshot(1);
    let mut call = task::spawn(call);
    let result = std::future::poll_fn(|_| {
        let _deadline = context::enter_deadline(deadline);
        call.poll()
    });
    tokio::pin!(result);
    let mut result = task::spawn(result);
    assert_pending!(result.poll());
    tokio::time::advance(Duration::from_secs(3)).await;
    let error = assert_ready!(result.poll()).unwrap_err();
    assert!(error.is::<Exhausted>());
    assert_eq!(error.source().unwrap().to_string(), "too late");
}

#[tokio::test]
async fn is_not_misled_by_a_fault_that_an_earlier_call_left_behind() {
    context::leave_fault(Fault::new(FaultKind::Invalid));
    let service = FallbackLayer::new(answers("backup")).layer(fails("down"));
    assert_eq!(service.oneshot(1).await.unwrap(), "backup");
}

#[tokio::test]
async fn leaves_no_fault_behind_an_answer() {
    let refused = service_fn(|_: u32| async {
        context::leave_fault(Fault::new(FaultKind::Refused));
        Reply::Err("circuit open".into())
    });
    let (left, trail) = context::traced(async {
        let layer = FallbackLayer::new(answers("backup")).classify(by_text());
        layer.layer(refused).oneshot(1).await.unwrap();
        context::fault()
    })
    .await;
    assert_eq!(left, None);
    assert_eq!(trail.last().unwrap().fault.kind(), FaultKind::Refused);
}

#[tokio::test]
async fn nests_for_three_services_of_different_types() {
    let last = service_fn(|_: u32| std::future::ready(Reply::Err("down".into())));
    let service = FallbackLayer::new(last).names("inner", "last").layer(
        FallbackLayer::new(fails("down"))
            .names("first", "second")
            .layer(fails("down")),
    );
    let error = service.oneshot(1).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "all 3 candidates failed: first unavailable after 0 ms; \
         second unavailable after 0 ms; last unavailable after 0 ms"
    );
    assert_eq!(error.source().unwrap().to_string(), "down");

    let inner = FallbackLayer::new(fails("down"))
        .names("second", "third")
        .layer(fails("down"));
    let service = FallbackLayer::new(inner)
        .names("first", "rest")
        .layer(fails("down"));
    let error = service.oneshot(1).await.unwrap_err();
    assert_eq!(
        error
            .downcast_ref::<Exhausted>()
            .unwrap()
            .trail()
            .attempts()
            .len(),
        3
    );
    assert_eq!(
        error.source().unwrap().to_string(),
        "down",
        "wrapped only once"
    );
}

#[tokio::test]
async fn does_not_wait_for_a_backup_where_a_fallback_further_out_has_another() {
    let (backup, mut b) = mock::pair::<u32, &'static str>();
    b.allow(0);
    let inner = FallbackLayer::new(backup).layer(fails("down"));
    let service = FallbackLayer::new(answers("outer backup")).layer(inner);
    assert_eq!(service.oneshot(1).await.unwrap(), "outer backup");
}

#[tokio::test]
async fn works_over_services_that_are_not_send() {
    let calls = Rc::new(Cell::new(0));
    let count = calls.clone();
    let primary = service_fn(move |_: u32| {
        count.set(count.get() + 1);
        let count = count.clone();
        async move {
            if count.get() > 0 {
                Reply::Err("down".into())
            } else {
                Ok("never")
            }
        }
    });
    let service = FallbackLayer::new(answers("backup")).layer(primary);
    let local = tokio::task::LocalSet::new();
    let reply = local.run_until(async { tokio::task::spawn_local(service.oneshot(1)).await });
    assert_eq!(reply.await.unwrap().unwrap(), "backup");
    assert_eq!(calls.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn gives_everything_back_when_dropped_at_any_await_point() {
    let held = Arc::new(AtomicU32::new(0));
    let hold = |held: Arc<AtomicU32>, failed: bool| {
        service_fn(move |_: u32| {
            let held = held.clone();
            async move {
                held.fetch_add(1, Ordering::Relaxed);
                let _release = Release(held);
                tokio::task::yield_now().await;
                tokio::task::yield_now().await;
                if failed {
                    Reply::Err("down".into())
                } else {
                    Ok("backup")
                }
            }
        })
    };
    let mut finished = false;
    for polls in 0.. {
        let layer = FallbackLayer::new(hold(held.clone(), false));
        let service = layer.layer(hold(held.clone(), true));
        let mut call = task::spawn(service.oneshot(1));
        for _ in 0..polls {
            if let std::task::Poll::Ready(result) = call.poll() {
                assert_eq!(result.unwrap(), "backup");
                finished = true;
                break;
            }
        }
        drop(call);
        assert_eq!(held.load(Ordering::Relaxed), 0, "after {polls} polls");
        assert!(!context::alternatives());
        assert!(context::trail().is_empty());
        if finished {
            assert_eq!(polls, 5);
            break;
        }
    }
}

struct Release(Arc<AtomicU32>);

impl Drop for Release {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An error of one's own stays exhaustive.
#[derive(Debug)]
enum Error {
    Exhausted(Exhausted),
    Down,
}

impl From<Exhausted> for Error {
    fn from(error: Exhausted) -> Self {
        Self::Exhausted(error)
    }
}

impl From<Error> for BoxError {
    fn from(error: Error) -> Self {
        match error {
            Error::Exhausted(error) => error.into(),
            Error::Down => "down".into(),
        }
    }
}

#[tokio::test]
async fn keeps_the_error_type_of_the_service() {
    let down = || service_fn(|_: u32| async { Err::<Infallible, _>(Error::Down) });
    let error = FallbackLayer::new(down())
        .layer(down())
        .oneshot(1)
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Exhausted(_)));
}
