//! Official SDKs as clients of the gateway, unchanged.
//!
//! They are installed by CI, which says where in `BACKSTOP_PYTHON` and `BACKSTOP_NODE_MODULES`;
//! elsewhere the tests look at where CI puts them, and skip where there is nothing.

mod common;

use std::{
    path::{Path, PathBuf},
    process::Stdio,
    time::Duration,
};

use backstop_simulator::{Dialect, Fault, Pace, Simulator};
use common::Running;
use tokio::{process::Command, time::timeout};

/// Nothing that a client does here takes this long unless something is broken.
const BOUND: Duration = Duration::from_secs(120);

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// What this variable names, or else what CI would have installed.
fn installed(variable: &str, fallback: &str) -> Option<PathBuf> {
    let path = std::env::var_os(variable).map_or_else(|| root().join(fallback), PathBuf::from);
    path.exists().then_some(path)
}

fn python() -> Option<PathBuf> {
    installed("BACKSTOP_PYTHON", "target/sdks/python/bin/python")
}

fn node_modules() -> Option<PathBuf> {
    installed("BACKSTOP_NODE_MODULES", "target/sdks/node/node_modules")
}

/// Each failure is told as it is, however often the client asks.
const POLICIES: &str =
    "retry = { attempts = 1 }\nbreaker = { failures = 1000, min_calls = 1000 }\n";

/// A gateway with a model of each dialect that is well, and one of each way to fail.
struct Setup {
    gateway: Running,
    _simulators: Vec<Simulator>,
}

impl Setup {
    async fn new() -> Self {
        let mut config = String::from("listen = \"127.0.0.1:0\"\n");
        let mut simulators = Vec::new();
        for (name, dialect, fault) in [
            ("claude", Dialect::Anthropic, None),
            ("gpt", Dialect::OpenAi, None),
            ("gemini", Dialect::Gemini, None),
            ("overloaded", Dialect::Anthropic, Some(Fault::overloaded())),
            (
                "limited",
                Dialect::OpenAi,
                Some(Fault::rate_limited(Duration::from_secs(7))),
            ),
            ("denied", Dialect::OpenAi, Some(Fault::denied())),
            ("invalid", Dialect::OpenAi, Some(Fault::invalid())),
            ("unwilling", Dialect::OpenAi, Some(Fault::denied())),
            ("cut", Dialect::Anthropic, Some(Fault::cut(3))),
        ] {
            let simulator = Simulator::builder(dialect)
                .pace(Pace::INSTANT)
                .start()
                .await
                .expect("a port is free");
            if let Some(fault) = fault {
                simulator.fault(fault);
            }
            config += &format!(
                "[providers.{name}]\ndialect = \"{dialect}\"\nbase_url = \"{}\"\n\
                 [models.{name}]\ncandidates = [\"{name}:{name}-1\"]\n{POLICIES}",
                simulator.base_url(),
            );
            simulators.push(simulator);
        }
        config += "[models.smart]\ncandidates = [\"claude:claude-1\", \"gpt:gpt-1\"]\n";
        config += POLICIES;
        let gateway = Running::start(&config).await;
        Self {
            gateway,
            _simulators: simulators,
        }
    }

    /// Runs a client to its end, which must be a good one, and shows what it said.
    async fn run(&self, mut client: Command) {
        let output = client
            .stdin(Stdio::null())
            .kill_on_drop(true)
            .env_remove("OPENAI_BASE_URL")
            .env_remove("ANTHROPIC_BASE_URL")
            .env("NO_PROXY", "127.0.0.1")
            .output();
        let output = timeout(BOUND, output)
            .await
            .expect("the client comes to an end")
            .expect("the client can be started");
        let said = String::from_utf8_lossy(&output.stdout);
        let complained = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{said}\n{complained}");
        println!("{said}");
    }
}

fn script(program: &Path, name: &str) -> Command {
    let mut command = Command::new(program);
    command.arg(root().join("tests/sdks").join(name));
    command
}

const MODELS: &str = "smart,claude,gpt,gemini";

#[tokio::test]
async fn openais_client_for_python_works_with_every_provider() {
    let Some(python) = python() else {
        return println!("skipped: no Python with the SDKs is installed");
    };
    let setup = Setup::new().await;
    let mut client = script(&python, "openai_sdk.py");
    client
        .arg(setup.gateway.url(""))
        .arg(MODELS)
        .args(["tools", "responses"]);
    setup.run(client).await;
}

#[tokio::test]
async fn anthropics_client_for_python_works_with_every_provider() {
    let Some(python) = python() else {
        return println!("skipped: no Python with the SDKs is installed");
    };
    let setup = Setup::new().await;
    let mut client = script(&python, "anthropic_sdk.py");
    client.arg(setup.gateway.url("")).arg(MODELS);
    setup.run(client).await;
}

#[tokio::test]
async fn openais_client_for_node_works_with_every_provider() {
    let Some(modules) = node_modules() else {
        return println!("skipped: no Node with the SDK is installed");
    };
    let setup = Setup::new().await;
    let mut client = script(Path::new("node"), "openai_sdk.mjs");
    client.arg(setup.gateway.url("")).arg(MODELS);
    client.env("BACKSTOP_NODE_MODULES", modules);
    setup.run(client).await;
}
