//! Server-sent events, cut out of bytes as they arrive.

use std::fmt;

use bytes::{Buf, Bytes, BytesMut};

/// One event of a stream.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct SseEvent {
    /// Its name (`event:`), empty where it has none.
    pub name: Bytes,
    /// Its data, several lines of it joined by line feeds; none where it has no `data:` field at
    /// all: it is then a comment, a sign of life.
    pub data: Option<Bytes>,
    /// The bytes it came in, the blank line at its end included.
    pub raw: Bytes,
}

impl SseEvent {
    /// Its data; nothing where it has none.
    #[must_use]
    pub fn data(&self) -> &[u8] {
        self.data.as_deref().unwrap_or_default()
    }
}

/// An event is larger than allowed.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct TooLong;

impl fmt::Display for TooLong {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event of the stream is larger than allowed")
    }
}

impl std::error::Error for TooLong {}

/// Cuts events out of bytes as they arrive.
///
/// However the bytes are cut up on the way, the events are the same. Lines may end in LF, CRLF or
/// CR; a byte order mark may lead; fields may come in any order; unknown ones are passed over. A
/// block with a comment and no data is an event too, without data, because it is a sign of life.
/// Names and data are slices of the bytes that came, so that passing an event on copies nothing.
#[derive(Debug)]
pub struct SseParser {
    buffer: BytesMut,
    /// How far the buffer is known to hold no end of an event.
    scanned: usize,
    /// Where the line being scanned began.
    line: usize,
    started: bool,
    limit: usize,
}

impl SseParser {
    /// The largest event that is accepted unless told otherwise: 16 MiB.
    pub const LIMIT: usize = 16 * 1024 * 1024;

    /// With nothing read, and [`LIMIT`](Self::LIMIT).
    #[must_use]
    pub fn new() -> Self {
        Self::with_limit(Self::LIMIT)
    }

    /// With nothing read, for events of up to `limit` bytes.
    #[must_use]
    pub fn with_limit(limit: usize) -> Self {
        Self {
            buffer: BytesMut::new(),
            scanned: 0,
            line: 0,
            started: false,
            limit,
        }
    }

    /// Adds bytes.
    pub fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
    }

    /// Where bytes are added.
    pub(crate) const fn buffer_mut(&mut self) -> &mut BytesMut {
        &mut self.buffer
    }

    /// What has been added and not been read.
    pub(crate) fn rest(&self) -> &[u8] {
        &self.buffer
    }

    /// Takes whole events off, which end after so many bytes.
    pub(crate) fn take(&mut self, end: usize) -> Bytes {
        self.scanned = 0;
        self.line = 0;
        self.buffer.split_to(end).freeze()
    }

    /// How large an event may be.
    pub(crate) const fn limit(&self) -> usize {
        self.limit
    }

    /// The next event, where one is complete.
    ///
    /// # Errors
    ///
    /// The event under way is larger than allowed.
    pub fn next_event(&mut self) -> Result<Option<SseEvent>, TooLong> {
        if !self.skip_mark() {
            return Ok(None);
        }
        while let Some(raw) = self.cut() {
            if raw.len() > self.limit {
                return Err(TooLong);
            }
            if let Some(event) = read(raw) {
                return Ok(Some(event));
            }
        }
        if self.buffer.len() > self.limit {
            return Err(TooLong);
        }
        Ok(None)
    }

    /// The stream is over: the event that was not ended by a blank line, if there is one. Some
    /// servers forget the line after their last event.
    pub fn finish(&mut self) -> Option<SseEvent> {
        self.started = true;
        self.scanned = 0;
        self.line = 0;
        read(self.buffer.split().freeze())
    }

    /// Whether bytes are left that make no complete event.
    #[must_use]
    pub fn has_rest(&self) -> bool {
        !self.buffer.is_empty()
    }

    /// Skips a byte order mark; false while it can't be known whether there is one.
    fn skip_mark(&mut self) -> bool {
        const MARK: &[u8] = b"\xef\xbb\xbf";
        if !self.started {
            if self.buffer.len() < MARK.len() && MARK.starts_with(&self.buffer) {
                return false;
            }
            if self.buffer.starts_with(MARK) {
                self.buffer.advance(MARK.len());
            }
            self.started = true;
        }
        true
    }

    /// Cuts off the bytes up to and with the next blank line.
    fn cut(&mut self) -> Option<Bytes> {
        while let Some(at) = line_end(&self.buffer[self.scanned..]) {
            let at = self.scanned + at;
            let end = match self.buffer[at] {
                b'\n' => at + 1,
                // Whether CR ends the line alone or with an LF is known once a byte follows. An
                // event that ends at a CR at the end of a packet waits for that byte.
                _ if at + 1 == self.buffer.len() => {
                    self.scanned = at;
                    return None;
                }
                _ if self.buffer[at + 1] == b'\n' => at + 2,
                _ => at + 1,
            };
            let blank = at == self.line;
            self.scanned = end;
            self.line = end;
            if blank {
                self.scanned = 0;
                self.line = 0;
                return Some(self.buffer.split_to(end).freeze());
            }
        }
        self.scanned = self.buffer.len();
        None
    }
}

impl Default for SseParser {
    fn default() -> Self {
        Self::new()
    }
}

/// Where the first LF or CR is.
fn line_end(bytes: &[u8]) -> Option<usize> {
    memchr::memchr2(b'\n', b'\r', bytes)
}

/// Reads the fields of one block; none where there is nothing in it but blank lines and fields
/// that mean nothing.
fn read(raw: Bytes) -> Option<SseEvent> {
    let mut name = Bytes::new();
    let mut data: Option<Bytes> = None;
    let mut joined: Option<BytesMut> = None;
    let mut comment = false;
    let mut start = 0;
    while start < raw.len() {
        let length = line_end(&raw[start..]).unwrap_or(raw.len() - start);
        let line = &raw[start..start + length];
        let (field, value) = match memchr::memchr(b':', line) {
            Some(colon) => {
                let value = colon + 1 + usize::from(line.get(colon + 1) == Some(&b' '));
                (&line[..colon], start + value..start + length)
            }
            None => (line, start + length..start + length),
        };
        match field {
            b"data" => {
                let value = raw.slice(value);
                match (&data, &mut joined) {
                    (None, _) => data = Some(value),
                    (Some(_), Some(joined)) => {
                        joined.extend_from_slice(b"\n");
                        joined.extend_from_slice(&value);
                    }
                    (Some(first), None) => {
                        let mut both = BytesMut::from(&first[..]);
                        both.extend_from_slice(b"\n");
                        both.extend_from_slice(&value);
                        joined = Some(both);
                    }
                }
            }
            b"event" => name = raw.slice(value),
            b"" if !line.is_empty() => comment = true,
            _ => {}
        }
        start += length;
        start += match raw.get(start..) {
            Some([b'\r', b'\n', ..]) => 2,
            Some([_, ..]) => 1,
            _ => 0,
        };
    }
    let data = joined.map(BytesMut::freeze).or(data);
    (data.is_some() || comment).then_some(SseEvent { name, data, raw })
}
