//! The threads that serve connections.

use std::{io, sync::Arc, thread, time::Duration};

use tokio::{
    runtime::{Builder, Handle},
    sync::oneshot,
    time::sleep,
};

/// How often a thread is woken that has nothing to do.
const BEAT: Duration = Duration::from_secs(1);

/// Where connections are served.
///
/// Each is served by one thread from its beginning to its end, and so are the connections to
/// providers that are made for it: nothing that comes has to wake another thread.
#[derive(Debug)]
pub struct Workers(Vec<Worker>);

#[derive(Debug)]
struct Worker {
    runtime: Handle,
    /// Held by each connection that is served here.
    serving: Arc<()>,
    /// Ends the thread when it is dropped, where there is one.
    _running: Option<oneshot::Sender<()>>,
}

impl Workers {
    /// So many threads as the machine runs at a time, for as long as this lives.
    ///
    /// # Errors
    ///
    /// Where the system gives no thread, or nothing to wait for events with.
    pub fn start() -> io::Result<Self> {
        let count = thread::available_parallelism().map_or(1, usize::from);
        (0..count)
            .map(Worker::start)
            .collect::<Result<_, _>>()
            .map(Self)
    }

    /// The runtime that this is called on.
    #[must_use]
    pub fn here() -> Self {
        Self(vec![Worker::new(Handle::current(), None)])
    }

    /// Serves a connection where the fewest are served.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        let least = self
            .0
            .iter()
            .min_by_key(|it| Arc::strong_count(&it.serving));
        let worker = least.expect("there is at least one");
        let serving = Arc::clone(&worker.serving);
        // A future that is handed to another takes the room of two there; only a pointer to it does
        // not.
        let connection = Box::pin(connection);
        worker.runtime.spawn(async move {
            connection.await;
            drop(serving);
        });
    }
}

impl Worker {
    fn new(runtime: Handle, running: Option<oneshot::Sender<()>>) -> Self {
        Self {
            runtime,
            serving: Arc::default(),
            _running: running,
        }
    }

    fn start(number: usize) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let handle = runtime.handle().clone();
        let (running, stopped) = oneshot::channel();
        thread::Builder::new()
            .name(format!("backstop-{number}"))
            .spawn(move || {
                runtime.block_on(until(stopped));
                // A name that is being looked up is not waited for.
                runtime.shutdown_background();
            })?;
        Ok(Self::new(handle, Some(running)))
    }
}

/// Waits until a thread is to stop, with a timer that is always due soon: where a limit is set that
/// is due before all others, the runtime wakes itself by a system call, and the limit on a caller's
/// next request would be one each time.
async fn until(stopped: oneshot::Receiver<()>) {
    let beat = async {
        loop {
            sleep(BEAT).await;
        }
    };
    tokio::select! {
        // Dropped is as good as told.
        _ = stopped => {}
        () = beat => {}
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use tokio::sync::{Semaphore, mpsc};

    use super::*;

    #[tokio::test]
    async fn connections_are_spread_over_the_threads() {
        let workers = (0..2).map(Worker::start).collect::<Result<_, _>>();
        let workers = Workers(workers.expect("the system has threads"));
        let (served, mut seen) = mpsc::unbounded_channel();
        let over = Arc::new(Semaphore::new(0));
        for _ in 0..4 {
            let (served, over) = (served.clone(), over.clone());
            workers.spawn(async move {
                served.send(thread::current().id()).ok();
                let _ = over.acquire().await;
            });
        }
        let mut by_thread = BTreeMap::new();
        for _ in 0..4 {
            let thread = format!("{:?}", seen.recv().await.expect("is served"));
            *by_thread.entry(thread).or_insert(0) += 1;
        }
        assert_eq!(by_thread.into_values().collect::<Vec<_>>(), [2, 2]);
        over.close();
    }
}
