//! Reads the fields of an object of a case, and tells when one was not read: a field that nobody
//! looks at is an expectation that nobody checks.

use std::{cell::RefCell, collections::BTreeSet, time::Duration};

use serde_json::{Map, Value};

use crate::outcome::{Replay, unknown};

/// The fields of one object, and which of them have been read.
pub(crate) struct Fields<'a> {
    map: &'a Map<String, Value>,
    read: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Fields<'a> {
    pub(crate) fn of(map: &'a Map<String, Value>) -> Self {
        Self {
            map,
            read: RefCell::default(),
        }
    }

    /// The field, where it is there. A `null` is a field that is there.
    pub(crate) fn get(&self, name: &str) -> Option<&'a Value> {
        let (name, value) = self.map.get_key_value(name)?;
        self.read.borrow_mut().insert(name);
        Some(value)
    }

    /// Marks fields as known that need no reading: words for people, or what the code knows
    /// without being told.
    pub(crate) fn skip(&self, names: &[&str]) {
        for name in names {
            self.get(name);
        }
    }

    /// Fails where a field has not been read.
    pub(crate) fn end(&self) -> Replay {
        let read = self.read.borrow();
        match self.map.keys().find(|name| !read.contains(name.as_str())) {
            Some(name) => unknown(format!(
                "field {name:?} of {}",
                Value::from(self.map.clone())
            )),
            None => Ok(()),
        }
    }

    pub(crate) fn u64(&self, name: &str) -> Replay<Option<u64>> {
        self.typed(name, "a whole number", Value::as_u64)
    }

    pub(crate) fn f64(&self, name: &str) -> Replay<Option<f64>> {
        self.typed(name, "a number", Value::as_f64)
    }

    pub(crate) fn bool(&self, name: &str) -> Replay<Option<bool>> {
        self.typed(name, "true or false", Value::as_bool)
    }

    pub(crate) fn str(&self, name: &str) -> Replay<Option<&'a str>> {
        self.typed(name, "a text", Value::as_str)
    }

    pub(crate) fn array(&self, name: &str) -> Replay<Option<&'a Vec<Value>>> {
        self.typed(name, "a list", Value::as_array)
    }

    pub(crate) fn object(&self, name: &str) -> Replay<Option<Self>> {
        Ok(self
            .typed(name, "an object", Value::as_object)?
            .map(Fields::of))
    }

    /// A duration in milliseconds.
    pub(crate) fn ms(&self, name: &str) -> Replay<Option<Duration>> {
        Ok(self.u64(name)?.map(Duration::from_millis))
    }

    /// A field that this kind of object can't do without.
    pub(crate) fn must<T>(
        &self,
        name: &str,
        read: impl Fn(&Self, &str) -> Replay<Option<T>>,
    ) -> Replay<T> {
        match read(self, name)? {
            Some(value) => Ok(value),
            None => unknown(format!("no {name:?} in {}", Value::from(self.map.clone()))),
        }
    }

    fn typed<T>(
        &self,
        name: &str,
        kind: &str,
        read: impl Fn(&'a Value) -> Option<T>,
    ) -> Replay<Option<T>> {
        match self.get(name) {
            None => Ok(None),
            Some(value) => match read(value) {
                Some(value) => Ok(Some(value)),
                None => unknown(format!("{name:?} is {value}, not {kind}")),
            },
        }
    }
}
