//! What is asked of a model, in the fewest words that hold a conversation with tools and pictures:
//! enough to tell whether a request means the same in two dialects.

use serde_json::{Value, json};

#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Ask {
    /// The words of all system prompts.
    pub(crate) system: Vec<String>,
    pub(crate) said: Vec<(Side, Piece)>,
    /// Name, description and schema of each tool.
    pub(crate) tools: Vec<(String, String, Value)>,
    /// `required`, `none` or the name of a tool.
    pub(crate) choice: Option<String>,
    pub(crate) format: Option<Format>,
    pub(crate) max_tokens: Option<u64>,
    pub(crate) temperature: Option<f64>,
    pub(crate) top_p: Option<f64>,
    pub(crate) stop: Vec<String>,
    pub(crate) streamed: bool,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Side {
    Caller,
    Model,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Piece {
    /// What a tool gave: the call's id, the text, whether the tool failed.
    Result(String, String, bool),
    Text(String),
    /// A picture's address.
    Image(String),
    /// A document's address.
    File(String),
    /// A call of a tool: id, name and arguments.
    Call(String, String, Value),
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Format {
    Json,
    Schema(Value),
}

impl Piece {
    /// The dialects differ in where they let a result or a call stand within a turn.
    const fn place(&self) -> u8 {
        match self {
            Self::Result(..) => 0,
            Self::Text(_) | Self::Image(_) | Self::File(_) => 1,
            Self::Call(..) => 2,
        }
    }
}

impl Ask {
    pub(crate) fn system(&mut self, text: &str) {
        let words = text.split_whitespace().map(str::to_owned);
        self.system.extend(words);
    }

    /// Adds what one side says; none of it where it is empty.
    pub(crate) fn say(&mut self, side: Side, piece: Piece) {
        if piece != Piece::Text(String::new()) {
            self.said.push((side, piece));
        }
    }

    pub(crate) fn choose(&mut self, choice: &str) {
        self.choice = match choice {
            "auto" | "" => None,
            "any" => Some("required".to_owned()),
            other => Some(other.to_owned()),
        };
    }

    /// The same, as all dialects order it, and texts that follow each other as one.
    pub(crate) fn settled(mut self) -> Self {
        let mut turns: Vec<(Side, Vec<Piece>)> = Vec::new();
        for (side, piece) in std::mem::take(&mut self.said) {
            match turns.last_mut() {
                Some((of, pieces)) if *of == side => pieces.push(piece),
                _ => turns.push((side, vec![piece])),
            }
        }
        for (side, mut pieces) in turns {
            pieces.sort_by_key(Piece::place);
            for piece in pieces {
                match (self.said.last_mut(), piece) {
                    (Some((of, Piece::Text(before))), Piece::Text(text)) if *of == side => {
                        before.push_str(&text);
                    }
                    (_, piece) => self.said.push((side, piece)),
                }
            }
        }
        for (.., schema) in &mut self.tools {
            if schema.is_null() {
                *schema = json!({ "type": "object", "properties": {} });
            }
        }
        if self.tools.is_empty() {
            self.choice = None;
        }
        self
    }
}
