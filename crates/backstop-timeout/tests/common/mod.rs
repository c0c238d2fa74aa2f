//! What the tests have in common.

use std::{task::Context, time::Duration};

use backstop_core::BoxError;
use backstop_timeout::Elapsed;
use tokio::{sync::mpsc, task::yield_now, time::advance};

const SECOND: Duration = Duration::from_secs(1);

pub(crate) fn elapsed(error: &BoxError) -> &Elapsed {
    error.downcast_ref().expect("an Elapsed")
}

/// Uses up the task's cooperative budget, and asks to be polled again: reads from a channel that is
/// never empty until the budget is gone, as a busy connection does.
pub(crate) fn busy(cx: &mut Context<'_>) {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    loop {
        sender.send(()).expect("the receiver lives as long");
        if receiver.poll_recv(cx).is_pending() {
            break;
        }
    }
    cx.waker().wake_by_ref();
}

/// What comes of a call in a second that nothing waits for.
pub(crate) async fn one_second_of<T: Send + 'static>(
    call: impl Future<Output = T> + Send + 'static,
) -> T {
    let call = tokio::spawn(call);
    for _ in 0..2 {
        yield_now().await;
        advance(SECOND / 2).await;
    }
    for _ in 0..10 {
        yield_now().await;
    }
    assert!(call.is_finished());
    call.await.expect("no panic")
}
