//! A stream of events, whole and cut up: the events are the same, and nothing of it is lost.
#![no_main]

use backstop_llm::sse::{SseEvent, SseParser, TooLong};
use libfuzzer_sys::fuzz_target;

/// The events of a stream that comes in pieces of these lengths, over and over.
fn events(stream: &[u8], lengths: &[u8]) -> Result<Vec<SseEvent>, TooLong> {
    let mut parser = SseParser::with_limit(stream.len());
    let mut events = Vec::new();
    let mut lengths = lengths.iter().cycle();
    let mut rest = stream;
    while !rest.is_empty() {
        let length = lengths
            .next()
            .map_or(rest.len(), |&length| usize::from(length) + 1);
        let (piece, after) = rest.split_at(length.min(rest.len()));
        rest = after;
        parser.push(piece);
        while let Some(event) = parser.next_event()? {
            events.push(event);
        }
    }
    events.extend(parser.finish());
    assert!(!parser.has_rest(), "bytes are left over");
    Ok(events)
}

fuzz_target!(|data: &[u8]| {
    let Some((lengths, stream)) = data.split_at_checked(3) else {
        return;
    };
    let whole = events(stream, &[]).expect("no event is longer than the stream");
    let pieces = events(stream, lengths).expect("no event is longer than the stream");
    assert_eq!(pieces.len(), whole.len());
    for (piece, event) in pieces.iter().zip(&whole) {
        assert_eq!((&piece.name, &piece.data), (&event.name, &event.data));
    }
});
