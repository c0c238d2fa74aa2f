//! How a caller who waits is told that its answer is still being made.

mod common;

use std::time::Duration;

use common::{
    Running,
    paths::{PATHS, asking, is_end_marker},
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
    sync::mpsc,
    time::Instant,
};

/// A provider that sends what it is told to, when it is told to.
struct Provider {
    address: std::net::SocketAddr,
    pieces: mpsc::UnboundedSender<&'static str>,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("is bound");
        let (pieces, mut told) = mpsc::unbounded_channel::<&'static str>();
        tokio::spawn(async move {
            let (mut socket, _) = listener.accept().await.expect("a caller");
            let mut request = [0; 1 << 14];
            let n = socket.read(&mut request).await.expect("a request");
            assert!(n > 0);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n\
                        transfer-encoding: chunked\r\n\r\n";
            socket.write_all(head.as_bytes()).await.expect("is sent");
            while let Some(piece) = told.recv().await {
                let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                socket.write_all(chunk.as_bytes()).await.expect("is sent");
            }
            socket.write_all(b"0\r\n\r\n").await.expect("is sent");
        });
        Self { address, pieces }
    }

    fn sends(&self, piece: &'static str) {
        self.pieces.send(piece).expect("it is listening");
    }

    async fn gateway(&self, dialect: &str) -> Running {
        Running::start(&format!(
            "[providers.p]\ndialect = \"{dialect}\"\nbase_url = \"http://{}\"\n\
             [models.smart]\ncandidates = [\"p:m\"]\n\
             timeout = {{ first_token = \"10m\", idle = \"10m\", total = \"1h\" }}\n",
            self.address,
        ))
        .await
    }
}

const CONTENT: &str = "data: {\"id\":\"c\",\"choices\":[{\"index\":0,\
                       \"delta\":{\"role\":\"assistant\",\"content\":\"One\"}}]}\n\n";
const COMMENT: &str = ": still here\n\n";
const REST: &str = "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\n\
                    data: [DONE]\n\n";

const BEGUN: &str = concat!(
    "event: message_start\ndata: {\"type\":\"message_start\",\"message\":{\"id\":\"m\",",
    "\"model\":\"m\",\"usage\":{\"input_tokens\":1}}}\n\n",
    "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,",
    "\"content_block\":{\"type\":\"text\",\"text\":\"\"}}\n\n",
    "event: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,",
    "\"delta\":{\"type\":\"text_delta\",\"text\":\"One\"}}\n\n",
);
const PING: &str = "event: ping\ndata: {\"type\":\"ping\"}\n\n";

async fn ask(gateway: &Running, path: &str) -> reqwest::Response {
    let body = asking(path, &json!({ "stream": true })).to_string();
    let request = gateway.client.post(gateway.url(path)).body(body);
    request.send().await.expect("an answer comes")
}

/// Reads on until `wanted` has come.
async fn read_until(answer: &mut reqwest::Response, wanted: &str) -> String {
    let mut read = String::new();
    while !read.contains(wanted) {
        let chunk = answer.chunk().await.expect("no error");
        let chunk = chunk.unwrap_or_else(|| panic!("{wanted} is not in {read}"));
        read.push_str(&String::from_utf8_lossy(&chunk));
    }
    read
}

#[tokio::test]
async fn a_silence_is_broken_by_a_comment_every_fifteen_seconds() {
    for path in PATHS {
        let provider = Provider::start().await;
        let gateway = provider.gateway("openai").await;
        provider.sends(CONTENT);
        let mut answer = ask(&gateway, path).await;
        read_until(&mut answer, "One").await;
        // From here on nothing is under way, and time goes as fast as it can.
        tokio::time::pause();
        for _ in 0..3 {
            let silent = Instant::now();
            let read = read_until(&mut answer, "\n\n").await;
            assert_eq!(read, ": keep-alive\n\n", "{path}");
            let silent = silent.elapsed().as_secs_f64();
            assert!((14.0..=15.5).contains(&silent), "{path}: {silent} s");
        }
        tokio::time::resume();
        provider.sends(REST);
        drop(provider);
        let rest = answer.text().await.expect("to its end");
        let mut events = rest.lines().filter_map(|line| line.strip_prefix("data: "));
        assert!(events.any(is_end_marker), "{path}: {rest}");
    }
}

#[tokio::test]
async fn a_sign_of_life_is_passed_on_at_once_and_is_no_content() {
    for (dialect, content, sign) in [("openai", CONTENT, COMMENT), ("anthropic", BEGUN, PING)] {
        for path in PATHS {
            let provider = Provider::start().await;
            let gateway = provider.gateway(dialect).await;
            // Before the first content it decides nothing: the call is not answered by it.
            provider.sends(sign);
            let mut asking = std::pin::pin!(ask(&gateway, path));
            tokio::select! {
                biased;
                answer = &mut asking => panic!("{:?} came too soon", answer.status()),
                () = provider_has_sent(&provider) => {}
            }
            provider.sends(content);
            let mut answer = asking.await;
            read_until(&mut answer, "One").await;
            // The provider says nothing more until this has arrived.
            provider.sends(sign);
            let wanted = match (dialect, path) {
                ("openai", "/v1/chat/completions") => ": still here",
                (_, "/v1/messages") => "event: ping",
                _ => ": ping",
            };
            read_until(&mut answer, wanted).await;
        }
    }
}

/// Many turns of the runtime, in which what was sent arrives wherever it may.
async fn provider_has_sent(_: &Provider) {
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn signs_of_life_do_not_put_off_the_limit_on_silence() {
    let provider = Provider::start().await;
    let gateway = Running::start(&format!(
        "[providers.p]\ndialect = \"openai\"\nbase_url = \"http://{}\"\n\
         [models.smart]\ncandidates = [\"p:m\"]\ntimeout = {{ idle = \"20s\" }}\n",
        provider.address,
    ))
    .await;
    provider.sends(CONTENT);
    let mut answer = ask(&gateway, PATHS[0]).await;
    read_until(&mut answer, "One").await;
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(12)).await;
    tokio::time::resume();
    provider.sends(COMMENT);
    read_until(&mut answer, ": still here").await;
    tokio::time::pause();
    let since = Instant::now();
    let rest = answer.text().await.expect("to its end");
    assert!(rest.contains("\"error\""), "{rest}");
    assert!(!rest.contains("[DONE]"), "{rest}");
    assert!(
        since.elapsed() < Duration::from_secs(10),
        "{:?}",
        since.elapsed()
    );
}
