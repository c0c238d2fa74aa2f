//! A stream watched to its end.

use std::{
    pin::Pin,
    sync::{Arc, Mutex},
    task::{Context, Poll},
};

use backstop_core::{Elapsed, End, FaultKind, Limit, Tail, UntilEnd, Watch};
use backstop_llm::{ChatBody, ChatResponse, ChatStream, Chunk, Completion, Error, Event};

#[derive(Clone, Default)]
struct Log {
    items: Arc<Mutex<Vec<String>>>,
    cut: bool,
}

impl Watch<Error> for Log {
    fn poll_cut(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Error> {
        if self.cut {
            Poll::Ready(Elapsed::new(Limit::Idle, std::time::Duration::ZERO).into())
        } else {
            Poll::Pending
        }
    }

    fn on_item(self: Pin<&mut Self>) {
        self.items.lock().expect("no panic").push("item".to_owned());
    }

    fn on_end(self: Pin<&mut Self>, end: End) {
        self.items
            .lock()
            .expect("no panic")
            .push(format!("{end:?}"));
    }
}

fn text() -> Result<Chunk, Error> {
    Ok(Chunk::new(vec![Event::Text {
        choice: 0,
        delta: "x".to_owned(),
    }]))
}

fn only(event: Event) -> Result<Chunk, Error> {
    Ok(Chunk::new(vec![event]))
}

async fn watched(log: &Log, stream: ChatStream) -> Vec<String> {
    let response = UntilEnd.attach(ChatResponse::stream("m", stream), log.clone());
    let ChatBody::Stream(mut stream) = response.into_body() else {
        panic!("not a stream");
    };
    while stream.next().await.is_some() {}
    log.items.lock().expect("no panic").clone()
}

fn of(items: Vec<Result<Chunk, Error>>) -> ChatStream {
    ChatStream::new(futures_util::stream::iter(items))
}

#[tokio::test]
async fn a_whole_answer_is_completed_at_once() {
    let log = Log::default();
    let _response = UntilEnd.attach(ChatResponse::whole(Completion::default()), log.clone());
    assert_eq!(*log.items.lock().unwrap(), ["Completed"]);
}

#[tokio::test]
async fn content_is_an_item_and_a_ping_is_none() {
    let log = Log::default();
    let stream = of(vec![
        only(Event::Ping),
        text(),
        only(Event::Ping),
        only(Event::End),
    ]);
    assert_eq!(watched(&log, stream).await, ["item", "Completed"]);
}

#[tokio::test]
async fn an_error_is_a_failure_with_its_fault() {
    let log = Log::default();
    let broke = Err(Error::new(FaultKind::Interrupted, "cut"));
    let seen = watched(&log, of(vec![text(), broke])).await;
    assert!(
        seen[1].contains("Failed") && seen[1].contains("Interrupted"),
        "{seen:?}"
    );
    assert_eq!(seen.len(), 2);
}

#[tokio::test]
async fn a_watch_may_cut_a_stream_that_stalls() {
    let log = Log {
        cut: true,
        ..Log::default()
    };
    let stream = ChatStream::new(futures_util::stream::pending());
    let seen = watched(&log, stream).await;
    assert!(seen[0].contains("Failed"), "{seen:?}");
}
