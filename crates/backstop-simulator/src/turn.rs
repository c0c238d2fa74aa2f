use crate::{
    ask::{Ask, Continuation, estimate},
    problem::Problem,
    script::{Reply, Script, Stop, words},
};

/// What a stand-in makes of a conversation that ends with a message of the assistant's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Prefill {
    /// It goes on where that message ends, and sends only what comes after. Anthropic's models up
    /// to 4.5 do, and Gemini's.
    Accept,
    /// It answers 400 "This model does not support assistant message prefill". Anthropic's models
    /// from 4.6 on do.
    Reject,
    /// It takes the message for history and begins anew, unless the caller says otherwise by
    /// `continue_final_message`, `prefix`, or an instruction to continue. OpenAI's models do.
    Ignore,
}

/// A reply to one request, cut to its limits and counted.
#[derive(Debug)]
pub(crate) struct Turn {
    pub(crate) ask: Ask,
    pub(crate) reply: Reply,
    pub(crate) stop: Stop,
    /// The tokens of the reply, those of its thinking included.
    pub(crate) output_tokens: u64,
    pub(crate) thinking_tokens: u64,
}

impl Turn {
    pub(crate) fn new(
        mut ask: Ask,
        script: &Script,
        name: &str,
        prefill: Prefill,
    ) -> Result<Self, Problem> {
        match (prefill, ask.continuation) {
            (Prefill::Reject, Continuation::Prefill | Continuation::Flag)
                if ask.partial.is_some() =>
            {
                return Err(Problem::Prefill);
            }
            (Prefill::Ignore, Continuation::Prefill) => ask.partial = None,
            _ => {}
        }
        let mut reply = script.reply(name, &ask);
        if let Some(partial) = &ask.partial {
            reply.text = rest_after(&reply.text, partial).to_owned();
        }
        let mut stop = reply
            .stop
            .clone()
            .unwrap_or(match reply.tool_calls.as_slice() {
                [] => Stop::End,
                _ => Stop::Tool,
            });
        if let Some(sequence) = cut_at_stop(&mut reply.text, &ask.stops) {
            stop = Stop::Sequence(sequence);
        }
        if cut_to_length(&mut reply, ask.max_tokens) {
            stop = Stop::Length;
        }
        let thinking_tokens = reply.thinking.as_deref().map_or(0, estimate);
        let calls = reply.tool_calls.iter();
        let output_tokens = thinking_tokens
            + estimate(&reply.text)
            + calls
                .map(|call| estimate(&call.name) + estimate(&call.text()))
                .sum::<u64>();
        Ok(Self {
            ask,
            reply,
            stop,
            output_tokens,
            thinking_tokens,
        })
    }

    /// The number of chunks in which the reply would be streamed, about.
    pub(crate) fn chunks(&self) -> usize {
        self.reply.pieces().len().max(1) + self.reply.tool_calls.len()
    }
}

/// What follows in `text` once `partial` has been said.
///
/// A partial answer may be another stand-in's, with another name in it, so that words are counted
/// and not compared; only a last word that was cut in two is.
fn rest_after<'a>(text: &'a str, partial: &str) -> &'a str {
    if let Some(rest) = text.strip_prefix(partial) {
        return rest;
    }
    let said = words(partial.trim_end());
    let all = words(text);
    let mut skip: usize = all.iter().take(said.len()).map(|word| word.len()).sum();
    if let (Some(word), Some(last)) = (all.get(said.len().wrapping_sub(1)), said.last()) {
        if word.starts_with(last) && !partial.ends_with(char::is_whitespace) {
            skip -= word.len() - last.len();
        }
    }
    if partial.ends_with(char::is_whitespace) {
        text[skip..].trim_start()
    } else {
        &text[skip..]
    }
}

/// Cuts a text where the first of the stop sequences begins, and names it.
fn cut_at_stop(text: &mut String, stops: &[String]) -> Option<String> {
    let found = stops.iter().filter(|stop| !stop.is_empty());
    let found = found.filter_map(|stop| text.find(stop.as_str()).map(|place| (place, stop)));
    let (place, stop) = found.min_by_key(|(place, _)| *place)?;
    text.truncate(place);
    Some(stop.clone())
}

/// Cuts the text of a reply to so many tokens, and says whether it had to.
fn cut_to_length(reply: &mut Reply, max_tokens: Option<u64>) -> bool {
    let Some(max) = max_tokens else { return false };
    let max = max.saturating_sub(reply.thinking.as_deref().map_or(0, estimate));
    if estimate(&reply.text) <= max {
        return false;
    }
    let characters = usize::try_from(max.saturating_mul(4)).unwrap_or(usize::MAX);
    let end = reply
        .text
        .char_indices()
        .nth(characters)
        .map(|(place, _)| place);
    reply.text.truncate(end.unwrap_or(reply.text.len()));
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn goes_on_where_its_own_answer_ended() {
        assert_eq!(
            rest_after("Hello from b. You said: hi", "Hello from b. You"),
            " said: hi"
        );
    }

    #[test]
    fn goes_on_by_words_where_another_began() {
        let rest = rest_after(
            "Hello from b. You said: one two",
            "Hello from anthropic. You said: one",
        );
        assert_eq!(rest, " two");
    }

    #[test]
    fn finishes_a_word_that_was_cut_in_two() {
        let text = "Hello from b. You said: wonderful day";
        assert_eq!(
            rest_after(text, "Hello from anthropic. You said: wonder"),
            "ful day"
        );
    }

    #[test]
    fn sends_one_space_and_not_two_at_the_seam() {
        assert_eq!(
            rest_after("Hello from b. You said: hi", "Hello from a. You "),
            "said: hi"
        );
    }

    #[test]
    fn has_nothing_to_add_to_an_answer_that_is_whole() {
        assert_eq!(rest_after("Hello from b.", "Hello from a. And more"), "");
        assert_eq!(rest_after("", "Hello"), "");
    }

    #[test]
    fn cuts_to_the_limit_in_characters_and_not_in_bytes() {
        let mut reply = Reply::text("ééééééééé");
        assert!(cut_to_length(&mut reply, Some(2)));
        assert_eq!(reply.text, "éééééééé");
        assert!(!cut_to_length(&mut reply, Some(2)));
    }

    #[test]
    fn stops_at_the_first_of_the_sequences() {
        let mut text = "one two three".to_owned();
        let stops = ["three".to_owned(), "two".to_owned(), String::new()];
        assert_eq!(cut_at_stop(&mut text, &stops).as_deref(), Some("two"));
        assert_eq!(text, "one ");
    }
}
