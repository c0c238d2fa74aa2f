//! A second candidate that is started beside the first.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
    time::Duration,
};

use backstop_core::{Attempt, BoxError, Budget, Exhausted, Fault, FaultKind, context};
use backstop_fallback::{Candidate, Chain, OUTRUN, order::Fastest};
use tokio::time::Instant;
use tokio_test::{assert_pending, assert_ready, task};
use tower::{Service, ServiceExt, service_fn};

use crate::support::{Door, Replica, by_text, three};

const AFTER: Duration = Duration::from_millis(100);

#[tokio::test(start_paused = true)]
async fn starts_no_other_where_the_first_answers_in_time() {
    let (a, b) = (Replica::up().taking(99), Replica::up());
    three(&a, &b, &b).hedge(AFTER).oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn starts_the_next_beside_the_first_and_drops_the_loser() {
    let start = Instant::now();
    let (a, b, c) = (Replica::slow(), Replica::up().taking(50), Replica::up());
    three(&a, &b, &c).hedge(AFTER).oneshot(1).await.unwrap();
    assert_eq!(start.elapsed(), Duration::from_millis(150));
    assert_eq!((a.dropped(), b.calls(), c.calls()), (1, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn the_loser_is_on_the_trail() {
    let (a, b) = (Replica::slow(), Replica::up().taking(50));
    let chain = three(&a, &b, &b).hedge(AFTER);
    let (reply, trail) = context::traced(chain.oneshot(1)).await;
    assert_eq!(reply.unwrap(), "up");
    assert_eq!(trail.to_string(), "a another was faster after 150 ms");
    assert_eq!(trail.attempts()[0].fault, OUTRUN);
}

#[tokio::test(start_paused = true)]
async fn a_lesser_answer_is_not_raced_for_and_still_steps_in() {
    for free in [false, true] {
        let (a, b) = (Replica::up().taking(300), Replica::down().taking(20));
        let c = Replica::up();
        let last = Candidate::new("c", c.clone());
        let chain = Chain::new([
            Candidate::new("a", a.clone()),
            Candidate::new("b", b.clone()),
            if free { last.free() } else { last.unhedged() },
        ]);
        let chain = chain.unwrap().hedge(AFTER);
        chain.clone().oneshot(1).await.unwrap();
        assert_eq!((a.calls(), b.calls(), c.calls()), (1, 1, 0));
        a.set("down");
        chain.oneshot(1).await.unwrap();
        assert_eq!((a.calls(), b.calls(), c.calls()), (2, 2, 1));
    }
}

#[tokio::test(start_paused = true)]
async fn the_first_can_still_win() {
    let (a, b, c) = (Replica::up().taking(120), Replica::slow(), Replica::up());
    three(&a, &b, &c).hedge(AFTER).oneshot(1).await.unwrap();
    assert_eq!((a.dropped(), b.dropped(), c.calls()), (0, 1, 0));
}

#[tokio::test(start_paused = true)]
async fn has_no_more_than_two_in_flight() {
    let (a, b, c) = (Replica::slow(), Replica::slow(), Replica::up());
    let mut call = task::spawn(three(&a, &b, &c).hedge(AFTER).oneshot(1));
    assert_pending!(call.poll());
    for _ in 0..10 {
        tokio::time::advance(AFTER).await;
        assert_pending!(call.poll());
    }
    assert_eq!((a.calls(), b.calls(), c.calls()), (1, 1, 0));

    // One of them fails: the next is started at once.
    a.release("down");
    assert!(call.is_woken());
    assert_ready!(call.poll()).unwrap();
    assert_eq!((b.dropped(), c.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_quick_failure_starts_the_next_at_once() {
    let start = Instant::now();
    let (a, b, c) = (Replica::down().taking(10), Replica::slow(), Replica::up());
    three(&a, &b, &c).hedge(AFTER).oneshot(1).await.unwrap();
    // The second had its own time before the third was started beside it.
    assert_eq!(start.elapsed(), Duration::from_millis(110));
    assert_eq!((b.dropped(), c.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn a_failure_of_one_does_not_end_the_call_while_the_other_is_in_flight() {
    let (a, b) = (Replica::up().taking(300), Replica::down());
    let chain = Chain::new([Candidate::new("a", a), Candidate::new("b", b)]).unwrap();
    let (reply, trail) = context::traced(chain.hedge(AFTER).oneshot(1)).await;
    assert_eq!(reply.unwrap(), "up");
    assert_eq!(trail.to_string(), "b unavailable after 0 ms");
}

#[tokio::test(start_paused = true)]
async fn what_is_the_callers_doing_ends_the_call_and_drops_the_other() {
    let (a, b) = (Replica::slow(), Replica::failing("invalid"));
    let chain = three(&a, &b, &b).classify(by_text());
    let error = chain.hedge(AFTER).oneshot(1).await.unwrap_err();
    assert_eq!(error.to_string(), "invalid");
    assert_eq!((a.dropped(), b.calls()), (1, 1));
}

#[tokio::test(start_paused = true)]
async fn lists_all_that_failed_each_under_its_name() {
    let (a, b, c) = (
        Replica::down().taking(150),
        Replica::down().taking(20),
        Replica::down().taking(500),
    );
    let error = three(&a, &b, &c).hedge(AFTER).oneshot(1).await.unwrap_err();
    assert!(error.is::<Exhausted>());
    assert_eq!(
        error.to_string(),
        "all 3 candidates failed: b unavailable after 20 ms; a unavailable after 150 ms; \
         c unavailable after 500 ms"
    );
}

#[tokio::test(start_paused = true)]
async fn starts_nobody_whose_gate_refuses() {
    let (a, b) = (Replica::up().taking(300), Replica::up());
    let chain = Chain::new([
        Candidate::new("a", a.clone()),
        Candidate::new("b", b.clone()).gate(Arc::new(Door::shut())),
    ]);
    chain.unwrap().hedge(AFTER).oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn starts_as_many_as_the_budget_allows() {
    let budget = Budget::ratio(0.1).unwrap().initial(1);
    let (a, b) = (Replica::up().taking(300), Replica::slow());
    let chain = three(&a, &b, &b).hedge(AFTER).budget(budget.clone());
    for _ in 0..3 {
        chain.clone().oneshot(1).await.unwrap();
    }
    assert_eq!((a.calls(), b.calls()), (3, 1));
    assert_eq!(budget.balance(), 0.0);
}

#[tokio::test(start_paused = true)]
async fn pays_nothing_where_there_is_nobody_to_start_and_gets_back_what_won() {
    let budget = Budget::tokens(28.try_into().unwrap());
    let a = Replica::up().taking(300);
    let alone = Chain::new([Candidate::new("a", a.clone())]).unwrap();
    alone
        .hedge(AFTER)
        .budget(budget.clone())
        .oneshot(1)
        .await
        .unwrap();
    assert_eq!(budget.balance(), 28.0);

    let quick = Replica::up();
    let chain = three(&a, &quick, &quick)
        .hedge(AFTER)
        .budget(budget.clone());
    chain.oneshot(1).await.unwrap();
    assert_eq!(budget.balance(), 28.0);
}

/// A candidate that is not ready, fails to become so or refuses; or one that answers.
#[derive(Clone, Copy)]
enum Mood {
    Pending,
    Failing,
    Refusing,
    Slow,
    Quick,
}

impl Service<u32> for Mood {
    type Response = &'static str;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<&'static str, BoxError>>>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        match self {
            Self::Pending => Poll::Pending,
            Self::Failing => Poll::Ready(Err("gone".into())),
            Self::Refusing | Self::Slow | Self::Quick => Poll::Ready(Ok(())),
        }
    }

    fn call(&mut self, _: u32) -> Self::Future {
        let mood = *self;
        Box::pin(async move {
            match mood {
                Self::Slow => tokio::time::sleep(3 * AFTER).await,
                Self::Quick => {}
                _ => {
                    context::leave_fault(Fault::new(FaultKind::Refused));
                    return Err("circuit open".into());
                }
            }
            Ok("up")
        })
    }
}

#[tokio::test(start_paused = true)]
async fn pays_nothing_for_one_that_could_not_be_asked() {
    use Mood::{Failing, Pending, Quick, Refusing, Slow};
    // One that can be asked in its place is paid for once, and gets that back if it wins.
    for (others, left) in [
        ([Refusing, Refusing], 28.0),
        ([Failing, Failing], 28.0),
        ([Refusing, Failing], 28.0),
        ([Refusing, Slow], 14.0),
        ([Failing, Slow], 14.0),
        ([Pending, Slow], 14.0),
        ([Refusing, Quick], 28.0),
        ([Failing, Quick], 28.0),
        ([Pending, Quick], 28.0),
    ] {
        let budget = Budget::tokens(28.try_into().unwrap());
        let [b, c] = others;
        let candidates = [("a", Slow), ("b", b), ("c", c)];
        let chain = Chain::new(candidates.map(|(name, service)| Candidate::new(name, service)));
        let chain = chain.unwrap().hedge(AFTER).budget(budget.clone());
        chain.oneshot(1).await.unwrap();
        assert_eq!(budget.balance(), left);
    }
}

#[tokio::test(start_paused = true)]
async fn counts_the_one_in_flight_against_the_bound_on_attempts() {
    let (a, b) = (Replica::up().taking(300), Replica::up());
    let bound = |n: u32| {
        three(&a, &b, &b)
            .max_attempts(n.try_into().unwrap())
            .hedge(AFTER)
    };
    bound(1).oneshot(1).await.unwrap();
    assert_eq!(b.calls(), 0);
    bound(2).oneshot(1).await.unwrap();
    assert_eq!(b.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn one_that_fails_beside_another_is_not_replaced_beyond_the_bound() {
    let (a, b, c) = (
        Replica::up().taking(300),
        Replica::down().taking(20),
        Replica::up(),
    );
    let bound = |n: u32| three(&a, &b, &c).max_attempts(n.try_into().unwrap());
    bound(2).hedge(AFTER).oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls(), c.calls()), (1, 1, 0));
    bound(3).hedge(AFTER).oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls(), c.calls()), (2, 2, 1));
}

#[tokio::test(start_paused = true)]
async fn a_bound_further_out_holds_for_those_that_run_at_once() {
    let (a, b) = (Replica::up().taking(300), Replica::up());
    let bound = |n: u32| {
        let hedged = Candidate::new("hedged", three(&a, &b, &b).hedge(AFTER));
        let chain = Chain::new([hedged]).unwrap();
        chain.max_attempts(n.try_into().unwrap())
    };
    bound(1).oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (1, 0));
    bound(2).oneshot(1).await.unwrap();
    assert_eq!((a.calls(), b.calls()), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn what_is_further_in_counts_the_other_in_flight() {
    let asked = Arc::new(Mutex::new(Vec::new()));
    let heard = asked.clone();
    // As a retry does, after its first attempt.
    let retrying = service_fn(move |_: u32| {
        let heard = heard.clone();
        async move {
            tokio::time::sleep(2 * AFTER).await;
            context::record(Attempt::new(1, Fault::new(FaultKind::Connect)));
            heard.lock().unwrap().push(context::may_attempt());
            Ok::<_, BoxError>("up")
        }
    });
    for n in 1..=3_u32 {
        let candidates = ["a", "b"].map(|name| Candidate::new(name, retrying.clone()));
        let chain = Chain::new(candidates).unwrap();
        let chain = chain.max_attempts(n.try_into().unwrap()).hedge(AFTER);
        chain.oneshot(1).await.unwrap();
    }
    assert_eq!(*asked.lock().unwrap(), [false, false, true]);
}

#[tokio::test(start_paused = true)]
async fn a_loser_is_known_to_be_slower_than_it_was_given_time_for() {
    let (a, b) = (Replica::slow(), Replica::up().taking(50));
    let chain = three(&a, &b, &b).order(Fastest).hedge(AFTER);
    chain.clone().oneshot(1).await.unwrap();
    let (loser, _) = &chain.handle().candidates()[0];
    let latency = loser.profile().latency().at(Instant::now());
    assert_eq!(latency, Duration::from_millis(150));
}

#[tokio::test(start_paused = true)]
async fn drops_both_with_the_call() {
    let (a, b) = (Replica::slow(), Replica::slow());
    let mut call = task::spawn(three(&a, &b, &b).hedge(AFTER).oneshot(1));
    assert_pending!(call.poll());
    tokio::time::advance(AFTER).await;
    assert_pending!(call.poll());
    drop(call);
    assert_eq!((a.dropped(), b.dropped()), (1, 1));
    assert!(context::trail().is_empty() && !context::alternatives());
}

#[tokio::test]
async fn fails_where_there_is_nobody() {
    let chain: Chain<Replica> = Chain::new([]).unwrap();
    let error = chain.hedge(AFTER).oneshot(1).await.unwrap_err();
    assert!(error.is::<Exhausted>());
}
