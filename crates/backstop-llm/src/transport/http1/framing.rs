//! How the end of a body is known, and what stands between its bytes for that.

use std::io;

use bytes::{Buf, BytesMut};

use super::malformed;

/// The longest line with the size of a chunk, or with a trailer.
const MAX_LINE: usize = 8 * 1024;

/// How much may come after the last chunk.
const MAX_TRAILERS: usize = 64 * 1024;

/// How the end of a body is known, and how far it has come.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Framing {
    /// So many bytes follow, and then the line end of their chunk.
    Chunk(u64),
    /// The line end of a chunk follows.
    ChunkEnd,
    /// The size of a chunk follows.
    ChunkSize,
    /// Nothing follows.
    Ended,
    /// So many bytes follow.
    Length(u64),
    /// What the last chunk is followed by: nobody wants to know, up to a blank line. So many bytes
    /// of it have come.
    Trailers(usize),
    /// All until the connection is closed.
    UntilClosed,
}

impl Framing {
    pub(super) const fn of_length(length: u64) -> Self {
        if length == 0 {
            Self::Ended
        } else {
            Self::Length(length)
        }
    }

    /// Leaves out what is no part of the body, and says how many bytes are from there on. Where
    /// there are none, the body has ended or more must be read. What is wrong is told each time.
    pub(super) fn skip(&mut self, read: &mut BytesMut) -> io::Result<usize> {
        loop {
            let next = match *self {
                Self::Ended => return Ok(0),
                Self::UntilClosed => return Ok(read.len()),
                Self::Chunk(left) | Self::Length(left) => {
                    return Ok(usize::try_from(left).map_or(read.len(), |it| it.min(read.len())));
                }
                Self::ChunkSize => {
                    // A size without a digit would be taken for that of the last chunk.
                    if read.first().is_some_and(|it| !it.is_ascii_hexdigit()) {
                        return Err(malformed("a chunk has no size"));
                    }
                    let parsed = httparse::parse_chunk_size(read);
                    match parsed.map_err(|_| malformed("the size of a chunk can't be read"))? {
                        httparse::Status::Complete((length, size)) => {
                            read.advance(length);
                            if size == 0 {
                                Self::Trailers(0)
                            } else {
                                Self::Chunk(size)
                            }
                        }
                        httparse::Status::Partial => return wait_for_line(read),
                    }
                }
                Self::ChunkEnd => match **read {
                    [b'\r', b'\n', ..] => {
                        read.advance(2);
                        Self::ChunkSize
                    }
                    [] | [b'\r'] => return Ok(0),
                    _ => return Err(malformed("a chunk is longer than it says")),
                },
                Self::Trailers(before) => {
                    let Some(end) = memchr::memchr(b'\n', read) else {
                        return wait_for_line(read);
                    };
                    let so_far = before + end + 1;
                    if so_far > MAX_TRAILERS {
                        return Err(malformed("too much comes after the last chunk"));
                    }
                    let line = read.split_to(end + 1);
                    if matches!(*line, [b'\n'] | [b'\r', b'\n']) {
                        Self::Ended
                    } else {
                        Self::Trailers(so_far)
                    }
                }
            };
            *self = next;
        }
    }

    /// So many bytes of the body were taken.
    pub(super) const fn took(&mut self, count: usize) {
        match self {
            Self::Length(left) => {
                *left = left.saturating_sub(count as u64);
                if *left == 0 {
                    *self = Self::Ended;
                }
            }
            Self::Chunk(left) => {
                *left = left.saturating_sub(count as u64);
                if *left == 0 {
                    *self = Self::ChunkEnd;
                }
            }
            _ => {}
        }
    }

    /// The connection was closed.
    pub(super) fn close(&mut self) -> io::Result<()> {
        if !matches!(self, Self::Ended | Self::UntilClosed) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        *self = Self::Ended;
        Ok(())
    }

    pub(super) const fn has_ended(&self) -> bool {
        matches!(self, Self::Ended)
    }

    /// How many bytes are known to follow.
    pub(super) const fn left(&self) -> u64 {
        match self {
            Self::Chunk(left) | Self::Length(left) => *left,
            _ => 0,
        }
    }
}

fn wait_for_line(read: &BytesMut) -> io::Result<usize> {
    if read.len() > MAX_LINE {
        return Err(malformed("a line between chunks is too long"));
    }
    Ok(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The body in what comes in these pieces, and how it stands then.
    fn body(mut framing: Framing, pieces: &[&[u8]]) -> io::Result<(Vec<u8>, Framing)> {
        let (mut read, mut body) = (BytesMut::new(), Vec::new());
        for piece in pieces {
            read.extend_from_slice(piece);
            loop {
                let count = framing.skip(&mut read)?;
                if count == 0 {
                    break;
                }
                body.extend_from_slice(&read.split_to(count));
                framing.took(count);
            }
        }
        Ok((body, framing))
    }

    #[test]
    fn chunks_are_put_together_however_they_are_cut() {
        let whole: &[u8] =
            b"4\r\nfour\r\n6;name=\"x\"\r\n and \r\r\n00a\r\nfourteen\r\n\r\n0\r\na: b\r\nc: d\r\n\r\n";
        for first in 0..whole.len() {
            for second in first..whole.len() {
                let pieces = [&whole[..first], &whole[first..second], &whole[second..]];
                let (body, framing) = body(Framing::ChunkSize, &pieces).unwrap();
                assert_eq!(body, b"four and \rfourteen\r\n", "{first} {second}");
                assert!(framing.has_ended());
            }
        }
    }

    #[test]
    fn what_follows_a_body_is_left() {
        let cases: [(Framing, &[u8]); 3] = [
            (Framing::ChunkSize, b"2\r\nHi\r\n0\r\n\r\nmore"),
            (Framing::of_length(2), b"Himore"),
            (Framing::of_length(0), b"more"),
        ];
        for (mut framing, sent) in cases {
            let mut read = BytesMut::from(sent);
            loop {
                let count = framing.skip(&mut read).unwrap();
                read.advance(count);
                framing.took(count);
                if framing.has_ended() {
                    break;
                }
            }
            assert_eq!(read, "more");
        }
    }

    #[test]
    fn what_makes_no_chunks_is_an_error() {
        let long = [b'a'; MAX_LINE + 1];
        let trailers = [&b"0\r\n"[..], &b"a: b\r\n".repeat(MAX_TRAILERS / 6 + 1)].concat();
        let cases: [&[&[u8]]; 13] = [
            &[&trailers],
            &[b"\r\n\r\n"],
            &[b"4\r\nfour\r\n\r\n"],
            &[b";last\r\n\r\n"],
            &[b" 4\r\nfour"],
            &[b"4 4\r\nfour"],
            &[b"x\r\n"],
            &[b"-1\r\n"],
            &[b"4\nfour"],
            &[b"4\r\nfour5\r\n"],
            &[b"4\r\nfour\n0"],
            &[b"fffffffffffffffff\r\n"],
            &[b"0\r\n", &long],
        ];
        for pieces in cases {
            let error = body(Framing::ChunkSize, pieces).expect_err("it is none");
            assert_eq!(error.kind(), io::ErrorKind::InvalidData);
        }
        let comment = [&b"4;"[..], &long];
        assert!(body(Framing::ChunkSize, &comment).is_err());
    }

    #[test]
    fn a_connection_ends_only_the_body_that_goes_on_until_then() {
        for (framing, sent, ends) in [
            (Framing::UntilClosed, &b"Hi"[..], true),
            (Framing::of_length(2), b"Hi", true),
            (Framing::of_length(3), b"Hi", false),
            (Framing::ChunkSize, b"2\r\nHi\r\n", false),
            (Framing::ChunkSize, b"2\r\nHi\r\n0\r\n", false),
            (Framing::ChunkSize, b"2\r\nHi\r\n0\r\n\r\n", true),
        ] {
            let (body, mut framing) = body(framing, &[sent]).unwrap();
            assert_eq!(body, b"Hi");
            assert_eq!(framing.close().is_ok(), ends, "{framing:?}");
        }
    }
}
