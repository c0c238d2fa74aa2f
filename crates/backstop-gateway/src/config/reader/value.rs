//! One value.

use std::{fmt::Display, ops::RangeInclusive, time::Duration};

use backstop_llm::Secret;
use toml::{Spanned, de::DeValue};

use super::{Document, Table};
use crate::config::units;

/// One value, and where it stands.
#[derive(Clone)]
pub(in crate::config) struct Value<'a> {
    pub(super) document: &'a Document<'a>,
    /// What messages call it: `models.smart.retry.base`.
    pub(super) path: String,
    pub(super) value: &'a Spanned<DeValue<'a>>,
}

impl<'a> Value<'a> {
    /// Tells of a problem with this value.
    pub(in crate::config) fn problem(&self, what: impl Display, instead: impl Into<String>) {
        let what = format!("`{}` {what}", self.path);
        self.document.problem(self.value.span(), what, instead);
    }

    fn wrong<T>(&self, should_be: &str, instead: &str) -> Option<T> {
        self.problem(format_args!("should be {should_be}"), instead);
        None
    }

    /// Whether the value is an array.
    pub(in crate::config) fn is_array(&self) -> bool {
        self.value.get_ref().is_array()
    }

    /// Whether the value is `true` or `false`.
    pub(in crate::config) fn is_boolean(&self) -> bool {
        self.value.get_ref().as_bool().is_some()
    }

    /// Whether the value is a table.
    pub(in crate::config) fn is_table(&self) -> bool {
        self.value.get_ref().is_table()
    }

    /// A string, as it stands.
    pub(in crate::config) fn string(&self) -> Option<String> {
        match self.value.get_ref().as_str() {
            Some(text) => Some(text.to_owned()),
            None => self.wrong("a string", "write it in quotes"),
        }
    }

    /// A string in which `${NAME}` stands for a variable of the environment, and `${file:PATH}` for
    /// what a file holds: a key that is to be changed while the program runs is in a file.
    pub(in crate::config) fn secret(&self) -> Option<Secret> {
        let text = self.string()?;
        if let Some(name) = text.strip_prefix('$').filter(|name| is_shouted(name)) {
            let instead = format!("write \"${{{name}}}\"");
            return self.wrong("a variable in braces", &instead);
        }
        let mut rest = text.as_str();
        let mut expanded = String::new();
        while let Some(start) = rest.find("${") {
            let Some(end) = rest[start..].find('}') else {
                return self.wrong("closed by `}` after `${`", "write \"${ENV_NAME}\"");
            };
            let name = &rest[start + 2..start + end];
            let is_variable = |it: u8| it.is_ascii_alphanumeric() || b"_.-".contains(&it);
            let is_name = name.starts_with("file:") || name.bytes().all(is_variable);
            if matches!(name, "" | "file:") || !is_name {
                const INSTEAD: &str = "write \"${ENV_NAME}\" or \"${file:/path}\"";
                return self.wrong("a name between `${` and `}`", INSTEAD);
            }
            expanded.push_str(&rest[..start]);
            let value = match name.strip_prefix("file:") {
                Some(path) => self.document.file(path).ok(),
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

    /// The text of the file that the string names. Another text in it is another config.
    pub(in crate::config) fn file(&self) -> Option<String> {
        let path = self.string()?;
        match self.document.file(&path) {
            Ok(text) => Some(text),
            Err(error) => {
                let what = format_args!("names the file {path}, which can't be read: {error}");
                self.problem(what, "name a PEM file, and let this program read it");
                None
            }
        }
    }

    /// A duration such as `"30s"`.
    pub(in crate::config) fn duration(&self) -> Option<Duration> {
        const INSTEAD: &str = "write it as \"250ms\", \"30s\", \"10m\" or \"1h\"";
        match self.value.get_ref().as_str().and_then(units::duration) {
            Some(duration) => Some(duration),
            None => self.wrong("a duration", INSTEAD),
        }
    }

    /// A size such as `"32MiB"`.
    pub(in crate::config) fn size(&self) -> Option<usize> {
        match self.value.get_ref().as_str().and_then(units::size) {
            Some(size) => Some(size),
            None => self.wrong("a size", "write it as \"512B\", \"64KiB\" or \"32MiB\""),
        }
    }

    /// Whether, `true` or `false`.
    pub(in crate::config) fn boolean(&self) -> Option<bool> {
        match self.value.get_ref().as_bool() {
            Some(value) => Some(value),
            None => self.wrong("true or false", "write it without quotes"),
        }
    }

    /// A whole number within `range`.
    pub(in crate::config) fn integer(&self, range: RangeInclusive<u64>) -> Option<u64> {
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
    pub(in crate::config) fn number(&self, range: RangeInclusive<f64>) -> Option<f64> {
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
    pub(in crate::config) fn array(&self) -> Option<Vec<Self>> {
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
    pub(in crate::config) fn table(&self) -> Option<Table<'a>> {
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

/// Whether it is written as the names of variables are, and as no key is.
fn is_shouted(name: &str) -> bool {
    let mut bytes = name.bytes();
    !name.is_empty() && bytes.all(|it| it == b'_' || it.is_ascii_uppercase() || it.is_ascii_digit())
}
