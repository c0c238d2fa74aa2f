//! Lines of the log as text.

use std::{
    cell::{Cell, RefCell},
    fmt::{self, Write as _},
    time::{SystemTime, UNIX_EPOCH},
};

use tracing::{
    Event, Level, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    fmt::{
        FmtContext, FormatEvent, FormatFields,
        format::{Format, Writer},
        time::FormatTime,
    },
    registry::LookupSpan,
};

use super::CALL;
use crate::server::rfc3339;

/// The usual text. The line of a call is written without the usual formatter, which takes longer
/// for it than all layers take for the call.
#[derive(Debug)]
pub(super) struct Text {
    usual: Format<tracing_subscriber::fmt::format::Full, Clock>,
}

impl Text {
    pub(super) fn new() -> Self {
        Self {
            usual: tracing_subscriber::fmt::format().with_timer(Clock),
        }
    }
}

impl<S, N> FormatEvent<S, N> for Text
where
    S: Subscriber + for<'a> LookupSpan<'a>,
    N: for<'a> FormatFields<'a> + 'static,
{
    fn format_event(
        &self,
        context: &FmtContext<'_, S, N>,
        mut writer: Writer<'_>,
        event: &Event<'_>,
    ) -> fmt::Result {
        let is_plain = !writer.has_ansi_escapes() && context.lookup_current().is_none();
        if event.metadata().target() != CALL || !is_plain {
            return self.usual.format_event(context, writer, event);
        }
        Clock.format_time(&mut writer)?;
        writer.write_str(match *event.metadata().level() {
            Level::ERROR => " ERROR ",
            Level::WARN => "  WARN ",
            Level::INFO => "  INFO ",
            Level::DEBUG => " DEBUG ",
            Level::TRACE => " TRACE ",
        })?;
        let mut fields = Fields {
            line: LINE.take(),
            written: Ok(()),
        };
        fields.line.push_str(CALL);
        fields.line.push(':');
        event.record(&mut fields);
        let Fields { mut line, written } = fields;
        line.push('\n');
        let written = written.and_then(|()| writer.write_str(&line));
        line.clear();
        LINE.set(line);
        written
    }
}

thread_local! {
    /// Room for a line: what is given to the writer piece by piece takes longer.
    static LINE: Cell<String> = const { Cell::new(String::new()) };
}

/// Writes fields one after another, each with its name.
struct Fields {
    line: String,
    written: fmt::Result,
}

impl Fields {
    fn name(&mut self, field: &Field) {
        self.line.push(' ');
        self.line.push_str(field.name());
        self.line.push('=');
    }
}

impl Visit for Fields {
    fn record_u64(&mut self, field: &Field, value: u64) {
        self.name(field);
        self.line.push_str(itoa::Buffer::new().format(value));
    }

    /// Without an exponent: it is an amount, and small.
    fn record_f64(&mut self, field: &Field, value: f64) {
        self.name(field);
        let written = write!(self.line, "{value}");
        self.written = self.written.and(written);
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        // Most hold nothing that would have to be escaped.
        let is_plain = |byte| matches!(byte, b' '..=b'~') && !matches!(byte, b'"' | b'\\');
        if !value.bytes().all(is_plain) {
            return self.record_debug(field, &value);
        }
        self.name(field);
        self.line.push('"');
        self.line.push_str(value);
        self.line.push('"');
    }

    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        self.name(field);
        let written = write!(self.line, "{value:?}");
        self.written = self.written.and(written);
    }
}

/// The time of day to the microsecond: `2026-01-31T23:59:59.000000Z`.
#[derive(Clone, Copy, Debug)]
pub(super) struct Clock;

thread_local! {
    /// The last second, and how it is written but for its parts.
    static SECOND: RefCell<(u64, String)> = const { RefCell::new((u64::MAX, String::new())) };
}

impl FormatTime for Clock {
    #[expect(
        clippy::disallowed_methods,
        reason = "a line of the log tells the time of day; nothing is decided by it"
    )]
    fn format_time(&self, writer: &mut Writer<'_>) -> fmt::Result {
        let since = SystemTime::now().duration_since(UNIX_EPOCH);
        let since = since.unwrap_or_default();
        SECOND.with_borrow_mut(|(second, written)| {
            if *second != since.as_secs() {
                *second = since.as_secs();
                *written = rfc3339(*second);
                written.truncate(written.len() - 1);
                written.push('.');
            }
            writer.write_str(written)
        })?;
        // Six digits, with zeros before them.
        let micros = since.subsec_micros();
        let digits = [100_000, 10_000, 1_000, 100, 10, 1].map(|it| b'0' + (micros / it % 10) as u8);
        writer.write_str(std::str::from_utf8(&digits).unwrap_or_default())?;
        writer.write_char('Z')
    }
}

#[cfg(test)]
mod tests {
    use std::{
        io,
        sync::{Arc, Mutex},
    };

    use tracing::{field, info_span};
    use tracing_subscriber::{Layer, Registry, fmt::MakeWriter, layer::SubscriberExt};

    use super::*;

    #[derive(Clone, Default)]
    struct Written(Arc<Mutex<Vec<u8>>>);

    impl io::Write for Written {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(text);
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl MakeWriter<'_> for Written {
        type Writer = Self;

        fn make_writer(&self) -> Self {
            self.clone()
        }
    }

    /// What is written by this layer for a few lines of calls, without the times.
    fn written(layer: impl FnOnce(Written) -> Box<dyn Layer<Registry> + Send + Sync>) -> String {
        let written = Written::default();
        let subscriber = tracing_subscriber::registry().with(layer(written.clone()));
        tracing::subscriber::with_default(subscriber, || {
            for text in ["plain", "\"quoted\\\" \n\u{1b}[31m", "schön", ""] {
                tracing::event!(
                    target: CALL,
                    Level::INFO,
                    request_id = text,
                    status = 200_u16,
                    code = None::<&str>,
                    served_by = field::display(text),
                    total_ms = u64::MAX,
                    zero = 0_u64,
                    below = -7,
                    cost = 0.25,
                    streamed = true,
                );
            }
            tracing::warn!(target: CALL, outcome = "refused");
            tracing::info!("something else");
            let _entered = info_span!("call", id = 7).entered();
            tracing::info!(target: CALL, outcome = "ok");
        });
        let bytes = written.0.lock().unwrap().clone();
        let text = String::from_utf8(bytes).unwrap();
        let lines = text.lines().map(|line| match line.split_once('Z') {
            Some((time, rest)) if time.len() == 26 => rest,
            _ => line,
        });
        lines.collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn the_line_of_a_call_is_as_it_would_be_otherwise() {
        let layer = || tracing_subscriber::fmt::layer().with_ansi(false);
        let usual = written(|to| layer().with_writer(to).boxed());
        let own = written(|to| layer().event_format(Text::new()).with_writer(to).boxed());
        assert_eq!(own, usual);
        assert!(own.contains(" INFO backstop::call: request_id=\"plain\" status=200 "));
    }

    #[test]
    fn a_small_amount_is_written_as_people_write_it() {
        let written = Written::default();
        let layer = tracing_subscriber::fmt::layer().event_format(Text::new());
        let subscriber = tracing_subscriber::registry().with(layer.with_writer(written.clone()));
        tracing::subscriber::with_default(subscriber, || {
            tracing::info!(target: CALL, cost = 2.12e-5);
        });
        let bytes = written.0.lock().unwrap().clone();
        assert!(bytes.ends_with(b" cost=0.0000212\n"), "{bytes:?}");
    }

    #[test]
    fn times_are_told_to_the_microsecond() {
        let mut text = String::new();
        Clock.format_time(&mut Writer::new(&mut text)).unwrap();
        let (second, micros) = text.split_once('.').unwrap();
        assert_eq!((second.len(), micros.len()), (19, 7), "{text}");
        assert!(second.starts_with("20") && micros.ends_with('Z'), "{text}");
    }
}
