//! What circuits know, and what was changed by hand, kept in a file over a restart.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use backstop_circuit_breaker::Snapshot;
use serde::{Deserialize, Serialize};
use tokio::{task::JoinHandle, time};
use tracing::{info, warn};

use crate::{changes::Change, gateway::Gateway};

/// How often it is written at least, for a program that does not come to stop in good order. What
/// is changed by hand is kept at once.
const EVERY: Duration = Duration::from_secs(10);

/// How soon a circuit that has opened or closed is kept: others may be about to.
const SOON: Duration = Duration::from_millis(200);

/// What is in the file.
#[derive(Deserialize)]
struct State {
    circuits: BTreeMap<String, Snapshot>,
    changes: BTreeMap<String, Change>,
}

/// The same, as it is written.
#[derive(Serialize)]
struct StateNow<'a> {
    circuits: BTreeMap<&'a str, Snapshot>,
    changes: &'a BTreeMap<String, Change>,
}

/// Writes the state every few seconds, and once more when it is dropped.
#[derive(Debug)]
#[must_use = "the state is kept while this lives"]
pub struct Keeping {
    gateway: Gateway,
    path: PathBuf,
    task: JoinHandle<()>,
}

/// Takes over the state in the file that the config names, if it names one, and keeps it there.
pub fn keep(gateway: &Gateway) -> Option<Keeping> {
    let path = gateway.running().config.state_file.clone()?;
    match read(&path) {
        Ok(State { circuits, changes }) => {
            let (restored, all) = (
                gateway.running().circuits.restore(&circuits),
                circuits.len(),
            );
            info!("the state of {restored} circuits has been taken over");
            if restored < all {
                info!(
                    "that of {} others is forgotten: the config has no such candidates",
                    all - restored
                );
            }
            gateway.change_again(changes);
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => warn!("{}: the state is not taken over: {error}", path.display()),
    }
    let task = tokio::spawn({
        let (gateway, path) = (gateway.clone(), path.clone());
        async move {
            let mut failing = false;
            loop {
                // A file that can't be written is told of at once, and not every few seconds.
                failing = match write(&gateway, &path) {
                    Ok(()) => false,
                    Err(error) => {
                        if !failing {
                            warn_of(&path, &error);
                        }
                        true
                    }
                };
                tokio::select! {
                    () = time::sleep(EVERY) => {}
                    () = gateway.shared.altered.notified() => {}
                    () = settled(&gateway) => {}
                }
            }
        }
    });
    Some(Keeping {
        gateway: gateway.clone(),
        path,
        task,
    })
}

/// Waits until circuits have changed, and a moment longer.
async fn settled(gateway: &Gateway) {
    gateway.shared.history.changed().await;
    time::sleep(SOON).await;
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.task.abort();
        if let Err(error) = write(&self.gateway, &self.path) {
            warn_of(&self.path, &error);
        }
    }
}

/// A device is not read, as it may have no end, and must not be replaced by a file.
fn is_plain(path: &Path) -> io::Result<()> {
    match fs::metadata(path) {
        Ok(found) if !found.is_file() => Err(io::Error::other("it is no plain file")),
        _ => Ok(()),
    }
}

fn read(path: &Path) -> io::Result<State> {
    is_plain(path)?;
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Writes beside the file and renames, so that it is never half there.
fn write(gateway: &Gateway, path: &Path) -> io::Result<()> {
    is_plain(path)?;
    let state = {
        let changes = gateway.shared.changes.hold();
        let running = gateway.running();
        serde_json::to_vec(&StateNow {
            circuits: running.circuits.snapshots(),
            changes: &changes,
        })?
    };
    let beside = path.with_extension("new");
    fs::write(&beside, state)?;
    fs::rename(&beside, path)
}

fn warn_of(path: &Path, error: &io::Error) {
    warn!("{}: the state can't be kept: {error}", path.display());
}
