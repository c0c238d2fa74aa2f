//! A provider that answers as it is told.

use std::{net::SocketAddr, time::Duration};

use backstop_llm::{ChatRequest, ChatResponse, Dialect, Error, Model, Provider};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};
use tower::ServiceExt as _;

/// What the server does after the request has come.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    /// Sends the head of an answer.
    Head(u16, &'static str),
    /// Sends a piece of its body.
    Body(String),
    /// Ends the body as it should be.
    End,
    /// Breaks the connection.
    Cut,
    /// Waits until the caller leaves.
    Hang,
}

/// A plain answer of OpenAI's.
pub(crate) const WHOLE: &str = r#"{"id":"c","model":"m","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}]}"#;

/// The whole of an answer in JSON.
pub(crate) fn json(status: u16, body: &str) -> Vec<Step> {
    let head = Step::Head(status, "content-type: application/json\r\n");
    vec![head, Step::Body(body.to_owned()), Step::End]
}

/// The beginning of a stream.
pub(crate) fn stream(events: &[&str]) -> Vec<Step> {
    let mut steps = vec![Step::Head(200, "content-type: text/event-stream\r\n")];
    steps.extend(events.iter().map(|e| Step::Body(format!("{e}\n\n"))));
    steps
}

/// What the server saw.
#[derive(Debug, PartialEq)]
pub(crate) enum Seen {
    Request {
        head: String,
        body: String,
    },
    /// All has been sent, and the server waits for the caller to leave.
    Waiting,
    /// The caller broke the connection.
    Left,
}

/// Somewhere to listen, and where that is.
pub(crate) async fn listen() -> (TcpListener, SocketAddr) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    (listener, address)
}

/// A server that answers each connection with the same steps.
pub(crate) async fn serve(steps: Vec<Step>) -> (SocketAddr, mpsc::UnboundedReceiver<Seen>) {
    let (listener, address) = listen().await;
    let (saw, seen) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            tokio::spawn(answer(socket, steps.clone(), saw.clone()));
        }
    });
    (address, seen)
}

async fn answer(mut socket: TcpStream, steps: Vec<Step>, saw: mpsc::UnboundedSender<Seen>) {
    let Some((head, body)) = read_request(&mut socket).await else {
        return;
    };
    saw.send(Seen::Request { head, body }).ok();
    for step in steps {
        let sent = match step {
            Step::Head(status, headers) => {
                let head = format!(
                    "HTTP/1.1 {status} Told\r\n{headers}transfer-encoding: chunked\r\n\r\n"
                );
                socket.write_all(head.as_bytes()).await
            }
            Step::Body(piece) => {
                let chunk = format!("{:x}\r\n{piece}\r\n", piece.len());
                socket.write_all(chunk.as_bytes()).await
            }
            Step::End => socket.write_all(b"0\r\n\r\n").await,
            Step::Cut => return,
            Step::Hang => {
                saw.send(Seen::Waiting).ok();
                let left = matches!(socket.read(&mut [0; 64]).await, Ok(0) | Err(_));
                assert!(left, "nothing more is asked on this connection");
                saw.send(Seen::Left).ok();
                return;
            }
        };
        if sent.is_err() {
            saw.send(Seen::Left).ok();
            return;
        }
    }
}

async fn read_request(socket: &mut TcpStream) -> Option<(String, String)> {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let n = socket.read(&mut buffer).await.ok().filter(|n| *n > 0)?;
        text.push_str(std::str::from_utf8(&buffer[..n]).ok()?);
        let Some((head, body)) = text.split_once("\r\n\r\n") else {
            continue;
        };
        let length: usize = head
            .to_ascii_lowercase()
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next()?.trim().parse().ok())?;
        if body.len() >= length {
            return Some((head.to_owned(), body.to_owned()));
        }
    }
}

/// A model at this address.
pub(crate) fn model(dialect: Dialect, address: SocketAddr) -> Model {
    provider(dialect, address).model("model")
}

pub(crate) fn provider(dialect: Dialect, address: SocketAddr) -> Provider {
    Provider::builder(dialect)
        .base_url(format!("http://{address}"))
        .api_key("sk-secret-key-0123456789")
        .build()
        .expect("a provider")
}

pub(crate) fn hello() -> ChatRequest {
    ChatRequest::new("model").user("Hello")
}

/// What becomes of a call that the server answers with these steps. Nothing may take ten seconds.
pub(crate) async fn call(
    dialect: Dialect,
    request: ChatRequest,
    steps: Vec<Step>,
) -> Result<ChatResponse, Error> {
    let (address, _seen) = serve(steps).await;
    within(model(dialect, address).oneshot(request)).await
}

pub(crate) async fn within<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(10), future)
        .await
        .expect("it does not hang")
}

/// An OpenAI chunk with this delta and finish reason, both JSON.
pub(crate) fn chunk(delta: &str, finish: &str) -> String {
    format!(
        r#"data: {{"id":"c","model":"m","choices":[{{"index":0,"delta":{delta},"finish_reason":{finish}}}]}}"#
    )
}
