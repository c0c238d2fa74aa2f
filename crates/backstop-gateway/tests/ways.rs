//! The way to a provider: its own authority, and proxies.

mod common;
#[path = "common/program.rs"]
mod program;

use std::{fs, net::SocketAddr, process::Stdio};

use backstop_gateway::config::Config;
use backstop_simulator::{Dialect, Reply, Simulator};
use common::{PRIMARY, Running, hello, simulator};
use program::Program;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

fn config(base_url: &str, more: &str) -> String {
    format!(
        "[providers.p]\ndialect = \"openai\"\nbase_url = \"{base_url}\"\n{more}\n\
         [models.smart]\ncandidates = [\"p:m\"]\nretry = {{ attempts = 1 }}\n"
    )
}

/// A proxy that leads to `to`, wherever it is asked to; and where that was.
async fn proxy(to: SocketAddr) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("is bound");
    let (saw, asked) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((mut near, _)) = listener.accept().await {
            let saw = saw.clone();
            tokio::spawn(async move {
                let mut head = Vec::new();
                while !head.ends_with(b"\r\n\r\n") {
                    head.push(near.read_u8().await.expect("a head"));
                }
                saw.send(String::from_utf8(head).expect("is text")).ok();
                let agreed = near.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await;
                agreed.expect("is sent");
                let mut far = TcpStream::connect(to).await.expect("is there");
                copy_bidirectional(&mut near, &mut far).await.ok();
            });
        }
    });
    (address, asked)
}

/// Where a simulated provider listens.
fn address(simulator: &Simulator) -> SocketAddr {
    let url = simulator.url();
    let at = url.strip_prefix("http://").expect("in the clear");
    at.parse().expect("is an address")
}

#[tokio::test]
async fn a_provider_with_an_authority_of_its_own_is_trusted_where_the_config_says_so() {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("is made");
    let directory = tempfile::tempdir().expect("can be made");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("cert.pem"), own.cert.pem()).expect("can be written");
    fs::write(path("key.pem"), own.signing_key.serialize_pem()).expect("can be written");

    let behind = simulator(Dialect::OpenAi, Reply::text(PRIMARY)).await;
    let tls = format!(
        "[tls]\ncertificate = \"{}\"\nkey = \"{}\"\n",
        path("cert.pem"),
        path("key.pem"),
    );
    let models = config(&behind.base_url(), "").replace("models.smart", "models.\"*\"");
    let provider = Running::start(&format!("{models}{tls}")).await;
    let url = format!("https://localhost:{}/v1", provider.address.port());

    let trusting = format!("ca = \"{}\"", path("cert.pem"));
    let gateway = Running::start(&config(&url, &trusting)).await;
    let answer = gateway.answer().await;
    assert_eq!(answer.text(), PRIMARY, "{}", answer.body);

    let wary = Running::start(&config(&url, "")).await;
    let answer = wary.answer().await;
    assert_eq!(answer.status, 502, "{}", answer.body);
    assert!(!answer.body.contains("localhost"), "{}", answer.body);
}

#[test]
fn an_authority_that_is_none_is_refused_with_its_line() {
    let directory = tempfile::tempdir().expect("can be made");
    let path = |name: &str| directory.path().join(name).display().to_string();
    fs::write(path("empty.pem"), "").expect("can be written");
    fs::write(
        path("broken.pem"),
        "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
    )
    .expect("can be written");
    for (name, what) in [
        ("missing.pem", "can't be read"),
        ("empty.pem", "without any certificate"),
        ("broken.pem", "a certificate that can't be used"),
    ] {
        let toml = config("https://here", &format!("ca = \"{}\"", path(name)));
        let refusal = Config::parse("test.toml", &toml, &|_| None).expect_err("is refused");
        let refusal = refusal.to_string();
        assert!(refusal.starts_with("test.toml:4:6: "), "{refusal}");
        assert!(refusal.contains(what), "{refusal}");
    }
}

#[tokio::test]
async fn a_proxy_that_the_config_names_is_gone_through() {
    let provider = simulator(Dialect::OpenAi, Reply::text(PRIMARY)).await;
    let (proxy, mut asked) = proxy(address(&provider)).await;
    let through = format!("proxy = \"http://me:sk-password@{proxy}\"");
    let gateway = Running::start(&config("http://provider.test/v1", &through)).await;
    assert_eq!(gateway.answer().await.text(), PRIMARY);
    let head = asked.recv().await.expect("it was asked");
    assert!(head.starts_with("CONNECT provider.test:80 "), "{head}");
    let shown = format!("{:?}", gateway.gateway);
    assert!(!shown.contains("sk-password"), "{shown}");
}

#[test]
fn a_proxy_for_socks_may_be_named_and_is_not_shown() {
    for scheme in ["socks5", "socks5h"] {
        let through = format!("proxy = \"{scheme}://me:sk-password@proxy:1080\"");
        let config = Config::parse("test.toml", &config("https://here", &through), &|_| None);
        let gateway = backstop_gateway::Gateway::new(config.expect("is right"));
        let shown = format!("{:?}", gateway.expect("can be made"));
        assert!(!shown.contains("sk-password"), "{shown}");
    }
}

#[test]
fn a_proxy_that_is_none_is_refused_and_not_shown() {
    for wrong in ["proxy:3128", "socks4://me:sk-password@proxy:1080", "", "no"] {
        let toml = config("https://here", &format!("proxy = \"{wrong}\""));
        let refusal = Config::parse("test.toml", &toml, &|_| None).expect_err("is refused");
        let refusal = refusal.to_string();
        assert!(refusal.starts_with("test.toml:4:9: "), "{refusal}");
        assert!(!refusal.contains("sk-password"), "{refusal}");
    }
}

#[tokio::test]
async fn the_proxy_of_the_environment_is_heeded_and_so_are_its_exceptions() {
    let provider = simulator(Dialect::OpenAi, Reply::text(PRIMARY)).await;
    let directory = tempfile::tempdir().expect("can be made");
    let file = directory.path().join("backstop.toml");
    fs::write(&file, config("http://provider.test/v1", "")).expect("can be written");
    for (except, status) in [("elsewhere.test", 200), ("provider.test", 502)] {
        let (proxy, mut asked) = proxy(address(&provider)).await;
        let environment = [("HTTP_PROXY", format!("http://{proxy}"))];
        let environment = environment
            .into_iter()
            .chain([("NO_PROXY", except.to_owned())]);
        let program = Program::within(&file, "off", Stdio::inherit(), environment).await;
        let client = reqwest::Client::new();
        let request = client.post(program.url("/v1/chat/completions"));
        let request = request.header("content-type", "application/json");
        let answer = request.body(hello().to_string()).send().await;
        assert_eq!(
            answer.expect("an answer comes").status(),
            status,
            "{except}"
        );
        assert_eq!(asked.try_recv().is_ok(), status == 200, "{except}");
        program.stop().await;
    }
}
