use bytes::Bytes;
use serde_json::{Value, json};

use crate::{
    dialect::{
        Frames, Stamp,
        fields::{json_pieces, quoted},
    },
    ids,
    script::Stop,
    turn::Turn,
};

/// Written out by hand, in the order of the real ones: a load test asks for many.
pub(in crate::dialect) fn whole(turn: &Turn, stamp: &Stamp) -> Bytes {
    let message = message(turn);
    let finish = finish_reason(&turn.stop);
    let mut choices = String::new();
    for index in 0..turn.ask.choices {
        let comma = if index == 0 { "" } else { "," };
        choices.push_str(&format!(
            r#"{comma}{{"index":{index},"message":{message},"logprobs":null,"finish_reason":"{finish}"}}"#
        ));
    }
    let (id, created) = (completion_id(), stamp.created);
    let (model, usage) = (quoted(&turn.ask.model), usage(turn));
    format!(
        r#"{{"id":"{id}","object":"chat.completion","created":{created},"model":{model},"choices":[{choices}],"usage":{usage},"service_tier":"default","system_fingerprint":"{FINGERPRINT}"}}"#
    )
    .into()
}

fn message(turn: &Turn) -> String {
    let reply = &turn.reply;
    let calls_only = reply.text.is_empty() && !reply.tool_calls.is_empty();
    let content = if calls_only {
        "null".to_owned()
    } else {
        quoted(&reply.text)
    };
    let mut message = format!(r#"{{"role":"assistant","content":{content},"refusal":null"#);
    if let Some(thinking) = &reply.thinking {
        message.push_str(&format!(r#","reasoning_content":{}"#, quoted(thinking)));
    }
    if !reply.tool_calls.is_empty() {
        let calls = reply.tool_calls.iter().map(|call| {
            json!({
                "id": tool_id(),
                "type": "function",
                "function": { "name": call.name, "arguments": call.text() },
            })
        });
        message.push_str(&format!(r#","tool_calls":{}"#, calls.collect::<Value>()));
    }
    message.push_str(r#","annotations":[]}"#);
    message
}

fn usage(turn: &Turn) -> String {
    let input = turn.ask.input_tokens;
    let output = turn.output_tokens * turn.ask.choices as u64;
    let (total, thinking) = (input + output, turn.thinking_tokens);
    format!(
        r#"{{"prompt_tokens":{input},"completion_tokens":{output},"total_tokens":{total},"prompt_tokens_details":{{"cached_tokens":0,"audio_tokens":0}},"completion_tokens_details":{{"reasoning_tokens":{thinking},"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}}}}"#
    )
}

const fn finish_reason(stop: &Stop) -> &'static str {
    match stop {
        Stop::End | Stop::Sequence(_) => "stop",
        Stop::Length => "length",
        Stop::Tool => "tool_calls",
        Stop::Filtered => "content_filter",
    }
}

const FINGERPRINT: &str = "fp_6fc10e10eb";

fn completion_id() -> String {
    ids::alphanumeric("chatcmpl-", 29)
}

fn tool_id() -> String {
    ids::alphanumeric("call_", 24)
}

// ===== Streams =====

pub(in crate::dialect) fn frames(turn: &Turn, stamp: &Stamp) -> Frames {
    let writer = Writer::new(turn, stamp);
    let mut frames = Frames::default();
    for index in 0..turn.ask.choices {
        frames.opening.push(writer.delta(
            index,
            r#"{"role":"assistant","content":"","refusal":null}"#,
            None,
        ));
        for word in turn.reply.thoughts() {
            let delta = format!(r#"{{"reasoning_content":{}}}"#, quoted(word));
            frames.content.push(writer.delta(index, &delta, None));
        }
        if !turn.reply.text.is_empty() {
            for piece in turn.reply.pieces() {
                let delta = format!(r#"{{"content":{}}}"#, quoted(piece));
                frames.content.push(writer.delta(index, &delta, None));
            }
        }
        for (place, call) in turn.reply.tool_calls.iter().enumerate() {
            let first = json!({ "tool_calls": [{
                "index": place,
                "id": tool_id(),
                "type": "function",
                "function": { "name": call.name, "arguments": "" },
            }]});
            frames
                .content
                .push(writer.delta(index, &first.to_string(), None));
            for piece in json_pieces(&call.text()) {
                let delta = json!({ "tool_calls": [{
                    "index": place, "function": { "arguments": piece },
                }]});
                frames
                    .content
                    .push(writer.delta(index, &delta.to_string(), None));
            }
        }
        frames
            .closing
            .push(writer.delta(index, "{}", Some(finish_reason(&turn.stop))));
    }
    if turn.ask.include_usage {
        frames.closing.push(writer.frame("[]", &usage(turn)));
    }
    frames.closing.push(Bytes::from_static(b"data: [DONE]\n\n"));
    frames
}

/// Writes chunks around what is the same in all of them.
struct Writer {
    head: String,
    include_usage: bool,
}

impl Writer {
    fn new(turn: &Turn, stamp: &Stamp) -> Self {
        let head = format!(
            "data: {{\"id\":\"{}\",\"object\":\"chat.completion.chunk\",\"created\":{},\
             \"model\":{},\"service_tier\":\"default\",\"system_fingerprint\":\"{FINGERPRINT}\",\
             \"choices\":",
            completion_id(),
            stamp.created,
            quoted(&turn.ask.model),
        );
        Self {
            head,
            include_usage: turn.ask.include_usage,
        }
    }

    fn delta(&self, index: usize, delta: &str, finish: Option<&str>) -> Bytes {
        let finish = finish.map_or_else(|| "null".to_owned(), quoted);
        let choices = format!(
            r#"[{{"index":{index},"delta":{delta},"logprobs":null,"finish_reason":{finish}}}]"#
        );
        self.frame(&choices, "null")
    }

    fn frame(&self, choices: &str, usage: &str) -> Bytes {
        const FILLER: &str = "yV5j76iAcp9Zs3oMK";
        let usage = if self.include_usage {
            format!(",\"usage\":{usage}")
        } else {
            String::new()
        };
        let filler = ids::padding(FILLER);
        format!(
            "{}{choices}{usage},\"obfuscation\":\"{filler}\"}}\n\n",
            self.head
        )
        .into()
    }
}

/// The error that ends a stream, after which no `[DONE]` comes.
pub(in crate::dialect) fn error_event() -> Bytes {
    Bytes::from_static(
        b"data: {\"error\":{\"message\":\"The server had an error while processing your request. \
          Sorry about that!\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n",
    )
}
