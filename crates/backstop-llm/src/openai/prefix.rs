//! What the events of a stream have in common.

use memchr::memmem;
use serde::Deserialize;
use serde_json::value::RawValue;

use crate::json;

/// What comes after it is new in each event.
const CHOICES: &[u8] = b"\"choices\":";

/// How many events more may begin otherwise than the one before than begin alike. A server whose
/// events do so all the time gains nothing by this.
const CHANGES: u8 = 16;

/// What the events of a stream have in common: all begin alike, with an id, a model and a time, and
/// need to be read but once for that.
#[derive(Debug, Default)]
pub(super) struct Prefix {
    /// Ends with the comma before the choices.
    known: Vec<u8>,
    /// The last event without it, as an object.
    rest: Vec<u8>,
    changes: u8,
}

/// The fields of the part that is left out, which must say nothing that counts in every event.
#[derive(Deserialize)]
struct Common<'a> {
    #[serde(borrow, default)]
    usage: Option<&'a RawValue>,
    #[serde(borrow, default)]
    x_groq: Option<&'a RawValue>,
    #[serde(borrow, default)]
    error: Option<&'a RawValue>,
}

impl Prefix {
    /// The event without what it has in common with those before, if it has.
    pub(super) fn strip(&mut self, event: &[u8]) -> Option<&[u8]> {
        if self.known.is_empty() {
            return None;
        }
        let new = event.strip_prefix(&*self.known)?;
        self.rest.clear();
        self.rest.push(b'{');
        self.rest.extend_from_slice(new);
        self.changes = self.changes.saturating_sub(1);
        Some(&self.rest)
    }

    /// Takes the beginning of an event that has been read for that of the next.
    pub(super) fn learn(&mut self, event: &[u8]) {
        if self.changes == CHANGES {
            return;
        }
        self.changes += 1;
        self.known.clear();
        let Some(end) = memmem::find(event, CHOICES) else {
            return;
        };
        let common = &event[..end];
        let Some(fields) = common.strip_suffix(b",") else {
            return;
        };
        // Only what is an object by itself ends between two fields of the event.
        let whole = [fields, b"}"].concat();
        let says_nothing = json::from_bytes::<Common<'_>>(&whole).is_ok_and(|common| {
            common.usage.is_none() && common.x_groq.is_none() && common.error.is_none()
        });
        if says_nothing {
            self.known.extend_from_slice(common);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn after<'a>(prefix: &'a mut Prefix, first: &str, then: &str) -> Option<&'a str> {
        prefix.learn(first.as_bytes());
        let rest = prefix.strip(then.as_bytes())?;
        Some(std::str::from_utf8(rest).unwrap())
    }

    #[test]
    fn leaves_out_what_is_known() {
        let mut prefix = Prefix::default();
        assert_eq!(prefix.strip(b"{}"), None);
        let first = r#"{"id":"a","choices":[1]}"#;
        let then = r#"{"id":"a","choices":[2]}"#;
        assert_eq!(after(&mut prefix, first, then), Some(r#"{"choices":[2]}"#));
        assert_eq!(
            after(&mut prefix, first, r#"{"id":"b","choices":[2]}"#),
            None
        );
        let then = r#"{"id":"a","usage":{}}"#;
        assert_eq!(after(&mut prefix, first, then), Some(r#"{"usage":{}}"#));
    }

    #[test]
    fn is_not_taken_in_by_choices_elsewhere_in_an_event() {
        let mut prefix = Prefix::default();
        for event in [
            r#"{"choices":[1]}"#,
            r#"{"id":"a"}"#,
            r#"{"a":{"b":1,"choices":[1]},"choices":[2]}"#,
            r#"{"a":["x","choices":"#,
            r#"{"a":"x,"choices":[1]}"#,
        ] {
            assert_eq!(after(&mut prefix, event, event), None, "{event}");
        }
    }

    #[test]
    fn what_counts_in_every_event_is_read_in_every_event() {
        let mut prefix = Prefix::default();
        for event in [
            r#"{"usage":{"prompt_tokens":1},"choices":[]}"#,
            r#"{"error":{"message":"x"},"choices":[]}"#,
            r#"{"x_groq":{"usage":{}},"choices":[]}"#,
        ] {
            assert_eq!(after(&mut prefix, event, event), None, "{event}");
        }
    }

    #[test]
    fn gives_up_on_a_server_whose_events_begin_each_in_another_way() {
        let mut prefix = Prefix::default();
        for n in 0..u32::from(CHANGES) {
            prefix.learn(format!(r#"{{"id":"{n}","choices":[]}}"#).as_bytes());
        }
        let last = r#"{"id":"last","choices":[]}"#;
        assert_eq!(after(&mut prefix, last, last), None);
    }
}
