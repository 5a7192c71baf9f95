//! What a person sees: the running words on standard output, and one line a matter on standard
//! error. Nothing here ever waits for a slow or stopped reader, unless it is told how long.

use core::fmt;
use std::os::fd::BorrowedFd;

use crate::limits;
use crate::sys::file::{self, Stream};
use crate::sys::poll::is_writable;
use crate::text::Text;
use crate::time::Nanos;

/// Bytes that a pipe takes whole once it says that it takes some (`PIPE_BUF`, pipe(7)).
const PIECE: usize = 4096;

/// Standard output and standard error.
#[derive(Debug)]
pub struct Console {
    out: Stream,
    dots: bool,
    /// The line on the terminal has dots on it.
    open_line: bool,
}

impl Console {
    /// The console as it is at the start; a quiet one has no standard output.
    pub fn new(quiet: bool) -> Self {
        let out = if quiet { Stream::Closed } else { file::stream(file::stdout()) };
        Self { out, dots: out == Stream::Live, open_line: false }
    }

    /// From here on without dots: what is printed is for programs, too.
    pub fn without_dots(mut self) -> Self {
        self.dots = false;
        self
    }

    /// A dot for a round, where somebody may be watching.
    pub fn dot(&mut self) {
        if self.dots {
            self.print(".", Nanos::ZERO);
            self.open_line = true;
        }
    }

    /// One line, or a few with newlines between.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        self.end_dots(Nanos::ZERO);
        let text = Text::<{ 2 * limits::MESSAGE }>::format(format_args!("{line}\n"));
        self.print(text.as_str(), Nanos::ZERO);
    }

    /// Lines with their newlines, of any length; waits for a slow reader so long and no longer.
    pub fn lines(&mut self, lines: &str, patience: Nanos) {
        self.end_dots(patience);
        self.print(lines, patience);
    }

    /// A message: `tcpmon: subject: what happened, what happens next`.
    pub fn say(&mut self, subject: &str, what: fmt::Arguments<'_>) {
        self.complain(format_args!("tcpmon: {subject}: {what}"));
    }

    /// A line on standard error as it is.
    pub fn complain(&mut self, what: fmt::Arguments<'_>) {
        self.end_dots(Nanos::ZERO);
        let mut text = Text::<{ limits::MESSAGE }>::format(what);
        // A line that had to be cut still ends.
        let end = if text.try_push("\n") { "" } else { "\n" };
        for part in [text.as_str(), end] {
            write_patiently(file::stderr(), part.as_bytes(), Nanos::ZERO);
        }
    }

    fn end_dots(&mut self, patience: Nanos) {
        if core::mem::take(&mut self.open_line) {
            self.print("\n", patience);
        }
    }

    fn print(&mut self, text: &str, patience: Nanos) {
        let done = match self.out {
            Stream::Closed => return,
            Stream::Stored => file::write(file::stdout(), text.as_bytes()).is_ok(),
            Stream::Live => write_patiently(file::stdout(), text.as_bytes(), patience),
        };
        if !done {
            self.out = Stream::Closed;
            self.dots = false;
        }
    }
}

/// Writes as much as the reader takes without waiting longer than `patience` for any piece; the
/// rest is lost. Returns false where nobody will read any more.
fn write_patiently(fd: BorrowedFd<'_>, mut bytes: &[u8], patience: Nanos) -> bool {
    while !bytes.is_empty() {
        if !is_writable(fd, patience) {
            return true;
        }
        match file::write(fd, &bytes[..bytes.len().min(PIECE)]) {
            Ok(length) => bytes = &bytes[length..],
            Err(crate::sys::Errno::EAGAIN) => return true,
            Err(_) => return false,
        }
    }
    true
}
