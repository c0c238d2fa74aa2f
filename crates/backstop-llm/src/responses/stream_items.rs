//! The items of an answer that is written piece by piece.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{item::WireItem, item_out::summary};
use crate::Json;

/// What an item is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    Message,
    /// One that came as a whole.
    Other,
    Reasoning,
    Refusal,
    /// This one of the answer's tool calls.
    Tool(u32),
}

/// An item that has been begun.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) kind: Kind,
    pub(super) id: String,
    /// What its pieces said.
    pub(super) text: String,
    pub(super) annotations: Vec<Json>,
    /// Whether the provider is given something by which it knows a thought, or a call, as its own.
    pub(super) seal: Option<Value>,
    /// A call's id and the name of its tool.
    pub(super) call: (String, String),
    /// The whole item, once it is.
    done: Option<Value>,
}

impl Item {
    pub(super) const fn new(kind: Kind, id: String) -> Self {
        Self {
            kind,
            id,
            text: String::new(),
            annotations: Vec::new(),
            seal: None,
            call: (String::new(), String::new()),
            done: None,
        }
    }

    /// The part that a message or a thought consists of.
    pub(super) fn part(&self) -> Value {
        match self.kind {
            Kind::Refusal => json!({ "type": "refusal", "refusal": self.text }),
            Kind::Reasoning => json!({ "type": "summary_text", "text": self.text }),
            _ => json!({
                "type": "output_text", "text": self.text, "annotations": self.annotations,
                "logprobs": [],
            }),
        }
    }

    fn whole(&self, status: &str) -> Value {
        let mut item = match self.kind {
            Kind::Message | Kind::Refusal => json!({
                "id": self.id, "type": "message", "status": status, "role": "assistant",
                "content": [self.part()],
            }),
            Kind::Reasoning => json!({
                "id": self.id, "type": "reasoning", "summary": summary(&self.text),
            }),
            Kind::Tool(_) => json!({
                "id": self.id, "type": "function_call", "status": status, "call_id": self.call.0,
                "name": self.call.1, "arguments": self.text,
            }),
            Kind::Other => Value::Null,
        };
        if let Some(seal) = &self.seal {
            let field = match self.kind {
                Kind::Tool(_) => "extra_content",
                _ => "encrypted_content",
            };
            item[field] = seal.clone();
        }
        item
    }
}

/// The items of an answer, by their places.
#[derive(Debug, Default)]
pub(super) struct Items {
    all: Vec<Item>,
    /// Those that are not done yet.
    open: Vec<usize>,
}

impl Items {
    /// How many there are, which is the place of the next.
    pub(super) fn len(&self) -> usize {
        self.all.len()
    }

    pub(super) fn get(&self, place: usize) -> &Item {
        &self.all[place]
    }

    pub(super) fn get_mut(&mut self, place: usize) -> &mut Item {
        &mut self.all[place]
    }

    /// Begins an item.
    pub(super) fn open(&mut self, item: Item) -> usize {
        self.open.push(self.all.len());
        self.all.push(item);
        self.all.len() - 1
    }

    /// Adds an item that is whole.
    pub(super) fn add(&mut self, id: String, whole: Value) -> usize {
        let mut item = Item::new(Kind::Other, id);
        item.done = Some(whole);
        self.all.push(item);
        self.all.len() - 1
    }

    /// The place of an item of this kind that is open.
    pub(super) fn find(&self, kind: Kind) -> Option<usize> {
        let mut open = self.open.iter().copied();
        open.find(|place| self.all[*place].kind == kind)
    }

    /// Whether nothing is open but tool calls, whose pieces may come mixed.
    pub(super) fn only_tools_are_open(&self) -> bool {
        let tool = |place: &usize| matches!(self.all[*place].kind, Kind::Tool(_));
        self.open.iter().all(tool)
    }

    /// Whether anything is open.
    pub(super) fn is_busy(&self) -> bool {
        !self.open.is_empty()
    }

    /// All that are open are done from here on: their places.
    pub(super) fn close(&mut self) -> Vec<usize> {
        std::mem::take(&mut self.open)
    }

    /// The whole of an item that is done.
    pub(super) fn finish(&mut self, place: usize) -> Value {
        let whole = self.all[place].whole("completed");
        self.all[place].done = Some(whole.clone());
        whole
    }

    /// All that has been said, as the end of the stream repeats it. Of what is not done yet half a
    /// tool call is left out, so that nobody takes it for a whole one.
    pub(super) fn output(&self) -> Vec<Json> {
        let whole = |item: &Item| match (&item.done, item.kind) {
            (Some(done), _) => Some(Json::of(done)),
            (None, Kind::Message | Kind::Refusal | Kind::Reasoning) => {
                Some(Json::of(&item.whole("incomplete")))
            }
            (None, _) => None,
        };
        self.all.iter().filter_map(whole).collect()
    }

    /// Takes note of an item in an event that is passed on as it came.
    pub(super) fn note(&mut self, data: &[u8]) {
        #[derive(Deserialize)]
        struct Event {
            #[serde(rename = "type", default)]
            kind: String,
            #[serde(default)]
            output_index: usize,
            item: Json,
        }
        let Ok(event) = serde_json::from_slice::<Event>(data) else {
            return;
        };
        let place = event.output_index.min(self.all.len());
        if place == self.all.len() {
            let item = WireItem::read(&event.item).unwrap_or_default();
            let kind = match item.kind() {
                super::item::Kind::Message => Kind::Message,
                super::item::Kind::Reasoning => Kind::Reasoning,
                _ => Kind::Other,
            };
            self.open(Item::new(kind, item.id));
        }
        if event.kind == "response.output_item.done" {
            self.open.retain(|open| *open != place);
            self.all[place].done = event.item.read().ok();
        }
    }
}
