//! Two services: what the call carries from one layer to the other.

use std::{sync::Arc, time::Duration};

use backstop_core::{
    Attempt, BoxError, Deadline, Exhausted, Fault, FaultKind, Trail, Verdict, classify_fn, context,
};
use backstop_fallback::{Candidate, Chain, FallbackLayer};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Layer, Service, ServiceExt, service_fn, util::ServiceFn};
use tower_test::mock;

use crate::support::{Door, Replica, Reply, answers, by_text, fails};

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

#[tokio::test]
async fn names_what_failed_in_a_candidate_that_then_answers() {
    let retried = |is_slow: bool| {
        service_fn(move |_: u32| async move {
            for number in 1..=2 {
                context::record(Attempt::new(number, Fault::new(FaultKind::Unavailable)));
                if is_slow {
                    tokio::task::yield_now().await;
                }
            }
            context::record(Attempt::new(3, Fault::new(FaultKind::Unavailable)));
            Reply::Ok("at last")
        })
    };
    for is_slow in [false, true] {
        let retried = retried(is_slow);
        let primary = FallbackLayer::new(answers("backup")).layer(retried);
        let (reply, trail) = context::traced(primary.oneshot(1)).await;
        assert_eq!(reply.unwrap(), "at last");
        let own = |trail: &Trail, name| {
            let attempts = trail.attempts().iter();
            let named = attempts.filter(|a| a.candidate.as_deref() == Some(name));
            named.count()
        };
        assert_eq!(own(&trail, "primary"), 3);

        let backup = FallbackLayer::new(retried).layer(fails("down"));
        let (reply, trail) = context::traced(backup.oneshot(1)).await;
        assert_eq!(reply.unwrap(), "at last");
        assert_eq!((own(&trail, "primary"), own(&trail, "backup")), (1, 3));
    }
}

#[tokio::test]
async fn a_chain_records_once_what_failed_in_a_candidate_under_its_name() {
    let retried = |fails: bool| {
        service_fn(move |_: u32| async move {
            for number in 1..=2 {
                context::record(Attempt::new(number, Fault::new(FaultKind::Unavailable)));
                tokio::task::yield_now().await;
            }
            if fails {
                Reply::Err("down".into())
            } else {
                Reply::Ok("at last")
            }
        })
    };
    let chain = Chain::new([
        Candidate::new("a", retried(true)),
        Candidate::new("b", retried(false)),
    ]);
    let (reply, trail) = context::traced(chain.unwrap().oneshot(1)).await;
    assert_eq!(reply.unwrap(), "at last");
    let names = trail.attempts().iter().map(|it| it.candidate.as_deref());
    assert!(names.eq(["a", "a", "b", "b"].map(Some)), "{trail}");
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
async fn is_not_misled_by_it_about_a_primary_that_fails_to_become_ready() {
    let (gone, mut handle) = mock::pair();
    handle.send_error("gone");
    let mut service = FallbackLayer::new(answers("backup")).layer(gone);
    context::leave_fault(Fault::new(FaultKind::Invalid));
    let call = service.ready().await.unwrap().call(1);
    let (reply, trail) = context::traced(call).await;
    assert_eq!(reply.unwrap(), "backup");
    assert_eq!(trail.to_string(), "primary unavailable");
}

#[tokio::test]
async fn records_once_that_a_chain_has_nobody_to_ask() {
    let shut = |name| {
        let candidate = Candidate::new(name, Replica::up()).gate(Arc::new(Door::shut()));
        Chain::new([candidate]).unwrap()
    };
    let service = FallbackLayer::new(shut("b")).layer(shut("a"));
    let (reply, trail) = context::traced(service.oneshot(1)).await;
    assert!(reply.is_err());
    assert_eq!(
        trail.to_string(),
        "a circuit open, retry in 41 s; b circuit open, retry in 41 s"
    );
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
