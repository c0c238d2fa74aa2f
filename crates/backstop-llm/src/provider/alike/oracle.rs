//! What is taken for alike is what reading it would have given, whatever comes.

use proptest::{prelude::*, sample::select};

use super::*;
use crate::Dialect;

/// What came of a stream: its events, with neighbouring texts of a choice as one; the bytes to be
/// passed on; and whether all of it could be read.
#[derive(Debug, Default, PartialEq)]
struct Outcome {
    events: Vec<Event>,
    raw: Vec<u8>,
    failed: bool,
}

impl Outcome {
    fn push(&mut self, event: Event) {
        match (self.events.last_mut(), event) {
            (
                Some(Event::Text { choice, delta }),
                Event::Text {
                    choice: of,
                    delta: more,
                },
            ) if *choice == of => delta.push_str(&more),
            (_, event) => self.events.push(event),
        }
    }
}

/// Reads a stream that comes in pieces of these lengths, over and over.
fn outcome(dialect: Dialect, stream: &[u8], lengths: &[usize], shortcut: bool) -> Outcome {
    let mut decoder = dialect.wire().decoder();
    let (mut alike, mut parser) = (Alike::default(), SseParser::new());
    let mut outcome = Outcome::default();
    let mut rest = stream;
    for length in lengths.iter().cycle() {
        if rest.is_empty() {
            break;
        }
        let (piece, after) = rest.split_at(rest.len().min(*length));
        rest = after;
        parser.push(piece);
        loop {
            // Without the shortcut nothing is known, and nothing taken.
            if let Some((raw, event)) = alike.take(&mut parser) {
                outcome.push(event);
                outcome.raw.extend_from_slice(&raw);
                continue;
            }
            let Some(event) = parser.next_event().expect("is short") else {
                break;
            };
            let mut events = Vec::new();
            if decoder.event(&event, &mut events).is_err() {
                outcome.failed = true;
                return outcome;
            }
            if decoder.passes_on() {
                outcome.raw.extend_from_slice(&event.raw);
                if shortcut {
                    alike.learn(&event, &events, &mut *decoder);
                }
            }
            events.into_iter().for_each(|event| outcome.push(event));
        }
    }
    outcome
}

const TEXTS: [&str; 20] = [
    "a",
    "b",
    "",
    " ",
    "0",
    "null",
    "m",
    "content",
    "text_delta",
    "something else",
    "\u{e9}\u{1f600}\u{2028}\u{7f}",
    "}}]}",
    "data: ",
    r"\n",
    r#"\""#,
    r"\\",
    r"\u0000",
    r"\ud83d\ude00",
    r"\ud83d",
    r#"\",\"content\":\""#,
];

const HEADS: [&str; 4] = ["", "event: content_block_delta\n", ": a\n", "\u{feff}"];

/// Events with `$` in place of a text, `#` in place of an index and `~` in place of padding.
const OPENAI: [&str; 22] = [
    r##"data: {"id":"c","model":"m","choices":[{"index":#,"delta":{"content":"$"},"finish_reason":null}]}"##,
    r##"data: {"id":"c","model":"m","choices":[{"index":#,"delta":{"content":"$"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"~"}"##,
    r##"data: {"id":"c","model":"m","choices":[{"index":#,"finish_reason":null,"delta":{"content":"$"}~}]~}"##,
    r##"data: {"id":"c","model":"m","choices":[{"delta":{"content":"$"}}]}"##,
    r##"data: {"id":"$","model":"m","choices":[{"index":#,"delta":{"content":"$"}}]}"##,
    r##"data: {"choices":[{"index":#,"delta":{"content":"$"}}],"model":"$","id":"$"}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"content":"a"}}],"obfuscation":"$"}"##,
    r##"data: {"obfuscation":"~","id":"c","choices":[{"index":#,"delta":{"content":"$"}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"content":"$","obfuscation":"~"}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"role":"assistant","content":"$","refusal":null}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"refusal":"$"}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"content":"$","content":"$"}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"content":"$","refusal":"$"}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"text":"$","delta":{"content":"$"}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"text":"$","finish_reason":null}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"reasoning_content":"$"}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"content":[{"type":"text","text":"$"}]}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"content":"$","tool_calls":[{"index":#,"id":"$","function":{"name":"f","arguments":"$"}}]}}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"content":"$","tool_calls":[]},"finish_reason":"stop"}]}"##,
    r##"data: {"id":"c","choices":[{"index":#,"delta":{"content":"$"}}],"usage":{"prompt_tokens":#,"completion_tokens":#}}"##,
    r##"data: {"id":"c","choices":[{"index":0,"delta":{"content":"$"}},{"index":1,"delta":{"content":"$"}}]}"##,
    "data: [DONE]",
];

const ANTHROPIC: [&str; 12] = [
    r##"data: {"type":"content_block_delta","index":#,"delta":{"type":"text_delta","text":"$"}~}"##,
    r##"data: {"type":"content_block_delta","index":#,"delta":{"text":"$","type":"text_delta"}~}"##,
    r##"data: {"delta":{"type":"text_delta","text":"$"},"index":#,"type":"content_block_delta"}"##,
    r##"data: {"type":"content_block_delta","index":#,"delta":{"type":"thinking_delta","thinking":"$"}~}"##,
    r##"data: {"type":"content_block_delta","index":#,"delta":{"type":"input_json_delta","partial_json":"$"}~}"##,
    r##"data: {"type":"content_block_delta","index":#,"delta":{"type":"signature_delta","signature":"$"}}"##,
    r##"data: {"type":"content_block_start","index":#,"content_block":{"type":"text","text":"$"}}"##,
    r##"data: {"type":"content_block_start","index":#,"content_block":{"type":"tool_use","id":"$","name":"$","input":{}}}"##,
    r##"data: {"type":"content_block_stop","index":#}"##,
    r##"data: {"type":"message_start","message":{"id":"$","model":"m","usage":{"input_tokens":#}}}"##,
    r##"data: {"type":"message_delta","delta":{"stop_reason":"end_turn","text":"$"},"usage":{"output_tokens":#}}"##,
    r##"data: {"type":"message_stop"}"##,
];

/// One that is framed as most of its stream are, or in some other way.
fn event(shapes: Vec<&'static str>, head: &'static str) -> impl Strategy<Value = Vec<u8>> {
    let frames = select(vec!["\r\n\r\n", "\r\r", "\n \n", "\nid: 1\n\n"]);
    let frames = prop_oneof![24 => Just("\n\n"), 1 => frames];
    let heads = prop_oneof![24 => Just(head), 1 => select(&HEADS[..])];
    let other = select(vec![" ", "", "\"", "\\", "\n", "}", ",", "\u{e9}"]);
    let change = (any::<prop::sample::Index>(), other).prop_map(Some);
    let changes = prop_oneof![40 => Just(None), 1 => change];
    let texts = prop_oneof![4 => select(&TEXTS[..2]), 1 => select(&TEXTS[..])];
    let padding = select(vec!["", " ", "   "]);
    let index = prop_oneof![9 => Just("0"), 1 => Just("1")];
    (
        select(shapes),
        texts,
        index,
        padding,
        heads,
        frames,
        changes,
    )
        .prop_map(|(shape, text, index, padding, head, frame, change)| {
            let filled = shape.replace('#', index).replace('~', padding);
            let event = format!("{head}{}{frame}", filled.replace('$', text));
            let mut event = event.into_bytes();
            if let Some((at, with)) = change {
                let at = at.index(event.len());
                event.splice(at..=at, with.bytes());
            }
            event
        })
}

/// Streams of few shapes each, so that events alike follow each other.
fn streams(shapes: &'static [&'static str]) -> impl Strategy<Value = Vec<u8>> {
    let few = prop::sample::subsequence(shapes, 1..=3);
    (few, select(&HEADS[..])).prop_flat_map(|(few, head)| {
        let events = prop::collection::vec(event(few, head), 1..24);
        events.prop_map(|events| events.concat())
    })
}

fn assert_same(dialect: Dialect, stream: &[u8], lengths: &[usize]) {
    let read = outcome(dialect, stream, lengths, false);
    let taken = outcome(dialect, stream, lengths, true);
    assert_eq!(taken, read, "{}", String::from_utf8_lossy(stream));
}

fn lengths() -> impl Strategy<Value = Vec<usize>> {
    prop_oneof![
        Just(vec![usize::MAX]),
        prop::collection::vec(1..400_usize, 1..5)
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn openai_is_read_the_same(stream in streams(&OPENAI), lengths in lengths()) {
        assert_same(Dialect::OpenAi, &stream, &lengths);
    }

    #[test]
    fn anthropic_is_read_the_same(stream in streams(&ANTHROPIC), lengths in lengths()) {
        assert_same(Dialect::Anthropic, &stream, &lengths);
    }
}
