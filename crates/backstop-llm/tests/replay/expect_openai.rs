//! What a recording of Chat Completions holds, or of the interface before it.

use backstop_core::FaultKind;
use serde_json::Value;

use crate::{
    events::Event,
    expect::{Answer, Stream, arguments, count, json, list, says, text},
    expect_error as error,
};

pub(crate) fn whole(body: &Value) -> Result<Answer, FaultKind> {
    if says(&body["error"]) {
        return Err(error::of_body(&body.to_string()));
    }
    let mut reader = Reader::default();
    let choice = &body["choices"][0];
    reader.head(body);
    reader.said(&choice["message"]);
    reader.answer.text.push_str(&text(&choice["text"]));
    reader.ended(&choice["finish_reason"])?;
    reader.answer.usage = usage(&body["usage"]);
    Ok(reader.finish())
}

#[derive(Default)]
pub(crate) struct Reader {
    answer: Answer,
    begun: bool,
    /// By which number each call is told apart from others.
    numbers: Vec<Option<u64>>,
}

impl Stream for Reader {
    fn event(&mut self, event: &Event) -> Result<bool, FaultKind> {
        if event.1.starts_with("[DONE]") {
            let ends = self.may_end().then_some(true);
            return ends.ok_or(FaultKind::Malformed);
        }
        if event.0 == "error" {
            return Err(error::of_body(&event.1));
        }
        let Some(body) = json(event)? else {
            return Ok(false);
        };
        if says(&body["error"]) {
            return Err(error::of_body(&event.1));
        }
        // Azure sends an event before the answer begins.
        if !self.begun {
            self.head(&body);
            let named = !self.answer.id.is_empty() || !self.answer.model.is_empty();
            self.begun = named || says(&body["choices"]);
        }
        for choice in list(&body["choices"]).filter(|choice| count(&choice["index"]) == 0) {
            self.answer.text.push_str(&text(&choice["text"]));
            self.said(&choice["delta"]);
            if self.answer.finish.is_empty() {
                self.ended(&choice["finish_reason"])?;
            }
        }
        for told in [&body["x_groq"]["usage"], &body["usage"]] {
            self.answer.usage = usage(told).or(self.answer.usage);
        }
        Ok(false)
    }

    fn told(&self) -> &Answer {
        &self.answer
    }

    fn finish(self) -> Answer {
        let mut answer = self.answer;
        for (place, (_, id, given)) in answer.calls.iter_mut().enumerate() {
            if id.is_empty() {
                *id = format!("call_{}_{place}", answer.id);
            }
            *given = arguments(given);
        }
        answer
    }
}

impl Reader {
    fn head(&mut self, body: &Value) {
        self.answer.id = text(&body["id"]);
        self.answer.model = text(&body["model"]);
    }

    fn said(&mut self, message: &Value) {
        let answer = &mut self.answer;
        match &message["content"] {
            Value::String(content) => answer.text.push_str(content),
            parts => {
                for part in list(parts) {
                    answer.text.push_str(&text(&part["text"]));
                    answer.refusal.push_str(&text(&part["refusal"]));
                    answer.thought.push_str(&text(&part["thinking"]));
                    for thought in list(&part["thinking"]) {
                        answer.thought.push_str(&text(&thought["text"]));
                    }
                    picture(answer, part);
                }
            }
        }
        let names = ["reasoning_content", "reasoning"].map(|name| text(&message[name]));
        let thought = names.into_iter().find(|thought| !thought.is_empty());
        answer.thought.push_str(&thought.unwrap_or_else(|| {
            let details = list(&message["reasoning_details"]);
            let told = |it: &Value| match text(&it["text"]) {
                said if said.is_empty() => text(&it["summary"]),
                said => said,
            };
            details.map(told).collect()
        }));
        answer.refusal.push_str(&text(&message["refusal"]));
        list(&message["images"]).for_each(|image| picture(answer, image));
        for note in list(&message["annotations"]) {
            let url = note["url_citation"]["url"].as_str();
            answer.sources.extend(url.map(str::to_owned));
        }
        for call in list(&message["tool_calls"]) {
            let number = call["index"].as_number().map(|_| count(&call["index"]));
            self.call(number, &text(&call["id"]), &call["function"]);
        }
        let function = &message["function_call"];
        if function.is_object() {
            self.call(Some(0), "", function);
        }
    }

    /// A call, or a piece of one: of the call of the same id or else number, or else of the last.
    fn call(&mut self, number: Option<u64>, id: &str, function: &Value) {
        let name = text(&function["name"]);
        let piece = match &function["arguments"] {
            Value::Null => String::new(),
            Value::String(piece) => piece.clone(),
            whole => whole.to_string(),
        };
        let calls = &mut self.answer.calls;
        let same = |(of, known): (&(String, String, Value), &Option<u64>)| {
            let numbers = known.is_none() || number.is_none() || *known == number;
            !id.is_empty() && of.1 == id && numbers
        };
        let begun = match calls.iter().zip(&self.numbers).rposition(same) {
            Some(place) => Some(place),
            None if !name.is_empty() && !id.is_empty() => None,
            None if number.is_some() => self.numbers.iter().rposition(|of| *of == number),
            None if !name.is_empty() => None,
            None => calls.len().checked_sub(1),
        };
        if let Some(place) = begun {
            let given = &mut calls[place].2;
            *given = Value::String(text(given) + &piece);
        } else {
            self.numbers.push(number);
            calls.push((name, id.to_owned(), Value::String(piece)));
        }
    }

    /// Why it ended, in the words of OpenAI, of compatible servers, and of the providers behind
    /// them.
    fn ended(&mut self, reason: &Value) -> Result<(), FaultKind> {
        self.answer.finish = match reason.as_str().unwrap_or_default() {
            "function_call" | "tool_use" => "tool_calls",
            "stop" | "eos" | "end_turn" | "stop_sequence" if self.answer.calls.is_empty() => "stop",
            "stop" | "eos" | "end_turn" | "stop_sequence" => "tool_calls",
            "model_length" | "max_tokens" => "length",
            "sensitive" => "content_filter",
            "error" | "abort" | "insufficient_system_resource" | "network_error" => {
                return Err(FaultKind::Malformed);
            }
            other => other,
        }
        .to_owned();
        Ok(())
    }
}

fn picture(answer: &mut Answer, image: &Value) {
    let url = text(&image["image_url"]["url"]);
    let data = url.split_once("base64,").map(|(_, data)| data.to_owned());
    answer.pictures.extend(data);
}

fn usage(usage: &Value) -> Option<(u64, u64, u64, u64)> {
    usage.as_object()?;
    let get = |name: &str| count(&usage[name]);
    let details = |group: &str, name: &str| count(&usage[group][name]);
    let thoughts =
        details("completion_tokens_details", "reasoning_tokens").max(get("reasoning_tokens"));
    let (input, mut output) = (get("prompt_tokens"), get("completion_tokens"));
    if thoughts > 0 && get("total_tokens") == input + output + thoughts {
        output += thoughts;
    }
    let cached = details("prompt_tokens_details", "cached_tokens");
    let cached = cached.max(get("prompt_cache_hit_tokens")).min(input);
    Some((input, cached, output, thoughts))
}
