//! Which connection a request is sent over.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use backstop_llm::{ChatRequest, Dialect, Model, Provider, ProviderBuilder};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    runtime,
    sync::mpsc,
    task::JoinSet,
};
use tower::ServiceExt as _;

use super::server::{WHOLE, chunk, hello, listen, model, within};

/// A server that keeps its connections open, for so many requests each.
struct Server {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// What each request began with.
    heads: mpsc::UnboundedReceiver<String>,
    /// Told when a connection has ended.
    ended: mpsc::UnboundedReceiver<()>,
}

impl Server {
    async fn start(requests: usize) -> Self {
        let (listener, address) = listen().await;
        let connections = Arc::new(AtomicUsize::new(0));
        let (saw, heads) = mpsc::unbounded_channel();
        let (over, ended) = mpsc::unbounded_channel();
        let count = connections.clone();
        tokio::spawn(async move {
            while let Ok((mut socket, _)) = listener.accept().await {
                count.fetch_add(1, Ordering::SeqCst);
                let (saw, over) = (saw.clone(), over.clone());
                tokio::spawn(async move {
                    for _ in 0..requests {
                        let Some(request) = read(&mut socket).await else {
                            break;
                        };
                        let answer = answer(&request);
                        saw.send(request).ok();
                        socket.write_all(answer.as_bytes()).await.ok();
                    }
                    drop(socket);
                    over.send(()).ok();
                });
            }
        });
        Self {
            address,
            connections,
            heads,
            ended,
        }
    }

    fn connections(&self) -> usize {
        self.connections.load(Ordering::SeqCst)
    }

    fn model(&self, change: impl FnOnce(ProviderBuilder) -> ProviderBuilder) -> Model {
        let builder =
            Provider::builder(Dialect::OpenAi).base_url(format!("http://{}", self.address));
        change(builder).build().expect("a provider").model("m")
    }
}

/// Everything up to the end of a request, which is short enough to come in one piece with its head.
async fn read(socket: &mut TcpStream) -> Option<String> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let n = socket.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..n]).ok()?);
        if text.ends_with('}') || text.starts_with("CONNECT") {
            return Some(text);
        }
    }
}

fn answer(request: &str) -> String {
    if request.starts_with("CONNECT") {
        return "HTTP/1.1 200 OK\r\n\r\n".to_owned();
    }
    if !request.contains(r#""stream":true"#) {
        let length = WHOLE.len();
        return format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{WHOLE}");
    }
    let first = chunk(r#"{"content":"Hi"}"#, r#""stop""#);
    let body = format!("{first}\n\ndata: [DONE]\n\n");
    let length = body.len();
    format!(
        "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{length:x}\r\n{body}\r\n0\r\n\r\n"
    )
}

pub(crate) async fn ask(model: &Model, request: ChatRequest) {
    let response = within(model.clone().oneshot(request)).await;
    let text = within(response.expect("an answer").text()).await;
    assert_eq!(text.expect("is whole"), "Hi");
}

#[tokio::test]
async fn a_connection_is_used_again_after_a_whole_answer_and_after_a_stream() {
    let server = Server::start(usize::MAX).await;
    let model = server.model(|it| it);
    for _ in 0..3 {
        ask(&model, hello()).await;
        ask(&model, hello().streamed()).await;
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn requests_at_the_same_time_have_a_connection_each() {
    let server = Server::start(usize::MAX).await;
    let model = server.model(|it| it);
    tokio::join!(ask(&model, hello()), ask(&model, hello()));
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_as_it_rested_fails_no_request() {
    let mut server = Server::start(1).await;
    let model = server.model(|it| it);
    for n in 1..=3 {
        ask(&model, hello()).await;
        within(server.ended.recv()).await;
        assert_eq!(server.connections(), n);
    }
}

/// More of them than a task reads from in one turn.
#[tokio::test]
async fn many_connections_that_were_closed_as_they_rested_fail_no_request() {
    const MANY: usize = 200;
    let (listener, address) = listen().await;
    let model = model(Dialect::OpenAi, address);
    let mut asks = JoinSet::new();
    let mut sockets = Vec::new();
    for _ in 0..MANY {
        let model = model.clone();
        asks.spawn(async move { ask(&model, hello()).await });
        sockets.push(within(listener.accept()).await.expect("is asked").0);
    }
    for socket in &mut sockets {
        let request = within(read(socket)).await.expect("is asked");
        let sent = socket.write_all(answer(&request).as_bytes()).await;
        sent.expect("is there");
    }
    within(asks.join_all()).await;
    drop(sockets);
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("is asked");
        let request = read(&mut socket).await.expect("is asked");
        socket.write_all(answer(&request).as_bytes()).await.ok();
    });
    within(hear()).await;
    ask(&model, hello()).await;
}

/// Waits until the runtime has heard of all that happened to its sockets until now: it hears of it in
/// the order in which it happened, or all at once.
async fn hear() {
    let (listener, address) = listen().await;
    let (here, there) = tokio::join!(TcpStream::connect(address), listener.accept());
    let (mut here, (mut there, _)) = (here.expect("is there"), there.expect("is asked"));
    here.write_all(b"!").await.expect("is sent");
    assert_eq!(there.read_u8().await.expect("has come"), b'!');
}

/// What comes after an answer, or where none was asked for, is no answer to another request.
#[tokio::test]
async fn a_connection_over_which_more_came_than_an_answer_is_not_used_again() {
    for (first, rest) in [
        ("HTTP/1.1 204 No Content\r\n", "X"),
        ("HTTP/1.1 304 Not Modified\r\ncontent-length: 9\r\n", "X"),
        (
            "HTTP/1.1 400 Bad\r\ncontent-length: 2\r\n",
            "{}HTTP/1.1 200 OK\r\n",
        ),
        (
            "HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\n",
            "0\r\n\r\n\r\n",
        ),
        (
            "HTTP/1.1 400 Bad\r\ntransfer-encoding: chunked\r\ncontent-length: 5\r\n",
            "0\r\n\r\n",
        ),
        (
            "HTTP/1.1 400 Bad\r\ncontent-length: 2\r\nconnection: close\r\n",
            "{}",
        ),
        ("HTTP/1.0 400 Bad\r\ncontent-length: 2\r\n", "{}"),
    ] {
        let (listener, address) = listen().await;
        let model = model(Dialect::OpenAi, address);
        tokio::spawn(async move {
            let mut kept = Vec::new();
            let (mut socket, _) = listener.accept().await.expect("is asked");
            read(&mut socket).await.expect("is asked");
            let sent = format!("{first}\r\n{rest}");
            socket.write_all(sent.as_bytes()).await.expect("is sent");
            kept.push(socket);
            let (mut socket, _) = listener.accept().await.expect("another is made");
            let request = read(&mut socket).await.expect("is asked");
            let sent = socket.write_all(answer(&request).as_bytes()).await;
            sent.expect("is sent");
            std::future::pending::<()>().await;
        });
        let refused = within(model.clone().oneshot(hello())).await;
        assert!(refused.is_err(), "{first}");
        ask(&model, hello()).await;
    }
}

#[tokio::test]
async fn a_connection_that_nobody_uses_again_is_closed() {
    let mut server = Server::start(usize::MAX).await;
    let model = server.model(|it| it.pool_idle_timeout(Duration::from_millis(20)));
    ask(&model, hello()).await;
    within(server.ended.recv()).await;
    ask(&model, hello()).await;
    assert_eq!(server.connections(), 2);
}

#[test]
fn a_runtime_that_has_ended_takes_its_connections_with_it() {
    let runtime = || runtime::Builder::new_current_thread().enable_all().build();
    let of_server = runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap();
    let server = of_server.block_on(Server::start(usize::MAX));
    let model = server.model(|it| it);
    for n in 1..=2 {
        runtime().unwrap().block_on(ask(&model, hello()));
        assert_eq!(server.connections(), n);
    }
}

#[tokio::test]
async fn a_name_and_a_password_in_an_address_are_sent_as_a_header() {
    let mut server = Server::start(1).await;
    let address = server.address;
    let model = server.model(|it| it.base_url(format!("http://me:p%40ss@{address}/v1")));
    ask(&model, hello()).await;
    let request = within(server.heads.recv()).await.expect("a request");
    assert!(request.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"));
    assert!(
        request.contains("authorization: Basic bWU6cEBzcw==\r\n"),
        "{request}"
    );
    assert!(
        request.contains(&format!("host: {address}\r\n")),
        "{request}"
    );
}

#[tokio::test]
async fn a_proxy_makes_a_tunnel() {
    let mut proxy = Server::start(2).await;
    let address = proxy.address;
    let model = proxy.model(|it| {
        it.base_url("http://provider.test/v1")
            .proxy(format!("http://me:secret@{address}"))
    });
    ask(&model, hello()).await;
    let tunnel = within(proxy.heads.recv()).await.expect("a tunnel");
    assert!(
        tunnel.starts_with("CONNECT provider.test:80 HTTP/1.1\r\n"),
        "{tunnel}"
    );
    assert!(
        tunnel.contains("Proxy-Authorization: Basic bWU6c2VjcmV0\r\n"),
        "{tunnel}"
    );
    let request = within(proxy.heads.recv()).await.expect("a request");
    assert!(request.contains("host: provider.test\r\n"), "{request}");
    assert!(!request.contains("roxy-"), "{request}");
}
