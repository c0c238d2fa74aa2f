//! Streams, read from a provider.

use serde::Deserialize;
use serde_json::value::RawValue;

use super::{
    base_resp,
    calls::{Calls, Place},
    error,
    message::{citation, text_or_json},
    part::read_part,
    prefix::Prefix,
    response::{WireUsage, broken_off, read_finish},
    thought::{WireExtra, WireReasoning},
    tool_id,
};
use crate::{
    Error, Event, FinishReason, Json, Part,
    dialect::Decoder,
    json, lenient,
    response::{push_text, push_thought},
    sse::SseEvent,
    wire_text::{Text, TextOr},
};

#[derive(Deserialize)]
struct WireChunk<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    id: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    model: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient::scalar")]
    created: Option<f64>,
    #[serde(borrow, default)]
    choices: Option<Vec<WireChoice<'a>>>,
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Option<WireUsage>,
    #[serde(default, deserialize_with = "lenient::object")]
    x_groq: Option<Groq>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
    #[serde(borrow, default)]
    base_resp: Option<&'a RawValue>,
}

#[derive(Deserialize)]
struct Groq {
    #[serde(default, deserialize_with = "lenient::object")]
    usage: Option<WireUsage>,
}

#[derive(Deserialize)]
struct WireChoice<'a> {
    #[serde(default, deserialize_with = "lenient::scalar")]
    index: Option<u32>,
    #[serde(borrow, default)]
    delta: Option<WireDelta<'a>>,
    /// What the legacy endpoint sends instead of a delta.
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    text: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    finish_reason: Option<Text<'a>>,
}

#[derive(Default, Deserialize)]
struct WireDelta<'a> {
    #[serde(borrow, default)]
    content: Option<&'a RawValue>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    reasoning_content: Option<Text<'a>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    reasoning: Option<Text<'a>>,
    #[serde(default, deserialize_with = "lenient::any")]
    reasoning_details: Option<Vec<WireReasoning>>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    refusal: Option<Text<'a>>,
    #[serde(borrow, default)]
    tool_calls: Option<Vec<WireCall<'a>>>,
    #[serde(borrow, default)]
    function_call: Option<WireFunction<'a>>,
    #[serde(default, deserialize_with = "lenient::any")]
    annotations: Vec<Json>,
    /// The pictures that a model made, as OpenRouter has them.
    #[serde(default, deserialize_with = "lenient::any")]
    images: Vec<Json>,
}

#[derive(Deserialize)]
struct WireCall<'a> {
    #[serde(default, deserialize_with = "lenient::scalar")]
    index: Option<u32>,
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    id: Option<Text<'a>>,
    #[serde(borrow, default)]
    function: Option<WireFunction<'a>>,
    #[serde(default, deserialize_with = "lenient::any")]
    extra_content: Option<WireExtra>,
}

#[derive(Deserialize)]
struct WireFunction<'a> {
    #[serde(borrow, default, deserialize_with = "lenient::scalar")]
    name: Option<Text<'a>>,
    #[serde(borrow, default)]
    arguments: Option<&'a RawValue>,
}

/// Reads one stream.
#[derive(Debug, Default)]
pub(super) struct Reader {
    started: bool,
    /// The answer's id.
    id: String,
    /// The tool calls begun.
    calls: Calls,
    /// The choices that have ended.
    finished: Vec<u32>,
    ended: bool,
    /// Whether the last event lacks what callers take for granted.
    faulty: bool,
    prefix: Prefix,
}

impl Decoder for Reader {
    fn event(&mut self, event: &SseEvent, out: &mut Vec<Event>) -> Result<(), Error> {
        let Some(data) = &event.data else {
            out.push(Event::Ping);
            return Ok(());
        };
        if data.starts_with(b"[DONE]") {
            return self.end(out);
        }
        if data.is_empty() {
            return Ok(());
        }
        // What is read borrows from it for a while.
        let mut prefix = std::mem::take(&mut self.prefix);
        let new = prefix.strip(data);
        let is_known = new.is_some();
        let chunk: WireChunk<'_> =
            json::event(new.unwrap_or(data)).map_err(|malformed| match &*event.name {
                b"error" => error::classify(None, data),
                _ => malformed,
            })?;
        if *event.name == *b"error" || chunk.error.is_some_and(error::says) {
            return Err(error::classify(None, data));
        }
        let choices = chunk.choices.as_deref().unwrap_or_default();
        if let (true, Some(raw)) = (choices.is_empty(), chunk.base_resp)
            && let Some(error) = base_resp::error(raw)
        {
            return Err(error);
        }
        self.start(&chunk, out);
        self.faulty = choices.iter().any(WireChoice::is_faulty);
        for choice in chunk.choices.unwrap_or_default() {
            self.choice(choice, out)?;
        }
        let usage = chunk.usage.or_else(|| chunk.x_groq?.usage);
        out.extend(usage.map(|usage| Event::Usage(usage.into())));
        if self.started && !is_known {
            prefix.learn(data);
        }
        self.prefix = prefix;
        Ok(())
    }

    fn reads_text_alone(&self) -> bool {
        true
    }

    fn is_whole(&self) -> bool {
        self.ended || !self.finished.is_empty()
    }

    fn passes_on(&self) -> bool {
        !self.faulty
    }
}

impl WireChoice<'_> {
    /// Some servers leave out the delta, or which call a piece belongs to; the official SDKs fail
    /// over either.
    fn is_faulty(&self) -> bool {
        match &self.delta {
            Some(delta) => {
                let mut calls = delta.tool_calls.iter().flatten();
                calls.any(|call| call.index.is_none())
            }
            None => self.text.is_none(),
        }
    }
}

impl Reader {
    fn end(&mut self, out: &mut Vec<Event>) -> Result<(), Error> {
        if self.finished.is_empty() {
            return Err(Error::malformed("the stream ended without a finish reason"));
        }
        if !self.ended {
            self.ended = true;
            out.push(Event::End);
        }
        Ok(())
    }

    /// The first chunk that names an id or a model begins the answer: Azure sends one with neither
    /// before it.
    fn start(&mut self, chunk: &WireChunk<'_>, out: &mut Vec<Event>) {
        let text = |text: &Option<Text<'_>>| match text {
            Some(Text(text)) => text.clone().into_owned(),
            None => String::new(),
        };
        if self.started {
            return;
        }
        let (id, model) = (text(&chunk.id), text(&chunk.model));
        let says = chunk.choices.as_ref().is_some_and(|list| !list.is_empty());
        if says || !id.is_empty() || !model.is_empty() {
            self.started = true;
            self.id.clone_from(&id);
            let created = chunk.created.map(|seconds| seconds as u64);
            out.push(Event::Start { id, model, created });
        }
    }

    fn choice(&mut self, wire: WireChoice<'_>, out: &mut Vec<Event>) -> Result<(), Error> {
        let choice = wire.index.unwrap_or_default();
        if let Some(Text(text)) = wire.text {
            push_text(choice, text, out);
        }
        if let Some(delta) = wire.delta {
            self.delta(choice, delta, out)?;
        }
        let Some(Text(word)) = wire.finish_reason.filter(|Text(word)| !word.is_empty()) else {
            return Ok(());
        };
        // OpenRouter says it twice.
        if !self.finished.contains(&choice) {
            let reason = read_finish(&word, self.calls.count(choice) > 0);
            if reason == FinishReason::Error {
                return Err(broken_off());
            }
            self.finished.push(choice);
            out.push(Event::Finish {
                choice,
                reason,
                stop_sequence: None,
            });
        }
        Ok(())
    }

    fn delta(
        &mut self,
        choice: u32,
        delta: WireDelta<'_>,
        out: &mut Vec<Event>,
    ) -> Result<(), Error> {
        let thought = [delta.reasoning_content, delta.reasoning];
        let mut thought = thought.into_iter().flatten();
        let thought = thought.find(|Text(text)| !text.is_empty());
        let details = delta.reasoning_details.unwrap_or_default();
        match thought {
            Some(Text(text)) => push_thought(choice, text.into_owned(), out),
            None => {
                let text = details.iter().map(WireReasoning::text).collect();
                push_thought(choice, text, out);
            }
        }
        out.extend(details.into_iter().filter_map(|d| d.into_event(choice)));
        if let Some(content) = delta.content {
            push_content(choice, content, out)?;
        }
        if let Some(Text(text)) = delta.refusal {
            if !text.is_empty() {
                let delta = text.into_owned();
                out.push(Event::Refusal { choice, delta });
            }
        }
        for json in &delta.annotations {
            let citation = citation(json);
            out.push(Event::Citation { choice, citation });
        }
        for json in delta.images {
            push_picture(choice, read_part(format_args!("images"), json), out);
        }
        for call in delta.tool_calls.unwrap_or_default() {
            let id = call.id.map(|Text(id)| id.into_owned());
            if let Some(function) = call.function {
                self.call(choice, call.index, id, function, out);
            }
            if let Some(extra) = call.extra_content {
                out.push(Event::Signature {
                    choice,
                    tool: Some(self.calls.count(choice).saturating_sub(1)),
                    signature: extra.read(),
                });
            }
        }
        if let Some(function) = delta.function_call {
            self.call(choice, Some(0), None, function, out);
        }
        Ok(())
    }

    /// A piece of a tool call. Its id and name come once, at its beginning.
    fn call(
        &mut self,
        choice: u32,
        number: Option<u32>,
        id: Option<String>,
        function: WireFunction<'_>,
        out: &mut Vec<Event>,
    ) {
        let id = id.unwrap_or_default();
        let name = function.name.map(|Text(name)| name.into_owned());
        let name = name.unwrap_or_default();
        let Place { index, is_new } = self.calls.place(choice, number, &id, &name);
        if is_new {
            // Callers tell results apart by the ids of the calls.
            self.faulty |= id.is_empty();
            out.push(Event::ToolCall {
                choice,
                index,
                id: tool_id::given(id, &self.id, index as usize),
                name,
            });
        }
        let delta = function.arguments.map(RawValue::get);
        let delta = delta.map(text_or_json).unwrap_or_default();
        if !delta.is_empty() {
            out.push(Event::ToolArguments {
                choice,
                index,
                delta,
            });
        }
    }
}

fn push_picture(choice: u32, part: Result<Part, Error>, out: &mut Vec<Event>) {
    let picture = part.ok().filter(|part| matches!(part, Part::Image(_)));
    let part = picture.map(Box::new);
    out.extend(part.map(|part| Event::Part { choice, part }));
}

/// A string, or with Mistral a list of parts.
fn push_content(choice: u32, raw: &RawValue, out: &mut Vec<Event>) -> Result<(), Error> {
    if let Ok(Text(text)) = serde_json::from_str(raw.get()) {
        push_text(choice, text, out);
        return Ok(());
    }
    let content: Option<TextOr<Json>> = serde_json::from_str(raw.get())
        .map_err(|e| Error::malformed("a delta can't be read").with_source(e))?;
    let Some(TextOr::Parts(parts)) = content else {
        return Ok(());
    };
    for part in parts {
        match read_part(format_args!("content"), part) {
            Ok(Part::Thinking(thinking)) => push_thought(choice, thinking.text, out),
            Ok(part @ Part::Image(_)) => push_picture(choice, Ok(part), out),
            Ok(part) => push_text(choice, part.as_text().unwrap_or_default(), out),
            Err(error) => {
                return Err(Error::malformed("a delta can't be read").with_source(error));
            }
        }
    }
    Ok(())
}
