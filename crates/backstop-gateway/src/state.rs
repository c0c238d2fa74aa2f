//! What circuits know, kept in a file over a restart.

use std::{
    collections::BTreeMap,
    fs, io,
    path::{Path, PathBuf},
    time::Duration,
};

use backstop_circuit_breaker::Snapshot;
use tokio::{task::JoinHandle, time};
use tracing::{info, warn};

use crate::gateway::Gateway;

/// How often it is written, for a program that does not come to stop in good order.
const EVERY: Duration = Duration::from_secs(10);

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
        Ok(known) => {
            gateway.running().circuits.restore(&known);
            info!("the state of {} circuits has been taken over", known.len());
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => warn!("{}: the state is not taken over: {error}", path.display()),
    }
    let task = tokio::spawn({
        let (gateway, path) = (gateway.clone(), path.clone());
        async move {
            loop {
                time::sleep(EVERY).await;
                write(&gateway, &path);
            }
        }
    });
    Some(Keeping {
        gateway: gateway.clone(),
        path,
        task,
    })
}

impl Drop for Keeping {
    fn drop(&mut self) {
        self.task.abort();
        write(&self.gateway, &self.path);
    }
}

fn read(path: &Path) -> io::Result<BTreeMap<String, Snapshot>> {
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Writes beside the file and renames, so that it is never half there.
fn write(gateway: &Gateway, path: &Path) {
    let written = serde_json::to_vec(&gateway.running().circuits.snapshots())
        .map_err(io::Error::from)
        .and_then(|state| {
            let beside = path.with_extension("new");
            fs::write(&beside, state)?;
            fs::rename(&beside, path)
        });
    if let Err(error) = written {
        warn!("{}: the state can't be kept: {error}", path.display());
    }
}
