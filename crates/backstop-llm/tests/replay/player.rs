//! A server that plays one recorded answer, byte for byte.

use std::net::SocketAddr;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc,
};

use crate::recording::Recording;

/// How the body is cut up on its way.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Cut {
    Whole,
    /// At every so many bytes.
    Every(usize),
    /// Where each line ends, the line feed in the next piece.
    BeforeLineFeeds,
}

impl Cut {
    fn pieces(self, body: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Whole => vec![body],
            Self::Every(n) => body.chunks(n).collect(),
            Self::BeforeLineFeeds => {
                let mut pieces = Vec::new();
                let mut rest = body;
                while let Some(at) = rest.iter().skip(1).position(|b| *b == b'\n') {
                    let (piece, after) = rest.split_at(at + 1);
                    pieces.push(piece);
                    rest = after;
                }
                pieces.push(rest);
                pieces
            }
        }
    }
}

/// Plays the recording to every caller, and hands out the bodies that they sent.
pub(crate) async fn play(
    recording: &Recording,
    cut: Cut,
) -> (SocketAddr, mpsc::UnboundedReceiver<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut head = format!("HTTP/1.1 {} Recorded\r\n", recording.status());
    for (name, value) in recording.headers() {
        let hop = [
            "content-length",
            "transfer-encoding",
            "connection",
            "content-encoding",
        ];
        if hop.contains(&name.to_ascii_lowercase().as_str()) {
            continue;
        }
        let values = match value {
            serde_json::Value::Array(list) => list.clone(),
            one => vec![one.clone()],
        };
        for value in values {
            let value = value
                .as_str()
                .map_or_else(|| value.to_string(), str::to_owned);
            head.push_str(&format!("{name}: {value}\r\n"));
        }
    }
    head.push_str("connection: close\r\ntransfer-encoding: chunked\r\n\r\n");
    let mut wire = Vec::new();
    for piece in cut.pieces(&recording.bytes().unwrap_or_default()) {
        if !piece.is_empty() {
            let mut chunk = format!("{:x}\r\n", piece.len()).into_bytes();
            chunk.extend_from_slice(piece);
            chunk.extend_from_slice(b"\r\n");
            wire.push(chunk);
        }
    }
    if !recording.is_cut() {
        wire.push(b"0\r\n\r\n".to_vec());
    }
    let (sent, received) = mpsc::unbounded_channel();
    tokio::spawn(async move {
        // Whoever asked for the recording has seen enough when it wants to know no more.
        while !sent.is_closed() {
            let (mut socket, _) = listener.accept().await.expect("a caller");
            socket.set_nodelay(true).expect("a socket");
            sent.send(read_request(&mut socket).await).ok();
            answer(&mut socket, &head, &wire).await.ok();
            socket.shutdown().await.ok();
        }
    });
    (address, received)
}

/// Answers; a caller may well leave when it has seen enough.
async fn answer(socket: &mut TcpStream, head: &str, wire: &[Vec<u8>]) -> std::io::Result<()> {
    socket.write_all(head.as_bytes()).await?;
    for chunk in wire {
        socket.write_all(chunk).await?;
        tokio::task::yield_now().await;
    }
    Ok(())
}

async fn read_request(socket: &mut TcpStream) -> String {
    let mut bytes = Vec::new();
    loop {
        let mut buffer = [0; 65_536];
        let n = socket.read(&mut buffer).await.expect("a request");
        assert!(n > 0, "the request ended early");
        bytes.extend_from_slice(&buffer[..n]);
        let Some(end) = bytes.windows(4).position(|w| w == b"\r\n\r\n") else {
            continue;
        };
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let length: usize = head
            .split("content-length: ")
            .nth(1)
            .and_then(|rest| rest.lines().next())
            .map_or(0, |length| length.trim().parse().expect("a length"));
        if bytes.len() >= end + 4 + length {
            return String::from_utf8(bytes.split_off(end + 4)).expect("a request in text");
        }
    }
}
