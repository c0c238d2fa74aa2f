use std::fmt::{self, Write};

use backstop_core::{Attempt, FaultKind, ServedBy, Trail};
use http::{HeaderMap, HeaderName, HeaderValue};

/// `x-served-by`: who answered.
pub const SERVED_BY: HeaderName = HeaderName::from_static("x-served-by");
/// `x-degraded`: that the answer is a lesser one.
pub const DEGRADED: HeaderName = HeaderName::from_static("x-degraded");
/// `proxy-status` (RFC 9209): what failed on the way.
pub const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");
/// `server-timing`: how long each failed attempt took.
pub const SERVER_TIMING: HeaderName = HeaderName::from_static("server-timing");

/// Writes all that a stamp tells into the headers of a response.
pub fn write(headers: &mut HeaderMap, stamp: &ServedBy) {
    headers.insert(SERVED_BY, served_by(stamp));
    if stamp.degraded {
        headers.insert(DEGRADED, HeaderValue::from_static("true"));
    }
    if let Some(age) = stamp.age {
        headers.insert(http::header::AGE, age.as_secs().into());
    }
    write_trail(headers, &stamp.trail);
}

/// Writes what failed on the way into the headers of a response, after what proxies further on
/// wrote there. Nothing failed, nothing is written.
pub fn write_trail(headers: &mut HeaderMap, trail: &Trail) {
    if let Some(status) = proxy_status(trail) {
        headers.append(PROXY_STATUS, status);
    }
    if let Some(timing) = server_timing(trail) {
        headers.append(SERVER_TIMING, timing);
    }
}

/// Who answered, and who went on with the answer: `openai:gpt, anthropic:claude`.
#[must_use]
pub fn served_by(stamp: &ServedBy) -> HeaderValue {
    value(&Plain(stamp))
}

/// The attempts that failed, one member for each, as RFC 9209 has them; none where nothing failed.
///
/// A status that the service answered with is in `received-status`; `error` is RFC 9209's word for
/// the kind of failure.
#[must_use]
pub fn proxy_status(trail: &Trail) -> Option<HeaderValue> {
    (!trail.is_empty()).then(|| value(&List(trail, member)))
}

/// How long each attempt that failed took, in milliseconds; none where nothing failed.
#[must_use]
pub fn server_timing(trail: &Trail) -> Option<HeaderValue> {
    (!trail.is_empty()).then(|| value(&List(trail, timing)))
}

fn value(text: &dyn fmt::Display) -> HeaderValue {
    HeaderValue::try_from(text.to_string()).expect("only printable ASCII was written")
}

type Item = fn(&mut fmt::Formatter<'_>, usize, &Attempt) -> fmt::Result;

struct List<'a>(&'a Trail, Item);

impl fmt::Display for List<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(trail, item) = self;
        for (i, attempt) in trail.attempts().iter().enumerate() {
            if i > 0 {
                f.write_str(", ")?;
            }
            item(f, i, attempt)?;
        }
        Ok(())
    }
}

fn member(f: &mut fmt::Formatter<'_>, _: usize, attempt: &Attempt) -> fmt::Result {
    write!(f, "backstop; error={}", error_type(attempt.fault.kind()))?;
    if let Some(candidate) = &attempt.candidate {
        write!(f, "; next-hop={}", Quoted(candidate))?;
    }
    // A gRPC code is a status too, but not one that HTTP knows.
    if let Some(status @ 100..=599) = attempt.fault.status() {
        write!(f, "; received-status={status}")?;
    }
    let mut unnamed = attempt.clone();
    unnamed.candidate = None;
    write!(f, "; details={}", Quoted(&unnamed))
}

fn timing(f: &mut fmt::Formatter<'_>, i: usize, attempt: &Attempt) -> fmt::Result {
    write!(f, "attempt{}", i + 1)?;
    if let Some(candidate) = &attempt.candidate {
        write!(f, ";desc={}", Quoted(candidate))?;
    }
    write!(f, ";dur={:.1}", attempt.duration.as_secs_f64() * 1e3)
}

/// RFC 9209's error type for a kind of failure.
const fn error_type(kind: FaultKind) -> &'static str {
    match kind {
        FaultKind::Denied | FaultKind::Missing => "proxy_configuration_error",
        FaultKind::Filtered | FaultKind::Invalid | FaultKind::TooLarge => "http_request_error",
        FaultKind::Interrupted => "http_response_incomplete",
        FaultKind::Malformed => "http_protocol_error",
        FaultKind::TimedOut => "http_response_timeout",
        _ => "destination_unavailable",
    }
}

/// As much of a text as is fit for a header: printable ASCII, and not too long.
struct Plain<T>(T);

/// The same as a structured field's string (RFC 8941): quoted, with quotes escaped.
struct Quoted<T>(T);

/// How many characters of one text are written: a name out of a config may be of any length.
const LONGEST: usize = 256;

impl<T: fmt::Display> fmt::Display for Plain<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            Printable {
                f,
                left: LONGEST,
                escape: false
            },
            "{}",
            self.0
        )
    }
}

impl<T: fmt::Display> fmt::Display for Quoted<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_char('"')?;
        write!(
            Printable {
                f,
                left: LONGEST,
                escape: true
            },
            "{}",
            self.0
        )?;
        f.write_char('"')
    }
}

struct Printable<'a, 'b> {
    f: &'a mut fmt::Formatter<'b>,
    left: usize,
    escape: bool,
}

impl Write for Printable<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        // Most texts can be written as they are.
        let is_plain = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if text.len() <= self.left && text.bytes().all(is_plain) {
            self.left -= text.len();
            return self.f.write_str(text);
        }
        for char in text.chars() {
            if self.left == 0 {
                return Ok(());
            }
            self.left -= 1;
            match char {
                '"' | '\\' if self.escape => {
                    self.f.write_char('\\')?;
                    self.f.write_char(char)?;
                }
                ' '..='~' => self.f.write_char(char)?,
                'µ' => self.f.write_char('u')?,
                _ => self.f.write_char('?')?,
            }
        }
        Ok(())
    }
}
