//! Spans, at a collector.

mod common;

use backstop_simulator::Fault;
use common::{BOUND, Setup, hello};
use serde_json::Value;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpListener,
};

/// Reads one request's body, and answers it.
async fn collected(listener: &TcpListener) -> Value {
    let (mut stream, _) = listener.accept().await.expect("someone connects");
    let mut read = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&read).into_owned();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| {
                line.to_ascii_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            if Some(body.len()) == length {
                let answer = b"HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
                stream.write_all(answer).await.expect("can be answered");
                return serde_json::from_str(body).expect("is JSON");
            }
        }
        assert_ne!(stream.read_buf(&mut read).await.expect("can be read"), 0);
    }
}

#[tokio::test]
async fn a_call_and_its_attempts_are_one_trace() {
    let listener = TcpListener::bind("127.0.0.1:0")
        .await
        .expect("a port is free");
    let address = listener.local_addr().expect("is bound");
    let telemetry = format!("[telemetry]\notlp = \"http://{address}\"\nservice = \"test\"\n");
    let setup = Setup::configured("", &telemetry).await;
    backstop_gateway::log::start(false, setup.gateway.gateway.telemetry().as_ref());
    setup.fault(Fault::overloaded());
    let trace = "0af7651916cd43dd8448eb211c80319c";
    let traceparent = format!("00-{trace}-b7ad6b7169203331-01");
    let answer = setup
        .gateway
        .post("/v1/chat/completions", &hello())
        .header("traceparent", &traceparent)
        .send()
        .await
        .expect("an answer comes");
    assert_eq!(answer.status(), 200);
    drop(answer);

    let body = tokio::time::timeout(BOUND, collected(&listener))
        .await
        .expect("spans come within seconds");
    let scope = &body["resourceSpans"][0]["scopeSpans"][0];
    let spans = scope["spans"].as_array().expect("is a list");
    assert_eq!(spans.len(), 3, "{body:#}");
    let of_kind = |kind: u64| spans.iter().filter(move |span| span["kind"] == kind);
    let call = of_kind(2).next().expect("the call has a span");
    assert_eq!(call["name"], "chat smart");
    assert_eq!(call["traceId"], trace);
    assert_eq!(call["parentSpanId"], "b7ad6b7169203331");
    let attribute = |span: &Value, name: &str| {
        let attributes = span["attributes"].as_array().expect("is a list");
        let found = attributes.iter().find(|it| it["key"] == name);
        found.map(|it| it["value"].clone())
    };
    assert!(attribute(call, "gen_ai.usage.output_tokens").is_some());
    for attempt in of_kind(3) {
        assert_eq!(attempt["traceId"], trace);
        assert_eq!(attempt["parentSpanId"], call["spanId"]);
        assert!(attribute(attempt, "gen_ai.request.model").is_some());
    }
    let failed = of_kind(3)
        .find(|span| span["status"]["code"] == 2)
        .expect("one failed");
    let error = attribute(failed, "error.type").expect("says how");
    assert_eq!(error["stringValue"], "overloaded");
    let provider = attribute(failed, "gen_ai.provider.name").expect("says who");
    assert_eq!(provider["stringValue"], "anthropic");

    let seen = setup.primary.calls()[0]
        .header("traceparent")
        .map(str::to_owned);
    let expected = format!(
        "00-{trace}-{}-01",
        failed["spanId"].as_str().expect("is text")
    );
    assert_eq!(seen, Some(expected), "the attempt is the provider's parent");
}
