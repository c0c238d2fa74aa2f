//! What a recording of OpenAI's Responses holds.

use backstop_core::FaultKind;
use serde_json::Value;

use crate::{
    expect::{Answer, arguments, body_kind, datas, error_kind, text},
    recording::Recording,
};

pub(crate) fn responses(recording: &Recording) -> Result<Answer, FaultKind> {
    if let Some(kind) = error_kind(recording) {
        return Err(kind);
    }
    if !recording.is_streamed() {
        return Ok(whole(
            &serde_json::from_str(recording.body()).expect("JSON"),
        ));
    }
    // The last event repeats the whole response.
    let mut last = Err(FaultKind::Malformed);
    for data in datas(recording.body()) {
        let body: Value = serde_json::from_str(&data).expect("JSON");
        match body["type"].as_str().unwrap_or_default() {
            "error" | "response.failed" => {
                return Err(body_kind(&data, FaultKind::Malformed));
            }
            "response.completed" | "response.incomplete" => last = Ok(whole(&body["response"])),
            _ => {}
        }
    }
    last
}

fn whole(body: &Value) -> Answer {
    let mut answer = Answer {
        id: text(&body["id"]),
        model: text(&body["model"]),
        ..Answer::default()
    };
    for item in body["output"].as_array().into_iter().flatten() {
        match item["type"].as_str().unwrap_or_default() {
            "message" => {
                for part in item["content"].as_array().into_iter().flatten() {
                    answer.text.push_str(&text(&part["text"]));
                    answer.refusal.push_str(&text(&part["refusal"]));
                    let notes = part["annotations"].as_array().into_iter().flatten();
                    let named = notes.filter_map(|note| note["url"].as_str());
                    answer.sources.extend(named.map(str::to_owned));
                }
            }
            "image_generation_call" => answer.pictures.push(text(&item["result"])),
            "function_call" => answer.calls.push((
                text(&item["name"]),
                text(&item["call_id"]),
                arguments(&item["arguments"]),
            )),
            "reasoning" => {
                let texts = |list: &Value| -> Vec<String> {
                    let list = list.as_array().into_iter().flatten();
                    list.map(|part| text(&part["text"])).collect()
                };
                let summary = texts(&item["summary"]);
                answer.thought.push_str(&if summary.is_empty() {
                    texts(&item["content"]).concat()
                } else {
                    summary.join("\n\n")
                });
            }
            _ => {}
        }
    }
    let reason = text(&body["incomplete_details"]["reason"]);
    answer.finish = match (body["status"].as_str().unwrap_or_default(), reason.as_str()) {
        ("incomplete", "content_filter") => "content_filter",
        ("incomplete", _) => "length",
        ("completed" | "complete", _) if answer.calls.is_empty() => "stop",
        ("completed" | "complete", _) => "tool_calls",
        (other, _) => other,
    }
    .to_owned();
    if body["usage"].is_object() {
        let usage = &body["usage"];
        let n = |value: &Value| value.as_u64().unwrap_or(0);
        answer.usage = Some((
            n(&usage["input_tokens"]),
            n(&usage["input_tokens_details"]["cached_tokens"]),
            n(&usage["output_tokens"]),
            n(&usage["output_tokens_details"]["reasoning_tokens"]),
        ));
    }
    answer
}
