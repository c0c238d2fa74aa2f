//! Requests, answers and JSON of any kind.

use backstop_llm::{
    Chat, Choice, Completion, Dialect, FinishReason, Function, Image, Json, Message, Part,
    Reasoning, ReasoningMode, ResponseFormat, Role, Sampling, Signature, Source, Thinking, Tool,
    ToolCall, ToolChoice, ToolResult, Usage,
};
use proptest::{collection::vec, option, prelude::*};
use serde_json::Value;

/// JSON whose objects often have the names that the dialects look for.
pub(crate) fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_filter_map("a number", |n| n.is_finite().then(|| n.into())),
        "[a-z é\\\\\"]{0,8}".prop_map(Value::from),
        prop_oneof![
            Just("text"),
            Just("tool_use"),
            Just("assistant"),
            Just("message_start"),
            Just("content_block_delta"),
            Just("json_schema"),
            Just("tool_calls"),
        ]
        .prop_map(Value::from),
    ];
    leaf.prop_recursive(5, 48, 6, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..4).prop_map(Value::from),
            vec((name(), inner), 0..6)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// A JSON object.
pub(crate) fn object() -> impl Strategy<Value = Value> {
    vec((name(), json()), 0..8).prop_map(|fields| Value::Object(fields.into_iter().collect()))
}

fn name() -> impl Strategy<Value = String> {
    prop_oneof![
        "(choices|delta|message|messages|content|role|type|text|index|error|usage|model)",
        "(tool_calls|function|arguments|content_block|input|candidates|parts|item|response)",
        "[a-z\"\\\\é]{0,6}",
    ]
}

pub(crate) fn text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 \\n\"\\\\é😀/<>&]{1,20}"
}

fn word() -> impl Strategy<Value = String> {
    "[a-z][a-z0-9_]{0,7}"
}

fn arguments() -> impl Strategy<Value = String> {
    object().prop_map(|object| object.to_string())
}

fn schema() -> impl Strategy<Value = Json> {
    object().prop_map(|object| Json::of(&object))
}

fn call() -> impl Strategy<Value = Part> {
    (word(), word(), arguments())
        .prop_map(|(id, name, arguments)| Part::ToolCall(ToolCall::new(id, name, arguments)))
}

fn image() -> impl Strategy<Value = Part> {
    let inline = Source::Base64 {
        media_type: "image/png".to_owned(),
        data: "aGk=".to_owned(),
    };
    let source = prop_oneof![
        Just(inline),
        Just(Source::Url("https://example.com/a.png".to_owned())),
    ];
    source.prop_map(|source| {
        Part::Image(Image {
            source,
            detail: None,
        })
    })
}

fn said() -> impl Strategy<Value = Part> {
    prop_oneof![3 => text().prop_map(Part::text), 1 => image()]
}

/// A turn of the person's and one of the assistant's, which may use a tool.
fn turns(dialect: Dialect) -> impl Strategy<Value = Vec<Message>> {
    let user = vec(said(), 1..3).prop_map(|parts| Message::new(Role::User, parts));
    let assistant = (option::of(text()), vec(call(), 0..3));
    (user, assistant, text()).prop_map(move |(user, (said, calls), result)| {
        let results: Vec<_> = calls
            .iter()
            .filter_map(|call| match call {
                Part::ToolCall(call) => Some(Part::ToolResult(ToolResult {
                    id: call.id.clone(),
                    content: vec![Part::text(&result)],
                    is_error: false,
                })),
                _ => None,
            })
            .collect();
        let mut parts: Vec<_> = said.map(Part::text).into_iter().chain(calls).collect();
        if parts.is_empty() {
            parts.push(Part::text("ok"));
        }
        let mut turns = vec![user, Message::new(Role::Assistant, parts)];
        match dialect {
            // One message for each result.
            Dialect::OpenAi => {
                turns.extend(
                    results
                        .into_iter()
                        .map(|r| Message::new(Role::Tool, vec![r])),
                );
                turns.push(Message::text(Role::User, "Go on."));
                turns.push(Message::text(Role::Assistant, "Yes."));
            }
            // All results in one message, before anything else.
            _ => {
                let mut parts = results;
                parts.push(Part::text("Go on."));
                turns.push(Message::new(Role::User, parts));
                turns.push(Message::text(Role::Assistant, "Yes."));
            }
        }
        turns
    })
}

fn function() -> impl Strategy<Value = Tool> {
    (
        word(),
        option::of(text()),
        schema(),
        option::of(any::<bool>()),
    )
        .prop_map(|(name, description, schema, strict)| {
            Tool::Function(Function {
                name,
                description,
                schema: Some(schema),
                strict,
            })
        })
}

fn choice() -> impl Strategy<Value = ToolChoice> {
    prop_oneof![
        Just(ToolChoice::Auto),
        Just(ToolChoice::Required),
        word().prop_map(ToolChoice::Named),
    ]
}

fn hundredths(most: u32) -> impl Strategy<Value = Option<f64>> {
    option::of((0..=most).prop_map(|n| f64::from(n) / 100.0))
}

fn sampling(dialect: Dialect) -> impl Strategy<Value = Sampling> {
    let shared = (hundredths(100), hundredths(100), option::of(0..100_u64));
    let own = (
        hundredths(200),
        hundredths(200),
        option::of(any::<i32>()),
        option::of(1..4_u64),
        option::of(any::<bool>()),
    );
    (shared, own).prop_map(move |((temperature, top_p, top_k), own)| {
        let mut sampling = Sampling {
            temperature,
            top_p,
            top_k,
            ..Sampling::default()
        };
        if dialect == Dialect::OpenAi {
            let (presence, frequency, seed, n, logprobs) = own;
            sampling.presence_penalty = presence;
            sampling.frequency_penalty = frequency;
            sampling.seed = seed.map(i64::from);
            sampling.n = n;
            sampling.logprobs = logprobs;
        }
        sampling
    })
}

/// A request that the dialect has words for.
pub(crate) fn chat(dialect: Dialect) -> impl Strategy<Value = Chat> {
    let conversation = (option::of(text()), vec(turns(dialect), 1..3), text());
    let tools = (vec(function(), 0..3), option::of(choice()), any::<bool>());
    let limits = (
        1..9999_u64,
        vec(text(), 0..3),
        option::of(word()),
        any::<bool>(),
    );
    let form = (option::of((word(), schema())), any::<bool>());
    (conversation, tools, limits, form, sampling(dialect)).prop_map(
        move |((system, turns, last), tools, (max_tokens, stop, user, stream), form, sampling)| {
            let mut chat = Chat::default();
            chat.model = match dialect {
                Dialect::Anthropic => "claude-opus-4-8".to_owned(),
                _ => "model".to_owned(),
            };
            chat.messages
                .extend(system.map(|text| Message::text(Role::System, text)));
            chat.messages.extend(turns.into_iter().flatten());
            chat.messages.push(Message::text(Role::User, last));
            let (tools, choice, single) = tools;
            if !tools.is_empty() {
                let single = single && choice.is_some();
                chat.parallel_tool_calls = single.then_some(false);
                chat.tool_choice = choice;
            }
            chat.tools = tools;
            chat.max_tokens = Some(max_tokens);
            chat.stop = stop;
            chat.user = user;
            chat.stream = stream;
            chat.sampling = sampling;
            let (schema, thinks) = form;
            if let Some((name, schema)) = schema {
                let own = dialect == Dialect::OpenAi;
                chat.format = ResponseFormat::Schema {
                    name: own.then_some(name),
                    description: None,
                    schema,
                    strict: own.then_some(true),
                };
            }
            chat.reasoning = thinks.then(|| Reasoning {
                effort: Some("high".to_owned()),
                mode: (dialect == Dialect::Anthropic).then_some(ReasoningMode::Adaptive),
                ..Reasoning::default()
            });
            chat.extra_dialect = Some(dialect);
            chat.extra = vec![("service_tier".to_owned(), Json::of("auto"))];
            chat
        },
    )
}

fn usage() -> impl Strategy<Value = Usage> {
    (0..999_u64, 0..999_u64, 0..999_u64, 0..999_u64, 0..999_u64).prop_map(
        |(input, cached, cache_write, output, reasoning)| {
            let mut usage = Usage::new(input + cached + cache_write, output + reasoning);
            usage.cached = cached;
            usage.cache_write = cache_write;
            usage.reasoning = reasoning;
            usage
        },
    )
}

/// A whole answer that the dialect has words for.
pub(crate) fn completion(dialect: Dialect) -> impl Strategy<Value = Completion> {
    let parts = (option::of(text()), option::of(text()), vec(call(), 0..3));
    (word(), word(), parts, usage()).prop_map(move |(id, model, parts, usage)| {
        let (thought, said, calls) = parts;
        let own = match dialect {
            Dialect::Gemini | Dialect::Responses => dialect,
            _ => Dialect::Anthropic,
        };
        let signature = Signature::new(own, "c2ln");
        let mut calls = calls;
        let proves = matches!(
            dialect,
            Dialect::Gemini | Dialect::OpenAi | Dialect::Responses
        );
        if let Some(Part::ToolCall(call)) = calls.first_mut().filter(|_| proves) {
            call.signature = Some(Signature::new(Dialect::Gemini, "c2ln"));
        }
        let thought = thought.map(|text| {
            Part::Thinking(Thinking {
                text,
                signature: Some(signature),
                redacted: None,
            })
        });
        let finish = if calls.is_empty() {
            FinishReason::Stop
        } else {
            FinishReason::ToolCalls
        };
        let mut choice = Choice::new(0, finish);
        let said = said.map(Part::text);
        choice.content = thought.into_iter().chain(said).chain(calls).collect();
        if choice.content.is_empty() {
            choice.content.push(Part::text("."));
        }
        let mut completion = Completion::default();
        completion.id = match dialect {
            Dialect::Responses => format!("resp_{id}"),
            _ => id,
        };
        completion.model = model;
        let dated = matches!(dialect, Dialect::OpenAi | Dialect::Responses);
        completion.created = dated.then_some(1_700_000_000);
        completion.choices = vec![choice];
        let mut usage = usage;
        if dialect == Dialect::Gemini {
            // It does not tell what it wrote to a cache.
            usage.input -= std::mem::take(&mut usage.cache_write);
        }
        completion.usage = Some(usage);
        completion
    })
}
