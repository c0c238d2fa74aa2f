//! JSON written by hand: a stream event by event, a request field by field.

use serde::Serialize;

use crate::Json;

/// Writes a JSON string, quotes and escapes included.
pub(crate) fn string(out: &mut Vec<u8>, text: &str) {
    out.push(b'"');
    let bytes = text.as_bytes();
    let mut start = 0;
    for (i, byte) in bytes.iter().enumerate() {
        let escape: &[u8] = match byte {
            b'"' => b"\\\"",
            b'\\' => b"\\\\",
            b'\n' => b"\\n",
            b'\r' => b"\\r",
            b'\t' => b"\\t",
            0x00..=0x1f => b"",
            _ => continue,
        };
        out.extend_from_slice(&bytes[start..i]);
        start = i + 1;
        if escape.is_empty() {
            const HEX: &[u8; 16] = b"0123456789abcdef";
            out.extend_from_slice(b"\\u00");
            out.push(HEX[usize::from(byte >> 4)]);
            out.push(HEX[usize::from(byte & 15)]);
        } else {
            out.extend_from_slice(escape);
        }
    }
    out.extend_from_slice(&bytes[start..]);
    out.push(b'"');
}

/// An object that is written field by field.
pub(crate) fn object(write: impl FnOnce(&mut Fields<'_>)) -> Vec<u8> {
    let mut out = Vec::with_capacity(1024);
    Fields(&mut out).all(write);
    out
}

/// The fields of an object that is being written.
pub(crate) struct Fields<'a>(&'a mut Vec<u8>);

impl Fields<'_> {
    fn all(&mut self, write: impl FnOnce(&mut Fields<'_>)) {
        self.0.push(b'{');
        write(self);
        self.0.push(b'}');
    }

    fn name(&mut self, name: &str) {
        // No value ends in what an object begins with.
        if self.0.last() != Some(&b'{') {
            self.0.push(b',');
        }
        string(self.0, name);
        self.0.push(b':');
    }

    /// Adds a field.
    pub(crate) fn set(&mut self, name: &str, value: &(impl Serialize + ?Sized)) {
        self.name(name);
        // Writing to memory does not fail.
        let _ = serde_json::to_writer(&mut *self.0, value);
    }

    /// Adds a field, if it has a value.
    pub(crate) fn some(&mut self, name: &str, value: Option<impl Serialize>) {
        if let Some(value) = value {
            self.set(name, &value);
        }
    }

    /// Adds a field, if anything is in its list.
    pub(crate) fn list(&mut self, name: &str, list: &[impl Serialize]) {
        if !list.is_empty() {
            self.set(name, list);
        }
    }

    /// Adds a field, if it is so.
    pub(crate) fn flag(&mut self, name: &str, is: bool) {
        self.some(name, is.then_some(true));
    }

    /// Adds a field whose value is an object.
    pub(crate) fn object(&mut self, name: &str, write: impl FnOnce(&mut Fields<'_>)) {
        self.name(name);
        self.all(write);
    }

    /// Adds fields as they came.
    pub(crate) fn extend<'a>(&mut self, fields: impl IntoIterator<Item = &'a (String, Json)>) {
        for (name, value) in fields {
            self.set(name, value);
        }
    }
}

/// Writes a number.
pub(crate) fn number(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    use std::io::Write as _;
    // Writing to memory does not fail.
    let _ = write!(out, "{number}");
}
