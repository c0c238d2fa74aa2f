//! Events that are like one before them but for their text.

use bytes::Bytes;
use memchr::{memchr2, memmem};

use crate::{
    Event,
    dialect::Decoder,
    sse::{SseEvent, SseParser},
};

/// How many times what such events look like is learned anew. A server whose events differ all the
/// time gains nothing by this.
const CHANGES: u8 = 16;

/// The field by which OpenAI hides how long a text is. It comes after the text, and means nothing.
const OBFUSCATION: &[u8] = b"\"obfuscation\":\"";

/// What is read in place of a text to see that nothing but it would change.
const OTHER: &str = "something else";

/// What most events of a stream are: one that has been read, with another text in it. To know one
/// byte by byte takes a fraction of reading it, and those that came together need not be handed on
/// one by one.
#[derive(Debug, Default)]
pub(super) struct Alike {
    known: Option<Known>,
    changes: u8,
}

/// An event without its text and without what hides how long that is, framing included.
#[derive(Debug)]
struct Known {
    choice: u32,
    /// Ends with the quote before the text.
    before: Vec<u8>,
    /// Begins with the quote after the text.
    after: Vec<u8>,
    padding: Padding,
}

/// How a server hides how long a text is.
#[derive(Debug)]
enum Padding {
    /// It does not.
    None,
    /// By any number of spaces in what comes after the text.
    Spaces,
    /// By a string that comes next. This comes after it, and begins with its quote.
    String(Vec<u8>),
}

impl Alike {
    /// Takes an event that has been read for what those to come look like.
    pub(super) fn learn(&mut self, event: &SseEvent, read: &[Event], decoder: &mut dyn Decoder) {
        let [Event::Text { choice, delta }] = read else {
            return;
        };
        if self.changes == CHANGES || !decoder.reads_text_alone() {
            return;
        }
        self.changes += 1;
        self.known = Known::of(&event.raw, *choice, delta).filter(|known| {
            let raw = known.with(OTHER);
            let mut parser = SseParser::new();
            parser.push(&raw);
            let Ok(Some(event)) = parser.next_event() else {
                return false;
            };
            let mut events = Vec::new();
            let other = Event::Text {
                choice: *choice,
                delta: OTHER.to_owned(),
            };
            decoder.event(&event, &mut events).is_ok() && events == [other] && decoder.passes_on()
        });
    }

    /// All such events that come next: their bytes, and their text.
    pub(super) fn take(&mut self, parser: &mut SseParser) -> Option<(Bytes, Event)> {
        let known = self.known.as_ref()?;
        let mut text = String::new();
        let mut end = 0;
        while let Some((delta, length)) = known.read(&parser.rest()[end..], parser.limit()) {
            text.push_str(delta);
            end += length;
        }
        if end == 0 {
            return None;
        }
        self.changes = self.changes.saturating_sub(1);
        let event = Event::Text {
            choice: known.choice,
            delta: text,
        };
        Some((parser.take(end), event))
    }
}

impl Known {
    fn of(raw: &[u8], choice: u32, text: &str) -> Option<Self> {
        // Only a line feed is known to end an event whatever follows.
        if !raw.ends_with(b"\n") {
            return None;
        }
        let hidden = memmem::rfind(raw, OBFUSCATION).map(|at| at + OBFUSCATION.len());
        let quoted = [b"\"", text.as_bytes(), b"\""].concat();
        let start = memmem::rfind(&raw[..hidden.unwrap_or(raw.len())], &quoted)? + 1;
        let end = start + text.len();
        let mut after = raw[end..hidden.unwrap_or(raw.len())].to_vec();
        let padding = match hidden {
            Some(hidden) => Padding::String(raw[plain(&raw[hidden..])? + hidden..].to_vec()),
            // Between brackets spaces mean nothing, which they do not in a string, a number or a word.
            None if after[1..]
                .trim_ascii_end()
                .iter()
                .all(|it| b"}] ".contains(it)) =>
            {
                after.retain(|byte| *byte != b' ');
                Padding::Spaces
            }
            None => Padding::None,
        };
        Some(Self {
            choice,
            before: raw[..start].to_vec(),
            after,
            padding,
        })
    }

    fn with(&self, text: &str) -> Vec<u8> {
        let padded = match &self.padding {
            Padding::String(rest) => [OTHER.as_bytes(), rest].concat(),
            Padding::None | Padding::Spaces => Vec::new(),
        };
        [&*self.before, text.as_bytes(), &*self.after, &*padded].concat()
    }

    /// The text of the first event in these bytes and how long the event is, if it is like this one.
    fn read<'a>(&self, bytes: &'a [u8], limit: usize) -> Option<(&'a str, usize)> {
        let rest = bytes.strip_prefix(&*self.before)?;
        let (text, rest) = rest.split_at(plain(rest)?);
        let length = self.before.len() + text.len() + self.end(rest)?;
        if text.is_empty() || length > limit {
            return None;
        }
        Some((std::str::from_utf8(text).ok()?, length))
    }

    /// Where what comes after the text ends.
    fn end(&self, rest: &[u8]) -> Option<usize> {
        match &self.padding {
            Padding::None => rest.starts_with(&self.after).then_some(self.after.len()),
            Padding::Spaces => {
                let mut at = 0;
                for expected in &self.after {
                    // A line of spaces is not blank: it ends no event.
                    if !rest[..at].ends_with(b"\n") && !rest[..at].ends_with(b"\r") {
                        at += rest[at..].iter().take_while(|byte| **byte == b' ').count();
                    }
                    if rest.get(at) != Some(expected) {
                        return None;
                    }
                    at += 1;
                }
                Some(at)
            }
            Padding::String(last) => {
                let hidden = rest.strip_prefix(&*self.after)?;
                let length = plain(hidden)?;
                std::str::from_utf8(&hidden[..length]).ok()?;
                let ends = hidden[length..].starts_with(last);
                ends.then_some(self.after.len() + length + last.len())
            }
        }
    }
}

/// How long a string is that begins here, up to its quote, if it stands in JSON as it is.
fn plain(bytes: &[u8]) -> Option<usize> {
    let length = memchr2(b'"', b'\\', bytes)?;
    let is_plain = bytes[length] == b'"' && bytes[..length].iter().all(|byte| *byte >= b' ');
    is_plain.then_some(length)
}

#[cfg(test)]
mod oracle;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Dialect;

    /// What is taken of the second bytes by who has read the first.
    fn taken(dialect: Dialect, first: &str, then: &str) -> Option<(Bytes, Event)> {
        let mut decoder = dialect.wire().decoder();
        let (mut alike, mut parser) = (Alike::default(), SseParser::new());
        parser.push(first.as_bytes());
        while let Some(event) = parser.next_event().unwrap() {
            let mut events = Vec::new();
            decoder.event(&event, &mut events).unwrap();
            alike.learn(&event, &events, &mut *decoder);
        }
        parser.push(then.as_bytes());
        alike.take(&mut parser)
    }

    fn text(taken: Option<(Bytes, Event)>) -> Option<(Bytes, String)> {
        taken.map(|(raw, event)| match event {
            Event::Text { choice: 0, delta } => (raw, delta),
            other => panic!("no text: {other:?}"),
        })
    }

    fn openai(text: &str) -> String {
        format!(
            "data: {{\"id\":\"c\",\"model\":\"m\",\"choices\":[{{\"index\":0,\"delta\":{{\"content\":{text}}},\"finish_reason\":null}}]}}\n\n"
        )
    }

    fn anthropic(text: &str, spaces: usize) -> String {
        format!(
            "event: content_block_delta\ndata: {{\"type\":\"content_block_delta\",\"index\":0,\
             \"delta\":{{\"type\":\"text_delta\",\"text\":\"{text}\"}}{:spaces$}}}\n\n",
            ""
        )
    }

    #[test]
    fn events_that_differ_in_their_text_are_taken_together() {
        let first = format!("{}{}", openai("\"a\""), openai("\"b\""));
        let then = format!(
            "{}{}{}",
            openai("\"c \""),
            openai("\"d\u{e9}\""),
            "data: {\"id\""
        );
        let (raw, joined) = text(taken(Dialect::OpenAi, &first, &then)).expect("are alike");
        assert_eq!(joined, "c d\u{e9}");
        assert_eq!(raw, then.strip_suffix("data: {\"id\"").unwrap());

        let hidden = |text: &str, by: &str| {
            openai(text).replace("}]}", &format!("}}],\"obfuscation\":\"{by}\"}}"))
        };
        let first = [hidden("\"a\"", ""), hidden("\"b\"", "b")].concat();
        let then = [hidden("\"c\"", "xyz"), hidden("\"d\"", "")].concat();
        let (raw, joined) = text(taken(Dialect::OpenAi, &first, &then)).expect("are alike");
        assert_eq!((&*raw, &*joined), (then.as_bytes(), "cd"));
        for by in ["\\u", "\n", "\",\"usage\":\""] {
            let then = hidden("\"c\"", by);
            assert!(taken(Dialect::OpenAi, &first, &then).is_none(), "{then}");
        }

        let then = format!("{}{}", anthropic("b", 0), anthropic("c", 7));
        let (raw, joined) =
            text(taken(Dialect::Anthropic, &anthropic("a", 3), &then)).expect("are alike");
        assert_eq!((&*raw, &*joined), (then.as_bytes(), "bc"));
    }

    #[test]
    fn what_differs_otherwise_has_to_be_read() {
        let first = format!("{}{}", openai("\"a\""), openai("\"b\""));
        let another = openai("\"c\"");
        for then in [
            openai("\"c\\n\""),
            openai("\"\""),
            openai("null"),
            openai("\"c\nd\""),
            another.replace("null", "\"stop\""),
            another.replace("}]}", "}],\"usage\":null}"),
            another.replace("\"id\":\"c\"", "\"id\":\"d\""),
            another.trim_end().to_owned() + "\n",
            "data: [DONE]\n\n".to_owned(),
        ] {
            assert!(taken(Dialect::OpenAi, &first, &then).is_none(), "{then}");
        }
    }

    #[test]
    fn spaces_between_or_in_place_of_blank_lines_count() {
        let first = anthropic("a", 3);
        for end in [" \n\n", "\n \n", "\n\n "] {
            let then = anthropic("b", 0).replace("\n\n", end);
            let is_alike = !end.contains("\n \n");
            assert_eq!(taken(Dialect::Anthropic, &first, &then).is_some(), is_alike);
        }
    }

    #[test]
    fn what_is_said_by_another_field_is_not_taken_for_the_text() {
        // The text stands in the event a second time, where nobody reads it.
        let event = |text: &str, note: &str| {
            let event = openai(&format!("\"{text}\""));
            event.replace("}]}", &format!("}}],\"note\":\"{note}\"}}"))
        };
        let first = [event("a", "x"), event("b", "b")].concat();
        assert!(taken(Dialect::OpenAi, &first, &event("b", "c")).is_none());
        // One that also tells something else is no text alone.
        let usage = openai("\"a\"").replace("}]}", "}],\"usage\":{\"prompt_tokens\":1}}");
        let first = [openai("\"a\""), usage.clone()].concat();
        assert!(taken(Dialect::OpenAi, &first, &usage).is_none());
    }
}
