//! What may come over a connection of HTTP/1, byte by byte as a server sends it.

use std::{net::SocketAddr, time::Duration};

use backstop_core::FaultKind;
use backstop_llm::{ChatBody, ChatRequest, Dialect, Error, Event};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tower::ServiceExt as _;

use super::server::{WHOLE, chunk, hello, listen, model, within};

/// A server that reads one request on each connection, answers with these bytes, piece by piece, and
/// closes it.
async fn serve(pieces: Vec<Vec<u8>>) -> SocketAddr {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        while let Ok((mut socket, _)) = listener.accept().await {
            let pieces = pieces.clone();
            tokio::spawn(async move {
                socket.set_nodelay(true).ok();
                read(&mut socket).await;
                for piece in pieces {
                    if socket.write_all(&piece).await.is_err() {
                        return;
                    }
                    tokio::task::yield_now().await;
                }
            });
        }
    });
    address
}

/// A whole request, whose body is short.
async fn read(socket: &mut TcpStream) {
    let mut read = Vec::new();
    while !read.ends_with(b"}") {
        let count = socket.read_buf(&mut read).await.expect("is asked");
        assert!(count > 0, "the caller left");
    }
}

async fn ask(pieces: Vec<Vec<u8>>, request: ChatRequest) -> Result<String, Error> {
    let model = model(Dialect::OpenAi, serve(pieces).await);
    within(async { model.oneshot(request).await?.text().await }).await
}

fn one_by_one(sent: &str) -> Vec<Vec<u8>> {
    sent.bytes().map(|byte| vec![byte]).collect()
}

fn events() -> String {
    let first = chunk(r#"{"content":"Hi"}"#, r#""stop""#);
    format!("{first}\n\ndata: [DONE]\n\n")
}

#[tokio::test]
async fn an_answer_is_the_same_however_its_end_is_told() {
    let length = WHOLE.len();
    let (first, second) = WHOLE.split_at(20);
    let rest = length - 20;
    for answer in [
        format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{WHOLE}and what is no part of it"
        ),
        format!("HTTP/1.1 200 OK\r\n\r\n{WHOLE}"),
        format!(
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: {length}\r\n\r\n{WHOLE}"
        ),
        format!(
            "HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\nContent-Length: {length}\n\n{WHOLE}"
        ),
        format!(
            "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\ncontent-length: 3\r\n\r\n\
             14\r\n{first}\r\n{rest:x};last\r\n{second}\r\n0\r\nx-checksum: 1\r\n\r\n"
        ),
    ] {
        for pieces in [vec![answer.clone().into_bytes()], one_by_one(&answer)] {
            let text = ask(pieces, hello()).await;
            assert_eq!(text.expect("is whole"), "Hi", "{answer}");
        }
    }
}

#[tokio::test]
async fn a_stream_is_the_same_however_its_bytes_come() {
    let events = events();
    let mut chunks = String::new();
    for piece in events.as_bytes().chunks(7) {
        let piece = std::str::from_utf8(piece).expect("is plain text");
        chunks.push_str(&format!("{:x}\r\n{piece}\r\n", piece.len()));
    }
    for answer in [
        format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n{chunks}0\r\n\r\n"),
        format!("HTTP/1.1 200 OK\r\n\r\n{events}"),
    ] {
        for pieces in [vec![answer.clone().into_bytes()], one_by_one(&answer)] {
            let text = ask(pieces, hello().streamed()).await;
            assert_eq!(text.expect("is whole"), "Hi", "{answer}");
        }
    }
}

#[tokio::test]
async fn what_is_no_answer_is_a_fault_of_the_connection() {
    let endless = format!("HTTP/1.1 200 OK\r\ncookie: {}", "x".repeat(1 << 20));
    for answer in [
        "",
        "HTTP/1.1 200 OK\r\ncontent-le",
        "HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nHi",
        "SSH-2.0-OpenSSH_9.6\r\n\r\n",
        &endless,
        &"HTTP/1.1 102 Processing\r\n\r\n".repeat(10_000),
    ] {
        let error = ask(vec![answer.into()], hello())
            .await
            .expect_err("is none");
        assert_eq!(error.fault().kind(), FaultKind::Connect, "{error}");
    }
}

#[tokio::test]
async fn what_is_cut_is_no_answer() {
    let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let first = chunk(r#"{"content":"Hi"}"#, "null");
    let length = first.len() + 2;
    for rest in ["", "\r\n", "\r\n0\r\n", "too long"] {
        let answer = format!("{head}{length:x}\r\n{first}\n\n{rest}");
        let error = ask(vec![answer.into()], hello().streamed()).await;
        let error = error.expect_err("is cut");
        assert_eq!(error.fault().kind(), FaultKind::Interrupted, "{rest}");
    }
    let answer = format!(
        "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{WHOLE}",
        WHOLE.len() + 1
    );
    let error = ask(vec![answer.into()], hello()).await.expect_err("is cut");
    assert_eq!(error.fault().kind(), FaultKind::Malformed);
}

/// What came before the cut reaches the caller, even if both came in one piece.
#[tokio::test]
async fn what_is_cut_is_read_up_to_there() {
    let mut answer = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
    for text in ["Hi", " there"] {
        let event = chunk(&format!(r#"{{"content":"{text}"}}"#), "null");
        answer += &format!("{:x}\r\n{event}\n\n\r\n", event.len() + 2);
    }
    answer += "no size\r\n";
    let model = model(Dialect::OpenAi, serve(vec![answer.into()]).await);
    let response = within(model.oneshot(hello().streamed())).await;
    let ChatBody::Stream(mut stream) = response.expect("has begun").into_body() else {
        panic!("a stream was asked for");
    };
    let mut said = String::new();
    let error = loop {
        let next = within(stream.next()).await;
        match next.expect("is cut") {
            Ok(chunk) => {
                for event in chunk.events {
                    if let Event::Text { delta, .. } = event {
                        said += &delta;
                    }
                }
            }
            Err(error) => break error,
        }
    };
    assert_eq!(said, "Hi there");
    assert_eq!(error.fault().kind(), FaultKind::Interrupted);
}

#[tokio::test]
async fn a_head_with_much_in_it_is_read() {
    let cookies = format!("set-cookie: {}\r\n", "x".repeat(1000)).repeat(30);
    let length = WHOLE.len();
    let answer = format!("HTTP/1.1 200 OK\r\n{cookies}content-length: {length}\r\n\r\n{WHOLE}");
    let text = ask(vec![answer.into()], hello()).await;
    assert_eq!(text.expect("is whole"), "Hi");
}

/// What is known before the request has been taken is known although it never is.
#[tokio::test]
async fn an_answer_to_a_request_that_is_not_read_is_an_answer() {
    let (listener, address) = listen().await;
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("is asked");
        let answer = "HTTP/1.1 413 Too Large\r\ncontent-length: 2\r\n\r\n{}";
        socket.write_all(answer.as_bytes()).await.expect("is sent");
        tokio::time::sleep(Duration::from_secs(60)).await;
    });
    let request = hello().user("x".repeat(16 << 20));
    let error = within(model(Dialect::OpenAi, address).oneshot(request)).await;
    let error = error.expect_err("it is too large");
    assert_eq!(error.fault().kind(), FaultKind::TooLarge);
}

/// The answer begins at the first byte of a request, and goes on when its last has come.
#[tokio::test]
async fn a_request_is_written_to_its_end_while_it_is_being_answered() {
    let (listener, address) = listen().await;
    let long = "x".repeat(16 << 20);
    let expected = long.len();
    tokio::spawn(async move {
        let (mut socket, _) = listener.accept().await.expect("is asked");
        let events = events();
        let head = format!(
            "HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n",
            events.len()
        );
        let first = socket.read_u8().await;
        assert_eq!(first.expect("is asked"), b'P');
        socket.write_all(head.as_bytes()).await.expect("is sent");
        let mut read = 0;
        let mut buffer = vec![0; 1 << 16];
        while read < expected {
            read += socket.read(&mut buffer).await.expect("is asked");
        }
        socket.write_all(events.as_bytes()).await.expect("is sent");
    });
    let request = hello().user(long).streamed();
    let model = model(Dialect::OpenAi, address);
    let text = within(async { model.oneshot(request).await?.text().await }).await;
    assert_eq!(text.expect("is whole"), "Hi");
}
