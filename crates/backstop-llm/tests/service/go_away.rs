//! A server that takes one request over each connection, and says so only when the next one has
//! come: frames by hand, as a server's library would have taken it.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use backstop_llm::{Dialect, Provider};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};
use tokio_rustls::server::TlsStream;

use super::{
    connections::ask,
    server::{WHOLE, hello, listen},
    tls::tls,
};

const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const GO_AWAY: u8 = 7;

const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

fn frame(kind: u8, flags: u8, stream: u8, payload: &[u8]) -> Vec<u8> {
    let length = u16::try_from(payload.len()).expect("is short");
    let [high, low] = length.to_be_bytes();
    let mut frame = vec![0, high, low, kind, flags, 0, 0, 0, stream];
    frame.extend_from_slice(payload);
    frame
}

/// Answers the first stream, and turns the second one away.
async fn serve(mut io: TlsStream<TcpStream>) -> std::io::Result<()> {
    io.read_exact(&mut [0; b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".len()])
        .await?;
    io.write_all(&frame(SETTINGS, 0, 0, &[])).await?;
    loop {
        let mut head = [0; 9];
        io.read_exact(&mut head).await?;
        let [_, high, low, kind, flags, .., stream] = head;
        let length = u16::from_be_bytes([high, low]);
        io.read_exact(&mut vec![0; usize::from(length)]).await?;
        match (kind, stream) {
            (DATA, 1) if flags & END_STREAM != 0 => {
                let ok = [0x88]; // A status of 200, by the table that every connection has.
                let mut answer = frame(HEADERS, END_HEADERS, 1, &ok);
                answer.extend(frame(DATA, END_STREAM, 1, WHOLE.as_bytes()));
                io.write_all(&answer).await?;
            }
            (HEADERS, 3) => {
                // The last stream that was taken, and no error.
                let last = [0, 0, 0, 1, 0, 0, 0, 0];
                io.write_all(&frame(GO_AWAY, 0, 0, &last)).await?;
            }
            _ => {}
        }
    }
}

#[tokio::test]
async fn a_call_that_came_after_the_last_one_taken_is_sent_over_another_connection() {
    let (tls, certificate) = tls();
    let (listener, address) = listen().await;
    let connections = Arc::new(AtomicUsize::new(0));
    let count = connections.clone();
    tokio::spawn(async move {
        while let Ok((socket, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let io = tls.accept(socket).await.expect("speaks TLS");
            tokio::spawn(serve(io));
        }
    });
    let provider = Provider::builder(Dialect::OpenAi)
        .base_url(format!("https://{address}"))
        .root_certificates(certificate);
    let model = provider.build().expect("a provider").model("m");
    for n in 1..=3 {
        ask(&model, hello()).await;
        assert_eq!(connections.load(Ordering::SeqCst), n);
    }
}
