//! The runtime whose timers the layers use.

use std::{pin::Pin, task::Context, time::Duration};

use tokio::{
    runtime::{Builder, EnterGuard, Runtime},
    time::Sleep,
};

/// Longer than any run, so that no timer of a layer fires.
pub(crate) const NEVER: Duration = Duration::from_secs(2 * 60 * 60);

/// Runs `f` where timers can be made. Nothing but `f` runs on the thread meanwhile.
pub(crate) fn with_timers<R>(f: impl FnOnce() -> R) -> R {
    let runtime = Builder::new_current_thread()
        .enable_time()
        .build()
        .expect("a runtime without I/O asks nothing of the system that could fail");
    let (_entered, _anchor) = enter(&runtime);
    f()
}

/// Enters the runtime and leaves an early timer with its driver. The first timer of an idle driver
/// wakes it, which costs more than all else; a busy service has always an earlier one.
fn enter(runtime: &Runtime) -> (EnterGuard<'_>, Pin<Box<Sleep>>) {
    let entered = runtime.enter();
    let mut anchor = Box::pin(tokio::time::sleep(NEVER / 2));
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(
        anchor.as_mut().poll(&mut cx).is_pending(),
        "the anchor is far off"
    );
    // The driver takes note of its earliest timer when it parks.
    runtime.block_on(tokio::time::sleep(Duration::from_millis(1)));
    (entered, anchor)
}
