//! What a person sees: the running words on standard output, and one line a matter on standard
//! error. Once the loop runs, nothing here waits for a slow or stopped reader, unless it is told
//! how long.

use core::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::sys::poll::{Interest, is_ready};
use crate::sys::stream::{self, Stream};
use crate::sys::system_log::SystemLog;
use crate::sys::{Errno, descriptor};

/// Bytes that a pipe takes whole once it says that it takes some (`PIPE_BUF`, pipe(7)).
const PIPE_BUF: usize = 4096;

/// Standard output and standard error.
#[derive(Debug)]
pub struct Console {
    out: Output,
    error: Output,
    dots: bool,
    /// The line on the terminal has dots on it.
    open_line: bool,
    /// How long a line may wait for its reader.
    patience: Nanos,
    /// Where messages go instead of to standard error.
    system_log: Option<SystemLog>,
}

impl Console {
    /// The console as it is at the start; a quiet one has no standard output. Until the loop
    /// runs there is time to wait for a reader.
    pub fn new(quiet: bool) -> Self {
        Self::with(if quiet { Output::nothing() } else { Output::new(stream::stdout()) }, None)
    }

    fn with(out: Output, system_log: Option<SystemLog>) -> Self {
        Self {
            dots: matches!(out.stream, Stream::Pipe | Stream::Terminal),
            out,
            error: Output::new(stream::stderr()),
            open_line: false,
            patience: limits::PATIENCE,
            system_log,
        }
    }

    /// From here on without dots: what is printed is for programs, too.
    pub fn without_dots(mut self) -> Self {
        self.dots = false;
        self
    }

    /// The console of a process that has gone to the background: its messages go to the system log.
    pub fn of_background() -> Self {
        Self::with(Output::nothing(), Some(SystemLog::default()))
    }

    /// From here on no line waits for its reader: it is lost, or its end is.
    pub fn never_wait(&mut self) {
        self.patience = Nanos::ZERO;
    }

    /// Whether a person reads standard output at a terminal.
    pub fn is_terminal(&self) -> bool {
        self.out.stream == Stream::Terminal
    }

    /// A dot for a round, where somebody may be watching.
    pub fn dot(&mut self) {
        if self.dots {
            self.out.write(b".", Nanos::ZERO);
            self.open_line = true;
        }
    }

    /// One line.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        self.end_dots(self.patience);
        self.out.line(visible(line), self.patience);
    }

    /// Lines with their newlines, of any length; waits for a slow reader so long and no longer.
    /// Returns whether all of it was taken.
    pub fn lines(&mut self, lines: &str, patience: Nanos) -> bool {
        self.end_dots(patience);
        self.out.write(lines.as_bytes(), patience)
    }

    /// A message: `tcpmon: subject: what happened, what happens next`.
    pub fn say(&mut self, subject: &str, what: fmt::Arguments<'_>) {
        self.complain(format_args!("tcpmon: {subject}: {what}"));
    }

    /// A message that stands in the system log in any case: others go by the same clock.
    pub fn announce(&mut self, subject: &str, what: fmt::Arguments<'_>) {
        if self.system_log.is_none() {
            let line = Text::<{ limits::MESSAGE }>::format(format_args!("{subject}: {what}"));
            SystemLog::default().send(line.as_str());
        }
        self.say(subject, what);
    }

    /// A line on standard error as it is.
    pub fn complain(&mut self, what: fmt::Arguments<'_>) {
        self.end_dots(self.patience);
        let line = visible(what);
        match &mut self.system_log {
            Some(system_log) => system_log.send(line.as_str()),
            None => self.error.line(line, self.patience),
        }
    }

    fn end_dots(&mut self, patience: Nanos) {
        if core::mem::take(&mut self.open_line) {
            self.out.write(b"\n", patience);
        }
    }
}

/// One of the two, and how to write to it without waiting.
#[derive(Debug)]
struct Output {
    stream: Stream,
    fd: BorrowedFd<'static>,
    /// The same opened anew, for writes that never wait.
    own: Option<OwnedFd>,
}

impl Output {
    fn new(fd: BorrowedFd<'static>) -> Self {
        let stream = stream::stream(fd);
        let live = matches!(stream, Stream::Pipe | Stream::Terminal);
        // A socket cannot be opened anew, and neither can a terminal of somebody else's.
        let own = if live { stream::reopen(fd).ok() } else { None };
        Self { stream, fd, own }
    }

    fn nothing() -> Self {
        Self { stream: Stream::Closed, fd: stream::stdout(), own: None }
    }

    /// One line.
    fn line(&mut self, mut line: Text<{ limits::MESSAGE + 1 }>, patience: Nanos) {
        line.push("\n");
        self.write(line.as_str().as_bytes(), patience);
    }

    /// Writes as much as the reader takes without waiting longer than `patience` for any piece;
    /// the rest is lost. Returns whether all of it was taken.
    fn write(&mut self, mut bytes: &[u8], patience: Nanos) -> bool {
        // Bytes that one write takes without waiting, once it is said that it takes some.
        let piece = if self.stream == Stream::Terminal && self.own.is_none() { 1 } else { PIPE_BUF };
        while !bytes.is_empty() {
            let fd = self.own.as_ref().map_or(self.fd, AsFd::as_fd);
            match self.stream {
                Stream::Closed => return false,
                Stream::Stored => {}
                Stream::Pipe | Stream::Terminal if is_ready(fd, Interest::Write, patience) => {}
                Stream::Pipe | Stream::Terminal => return false,
            }
            match descriptor::write(fd, &bytes[..bytes.len().min(piece)]) {
                Ok(length) => bytes = &bytes[length..],
                Err(Errno::EPIPE) => self.stream = Stream::Closed,
                // A full disk or a stopped terminal may be over by the next time.
                Err(_) => return false,
            }
        }
        true
    }
}

/// A line with what a terminal would take for a command made visible, and room for its newline.
fn visible(line: fmt::Arguments<'_>) -> Text<{ limits::MESSAGE + 1 }> {
    let line = Text::<{ limits::MESSAGE }>::format(line);
    let mut shown = Text::new();
    for c in line.as_str().chars() {
        let mut bytes = [0; 4];
        shown.push(if c.is_control() { "?" } else { c.encode_utf8(&mut bytes) });
    }
    shown
}
