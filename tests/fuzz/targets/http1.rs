//! What a server sends over HTTP/1, whole and cut up: the answer is the same, and nobody waits for
//! more once the connection is closed.
#![no_main]

use std::{cell::RefCell, time::Duration};

use backstop_core::FaultKind;
use backstop_llm::{ChatRequest, Dialect, Model, Provider};
use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
    runtime::{Builder, Runtime},
    time::timeout,
};
use tower::ServiceExt as _;

/// A server that listens at many addresses: at one alone the ports would soon be used up, each of
/// which rests for a minute.
struct Server {
    runtime: Runtime,
    listener: TcpListener,
    models: Vec<Model>,
    next: usize,
}

impl Server {
    fn start() -> Self {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("a runtime");
        let listener = runtime.block_on(TcpListener::bind("0.0.0.0:0"));
        let listener = listener.expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let models = (1..=100).map(|n| {
            let provider = Provider::builder(Dialect::OpenAi)
                .base_url(format!("http://127.0.0.{n}:{port}"))
                .pool_idle_timeout(Duration::ZERO);
            provider.build().expect("a provider").model("m")
        });
        Self {
            models: models.collect(),
            runtime,
            listener,
            next: 0,
        }
    }

    /// What a caller makes of these bytes.
    fn answer(&mut self, sent: &[u8], length: usize, streams: bool) -> Result<String, FaultKind> {
        self.next = (self.next + 1) % self.models.len();
        let model = self.models[self.next].clone();
        let served = async {
            let (mut socket, _) = self.listener.accept().await.expect("is asked");
            socket.set_nodelay(true).expect("is there");
            let mut request = Vec::new();
            while !request.ends_with(b"}") {
                let count = socket.read_buf(&mut request).await.expect("is asked");
                assert!(count > 0, "the request is cut");
            }
            for piece in sent.chunks(length) {
                // Who has heard enough may leave.
                if socket.write_all(piece).await.is_err() {
                    return;
                }
                tokio::task::yield_now().await;
            }
        };
        let asked = async {
            let answer = async { model.oneshot(request(streams)).await?.text().await };
            answer.await.map_err(|error| error.fault().kind())
        };
        let both = async { tokio::join!(asked, served).0 };
        let within = async { timeout(Duration::from_secs(5), both).await };
        self.runtime.block_on(within).expect("somebody waits")
    }
}

fn request(streams: bool) -> ChatRequest {
    let body = if streams {
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}],"stream":true}"#
    } else {
        r#"{"model":"m","messages":[{"role":"user","content":"hi"}]}"#
    };
    let parsed = Dialect::OpenAi
        .front()
        .parse(Bytes::from_static(body.as_bytes()));
    parsed.expect("a request")
}

thread_local! {
    static SERVER: RefCell<Server> = RefCell::new(Server::start());
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, sent)) = data.split_first() else {
        return;
    };
    let (streams, length) = (first & 1 == 1, usize::from(first >> 1) + 1);
    SERVER.with_borrow_mut(|server| {
        let whole = server.answer(sent, usize::MAX, streams);
        let pieces = server.answer(sent, length, streams);
        assert_eq!(pieces, whole);
    });
});
