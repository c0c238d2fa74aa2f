//! Two services: what is cloned, held and given back, and who is passed over.

use std::sync::{
    Arc,
    atomic::{AtomicU32, Ordering},
};

use backstop_core::{BoxError, Exhausted, Fault, FaultKind, Verdict, classify_fn, context};
use backstop_fallback::FallbackLayer;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn};
use tower_test::mock;

use crate::support::{Door, Reply, answers, fails};

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
    let (primary, mut p) = mock::pair();
    let (backup, mut b) = mock::pair::<u32, &'static str>();
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
    let service = layer.gate(Arc::new(Door::shut())).layer(down);
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

#[tokio::test]
async fn a_backup_that_is_not_ready_for_one_call_holds_up_no_other() {
    /// Only every second clone is ever ready.
    struct Backup(Arc<AtomicU32>, bool);
    impl Clone for Backup {
        fn clone(&self) -> Self {
            let ready = self.0.fetch_add(1, Ordering::Relaxed) % 2 == 1;
            Self(self.0.clone(), ready)
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
            if self.1 {
                std::task::Poll::Ready(Ok(()))
            } else {
                std::task::Poll::Pending
            }
        }
        fn call(&mut self, _: u32) -> Self::Future {
            std::future::ready(Ok("backup"))
        }
    }
    let count = Arc::new(AtomicU32::new(0));
    let mut service = FallbackLayer::new(Backup(count.clone(), false)).layer(fails("down"));
    count.store(0, Ordering::Relaxed);
    let mut waits = task::spawn(service.ready().await.unwrap().call(1));
    let mut goes = task::spawn(service.ready().await.unwrap().call(2));
    assert_pending!(waits.poll());
    assert_eq!(assert_ready!(goes.poll()).unwrap(), "backup");
    assert_pending!(waits.poll());
}
