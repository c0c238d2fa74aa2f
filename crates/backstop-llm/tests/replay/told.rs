//! What a caller is told, read as simply as a recording.

use backstop_core::FaultKind;
use backstop_llm::Dialect;
use serde_json::Value;

use crate::{
    expect::{self, Answer},
    expect_responses::responses,
    recording::{Recording, Request, Response},
};

/// Reads what was written as a recording of its own.
pub(crate) fn read(
    recording: &Recording,
    body: String,
    front: Dialect,
) -> Result<Answer, FaultKind> {
    let written = Recording {
        id: recording.id.clone(),
        provider: "front".to_owned(),
        api: String::new(),
        kind: recording.kind.clone(),
        model: None,
        tags: recording.tags.clone(),
        request: Request { body: None },
        response: Response {
            status: 200,
            headers: std::collections::BTreeMap::new(),
            body: Some(body),
            encoding: None,
            socket_error: None,
        },
    };
    match front {
        Dialect::Anthropic => expect::anthropic(&written),
        Dialect::Responses => responses(&written),
        _ => expect::openai(&written),
    }
}

/// What a dialect has no words for, or other ones.
pub(crate) fn as_told(
    mut answer: Answer,
    recording_streams: bool,
    from: Dialect,
    front: Dialect,
) -> Answer {
    if front == Dialect::Anthropic && from != front {
        answer.text.push_str(&std::mem::take(&mut answer.refusal));
        answer.usage.get_or_insert_default();
        for (.., arguments) in &mut answer.calls {
            // A tool's input must be an object there, also where a model wrote something else.
            if !recording_streams && !arguments.is_object() {
                *arguments = serde_json::json!({ "arguments": arguments.clone() });
            }
        }
    }
    if front == Dialect::OpenAi && from != front && answer.finish == "pause" {
        answer.finish = "stop".to_owned();
    }
    if front == Dialect::Responses && from != front {
        if !answer.id.starts_with("resp_") {
            answer.id.insert_str(0, "resp_");
        }
        if !matches!(
            answer.finish.as_str(),
            "content_filter" | "length" | "tool_calls"
        ) {
            answer.finish = "stop".to_owned();
        }
    }
    answer
}

/// Whether what was written has the end marker of a good stream, where it is one.
pub(crate) fn ends_well(recording: &Recording, body: &str) -> bool {
    !recording.is_streamed()
        || body.trim_end().ends_with("data: [DONE]")
        || body.contains("\"message_stop\"")
        || body.contains("event: response.completed")
        || body.contains("event: response.incomplete")
}

/// A request reached a provider of its own dialect as it was recorded.
pub(crate) fn assert_same(id: &str, sent: &str, asked: &str) {
    let read = |text: &str| -> Value { serde_json::from_str(text).expect("JSON") };
    let [mut sent, mut asked] = [sent, asked].map(read);
    // The usage is asked for in any case, and OpenAI's limit is named as its models want it.
    for value in [&mut sent, &mut asked] {
        let value = value.as_object_mut().expect("an object");
        value.remove("stream_options");
        let limit = value.remove("max_tokens");
        let limit = value.remove("max_completion_tokens").or(limit);
        value.extend(limit.map(|limit| ("max_tokens".to_owned(), limit)));
    }
    assert_eq!(sent, asked, "{id}: the request was changed");
}
