//! Which part of an answer each candidate gave, where one broke off and another went on with it.

use backstop_core::Name;
use backstop_llm::Usage;

/// The parts of one answer.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// Those that broke off: who gave it, and what it used.
    broken: Vec<(Name, Usage)>,
    /// How much text the present part has.
    said: u64,
    /// What has been told of the answer as a whole, within the present part.
    told: Option<Usage>,
}

impl Parts {
    /// Some text came.
    pub(crate) fn text(&mut self, delta: &str) {
        self.said += delta.len() as u64;
    }

    /// The usage of the whole answer came, as far as it has come.
    pub(crate) fn usage(&mut self, whole: Usage) {
        self.told = Some(whole);
    }

    /// Who gave the present part gives no more. What it used is estimated where it has not said so.
    pub(crate) fn broke_off(&mut self, by: Name, input: u64) {
        let told = self.told.take();
        self.broken.push((by, self.present(told, input)));
        self.said = 0;
    }

    /// What the present part used, as far as it has come, and as this was `told` of the whole.
    pub(crate) fn present(&self, told: Option<Usage>, input: u64) -> Usage {
        let output = self.said.div_ceil(4);
        match told {
            Some(whole) => {
                let mut used = self.rest(whole);
                // What is told at the beginning of a stream is a mere placeholder.
                used.output = used.output.max(output);
                used
            }
            None => Usage::new(input, output),
        }
    }

    /// Those that broke off.
    pub(crate) fn broken(&self) -> &[(Name, Usage)] {
        &self.broken
    }

    /// What is left of the usage of the whole for who gave the last part.
    pub(crate) fn rest(&self, whole: Usage) -> Usage {
        let mut rest = whole;
        for (_, part) in &self.broken {
            rest.input = rest.input.saturating_sub(part.input);
            rest.cached = rest.cached.saturating_sub(part.cached);
            rest.cache_write = rest.cache_write.saturating_sub(part.cache_write);
            rest.output = rest.output.saturating_sub(part.output);
            rest.reasoning = rest.reasoning.saturating_sub(part.reasoning);
        }
        rest
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_is_its_givers_own() {
        let mut parts = Parts::default();
        parts.usage(Usage::new(20, 1));
        parts.text("eight of them make thirty-two...");
        parts.broke_off("a".into(), 99);
        // The second says nothing of its usage before it breaks off too.
        parts.text("four");
        parts.broke_off("b".into(), 30);
        let [(_, first), (_, second)] = parts.broken() else {
            panic!("there are two: {parts:?}");
        };
        assert_eq!((first.input, first.output), (20, 8));
        assert_eq!((second.input, second.output), (30, 1));
        let rest = parts.rest(Usage::new(90, 14));
        assert_eq!((rest.input, rest.output), (40, 5));
    }
}
