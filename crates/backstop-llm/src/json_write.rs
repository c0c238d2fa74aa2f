//! JSON written by hand where a stream is rendered event by event.

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

/// Adds fields at the end of an object that is written already.
pub(crate) fn add_fields<'a>(
    object: &mut Vec<u8>,
    fields: impl IntoIterator<Item = &'a (String, crate::Json)>,
) {
    if object.last() != Some(&b'}') {
        return;
    }
    for (name, value) in fields {
        object.pop();
        if object.last() != Some(&b'{') {
            object.push(b',');
        }
        string(object, name);
        object.push(b':');
        object.extend_from_slice(value.get().as_bytes());
        object.push(b'}');
    }
}

/// Writes a number.
pub(crate) fn number(out: &mut Vec<u8>, number: impl std::fmt::Display) {
    use std::io::Write as _;
    // Writing to memory does not fail.
    let _ = write!(out, "{number}");
}
