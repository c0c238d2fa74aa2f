//! Lines on their way to standard error.

use std::{
    fmt, io,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::Duration,
};

use tracing::Metadata;
use tracing_subscriber::fmt::MakeWriter;

use super::CALL;

/// How long the line of a call may wait for others.
const GATHERING: Duration = Duration::from_millis(100);

/// So many bytes wait for no more.
const FULL: usize = 64 << 10;

/// Writes the lines of calls together, and all others at once; all in their order.
///
/// There are as many lines as calls, and to hand each to the system by itself would be a part of
/// what every caller waits for. Clones are the same.
#[derive(Clone)]
pub(super) struct Lines(Arc<Shared>);

struct Shared {
    gathered: Mutex<Gathered>,
    /// Some lines have come, or there won't be any to be gathered.
    changed: Condvar,
    out: Mutex<Out>,
}

#[derive(Default)]
struct Gathered {
    text: Vec<u8>,
    /// Whether nothing is gathered any longer.
    closed: bool,
}

struct Out {
    /// What is being written; else room for what is gathered next.
    text: Vec<u8>,
    to: Box<dyn io::Write + Send>,
}

impl Lines {
    pub(super) fn new(to: impl io::Write + Send + 'static) -> Self {
        let shared = Arc::new(Shared {
            gathered: Mutex::default(),
            changed: Condvar::new(),
            out: Mutex::new(Out {
                text: Vec::new(),
                to: Box::new(to),
            }),
        });
        let lines = Self(shared.clone());
        let writing = thread::Builder::new().name("backstop-log".to_owned());
        if writing.spawn(move || shared.write_in_time()).is_err() {
            lines.close();
        }
        lines
    }

    /// Writes what has been gathered, and from now on every line at once.
    pub(super) fn close(&self) {
        self.0.gathered().closed = true;
        self.0.changed.notify_one();
        self.0.write();
    }
}

impl Shared {
    fn add(&self, line: &[u8], at_once: bool) {
        let mut gathered = self.gathered();
        let is_first = gathered.text.is_empty();
        gathered.text.extend_from_slice(line);
        let at_once = at_once || gathered.closed || gathered.text.len() >= FULL;
        drop(gathered);
        if at_once {
            self.write();
        } else if is_first {
            self.changed.notify_one();
        }
    }

    /// Writes what has been gathered. Whoever is to read it may be slow, and has whoever adds lines
    /// wait only once too many have been gathered.
    fn write(&self) {
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        let Out { text, to } = &mut *out;
        std::mem::swap(text, &mut self.gathered().text);
        // That nobody can read it is nothing that could be told anyone.
        let _ = to.write_all(text);
        text.clear();
        text.shrink_to(FULL);
    }

    fn write_in_time(&self) {
        let mut gathered = self.gathered();
        while !gathered.closed {
            if gathered.text.is_empty() {
                let waited = self.changed.wait(gathered);
                gathered = waited.unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            let gathering = |it: &mut Gathered| !it.closed;
            let waited = self
                .changed
                .wait_timeout_while(gathered, GATHERING, gathering);
            drop(waited);
            self.write();
            gathered = self.gathered();
        }
    }

    fn gathered(&self) -> MutexGuard<'_, Gathered> {
        self.gathered.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Lines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Lines")
    }
}

/// Takes one line.
pub(super) struct Line<'a> {
    shared: &'a Shared,
    at_once: bool,
}

impl io::Write for Line<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.shared.add(line, self.at_once);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.shared.write();
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Line<'a>;

    fn make_writer(&'a self) -> Line<'a> {
        Line {
            shared: &self.0,
            at_once: true,
        }
    }

    fn make_writer_for(&'a self, line: &Metadata<'_>) -> Line<'a> {
        Line {
            shared: &self.0,
            at_once: line.target() != CALL,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc;

    use super::*;

    /// Hands on what is written, write by write.
    struct Writes(mpsc::Sender<String>);

    impl io::Write for Writes {
        fn write(&mut self, text: &[u8]) -> io::Result<usize> {
            let _ = self.0.send(String::from_utf8_lossy(text).into_owned());
            Ok(text.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn lines() -> (Lines, mpsc::Receiver<String>) {
        let (writes, written) = mpsc::channel();
        (Lines::new(Writes(writes)), written)
    }

    fn next(written: &mpsc::Receiver<String>) -> String {
        let next = written.recv_timeout(Duration::from_secs(30));
        next.expect("it is written")
    }

    #[test]
    fn the_line_of_a_call_is_written_in_time() {
        let (lines, written) = lines();
        for text in ["a\n", "b\n"] {
            lines.0.add(text.as_bytes(), false);
            assert_eq!(next(&written), text);
        }
    }

    #[test]
    fn what_must_not_wait_takes_those_before_it_along() {
        let (lines, written) = lines();
        // Nothing else writes meanwhile.
        let out = lines.0.out.lock().unwrap();
        lines.0.add(b"a\n", false);
        lines.0.add(b"b\n", false);
        let adding = lines.clone();
        let adding = thread::spawn(move || adding.0.add(b"c\n", true));
        while !lines.0.gathered().text.ends_with(b"c\n") {
            thread::yield_now();
        }
        drop(out);
        adding.join().unwrap();
        assert_eq!(next(&written), "a\nb\nc\n");
    }

    #[test]
    fn as_much_as_is_written_together_does_not_wait() {
        let (lines, written) = lines();
        let long = "x".repeat(FULL);
        lines.0.add(long.as_bytes(), false);
        assert_eq!(written.try_recv().as_deref(), Ok(&*long));
    }

    #[test]
    fn nothing_is_lost_at_the_end_or_after_it() {
        let (lines, written) = lines();
        lines.0.add(b"a\n", false);
        lines.close();
        assert_eq!(written.try_recv().as_deref(), Ok("a\n"));
        lines.0.add(b"b\n", false);
        assert_eq!(written.try_recv().as_deref(), Ok("b\n"));
    }
}
