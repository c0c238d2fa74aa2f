//! What a caller is told, read as simply as a recording.

use backstop_core::FaultKind;
use backstop_llm::Dialect;
use serde_json::Value;

use crate::{
    events::{Event, events},
    expect::{self, Answer, text},
    recording::Recording,
};

/// Reads what was written as a recording of its own.
pub(crate) fn read(
    recording: &Recording,
    body: String,
    front: Dialect,
) -> Result<Answer, FaultKind> {
    let written = Recording::written(body, recording.is_streamed());
    expect::answer(&written, front)
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
        // A call is told by its presence.
        let called = !answer.calls.is_empty();
        answer.finish = match answer.finish.as_str() {
            word @ ("content_filter" | "length") => word,
            "tool_calls" if called => "tool_calls",
            _ => "stop",
        }
        .to_owned();
    }
    answer
}

/// Whether what was written has the end marker of a good stream, where it is one.
pub(crate) fn ends_well(recording: &Recording, body: &str) -> bool {
    let ends = [
        "[DONE]",
        "message_stop",
        "response.completed",
        "response.incomplete",
    ];
    let marks = |(name, data): &Event| {
        let json: Value = serde_json::from_str(data).unwrap_or_default();
        let kind = text(&json["type"]);
        ends.iter()
            .any(|end| name == end || data == end || kind == *end)
    };
    !recording.is_streamed() || events(body).iter().any(marks)
}

/// Whether a request reached a provider of its own dialect as it was recorded.
pub(crate) fn is_same(sent: &str, asked: &str) -> Result<(), String> {
    let read = |text: &str| -> Value { serde_json::from_str(text).unwrap_or_default() };
    let [mut sent, mut asked] = [sent, asked].map(read);
    // The usage is asked for in any case, and OpenAI's limit is named as its models want it.
    for value in [&mut sent, &mut asked] {
        let Some(value) = value.as_object_mut() else {
            return Err(format!("{value} was asked, which is no object"));
        };
        value.remove("stream_options");
        let limit = value.remove("max_tokens");
        let limit = value.remove("max_completion_tokens").or(limit);
        value.extend(limit.map(|limit| ("max_tokens".to_owned(), limit)));
    }
    if sent != asked {
        return Err(format!("asked {sent}\nand not {asked}"));
    }
    Ok(())
}
