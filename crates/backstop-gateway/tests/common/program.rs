//! The program itself, as a process of its own, and what can be seen of it from outside.

#![allow(dead_code, reason = "each test file uses a part of it")]

use std::{
    fs,
    net::SocketAddr,
    path::Path,
    process::{ExitStatus, Stdio},
};

use tokio::{
    io::{AsyncBufReadExt, BufReader},
    process::{Child, Command},
};

/// `backstop`, serving.
pub(crate) struct Program {
    child: Child,
    pub(crate) address: SocketAddr,
}

/// What the process holds of the machine.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Resident memory, in KiB.
    pub(crate) memory: u64,
    /// Open file descriptors.
    pub(crate) files: u64,
}

impl Program {
    /// Starts it with this config, on a free port. A line for each call of an hour would be no part
    /// of what is tested, so it logs errors only.
    pub(crate) async fn start(config: &Path) -> Self {
        Self::logging(config, "error", Stdio::inherit()).await
    }

    /// Starts it, and has it log what this filter says to there.
    pub(crate) async fn logging(config: &Path, filter: &str, to: Stdio) -> Self {
        Self::within(config, filter, to, []).await
    }

    /// The same, with these variables in its environment.
    pub(crate) async fn within(
        config: &Path,
        filter: &str,
        to: Stdio,
        environment: impl IntoIterator<Item = (&str, String)>,
    ) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_backstop"))
            .args(["--listen", "127.0.0.1:0", "--config"])
            .arg(config)
            .env("RUST_LOG", filter)
            .envs(environment)
            .stderr(to)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("it starts");
        let stdout = child.stdout.take().expect("it is piped");
        let mut lines = BufReader::new(stdout).lines();
        let address = loop {
            let line = lines.next_line().await.expect("it can be read");
            let line = line.expect("it says where it listens before it ends");
            if let Some(address) = line.strip_prefix("listening on http://") {
                break address.parse().expect("it is an address");
            }
        };
        Self { child, address }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// What it holds now; none where the system does not tell.
    pub(crate) fn held(&self) -> Option<Held> {
        let of = format!("/proc/{}", self.child.id()?);
        let status = fs::read_to_string(format!("{of}/status")).ok()?;
        let memory = status
            .lines()
            .find_map(|line| line.strip_prefix("VmRSS:"))?;
        Some(Held {
            memory: memory.trim().strip_suffix("kB")?.trim().parse().ok()?,
            files: fs::read_dir(format!("{of}/fd")).ok()?.count() as u64,
        })
    }

    /// Tells it to stop, and waits until it has.
    pub(crate) async fn stop(mut self) -> ExitStatus {
        self.tell().await;
        self.ended().await
    }

    /// Tells it to stop.
    pub(crate) async fn tell(&self) {
        let id = self.child.id().expect("it runs").to_string();
        let told = Command::new("kill").args(["-TERM", &id]).status().await;
        assert!(told.expect("it can be told").success());
    }

    /// Waits until it has stopped.
    pub(crate) async fn ended(&mut self) -> ExitStatus {
        self.child.wait().await.expect("it ends")
    }
}
