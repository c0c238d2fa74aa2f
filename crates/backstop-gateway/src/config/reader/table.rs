//! One table.

use std::{fmt::Display, ops::Range};

use toml::de::DeTable;

use super::{Document, Value};
use crate::config::nearest::nearest;

/// One table, and which keys of it were asked for.
pub(in crate::config) struct Table<'a> {
    document: &'a Document<'a>,
    path: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Table<'a> {
    pub(super) fn new(
        document: &'a Document<'a>,
        path: String,
        span: Range<usize>,
        entries: &'a DeTable<'a>,
    ) -> Self {
        Self {
            document,
            path,
            span,
            entries,
            asked: Vec::new(),
        }
    }

    /// The value of `key`, where it is there.
    pub(in crate::config) fn get(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.asked.push(key);
        self.entries.get(key).map(|value| Value {
            document: self.document,
            path: self.join(key),
            value,
        })
    }

    /// The value of `key`, which must be there.
    pub(in crate::config) fn require(
        &mut self,
        key: &'static str,
        instead: &str,
    ) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.problem(format_args!("lacks `{key}`"), instead);
        }
        value
    }

    /// The table under `key`, which must be finished.
    pub(in crate::config) fn table(&mut self, key: &'static str) -> Option<Self> {
        self.get(key)?.table()
    }

    /// Whether there is nothing in it.
    pub(in crate::config) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Every entry, whatever its key.
    pub(in crate::config) fn entries(&self) -> impl Iterator<Item = (String, Value<'a>)> {
        self.entries.iter().map(|(key, value)| {
            let name: &str = key.get_ref().as_ref();
            let value = Value {
                document: self.document,
                path: self.join(name),
                value,
            };
            (name.to_owned(), value)
        })
    }

    /// Tells of a problem with this table.
    pub(in crate::config) fn problem(&self, what: impl Display, instead: impl Into<String>) {
        let what = match self.path.as_str() {
            "" => format!("the file {what}"),
            path => format!("[{path}] {what}"),
        };
        self.document.problem(self.span.clone(), what, instead);
    }

    /// Tells of every key that was not asked for.
    pub(in crate::config) fn finish(self) {
        for (key, value) in self.entries {
            let name: &str = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let dotted = self
                .path
                .rsplit_once('.')
                .filter(|_| value.get_ref().is_table());
            let instead = match (nearest(name, &self.asked), dotted) {
                (Some(meant), _) => format!("did you mean `{meant}`?"),
                (None, Some((path, before))) => format!(
                    "known here: {}; a name with a dot stands in quotes: [{path}.\"{before}.{name}\"]",
                    self.asked.join(", "),
                ),
                (None, None) => format!("known here: {}", self.asked.join(", ")),
            };
            let what = match self.path.as_str() {
                "" => format!("unknown key `{name}`"),
                path => format!("unknown key `{name}` in [{path}]"),
            };
            self.document.problem(key.span(), what, instead);
        }
    }

    fn join(&self, key: &str) -> String {
        match self.path.as_str() {
            "" => key.to_owned(),
            path => format!("{path}.{key}"),
        }
    }
}
