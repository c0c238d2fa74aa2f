//! What is written in a dialect is read as it was.

use backstop_llm::{
    Chat, ChatRequest, ChatStream, Completion, Dialect, Json, Part, Sampling, Tool, plan::Plan,
    sse::SseParser,
};
use proptest::prelude::*;

use crate::arbitrary::{chat, completion};

/// A request written to a provider, and read as a caller's.
fn request(dialect: Dialect, chat: Chat) -> Chat {
    let encoded = dialect
        .wire()
        .encode(&ChatRequest::from(chat), &Plan::default())
        .expect("a request");
    let read = dialect
        .front()
        .parse(encoded.body)
        .expect("the same request");
    read.chat().clone()
}

/// A whole answer written to a caller, and read as a provider's.
fn answer(dialect: Dialect, completion: &Completion) -> Completion {
    let written = dialect.front().render(completion);
    dialect.wire().decode(&written).expect("the same answer")
}

/// The same in pieces, through whole bytes and back.
fn stream(dialect: Dialect, completion: Completion) -> Completion {
    let mut chat = Chat::default();
    chat.include_usage = true;
    let mut encoder = dialect.front().encoder(&ChatRequest::from(chat));
    let mut stream = ChatStream::of(completion);
    let mut written = Vec::new();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .expect("a runtime");
    while let Some(chunk) = runtime.block_on(stream.next()) {
        encoder.chunk(&chunk.expect("a chunk"), &mut written);
    }
    let mut decoder = dialect.wire().decoder();
    let mut parser = SseParser::new();
    parser.push(&written);
    let mut events = Vec::new();
    while let Some(event) = parser.next_event().expect("small events") {
        decoder.event(&event, &mut events).expect("an event");
    }
    assert!(decoder.is_whole(), "the end marker is there");
    events.into_iter().collect()
}

/// What of a request Responses have words for, with what they say where nothing was said.
fn for_responses(mut chat: Chat) -> Chat {
    chat.stop.clear();
    chat.sampling = Sampling {
        temperature: chat.sampling.temperature,
        top_p: chat.sampling.top_p,
        ..Sampling::default()
    };
    chat.include_usage = true;
    chat.extra_dialect = Some(Dialect::Responses);
    for (field, value) in [
        ("verbosity", Json::of("low")),
        ("store", Json::of(&true)),
        ("include", Json::of(&["file_search_call.results"])),
    ] {
        chat.extra.insert(0, (field.to_owned(), value));
    }
    chat.extra.sort_by_key(|(name, _)| name != "verbosity");
    for tool in &mut chat.tools {
        if let Tool::Function(function) = tool {
            function.strict.get_or_insert(false);
        }
    }
    for part in chat.messages.iter_mut().flat_map(|it| &mut it.content) {
        if let Part::Image(image) = part {
            image.detail.get_or_insert_with(|| "auto".to_owned());
        }
    }
    chat
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(128))]

    #[test]
    fn a_request_to_responses_is_read_as_it_was(chat in chat(Dialect::OpenAi)) {
        let chat = for_responses(chat);
        prop_assert_eq!(request(Dialect::Responses, chat.clone()), chat);
    }

    #[test]
    fn a_request_to_openai_is_read_as_it_was(chat in chat(Dialect::OpenAi)) {
        // We ask for the usage of every stream.
        let mut expected = chat.clone();
        expected.include_usage = false;
        prop_assert_eq!(request(Dialect::OpenAi, chat), expected);
    }

    #[test]
    fn a_request_to_anthropic_is_read_as_it_was(chat in chat(Dialect::Anthropic)) {
        prop_assert_eq!(request(Dialect::Anthropic, chat.clone()), chat);
    }

    #[test]
    fn an_answer_of_openai_is_read_as_it_was(answered in completion(Dialect::OpenAi)) {
        prop_assert_eq!(&answer(Dialect::OpenAi, &answered), &answered);
        prop_assert_eq!(&stream(Dialect::OpenAi, answered.clone()), &answered);
    }

    #[test]
    fn an_answer_of_anthropic_is_read_as_it_was(answered in completion(Dialect::Anthropic)) {
        prop_assert_eq!(&answer(Dialect::Anthropic, &answered), &answered);
        prop_assert_eq!(&stream(Dialect::Anthropic, answered.clone()), &answered);
    }

    #[test]
    fn an_answer_of_responses_is_read_as_it_was(answered in completion(Dialect::Responses)) {
        prop_assert_eq!(&answer(Dialect::Responses, &answered), &answered);
        prop_assert_eq!(&stream(Dialect::Responses, answered.clone()), &answered);
    }
}
