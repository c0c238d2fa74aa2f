//! Watches the config file, and goes on by what it says now.

use std::time::Duration;

use tokio::{fs, task::JoinHandle, time};

use crate::gateway::Gateway;

/// How often the file is looked at. Looking is cheap, and works for every kind of file system and
/// for files that are replaced by links, which notifications don't.
const EVERY: Duration = Duration::from_secs(1);

/// Watches until it is dropped.
#[derive(Debug)]
#[must_use = "watching ends when this is dropped"]
pub struct Watching {
    task: JoinHandle<()>,
}

impl Drop for Watching {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Reloads `gateway` whenever the contents of the file change that its config came from, or a
/// SIGHUP comes. What is wrong is refused and logged, and the gateway goes on as it was.
pub fn watch(gateway: Gateway) -> Watching {
    let file = gateway.running().config.file.clone();
    Watching {
        task: tokio::spawn(async move {
            let Some(path) = file else { return };
            let mut known = fs::read(&path).await.ok();
            let mut told = Hangups::new();
            loop {
                let asked = tokio::select! {
                    () = time::sleep(EVERY) => false,
                    () = told.next() => true,
                };
                // A file that is being replaced may be away for a moment.
                let Ok(now) = fs::read(&path).await else {
                    continue;
                };
                if asked || known.as_ref() != Some(&now) {
                    known = Some(now);
                    // The gateway logs what came of it.
                    let _ = gateway.reload_file();
                }
            }
        }),
    }
}

/// SIGHUPs, where there are any.
struct Hangups {
    #[cfg(unix)]
    signal: Option<tokio::signal::unix::Signal>,
}

impl Hangups {
    fn new() -> Self {
        Self {
            #[cfg(unix)]
            signal: tokio::signal::unix::signal(tokio::signal::unix::SignalKind::hangup()).ok(),
        }
    }

    async fn next(&mut self) {
        #[cfg(unix)]
        if let Some(signal) = &mut self.signal {
            if signal.recv().await.is_some() {
                return;
            }
        }
        std::future::pending().await
    }
}
