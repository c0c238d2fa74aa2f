//! Watches the config file, and goes on by what it says now.

use std::time::Duration;

use sha2::{Digest, Sha256};
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

/// Reloads `gateway` whenever the contents change of the file that its config came from, or of one
/// that it names for a key or a certificate; or when a SIGHUP comes. What is wrong is refused and
/// logged, and the gateway goes on as it was.
pub fn watch(gateway: Gateway) -> Watching {
    Watching {
        task: tokio::spawn(async move {
            if gateway.running().config.file.is_none() {
                return;
            }
            let mut known = contents(&gateway).await;
            let mut told = Hangups::new();
            loop {
                let asked = tokio::select! {
                    () = time::sleep(EVERY) => false,
                    () = told.next() => true,
                };
                // A file that is being replaced may be away for a moment.
                let Some(now) = contents(&gateway).await else {
                    continue;
                };
                if asked || known.as_ref() != Some(&now) {
                    // Where it names other files from now on, the next look finds another hash, and
                    // reads it once more: what changes meanwhile is not missed.
                    known = Some(now);
                    // The gateway logs what came of it.
                    let _ = gateway.reload_file();
                }
            }
        }),
    }
}

/// What is in all the files that the running config is made of, where all of them are there. Keys
/// are among them, so only a hash is kept.
async fn contents(gateway: &Gateway) -> Option<[u8; 32]> {
    let mut hash = Sha256::new();
    for path in gateway.running().config.all_files() {
        hash.update(Sha256::digest(fs::read(path).await.ok()?));
    }
    Some(hash.finalize().into())
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
