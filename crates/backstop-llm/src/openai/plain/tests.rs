//! What is read as plain is held against what the readers of all forms make of it.

use bytes::Bytes;
use proptest::{prelude::*, sample::select};

use super::super::{request, response};
use crate::{ChatRequest, Completion, Error};

/// Values of all types, right and wrong ones.
const VALUES: &[&str] = &[
    "null",
    "true",
    "0",
    "7",
    "-1",
    "2.5",
    "1e400",
    "9007199254740993",
    "18446744073709551616",
    "\"\"",
    "\"text\"",
    "\"a\\u00e9\\n\\\"b\\\"\"",
    "\"\\ud800\"",
    "\"é\"",
    "\"user\"",
    "\"tool\"",
    "\"error\"",
    "[]",
    "[null]",
    "[\"user\",\"hi\"]",
    "[\"user\",\"hi\",null,[]]",
    "[{\"type\":\"text\",\"text\":\"hi\"}]",
    "{}",
    "{\"user\":null}",
    "{\"cached_tokens\":3}",
    "{\"a\":{\"b\":[1]}}",
    "nonsense",
];

const ROLES: &[&str] = &["\"user\"", "\"assistant\"", "\"system\"", "\"tool\""];

const CONTENTS: &[&str] = &["\"\"", "\"hi\"", "\"a\\nb\"", "null"];

fn value() -> impl Strategy<Value = String> {
    select(VALUES).prop_map(str::to_owned)
}

/// An object of these fields, some of which are left out, are there twice or have another value.
fn object(fields: Vec<(&'static str, BoxedStrategy<String>)>) -> BoxedStrategy<String> {
    let fields: Vec<_> = fields
        .into_iter()
        .map(|(name, usual)| {
            let one = move |value: String| format!("\"{name}\":{value}");
            prop_oneof![
                14 => usual.clone().prop_map(move |value| vec![one(value)]),
                1 => Just(Vec::new()),
                1 => value().prop_map(move |value| vec![one(value)]),
                1 => (usual, value()).prop_map(move |(a, b)| vec![one(a), one(b)]),
            ]
        })
        .collect();
    let more = prop_oneof![
        10 => Just(Vec::new()),
        1 => value().prop_map(|value| vec![format!("\"more\":{value}")]),
        1 => value().prop_map(|value| vec![format!("\"tool_calls\":{value}")]),
        1 => value().prop_map(|value| vec![format!("\"n\\u0061me\":{value}")]),
    ];
    (fields, more)
        .prop_map(|(fields, more)| format!("{{{}}}", [fields.concat(), more].concat().join(",")))
        .boxed()
}

fn just(value: &'static str) -> BoxedStrategy<String> {
    Just(value.to_owned()).boxed()
}

fn list(one: BoxedStrategy<String>) -> BoxedStrategy<String> {
    let some = proptest::collection::vec(one, 0..3);
    some.prop_map(|all| format!("[{}]", all.join(", "))).boxed()
}

fn message() -> BoxedStrategy<String> {
    let role = select(ROLES);
    let content = select(CONTENTS);
    let plain = object(vec![
        ("role", role.prop_map(str::to_owned).boxed()),
        ("content", content.prop_map(str::to_owned).boxed()),
        ("refusal", just("null")),
        ("annotations", just("[]")),
    ]);
    prop_oneof![20 => plain, 1 => value()].boxed()
}

fn an_answer() -> BoxedStrategy<String> {
    let usage = object(vec![
        ("prompt_tokens", just("74")),
        ("completion_tokens", just("24")),
        ("total_tokens", just("98")),
        (
            "prompt_tokens_details",
            object(vec![("cached_tokens", just("3"))]),
        ),
    ]);
    let choice = object(vec![
        ("index", just("0")),
        ("message", message()),
        ("logprobs", just("null")),
        ("finish_reason", just("\"stop\"")),
        ("text", just("null")),
    ]);
    object(vec![
        ("id", just("\"c\"")),
        ("object", just("\"chat.completion\"")),
        ("created", just("1795286905")),
        ("model", just("\"m\"")),
        ("choices", list(choice)),
        ("usage", usage),
        ("error", just("null")),
    ])
}

fn a_request() -> BoxedStrategy<String> {
    object(vec![
        ("model", just("\"m\"")),
        ("messages", list(message())),
        ("temperature", just("0.5")),
        ("stream", just("true")),
    ])
}

/// The same, cut somewhere or with something after it now and then.
fn damaged(body: BoxedStrategy<String>) -> impl Strategy<Value = Vec<u8>> {
    let damage = prop_oneof![
        20 => Just(None),
        1 => any::<prop::sample::Index>().prop_map(|at| Some((at, false))),
        1 => any::<prop::sample::Index>().prop_map(|at| Some((at, true))),
    ];
    (body, damage).prop_map(|(body, damage)| {
        let mut body = body.into_bytes();
        if let Some((at, cut)) = damage {
            let at = at.index(body.len());
            if cut {
                body.truncate(at);
            } else {
                body[at] = b'\xff';
            }
        }
        body
    })
}

fn told(read: Result<Completion, Error>) -> String {
    format!("{read:?}")
}

fn asked(read: Result<ChatRequest, Error>) -> String {
    format!("{read:?}")
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4096))]

    #[test]
    fn a_plain_answer_is_what_it_is_to_the_reader_of_all(body in damaged(an_answer())) {
        if let Some(plain) = super::answer(&body) {
            prop_assert_eq!(told(Ok(plain)), told(response::decode_any(&body)));
        }
    }

    #[test]
    fn a_request_is_read_as_by_the_reader_of_all(body in damaged(a_request())) {
        let body = Bytes::from(body);
        prop_assert_eq!(asked(request::parse(body.clone())), asked(request::parse_any(&body)));
    }
}

#[test]
fn what_most_answers_are_is_plain() {
    let usual = r#"{"id":"c","object":"chat.completion","created":1795286905,"model":"m",
        "choices":[{"index":0,"message":{"role":"assistant","content":"a\nb","refusal":null,
        "annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":74},
        "service_tier":"default"}"#;
    assert!(super::answer(usual.as_bytes()).is_some());
}
