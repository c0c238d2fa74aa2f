//! A connection that many calls share.

use std::{future::poll_fn, time::Duration};

use backstop_core::FaultKind;
use backstop_llm::{ChatRequest, ChatResponse, Error, Model};
use bytes::Bytes;
use h2::{Reason, SendStream};
use tower::ServiceExt as _;

use super::{
    connections::ask,
    server::{WHOLE, chunk, hello, within},
    tls::{Call, Order, Server},
};

/// One call from its beginning to its end.
async fn asked(server: &mut Server, model: &Model) {
    tokio::join!(ask(model, hello()), async {
        server.call().await.answer(WHOLE);
    });
}

/// A call whose answer has begun with this content.
async fn begun(
    server: &mut Server,
    model: &Model,
    content: &str,
) -> (ChatResponse, SendStream<Bytes>, Call) {
    let (response, (stream, call)) =
        tokio::join!(within(model.clone().oneshot(hello().streamed())), async {
            let mut call = server.call().await;
            let mut stream = call.begin();
            stream.send_data(piece(content), false).expect("is sent");
            (stream, call)
        });
    (response.expect("has begun"), stream, call)
}

fn piece(content: &str) -> Bytes {
    let delta = format!(r#"{{"content":"{content}"}}"#);
    format!("{}\n\n", chunk(&delta, "null")).into()
}

/// Ends an answer as it should be.
fn end(stream: &mut SendStream<Bytes>) {
    let end = format!("{}\n\ndata: [DONE]\n\n", chunk("{}", r#""stop""#));
    stream.send_data(end.into(), true).expect("is sent");
}

async fn fails(model: &Model, request: ChatRequest) -> Error {
    let result = within(model.clone().oneshot(request)).await;
    result.expect_err("no answer")
}

#[tokio::test]
async fn calls_at_the_same_time_share_a_connection() {
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    asked(&mut server, &model).await;
    let calls = async { tokio::join!(ask(&model, hello()), ask(&model, hello())) };
    tokio::join!(calls, async {
        let (mut first, mut second) = (server.call().await, server.call().await);
        second.answer(WHOLE);
        first.answer(WHOLE);
    });
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn calls_beyond_what_a_connection_serves_have_another() {
    let mut server = Server::with_limit(1).await;
    let model = server.model(|it| it);
    // With the second one, what the server said to the first one is known.
    for _ in 0..2 {
        asked(&mut server, &model).await;
    }
    let (response, mut stream, _call) = begun(&mut server, &model, "Hi").await;
    asked(&mut server, &model).await;
    assert_eq!(server.connections(), 2);
    end(&mut stream);
    assert_eq!(within(response.text()).await.expect("is whole"), "Hi");
    asked(&mut server, &model).await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_connection_that_was_closed_as_it_rested_fails_no_call() {
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    for n in 1..=3 {
        let ((), call) = tokio::join!(ask(&model, hello()), async {
            let mut call = server.call().await;
            call.answer(WHOLE);
            call
        });
        call.tell(Order::Close);
        server.ended().await;
        assert_eq!(server.connections(), n);
    }
}

#[tokio::test]
async fn a_connection_that_takes_no_more_serves_what_has_come() {
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    let (response, mut stream, call) = begun(&mut server, &model, "Hi").await;
    call.tell(Order::GoAway);
    // It may still come over the first connection: the word may be under way.
    asked(&mut server, &model).await;
    end(&mut stream);
    assert_eq!(within(response.text()).await.expect("is whole"), "Hi");
    server.ended().await;
    asked(&mut server, &model).await;
    assert_eq!(server.connections(), 2);
}

#[tokio::test]
async fn a_call_that_was_refused_is_sent_over_another_connection_once() {
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    asked(&mut server, &model).await;
    tokio::join!(ask(&model, hello()), async {
        let mut refused = server.call().await;
        refused.respond.send_reset(Reason::REFUSED_STREAM);
        server.call().await.answer(WHOLE);
    });
    assert_eq!(server.connections(), 2);
    let (error, ()) = tokio::join!(fails(&model, hello()), async {
        for _ in 0..2 {
            let mut refused = server.call().await;
            refused.respond.send_reset(Reason::REFUSED_STREAM);
        }
    });
    assert_eq!(error.fault().kind(), FaultKind::Connect);
    assert_eq!(server.connections(), 3);
}

#[tokio::test]
async fn a_call_that_was_reset_is_not_sent_again() {
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    asked(&mut server, &model).await;
    let (error, ()) = tokio::join!(fails(&model, hello()), async {
        let mut call = server.call().await;
        call.respond.send_reset(Reason::INTERNAL_ERROR);
    });
    assert_eq!(error.fault().kind(), FaultKind::Connect);
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn an_answer_that_is_cut_is_a_failure() {
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    // To hyper the last two end a body as it should be.
    for reason in [Reason::INTERNAL_ERROR, Reason::CANCEL, Reason::NO_ERROR] {
        let (response, mut stream, _call) = begun(&mut server, &model, "Hi").await;
        stream.send_reset(reason);
        let error = within(response.text()).await.expect_err("is cut");
        assert_eq!(error.fault().kind(), FaultKind::Interrupted, "{reason}");

        let (error, ()) = tokio::join!(fails(&model, hello()), async {
            let mut stream = server.call().await.begin();
            let half = format!("{{\"id\":\"{}", "a".repeat(1024 * 1024));
            stream.send_data(half.into(), false).expect("is sent");
            // There is room for more once the caller has begun to read.
            stream.reserve_capacity(1);
            let room = within(poll_fn(|cx| stream.poll_capacity(cx))).await;
            room.expect("it is read").expect("it is open");
            stream.send_reset(reason);
        });
        assert_eq!(error.fault().kind(), FaultKind::Malformed, "{reason}");
    }
    assert_eq!(server.connections(), 1);
    let (response, _stream, call) = begun(&mut server, &model, "Hi").await;
    call.tell(Order::Close);
    let error = within(response.text()).await.expect_err("is cut");
    assert_eq!(error.fault().kind(), FaultKind::Interrupted);
}

#[tokio::test]
async fn a_caller_who_leaves_resets_its_own_answer_and_no_other() {
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    let (stays, mut stream, _call) = begun(&mut server, &model, "Hi").await;
    let (leaves, mut left, _call) = begun(&mut server, &model, "Hi").await;
    drop(leaves);
    let reason = within(poll_fn(|cx| left.poll_reset(cx))).await;
    assert_eq!(reason.expect("is reset"), Reason::CANCEL);
    // And before an answer has begun.
    let mut waits = {
        let asking = model.clone().oneshot(hello());
        tokio::select! {
            call = server.call() => call,
            _ = asking => panic!("there is no answer"),
        }
    };
    let reason = within(poll_fn(|cx| waits.respond.poll_reset(cx))).await;
    assert_eq!(reason.expect("is reset"), Reason::CANCEL);
    end(&mut stream);
    assert_eq!(within(stays.text()).await.expect("is whole"), "Hi");
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn slow_readers_hold_up_nobody_else() {
    const PIECES: usize = 48;
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    let content = "a".repeat(64 * 1024);
    let mut slow = Vec::new();
    for _ in 0..4 {
        let (response, mut stream, call) = begun(&mut server, &model, &content).await;
        for _ in 1..PIECES {
            stream.send_data(piece(&content), false).expect("is sent");
        }
        end(&mut stream);
        slow.push((response, call));
    }
    // Larger than what may lie unread of it, so that it comes only as it is read.
    let large = WHOLE.replace("Hi", &content.repeat(PIECES));
    let (response, ()) = tokio::join!(within(model.clone().oneshot(hello())), async {
        server.call().await.answer(large);
    });
    let text = response.expect("an answer").text().await.expect("is whole");
    assert_eq!(text.len(), PIECES * content.len());
    for (response, _call) in slow {
        let text = within(response.text()).await.expect("is whole");
        assert_eq!(text.len(), PIECES * content.len());
    }
    assert_eq!(server.connections(), 1);
}

#[tokio::test]
async fn a_large_request_is_sent_as_it_is_taken() {
    let mut server = Server::start().await;
    let model = server.model(|it| it);
    let prompt = "a".repeat(3 * 1024 * 1024);
    let request = ChatRequest::new("m").user(prompt.as_str());
    let ((), came) = tokio::join!(ask(&model, request), async {
        let mut call = server.call().await;
        let mut came = 0;
        while let Some(data) = within(call.body.data()).await {
            let data = data.expect("a piece");
            came += data.len();
            let taken = call.body.flow_control().release_capacity(data.len());
            taken.expect("it has come");
        }
        call.answer(WHOLE);
        came
    });
    assert!(came > prompt.len());
}

#[tokio::test]
async fn a_connection_that_nobody_uses_again_is_closed_when_its_answers_end() {
    let mut server = Server::start().await;
    let model = server.model(|it| it.pool_idle_timeout(Duration::ZERO));
    let (response, mut stream, _call) = begun(&mut server, &model, "Hi").await;
    asked(&mut server, &model).await;
    server.ended().await;
    assert_eq!(server.connections(), 2);
    end(&mut stream);
    assert_eq!(within(response.text()).await.expect("is whole"), "Hi");
    server.ended().await;
}
