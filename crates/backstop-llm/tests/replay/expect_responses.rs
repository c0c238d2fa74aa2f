//! What a recording of OpenAI's Responses holds.

use backstop_core::FaultKind;
use serde_json::Value;

use crate::{
    events::Event,
    expect::{Answer, Stream, arguments, count, json, list, says, text},
    expect_error as error,
};

pub(crate) fn whole(body: &Value) -> Result<Answer, FaultKind> {
    if body["status"] == "failed" || says(&body["error"]) {
        return Err(error::of_body(&body["error"].to_string()));
    }
    if !body["output"].is_array() {
        return Err(FaultKind::Malformed);
    }
    Ok(answer(body))
}

#[derive(Default)]
pub(crate) struct Reader {
    /// What pieces have told, as far as it takes to know that they told something.
    pieces: Answer,
    /// The items that are done.
    items: Vec<Value>,
    whole: Answer,
}

impl Stream for Reader {
    fn event(&mut self, event: &Event) -> Result<bool, FaultKind> {
        if event.1.starts_with("[DONE]") {
            return Ok(false);
        }
        let Some(mut body) = json(event)? else {
            return Ok(false);
        };
        let kind = body["type"].as_str().unwrap_or(&event.0).to_owned();
        match kind.as_str() {
            "error" => return Err(error::of_body(&event.1)),
            "response.completed" | "response.incomplete" | "response.failed" => {
                let mut response = body["response"].take();
                // The last event repeats the whole answer, except with some servers.
                if !says(&response["output"]) {
                    response["output"] = Value::Array(std::mem::take(&mut self.items));
                }
                self.whole = whole(&response)?;
                return Ok(true);
            }
            "response.output_item.added" if body["item"]["type"] == "function_call" => {
                self.pieces.text.push('.');
            }
            "response.output_item.done" => {
                self.items.push(body["item"].take());
                if answer(&serde_json::json!({ "output": self.items })).has_content() {
                    self.pieces.text.push('.');
                }
            }
            "response.output_text.delta"
            | "response.refusal.delta"
            | "response.reasoning_text.delta"
            | "response.reasoning_summary_text.delta" => {
                self.pieces.text.push_str(&text(&body["delta"]));
            }
            _ => {}
        }
        Ok(false)
    }

    fn told(&self) -> &Answer {
        &self.pieces
    }

    fn finish(self) -> Answer {
        self.whole
    }
}

fn answer(body: &Value) -> Answer {
    let mut answer = Answer {
        id: text(&body["id"]),
        model: text(&body["model"]),
        ..Answer::default()
    };
    list(&body["output"]).for_each(|item| add(&mut answer, item));
    let reason = text(&body["incomplete_details"]["reason"]);
    answer.finish = match (body["status"].as_str().unwrap_or_default(), reason.as_str()) {
        ("incomplete", "content_filter") => "content_filter",
        ("incomplete", _) => "length",
        ("completed" | "complete" | "", _) if answer.calls.is_empty() => "stop",
        ("completed" | "complete" | "", _) => "tool_calls",
        (other, _) => other,
    }
    .to_owned();
    let usage = &body["usage"];
    answer.usage = usage.is_object().then(|| {
        (
            count(&usage["input_tokens"]),
            count(&usage["input_tokens_details"]["cached_tokens"]),
            count(&usage["output_tokens"]),
            count(&usage["output_tokens_details"]["reasoning_tokens"]),
        )
    });
    answer
}

fn add(answer: &mut Answer, item: &Value) {
    match item["type"].as_str().unwrap_or_default() {
        "message" => {
            for part in list(&item["content"]) {
                answer.text.push_str(&text(&part["text"]));
                answer.refusal.push_str(&text(&part["refusal"]));
                let named = list(&part["annotations"]).filter_map(|note| note["url"].as_str());
                answer.sources.extend(named.map(str::to_owned));
            }
        }
        "image_generation_call" => answer.pictures.push(text(&item["result"])),
        "function_call" => {
            let ids = [&item["call_id"], &item["id"]].map(text);
            let id = ids.into_iter().find(|id| !id.is_empty());
            let given = arguments(&item["arguments"]);
            let call = (text(&item["name"]), id.unwrap_or_default(), given);
            answer.calls.push(call);
        }
        "reasoning" => {
            let texts = |parts: &Value| -> Vec<String> {
                list(parts).map(|part| text(&part["text"])).collect()
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
