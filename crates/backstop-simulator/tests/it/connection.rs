//! What a fault does to the connection itself, seen from a bare socket.

use std::{io::ErrorKind, time::Duration};

use backstop_simulator::{Dialect, Fault, Outcome, Pace, Reply, Simulator};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

use crate::client::{APIS, Api, start, within};

const BODY: &str = r#"{"model":"m","stream":true,"messages":[{"role":"user","content":"Hi"}]}"#;

/// Sends a request for a stream over a bare socket.
async fn send(simulator: &Simulator) -> TcpStream {
    let mut socket = TcpStream::connect(simulator.address()).await.unwrap();
    let head = format!(
        "POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-length: {}\r\n\r\n",
        BODY.len()
    );
    socket
        .write_all(format!("{head}{BODY}").as_bytes())
        .await
        .unwrap();
    socket
}

/// Reads to the end, whatever the end is.
async fn read(socket: &mut TcpStream) -> (String, Option<ErrorKind>) {
    let mut seen = Vec::new();
    let end = within(socket.read_to_end(&mut seen)).await;
    (
        String::from_utf8(seen).unwrap(),
        end.err().map(|error| error.kind()),
    )
}

#[tokio::test]
async fn a_cut_sends_what_was_said_and_no_terminator() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.fault(Fault::cut(2));
    let (seen, error) = read(&mut send(&simulator).await).await;
    assert_eq!(error, None);
    assert!(seen.contains("transfer-encoding: chunked"), "{seen}");
    assert!(seen.contains("\"content\":\" from\""), "{seen}");
    assert!(!seen.ends_with("0\r\n\r\n"), "{seen}");
}

#[tokio::test]
async fn a_close_sends_the_terminator() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.fault(Fault::close(2));
    let mut socket = send(&simulator).await;
    let mut seen = String::new();
    while !seen.ends_with("\r\n0\r\n\r\n") {
        let mut some = [0; 4096];
        let length = within(socket.read(&mut some)).await.unwrap();
        assert_ne!(length, 0, "the connection is kept: {seen}");
        seen.push_str(std::str::from_utf8(&some[..length]).unwrap());
    }
    assert!(!seen.contains("[DONE]"));
}

#[tokio::test]
async fn a_reset_is_one_before_the_headers_and_in_the_body() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.fault(Fault::reset());
    let (seen, error) = read(&mut send(&simulator).await).await;
    assert_eq!(
        (seen.as_str(), error),
        ("", Some(ErrorKind::ConnectionReset))
    );
    assert_eq!(
        simulator.wait_until_idle().await[0].outcome,
        Outcome::Broken
    );

    simulator.fault(Fault::reset_after(2));
    let (_, error) = read(&mut send(&simulator).await).await;
    assert_eq!(error, Some(ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn a_caller_that_leaves_a_hanging_call_is_seen_to_leave() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.fault(Fault::hang());
    let socket = send(&simulator).await;
    let call = within(simulator.wait_for_call(|call| call.fault.is_some())).await;
    assert_eq!(call.outcome, Outcome::Open);
    drop(socket);
    let call = within(simulator.wait_for_call(|call| call.outcome != Outcome::Open)).await;
    assert_eq!((call.outcome, call.status), (Outcome::Cancelled, None));
    assert!(call.took.is_some());
}

#[tokio::test]
async fn a_caller_that_leaves_a_stalled_or_a_slow_stream_is_seen_to_leave() {
    let slow = Pace::new(Duration::ZERO, Duration::from_secs(3600));
    let simulator = Simulator::builder(Dialect::OpenAi)
        .pace(slow)
        .start()
        .await
        .unwrap();
    for fault in [Fault::stall(1), Fault::none()] {
        simulator.fault(fault);
        let mut response = Api::Chat.send(&simulator, true).await;
        let mut seen = String::new();
        while !seen.contains("Hello") {
            let chunk = within(response.chunk())
                .await
                .unwrap()
                .expect("the stream goes on");
            seen.push_str(std::str::from_utf8(&chunk).unwrap());
        }
        assert_eq!(simulator.calls()[0].outcome, Outcome::Open);
        drop(response);
        let calls = within(simulator.wait_until_idle()).await;
        assert_eq!(
            (calls[0].outcome, calls[0].status),
            (Outcome::Cancelled, Some(200))
        );
        simulator.clear_calls();
    }
}

#[tokio::test]
async fn pings_go_on_without_content_until_the_caller_leaves() {
    for api in APIS {
        let simulator = start(api.dialect()).await;
        simulator.fault(Fault::pings(1, Duration::from_millis(1)));
        for streamed in [true, false] {
            let ping = match (streamed, api) {
                (false, _) => "\n         \n",
                (true, Api::Messages) => "event: ping\n",
                (true, Api::GenerateArray) => "\r\n",
                (true, _) => ": keep-alive\n\n",
            };
            let mut response = api.send(&simulator, streamed).await;
            let mut seen = String::new();
            while seen.matches(ping).count() < 5 {
                let chunk = within(response.chunk())
                    .await
                    .unwrap()
                    .expect("the pings go on");
                seen.push_str(std::str::from_utf8(&chunk).unwrap());
            }
            if streamed {
                assert_eq!(api.streamed_text(&seen), "Hello");
            }
            drop(response);
            let calls = within(simulator.wait_until_idle()).await;
            assert_eq!(calls[0].outcome, Outcome::Cancelled);
            simulator.clear_calls();
        }
    }
}

#[tokio::test]
async fn a_caller_that_leaves_before_a_plain_reply_is_seen_to_leave() {
    let slow = Pace::new(Duration::from_secs(3600), Duration::ZERO);
    let simulator = Simulator::builder(Dialect::OpenAi)
        .pace(slow)
        .start()
        .await
        .unwrap();
    let request = tokio::spawn(Api::Chat.request(&simulator, false).send());
    within(simulator.wait_for_call(|_| true)).await;
    request.abort();
    let calls = within(simulator.wait_until_idle()).await;
    assert_eq!(calls[0].outcome, Outcome::Cancelled);
}

#[tokio::test]
async fn a_refused_connection_is_reset_and_control_still_answered() {
    let simulator = start(Dialect::OpenAi).await;
    let pooled = reqwest::Client::new();
    let url = format!("{}/v1/models", simulator.url());
    within(pooled.get(&url).send())
        .await
        .unwrap()
        .bytes()
        .await
        .unwrap();
    simulator.fault(Fault::refuse().times(3));
    // The first comes over a connection that is open already, the others make one.
    for _ in 0..3 {
        let client = if simulator.count() == 1 {
            pooled.clone()
        } else {
            reqwest::Client::new()
        };
        within(client.get(&url).send()).await.unwrap_err();
    }
    assert_eq!(within(reqwest::get(&url)).await.unwrap().status(), 200);

    simulator.fault(Fault::refuse());
    let fault = format!("{}/_/fault", simulator.url());
    let response = within(reqwest::Client::new().delete(fault).send())
        .await
        .unwrap();
    assert_eq!(response.status(), 200);
    assert_eq!(within(reqwest::get(&url)).await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_stand_in_that_is_down_refuses_connections_and_comes_back() {
    let simulator = start(Dialect::OpenAi).await;
    simulator.fault(Fault::hang());
    let mut hanging = send(&simulator).await;
    within(simulator.wait_for_call(|_| true)).await;
    within(simulator.go_down()).await;
    let (seen, _) = read(&mut hanging).await;
    assert_eq!(seen, "", "a connection that was open is gone");
    let error = TcpStream::connect(simulator.address()).await.unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
    within(simulator.come_up()).await.unwrap();
    simulator.clear();
    let response = Api::Chat.send(&simulator, false).await;
    assert_eq!(response.status(), 200);
}

#[tokio::test]
async fn a_stand_in_that_is_dropped_or_shut_down_is_gone() {
    let simulator = start(Dialect::OpenAi).await;
    let address = simulator.address();
    within(simulator.shutdown()).await;
    TcpStream::connect(address).await.unwrap_err();

    let simulator = start(Dialect::OpenAi).await;
    let mut socket = send(&simulator).await;
    simulator.fault(Fault::hang());
    drop(simulator);
    read(&mut socket).await;
}

#[tokio::test]
async fn a_connection_serves_one_call_after_the_other() {
    let simulator = start(Dialect::OpenAi).await;
    let client = reqwest::Client::builder()
        .pool_max_idle_per_host(1)
        .build()
        .unwrap();
    let url = format!("{}/chat/completions", simulator.base_url());
    for _ in 0..3 {
        let request = client
            .post(&url)
            .header("content-type", "application/json")
            .body(BODY);
        let text = within(async { request.send().await.unwrap().text().await.unwrap() }).await;
        assert!(Api::Chat.ended_well(&text));
    }
    assert_eq!(simulator.count(), 3);
}

#[tokio::test]
async fn a_reader_that_is_slow_gets_all_of_a_long_reply() {
    let simulator = start(Dialect::OpenAi).await;
    let long = "word ".repeat(20_000);
    simulator.reply(Reply::text(long.trim_end()));
    let mut socket = send(&simulator).await;
    within(simulator.wait_for_call(|call| call.status.is_some())).await;
    let mut seen = Vec::new();
    let mut some = vec![0; 64 * 1024];
    while !seen.ends_with(b"0\r\n\r\n") {
        tokio::task::yield_now().await;
        let length = within(socket.read(&mut some)).await.unwrap();
        assert_ne!(length, 0);
        seen.extend_from_slice(&some[..length]);
    }
    let words = String::from_utf8(seen).unwrap().matches("word\"").count();
    assert_eq!(words, 20_000);
}
