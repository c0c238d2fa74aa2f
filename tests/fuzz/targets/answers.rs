//! Providers' answers: whole, in pieces and as errors, from every provider to every front.
#![no_main]

use backstop_llm::{
    Chunk, Collector, Dialect, Error, Raw,
    dialect::{Encoder, Front, Wire},
    sse::SseParser,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use libfuzzer_sys::fuzz_target;

fn fronts() -> impl Iterator<Item = &'static dyn Front> {
    [Dialect::Anthropic, Dialect::OpenAi, Dialect::Responses]
        .into_iter()
        .map(Dialect::front)
}

fn tell(error: &Error) {
    for front in fronts() {
        assert!(!front.error(error).is_empty());
    }
}

/// One plain answer, good or bad.
fn whole(wire: &dyn Wire, status: StatusCode, body: &[u8]) {
    tell(&wire.error(status, &HeaderMap::new(), body));
    match wire.decode(body) {
        Ok(completion) => {
            for front in fronts() {
                assert!(!front.render(&completion).is_empty());
            }
        }
        Err(error) => tell(&error),
    }
}

/// One streamed answer, up to its end or to the first event that can't be read.
fn streamed(wire: &dyn Wire, stream: &[u8]) {
    let mut parser = SseParser::new();
    let mut decoder = wire.decoder();
    let mut encoders: Vec<Box<dyn Encoder>> = fronts()
        .map(|front| front.encoder(&request(front)))
        .collect();
    let mut collector = Collector::default();
    let mut out = Vec::new();
    parser.push(stream);
    while let Ok(Some(event)) = parser.next_event() {
        let mut events = Vec::new();
        if let Err(error) = decoder.event(&event, &mut events) {
            encoders
                .iter_mut()
                .for_each(|encoder| encoder.error(&error, &mut out));
            return;
        }
        events
            .iter()
            .cloned()
            .for_each(|event| collector.push(event));
        let mut chunk = Chunk::new(events);
        chunk.raw = Some(Raw {
            dialect: wire.dialect(),
            bytes: event.raw,
        });
        encoders
            .iter_mut()
            .for_each(|encoder| encoder.chunk(&chunk, &mut out));
    }
    let _ = decoder.is_whole();
    let completion = collector.finish();
    for front in fronts() {
        assert!(!front.render(&completion).is_empty());
    }
}

/// A request that asks for a stream, in the front's own words.
fn request(front: &dyn Front) -> backstop_llm::ChatRequest {
    let body = match front.dialect() {
        Dialect::Responses => r#"{"model":"m","input":"hi","stream":true}"#,
        _ => {
            r#"{"model":"m","max_tokens":9,"messages":[{"role":"user","content":"hi"}],"stream":true}"#
        }
    };
    front
        .parse(Bytes::from_static(body.as_bytes()))
        .expect("a request")
}

fuzz_target!(|data: &[u8]| {
    let Some((&first, body)) = data.split_first() else {
        return;
    };
    // From 200 up to 711, in steps of two, so that every class of them is met.
    let status = StatusCode::from_u16(200 + 2 * u16::from(first)).expect("below 1000");
    for wire in Dialect::ALL.map(Dialect::wire) {
        whole(wire, status, body);
        streamed(wire, body);
    }
});
