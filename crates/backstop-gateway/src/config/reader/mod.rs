//! Reads a TOML document key by key, and remembers where everything stood.
//!
//! The code that reads a table is its schema: a key that nothing asked for is unknown, and the
//! keys that were asked for are what it may have meant. Reading goes on after a problem, so that
//! one start shows them all; a value that could not be read counts as absent.

mod table;
mod value;

use std::{cell::RefCell, io, mem, ops::Range, path::Path};

use toml::de::DeTable;

pub(super) use self::{table::Table, value::Value};
use super::{
    error::{ConfigError, Problem},
    files::Files,
};

/// Looks a variable of the environment up.
pub(super) type Environment<'a> = &'a dyn Fn(&str) -> Option<String>;

/// One document being read.
pub(super) struct Document<'a> {
    text: &'a str,
    environment: Environment<'a>,
    problems: RefCell<Vec<(Range<usize>, String, String)>>,
    /// The files that values were read from.
    files: RefCell<Files>,
}

impl<'a> Document<'a> {
    /// Reads all of `text` by `read`, which returns `None` only after it told of a problem. Which
    /// other files it is in is noted in `files`.
    pub(super) fn read<T>(
        file: &str,
        text: &str,
        environment: Environment<'_>,
        files: &mut Files,
        read: impl FnOnce(&mut Table<'_>) -> Option<T>,
    ) -> Result<T, ConfigError> {
        let document = Document {
            text,
            environment,
            problems: RefCell::default(),
            files: RefCell::new(mem::take(files)),
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
        *files = document.files.take();
        match result {
            Some(value) if document.problems.borrow().is_empty() => Ok(value),
            _ => Err(document.into_error(file)),
        }
    }

    /// The text of another file.
    fn file(&self, path: &str) -> io::Result<String> {
        self.files.borrow_mut().read(Path::new(path))
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
