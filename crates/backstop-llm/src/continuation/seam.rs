//! Where a continuation meets what has been said.

/// How much of the end of a text may be repeated at the beginning of its continuation, in bytes.
const WINDOW: usize = 400;

/// How long a repetition must be, in bytes, to be no coincidence.
const LEAST: usize = 12;

/// Drops what a continuation repeats of the text before it.
///
/// A model that is asked to go on with a message often begins with its last words once more; those
/// that can't be made to go on any other way are even told to. White space at the end of a text is
/// not sent, so it may come once more as well.
#[derive(Debug)]
pub(super) struct Seam {
    /// The end of what has been said, without the white space after it.
    tail: String,
    /// Whether there was white space after it, and nothing has come since.
    spaced: bool,
    /// What has come and is not decided upon.
    held: String,
    decided: bool,
}

impl Seam {
    pub(super) fn new(text: &str) -> Self {
        let trimmed = text.trim_end();
        let start = (trimmed.len().saturating_sub(WINDOW)..=trimmed.len())
            .find(|i| trimmed.is_char_boundary(*i))
            .unwrap_or_default();
        Self {
            tail: trimmed[start..].to_owned(),
            spaced: trimmed.len() < text.len(),
            held: String::new(),
            decided: false,
        }
    }

    /// Adds text; what of it is new, as far as that is certain.
    pub(super) fn push(&mut self, delta: String) -> String {
        if self.decided {
            return self.past_space(&delta);
        }
        self.held.push_str(&delta);
        if self.may_repeat() {
            return String::new();
        }
        self.finish()
    }

    /// There is no more text to decide by: what is held is new, but for what it repeats.
    pub(super) fn finish(&mut self) -> String {
        if std::mem::replace(&mut self.decided, true) {
            return String::new();
        }
        let held = std::mem::take(&mut self.held);
        let begun = held.trim_start();
        let least = LEAST.min(self.tail.len()).max(1);
        let repeated = self
            .starts()
            .map(|start| &self.tail[start..])
            .find(|end| end.len() >= least && begun.starts_with(end));
        self.past_space(match repeated {
            Some(end) => &begun[end.len()..],
            None => &held,
        })
    }

    /// The text without the white space that has come once already.
    fn past_space(&mut self, text: &str) -> String {
        if !self.spaced {
            return text.to_owned();
        }
        let rest = text.trim_start();
        self.spaced = rest.is_empty();
        rest.to_owned()
    }

    /// Whether what is held is white space or the beginning of a repetition, so that more must
    /// come to decide.
    fn may_repeat(&self) -> bool {
        let begun = self.held.trim_start();
        self.held.len() <= 2 * WINDOW
            && self.starts().any(|start| {
                let end = &self.tail[start..];
                end.len() > begun.len()
                    && end.len() >= LEAST.min(self.tail.len())
                    && end.starts_with(begun)
            })
    }

    /// Where the ends of the tail begin, the longest first.
    fn starts(&self) -> impl Iterator<Item = usize> {
        self.tail.char_indices().map(|(start, _)| start)
    }
}

#[cfg(test)]
mod tests {
    use super::Seam;

    /// The continuation as it is passed on, cut up in pieces of `n` characters.
    fn joined(text: &str, continuation: &str, n: usize) -> String {
        let mut seam = Seam::new(text);
        let characters: Vec<char> = continuation.chars().collect();
        let mut out = text.to_owned();
        for piece in characters.chunks(n) {
            out.push_str(&seam.push(piece.iter().collect()));
        }
        out.push_str(&seam.finish());
        out
    }

    #[test]
    fn what_is_repeated_is_dropped_however_it_is_cut_up() {
        for (text, continuation, whole) in [
            (
                "The quick brown fox",
                "quick brown fox jumps",
                "The quick brown fox jumps",
            ),
            (
                "The quick brown fo",
                "quick brown fox jumps",
                "The quick brown fox jumps",
            ),
            (
                "The quick brown ",
                "The quick brown fox",
                "The quick brown fox",
            ),
            (
                "The quick brown fox\n\n",
                " quick brown fox\n\njumps",
                "The quick brown fox\n\njumps",
            ),
            (
                "Größe und Schönheit",
                "und Schönheit zählen",
                "Größe und Schönheit zählen",
            ),
        ] {
            for n in 1..9 {
                assert_eq!(joined(text, continuation, n), whole, "cut at {n}");
            }
        }
    }

    #[test]
    fn what_is_new_is_left_as_it_is() {
        for (text, continuation, whole) in [
            ("hel", "lo", "hello"),
            ("It was very", " very good", "It was very very good"),
            ("one two three", " four", "one two three four"),
            ("def f():\n    ", "\n    return 1", "def f():\n    return 1"),
            ("a", "", "a"),
            ("", "b", "b"),
        ] {
            for n in 1..9 {
                assert_eq!(joined(text, continuation, n), whole, "cut at {n}");
            }
        }
    }
}
