//! The head of a request, and that of an answer.

use std::{
    io::{self, Write as _},
    mem::MaybeUninit,
};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header, uri::PathAndQuery};

use super::{framing::Framing, malformed};
use crate::transport::{Headers, Request};

/// The largest head of an answer, with those before it that only say that it is still to come. Some
/// servers have ten kilobytes of cookies and policies in it.
pub(super) const MAX: usize = 64 * 1024;

/// The most headers in it.
const MAX_HEADERS: usize = 128;

type Field<'a> = httparse::Header<'a>;

/// Writes the head of a request that is not `HEAD` or `CONNECT`, whose answers have bodies of their
/// own kind.
pub(super) fn write(request: &Request) -> Vec<u8> {
    let mut head = Vec::with_capacity(1024);
    let line = |head: &mut Vec<u8>, name: &[u8], value: &[u8]| {
        for part in [name, b": ", value, b"\r\n"] {
            head.extend_from_slice(part);
        }
    };
    let uri = request.uri();
    head.extend_from_slice(request.method().as_str().as_bytes());
    head.push(b' ');
    let path = uri.path_and_query().map_or("/", PathAndQuery::as_str);
    if path.starts_with('?') {
        head.push(b'/');
    }
    head.extend_from_slice(path.as_bytes());
    head.extend_from_slice(b" HTTP/1.1\r\n");
    let headers = request.headers();
    if let (Some(place), false) = (uri.authority(), headers.contains_key(header::HOST)) {
        line(&mut head, b"host", place.as_str().as_bytes());
    }
    for (name, value) in headers {
        // How long the body is, is said here alone.
        if name != header::CONTENT_LENGTH && name != header::TRANSFER_ENCODING {
            line(&mut head, name.as_str().as_bytes(), value.as_bytes());
        }
    }
    // To write to memory can't fail.
    let _ = write!(head, "content-length: {}\r\n\r\n", request.body().len());
    head
}

/// What the head of an answer says.
pub(super) struct Head {
    pub(super) status: StatusCode,
    pub(super) headers: Headers,
    pub(super) framing: Framing,
    /// Whether the connection can be used for another request after it.
    pub(super) stays: bool,
}

/// How far the reading of a head has come.
#[derive(Debug, Default)]
pub(super) struct Progress {
    /// So many bytes are known to have no end of it.
    scanned: usize,
    /// How long those were that came before it.
    before: usize,
}

/// Reads the head of an answer, where all of it has come.
pub(super) fn read(read: &mut BytesMut, progress: &mut Progress) -> io::Result<Option<Head>> {
    loop {
        let end = end(read, progress.scanned);
        if progress.before + end.unwrap_or(read.len()) > MAX {
            return Err(malformed("the head of the answer is too large"));
        }
        let Some(end) = end else {
            progress.scanned = read.len();
            return Ok(None);
        };
        let before = progress.before + end;
        *progress = Progress::default();
        let head = parse(read.split_to(end).freeze())?;
        match head.status {
            StatusCode::SWITCHING_PROTOCOLS => {
                return Err(malformed("the answer changes the protocol"));
            }
            // The answer is still to come.
            status if status.is_informational() => progress.before = before,
            _ => return Ok(Some(head)),
        }
    }
}

/// Where the first blank line ends.
fn end(read: &[u8], scanned: usize) -> Option<usize> {
    // The line end before a blank line may have been seen already.
    let from = scanned.saturating_sub(2);
    memchr::memchr_iter(b'\n', &read[from..]).find_map(|at| {
        let next = from + at + 1;
        match read[next..] {
            [b'\n', ..] => Some(next + 1),
            [b'\r', b'\n', ..] => Some(next + 2),
            _ => None,
        }
    })
}

fn parse(head: Bytes) -> io::Result<Head> {
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    let read = httparse::ParserConfig::default()
        .parse_response_with_uninit_headers(&mut parsed, &head, &mut room)
        .map_err(malformed)?;
    let (httparse::Status::Complete(_), Some(code), Some(version)) =
        (read, parsed.code, parsed.version)
    else {
        return Err(malformed("the head of the answer is cut"));
    };
    let status = StatusCode::from_u16(code).map_err(malformed)?;
    let (framing, is_clear) = framing(status, parsed.headers, version)?;
    let closes =
        tokens(parsed.headers, &header::CONNECTION).any(|it| it.eq_ignore_ascii_case("close"));
    Ok(Head {
        status,
        framing,
        stays: version == 1 && is_clear && !closes,
        headers: Headers::of(head),
    })
}

/// The headers of a head that has been read.
pub(in crate::transport) fn headers(head: &Bytes) -> HeaderMap {
    let mut room = [const { MaybeUninit::uninit() }; MAX_HEADERS];
    let mut parsed = httparse::Response::new(&mut []);
    // What was wrong with it has been told when it was read.
    let _ = httparse::ParserConfig::default().parse_response_with_uninit_headers(
        &mut parsed,
        head,
        &mut room,
    );
    let mut headers = HeaderMap::with_capacity(parsed.headers.len());
    for field in parsed.headers {
        let name = HeaderName::from_bytes(field.name.as_bytes());
        let value = HeaderValue::from_maybe_shared(head.slice_ref(field.value));
        if let (Ok(name), Ok(value)) = (name, value) {
            headers.append(name, value);
        }
    }
    headers
}

/// How the end of the body is known, and whether that leaves no doubt where another answer begins.
fn framing(status: StatusCode, fields: &[Field<'_>], version: u8) -> io::Result<(Framing, bool)> {
    if matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED) {
        return Ok((Framing::Ended, true));
    }
    let length = length(fields)?;
    if values(fields, &header::TRANSFER_ENCODING).next().is_some() {
        let last = tokens(fields, &header::TRANSFER_ENCODING).last();
        let chunked = last.is_some_and(|it| it.eq_ignore_ascii_case("chunked"));
        return Ok(if chunked && version == 1 {
            (Framing::ChunkSize, length.is_none())
        } else {
            (Framing::UntilClosed, false)
        });
    }
    Ok(length.map_or((Framing::UntilClosed, false), |length| {
        (Framing::of_length(length), true)
    }))
}

/// The length that the headers tell. It may stand there more than once, if it is always the same.
fn length(fields: &[Field<'_>]) -> io::Result<Option<u64>> {
    let mut length = None;
    for value in values(fields, &header::CONTENT_LENGTH) {
        for one in value.split(|byte| *byte == b',') {
            let one = std::str::from_utf8(one.trim_ascii()).ok();
            // A sign is no digit.
            let one = one.filter(|it| it.bytes().all(|byte| byte.is_ascii_digit()));
            let one = one.and_then(|it| it.parse::<u64>().ok());
            let one = one.ok_or_else(|| malformed("the length of the answer can't be read"))?;
            if length.is_some_and(|known| known != one) {
                return Err(malformed("the answer has two lengths"));
            }
            length = Some(one);
        }
    }
    Ok(length)
}

/// The words of all headers of this name; one that is not ASCII says nothing.
fn tokens<'a>(fields: &'a [Field<'a>], name: &HeaderName) -> impl Iterator<Item = &'a str> {
    values(fields, name)
        .filter(|value| value.is_ascii())
        .filter_map(|value| std::str::from_utf8(value).ok())
        .flat_map(|value| value.split(',').map(str::trim))
}

fn values<'a>(fields: &'a [Field<'a>], name: &HeaderName) -> impl Iterator<Item = &'a [u8]> {
    let named = |it: &&Field<'_>| it.name.eq_ignore_ascii_case(name.as_str());
    fields.iter().filter(named).map(|it| it.value)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(sent: &str) -> io::Result<Head> {
        let head = read(&mut BytesMut::from(sent), &mut Progress::default())?;
        Ok(head.expect("all of it has come"))
    }

    #[test]
    fn a_request_says_where_it_goes_and_how_long_it_is() {
        let written = |uri: &str, length: Option<&'static str>| {
            let mut request = Request::new(Bytes::from_static(b"body"));
            *request.method_mut() = http::Method::POST;
            *request.uri_mut() = uri.parse().unwrap();
            let headers = request.headers_mut();
            headers.insert("x-a", HeaderValue::from_static("b"));
            if let Some(length) = length {
                headers.insert("content-length", HeaderValue::from_static(length));
                headers.insert("transfer-encoding", HeaderValue::from_static("chunked"));
            }
            String::from_utf8(write(&request)).unwrap()
        };
        let expected =
            "POST /v1?k=v HTTP/1.1\r\nhost: a.test:81\r\nx-a: b\r\ncontent-length: 4\r\n\r\n";
        assert_eq!(written("http://a.test:81/v1?k=v", None), expected);
        assert_eq!(written("http://a.test:81/v1?k=v", Some("9")), expected);
        assert!(written("http://a.test", None).starts_with("POST / HTTP/1.1\r\n"));
        assert!(written("http://a.test?k=v", None).starts_with("POST /?k=v HTTP/1.1\r\n"));
    }

    #[test]
    fn the_body_ends_where_the_head_says() {
        use Framing::{ChunkSize, Ended, Length, UntilClosed};
        for (version, status, headers, framing, stays) in [
            (1, 200, "content-length: 5", Length(5), true),
            (
                1,
                200,
                "content-length: 5\r\ncontent-length: 5, 5",
                Length(5),
                true,
            ),
            (
                1,
                200,
                "content-length: 5\r\nConnection: x, Close",
                Length(5),
                false,
            ),
            (1, 200, "content-length: 0", Ended, true),
            (0, 200, "content-length: 5", Length(5), false),
            (1, 204, "x: y", Ended, true),
            (1, 200, "transfer-encoding: gzip, Chunked", ChunkSize, true),
            (
                1,
                200,
                "transfer-encoding: chunked\r\ncontent-length: 5",
                ChunkSize,
                false,
            ),
            (1, 200, "transfer-encoding: gzip", UntilClosed, false),
            (0, 200, "transfer-encoding: chunked", UntilClosed, false),
            (1, 200, "x: y", UntilClosed, false),
        ] {
            let head = head(&format!(
                "HTTP/1.{version} {status} OK\r\n{headers}\r\n\r\n"
            ));
            let head = head.expect("is one");
            assert_eq!((head.framing, head.stays), (framing, stays), "{headers}");
        }
    }

    #[test]
    fn a_head_that_leaves_a_doubt_is_an_error() {
        let many = "a: b\r\n".repeat(MAX_HEADERS + 1);
        for sent in [
            "HTTP/1.1 200 OK\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: +5\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: \r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent-length: 99999999999999999999\r\n\r\n",
            "HTTP/1.1 200 OK\r\ncontent length: 5\r\n\r\n",
            "HTTP/1.1 101 Switching Protocols\r\n\r\n",
            "HTTP/1.1 2000 OK\r\n\r\n",
            "<html>\r\n\r\n",
            "\r\n\r\n",
            &format!("HTTP/1.1 200 OK\r\n{many}\r\n"),
        ] {
            assert!(head(sent).is_err(), "{sent}");
        }
    }

    #[test]
    fn it_is_read_once_all_of_it_has_come() {
        for end in ["\r\n", "\n"] {
            let sent = format!(
                "HTTP/1.1 103 Early Hints{end}a: b{end}{end}HTTP/1.1 429 No{end}c: d{end}{end}"
            );
            let (mut buffer, mut progress) = (BytesMut::new(), Progress::default());
            for (n, byte) in sent.bytes().enumerate() {
                buffer.extend_from_slice(&[byte]);
                let head = read(&mut buffer, &mut progress).unwrap();
                assert_eq!(head.is_some(), n + 1 == sent.len(), "{n}");
                if let Some(head) = head {
                    assert_eq!(head.status, 429);
                    assert_eq!(head.headers.map()["c"], "d");
                    assert!(!head.headers.map().contains_key("a"));
                }
            }
        }
    }

    #[test]
    fn a_large_head_is_read_and_an_endless_one_is_not() {
        let sent = format!("HTTP/1.1 200 OK\r\na: {}", "b".repeat(MAX - 1024));
        assert!(head(&format!("{sent}\r\n\r\n")).is_ok());
        let (mut endless, mut progress) = (BytesMut::from(&*sent), Progress::default());
        assert!(read(&mut endless, &mut progress).unwrap().is_none());
        endless.extend_from_slice(&[b'b'; 2048]);
        assert!(read(&mut endless, &mut progress).is_err());
    }

    #[test]
    fn an_answer_that_is_always_still_to_come_is_none() {
        let hint = "HTTP/1.1 103 Early Hints\r\nlink: </style.css>\r\n\r\n";
        let last = "HTTP/1.1 200 OK\r\n\r\n";
        let most = MAX / hint.len() - 1;
        for (hints, is_one) in [(most, true), (most + 2, false)] {
            let sent = format!("{}{last}", hint.repeat(hints));
            assert_eq!(head(&sent).is_ok(), is_one, "in one piece");
            let mut progress = Progress::default();
            let read =
                (0..hints).try_fold(None, |_, _| read(&mut BytesMut::from(hint), &mut progress));
            let read = read.and_then(|_| read_last(last, &mut progress));
            assert_eq!(read.is_ok(), is_one, "one by one");
        }
    }

    fn read_last(last: &str, progress: &mut Progress) -> io::Result<()> {
        let head = read(&mut BytesMut::from(last), progress)?;
        assert!(head.is_some());
        assert_eq!(progress.before, 0, "the next answer begins anew");
        Ok(())
    }
}
