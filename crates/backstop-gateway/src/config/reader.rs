//! Reads a TOML document key by key, and remembers where everything stood.
//!
//! The code that reads a table is its schema: a key that nothing asked for is unknown, and the
//! keys that were asked for are what it may have meant. Reading goes on after a problem, so that
//! one start shows them all; a value that could not be read counts as absent.

use std::{
    cell::RefCell,
    fmt::Display,
    ops::{Range, RangeInclusive},
    time::Duration,
};

use backstop_llm::Secret;
use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    error::{ConfigError, Problem},
    nearest::nearest,
    units,
};

/// Looks a variable of the environment up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One document being read.
pub(super) struct Document<'a> {
    text: &'a str,
    environment: Environment<'a>,
    problems: RefCell<Vec<(Range<usize>, String, String)>>,
}

impl<'a> Document<'a> {
    /// Reads all of `text` by `read`, which returns `None` only after it told of a problem.
    pub(super) fn read<T>(
        file: &str,
        text: &str,
        environment: Environment<'_>,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let document = Document {
            text,
            environment,
            problems: RefCell::default(),
        };
        let mut result = None;
        match DeTable::parse(text) {
            Ok(root) => {
                let mut table = Table::new(&document, String::new(), 0..0, root.get_ref());
                result = read(&mut table);
                table.finish();
            }
            Err(error) => document.problem(
                error.span().unwrap_or(0..0),
                format!("not TOML: {}", error.message()),
                "",
            ),
        }
        match result {
            Some(value) if document.problems.borrow().is_empty() => Ok(value),
            _ => Err(document.into_error(file)),
        }
    }

    fn problem(&self, at: Range<usize>, what: impl Into<String>, instead: impl Into<String>) {
        self.problems
            .borrow_mut()
            .push((at, what.into(), instead.into()));
    }

    fn into_error(self, file: &str) -> ConfigError {
        let mut problems = self.problems.into_inner();
        problems.sort_by_key(|(at, ..)| at.start);
        let problems = problems
            .into_iter()
            .map(|(at, what, instead)| {
                let before = self.text.get(..at.start).unwrap_or_default();
                let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
                Problem {
                    line: before.matches('\n').count() + 1,
                    column: before[line_start..].chars().count() + 1,
                    what,
                    instead,
                }
            })
            .collect();
        ConfigError::Invalid {
            file: file.to_owned(),
            problems,
        }
    }
}

/// One value, and where it stands.
#[derive(Clone)]
pub(super) struct Value<'a> {
    document: &'a Document<'a>,
    /// What messages call it: `models.smart.retry.base`.
    path: String,
    value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// Tells of a problem with this value.
    pub(super) fn problem(&self, what: impl Display, instead: impl Into<String>) {
        let what = format!("`{}` {what}", self.path);
        self.document.problem(self.value.span(), what, instead);
    }

    fn wrong<T>(&self, should_be: &str, instead: &str) -> Option<T> {
        self.problem(format_args!("should be {should_be}"), instead);
        None
    }

    /// Whether the value is an array.
    pub(super) fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// Whether the value is a table.
    pub(super) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A string, as it stands.
    pub(super) fn string(&self) -> Option<String> {
        match self.value.get_ref().as_str() {
            Some(text) => Some(text.to_owned()),
            None => self.wrong("a string", "write it in quotes"),
        }
    }

    /// A string in which `${NAME}` stands for a variable of the environment, and `${file:PATH}` for
    /// what a file holds: a key that is to be changed while the program runs is in a file.
    pub(super) fn secret(&self) -> Option<Secret> {
        let text = self.string()?;
        let mut rest = text.as_str();
        let mut expanded = String::new();
        while let Some(start) = rest.find("${") {
            let Some(end) = rest[start..].find('}') else {
                return self.wrong("closed by `}` after `${`", "write \"${ENV_NAME}\"");
            };
            let name = &rest[start + 2..start + end];
            expanded.push_str(&rest[..start]);
            let value = match name.strip_prefix("file:") {
                Some(path) => std::fs::read_to_string(path).ok(),
                None => (self.document.environment)(name),
            };
            match value
                .as_deref()
                .map(str::trim)
                .filter(|value| !value.is_empty())
            {
                Some(value) => expanded.push_str(value),
                None => {
                    self.lacks(name);
                    return None;
                }
            }
            rest = &rest[start + end + 1..];
        }
        expanded.push_str(rest);
        Some(Secret::new(expanded))
    }

    fn lacks(&self, name: &str) {
        match name.strip_prefix("file:") {
            Some(path) => self.problem(
                format_args!("needs the file {path}, which can't be read or is empty"),
                "write the key into it, and let this program read it",
            ),
            None => self.problem(
                format_args!("needs the environment variable {name}, which is not set"),
                format!("set it before starting: export {name}=…"),
            ),
        }
    }

    /// A duration such as `"30s"`.
    pub(super) fn duration(&self) -> Option<Duration> {
        const INSTEAD: &str = "write it as \"250ms\", \"30s\", \"10m\" or \"1h\"";
        match self.value.get_ref().as_str().and_then(units::duration) {
            Some(duration) => Some(duration),
            None => self.wrong("a duration", INSTEAD),
        }
    }

    /// A size such as `"32MiB"`.
    pub(super) fn size(&self) -> Option<usize> {
        match self.value.get_ref().as_str().and_then(units::size) {
            Some(size) => Some(size),
            None => self.wrong("a size", "write it as \"512B\", \"64KiB\" or \"32MiB\""),
        }
    }

    /// Whether, `true` or `false`.
    pub(super) fn boolean(&self) -> Option<bool> {
        match self.value.get_ref().as_bool() {
            Some(value) => Some(value),
            None => self.wrong("true or false", "write it without quotes"),
        }
    }

    /// A whole number within `range`.
    pub(super) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
        let number = self
            .value
            .get_ref()
            .as_integer()
            .and_then(|number| u64::from_str_radix(number.as_str(), number.radix()).ok())
            .filter(|number| range.contains(number));
        match number {
            Some(number) => Some(number),
            None if *range.end() == u64::MAX => {
                self.wrong(&format!("a whole number from {} on", range.start()), "")
            }
            None => self.wrong(
                &format!("a whole number from {} to {}", range.start(), range.end()),
                "",
            ),
        }
    }

    /// A number within `range`.
    pub(super) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
        let value = self.value.get_ref();
        let number = value
            .as_float()
            .and_then(|number| number.as_str().parse().ok())
            .or_else(|| value.as_integer()?.as_str().parse().ok())
            .filter(|number| range.contains(number));
        match number {
            Some(number) => Some(number),
            None if range.end().is_infinite() => {
                self.wrong(&format!("a number from {} on", range.start()), "")
            }
            None => self.wrong(
                &format!("a number from {} to {}", range.start(), range.end()),
                "",
            ),
        }
    }

    /// The items of an array.
    pub(super) fn array(&self) -> Option<Vec<Self>> {
        let Some(array) = self.value.get_ref().as_array() else {
            return self.wrong("an array", "write it in brackets: [\"…\", \"…\"]");
        };
        let items = array.iter().enumerate().map(|(i, value)| Value {
            document: self.document,
            path: format!("{}[{i}]", self.path),
            value,
        });
        Some(items.collect())
    }

    /// A table, which must be finished.
    pub(super) fn table(&self) -> Option<Table<'a>> {
        match self.value.get_ref().as_table() {
            Some(table) => Some(Table::new(
                self.document,
                self.path.clone(),
                self.value.span(),
                table,
            )),
            None => self.wrong("a table", "write it in braces: { key = … }"),
        }
    }
}

/// One table, and which keys of it were asked for.
pub(super) struct Table<'a> {
    document: &'a Document<'a>,
    path: String,
    span: Range<usize>,
    entries: &'a DeTable<'a>,
    asked: Vec<&'static str>,
}

impl<'a> Table<'a> {
    fn new(
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
    pub(super) fn get(&mut self, key: &'static str) -> Option<Value<'a>> {
        self.asked.push(key);
        self.entries.get(key).map(|value| Value {
            document: self.document,
            path: self.join(key),
            value,
        })
    }

    /// The value of `key`, which must be there.
    pub(super) fn require(&mut self, key: &'static str, instead: &str) -> Option<Value<'a>> {
        let value = self.get(key);
        if value.is_none() {
            self.problem(format_args!("lacks `{key}`"), instead);
        }
        value
    }

    /// The table under `key`, which must be finished.
    pub(super) fn table(&mut self, key: &'static str) -> Option<Self> {
        self.get(key)?.table()
    }

    /// Every entry, whatever its key.
    pub(super) fn entries(&self) -> impl Iterator<Item = (String, Value<'a>)> {
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
    pub(super) fn problem(&self, what: impl Display, instead: impl Into<String>) {
        let what = match self.path.as_str() {
            "" => format!("the file {what}"),
            path => format!("[{path}] {what}"),
        };
        self.document.problem(self.span.clone(), what, instead);
    }

    /// Tells of every key that was not asked for.
    pub(super) fn finish(self) {
        for key in self.entries.keys() {
            let name: &str = key.get_ref().as_ref();
            if self.asked.contains(&name) {
                continue;
            }
            let instead = match nearest(name, &self.asked) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("known here: {}", self.asked.join(", ")),
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
