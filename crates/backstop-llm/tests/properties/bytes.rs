//! Streams cut up anywhere, and bytes that are no stream at all.

use backstop_llm::{
    Dialect,
    object::Object,
    sse::{SseEvent, SseParser},
};
use bytes::Bytes;
use proptest::prelude::*;

/// The name and data of each event of a stream that comes in these pieces.
fn events<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(Bytes, Option<Bytes>)> {
    let mut parser = SseParser::new();
    let mut events = Vec::new();
    let mut raw = Vec::new();
    let mut take = |event: SseEvent| {
        raw.extend_from_slice(&event.raw);
        events.push((event.name, event.data));
    };
    for piece in pieces {
        parser.push(piece);
        while let Some(event) = parser.next_event().expect("small events") {
            take(event);
        }
    }
    parser.finish().into_iter().for_each(take);
    events
}

const STREAMS: [&str; 6] = [
    "data: {\"a\":\"é→😀\"}\n\ndata: [DONE]\n\n",
    "event: message_start\ndata: {}\n\nevent: ping\ndata: {}\n\n",
    ": comment\n\ndata: one\ndata: two\n\ndata:three\nevent: late\n\n",
    "data: a\r\n\r\ndata: b\r\n\r\n",
    "\u{feff}\n\n\ndata: first\n\nid: 7\nretry: 3\nunknown\n\ndata\n\n",
    "data: a\r\rdata: b\n\ndata: no blank line at the end",
];

#[test]
fn a_stream_cut_in_two_anywhere_has_the_same_events() {
    for stream in STREAMS {
        let bytes = stream.as_bytes();
        let whole = events([bytes]);
        for cut in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(cut);
            assert_eq!(events([head, tail]), whole, "{stream:?} cut at {cut}");
        }
        assert_eq!(events(bytes.chunks(1)), whole, "{stream:?} byte by byte");
    }
}

#[test]
fn the_events_are_those_of_the_standard() {
    let text = |text: &'static str| Bytes::from_static(text.as_bytes());
    let data = |data| (Bytes::new(), Some(text(data)));
    let expected = [
        vec![data("{\"a\":\"é→😀\"}"), data("[DONE]")],
        vec![
            (text("message_start"), Some(text("{}"))),
            (text("ping"), Some(text("{}"))),
        ],
        vec![
            (Bytes::new(), None),
            data("one\ntwo"),
            (text("late"), Some(text("three"))),
        ],
        vec![data("a"), data("b")],
        vec![data("first"), data("")],
        vec![data("a"), data("b"), data("no blank line at the end")],
    ];
    for (stream, expected) in STREAMS.iter().zip(expected) {
        assert_eq!(events([stream.as_bytes()]), expected, "{stream:?}");
    }
}

#[test]
fn an_event_of_a_mebibyte_is_one_event_and_one_too_large_is_refused() {
    let long = "x".repeat(1024 * 1024);
    let stream = format!("data: {long}\n\ndata: y\n\n");
    let found = events(stream.as_bytes().chunks(4096));
    assert_eq!(found.len(), 2);
    assert_eq!(found[0].1.as_ref().map(Bytes::len), Some(long.len()));

    let mut parser = SseParser::with_limit(1000);
    parser.push(b"data: ");
    parser.push(long.as_bytes());
    assert!(parser.next_event().is_err());
}

/// Lines that a stream might be made of, and some that it might not.
fn line() -> impl Strategy<Value = String> {
    prop_oneof![
        "(data|event|id|retry|)(: ?| )?[a-zé\\[\\]{}:\" ]{0,12}",
        Just(String::new()),
        Just(String::new()),
        Just("data: [DONE]".to_owned()),
        Just("data: {\"error\":{\"message\":\"x\"}}".to_owned()),
    ]
}

fn stream() -> impl Strategy<Value = Vec<u8>> {
    let end = prop_oneof![Just("\n"), Just("\r\n"), Just("\r")];
    proptest::collection::vec((line(), end), 0..20)
        .prop_map(|lines| {
            lines
                .iter()
                .flat_map(|(l, e)| [l.as_str(), e])
                .collect::<String>()
        })
        .prop_map(String::into_bytes)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn any_cutting_of_any_stream_has_the_same_events(
        stream in stream(),
        mut cuts in proptest::collection::vec(any::<prop::sample::Index>(), 0..6),
    ) {
        let whole = events([stream.as_slice()]);
        cuts.sort_by_key(|cut| cut.index(stream.len() + 1));
        let mut pieces = Vec::new();
        let mut from = 0;
        for cut in &cuts {
            let cut = cut.index(stream.len() + 1);
            pieces.push(&stream[from..cut]);
            from = cut;
        }
        pieces.push(&stream[from..]);
        prop_assert_eq!(events(pieces), whole);
    }

    #[test]
    fn no_bytes_make_any_dialect_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
        hold_against_all(&bytes);
    }

    #[test]
    fn no_json_makes_any_dialect_panic(json in super::arbitrary::json()) {
        hold_against_all(json.to_string().as_bytes());
    }

    #[test]
    fn an_object_is_written_as_it_was_read(json in super::arbitrary::object()) {
        let text = json.to_string();
        let mut object = Object::parse(text.as_bytes()).expect("an object");
        prop_assert_eq!(object.to_vec(), text.as_bytes());
        object.set("model", "another");
        let changed: serde_json::Value = serde_json::from_slice(&object.to_vec()).expect("JSON");
        let mut expected: serde_json::Value = serde_json::from_str(&text).expect("JSON");
        expected["model"] = "another".into();
        prop_assert_eq!(changed, expected);
    }
}

fn hold_against_all(bytes: &[u8]) {
    for dialect in Dialect::ALL {
        let (wire, front) = (dialect.wire(), dialect.front());
        let _ = wire.decode(bytes);
        let _ = wire.error(
            http::StatusCode::BAD_REQUEST,
            &http::HeaderMap::new(),
            bytes,
        );
        let _ = front.parse(Bytes::copy_from_slice(bytes));
        let mut decoder = wire.decoder();
        for name in ["", "error", "message_start"] {
            let event = SseEvent {
                name: Bytes::from_static(name.as_bytes()),
                data: Some(Bytes::copy_from_slice(bytes)),
                raw: Bytes::new(),
            };
            let _ = decoder.event(&event, &mut Vec::new());
        }
        let _ = decoder.is_whole();
    }
}
