//! What a person sees: the progress on standard output, and messages of one line on standard error. While the loop
//! runs, nothing here waits for a slow or stopped reader, unless the caller says how long.

use core::fmt;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use crate::base::limits;
use crate::base::text::Text;
use crate::base::time::Nanos;
use crate::base::width;
use crate::sys::poll::{Interest, is_ready};
use crate::sys::stream::{self, Stream};
use crate::sys::system_log::{Severity, SystemLog};
use crate::sys::{Errno, descriptor, terminal};

/// Bytes that a writable pipe accepts in one write without blocking (`PIPE_BUF`, pipe(7)).
const PIPE_BUF: usize = 4096;

/// Standard output and standard error.
#[derive(Debug)]
pub struct Console {
    out: Output,
    error: Output,
    dots: bool,
    /// Whether the current line has dots and no newline yet.
    open_line: bool,
    /// How long a line may wait for its reader.
    patience: Nanos,
    messages: Messages,
}

/// Where messages go.
#[derive(Debug)]
enum Messages {
    /// To standard error.
    Error,
    /// To standard error and the system log: busybox crond throws standard error away.
    Both(SystemLog),
    /// To the system log.
    SystemLog(SystemLog),
}

impl Console {
    /// The console at the start. A quiet one has no standard output. It waits for readers until
    /// [`Console::never_wait`].
    pub fn new(quiet: bool) -> Self {
        let out = if quiet { Output::nothing() } else { Output::new(stream::stdout()) };
        Self {
            dots: matches!(out.stream, Stream::Pipe | Stream::Terminal),
            out,
            error: Output::new(stream::stderr()),
            open_line: false,
            patience: limits::PATIENCE,
            messages: Messages::Error,
        }
    }

    /// The console of a process that goes to the background: until then its messages also go to the system log, as
    /// errors, unless somebody sees them on a terminal.
    pub fn of_start(_: bool) -> Self {
        let mut console = Self::new(true);
        if console.error.stream != Stream::Terminal {
            console.messages = Messages::Both(SystemLog::default());
        }
        console
    }

    /// Switches the dots off: programs read this output, too.
    pub fn without_dots(mut self) -> Self {
        self.dots = false;
        self
    }

    /// From now on messages go to the system log, and nothing is printed.
    pub fn go_to_background(&mut self) {
        (self.out, self.error) = (Output::nothing(), Output::nothing());
        self.dots = false;
        self.messages = Messages::SystemLog(SystemLog::default());
    }

    /// From now on no line waits for its reader: it is lost or cut.
    pub fn never_wait(&mut self) {
        self.patience = Nanos::ZERO;
    }

    /// Whether anybody can see the progress.
    pub fn is_seen(&self) -> bool {
        self.out.stream != Stream::Closed
    }

    /// Whether standard output is a terminal.
    pub fn is_terminal(&self) -> bool {
        self.out.stream == Stream::Terminal
    }

    /// How many columns and lines the terminal has; zeroes if it does not say so.
    pub fn size(&self) -> [usize; 2] {
        terminal::size(self.out.fd)
    }

    /// Prints a dot for a round, if standard output is a terminal or a pipe.
    pub fn dot(&mut self) {
        if self.dots {
            self.out.write(b".", Nanos::ZERO);
            self.open_line = true;
        }
    }

    /// Prints one line.
    pub fn line(&mut self, line: fmt::Arguments<'_>) {
        self.end_dots(self.patience);
        self.out.line(visible(line), self.patience);
    }

    /// Prints lines, which have their newlines and any length. Waits at most this long for a slow reader. Returns
    /// whether everything was written.
    pub fn lines(&mut self, lines: &str, patience: Nanos) -> bool {
        self.end_dots(patience);
        self.out.write(lines.as_bytes(), patience)
    }

    /// Writes a message: `tcpmon: subject: what happened, what happens next`.
    pub fn say(&mut self, subject: &str, what: fmt::Arguments<'_>) {
        self.complain(format_args!("tcpmon: {subject}: {what}"));
    }

    /// Writes a message about the clock. It always goes to the system log, too: other programs use the same clock.
    pub fn announce(&mut self, subject: &str, what: fmt::Arguments<'_>) {
        if matches!(self.messages, Messages::Error) {
            let line = Text::<{ limits::MESSAGE }>::format(format_args!("{subject}: {what}"));
            let _ = SystemLog::default().send(Severity::Warning, line.as_str());
        }
        self.say(subject, what);
    }

    /// Writes a line to standard error, or to the system log, without a prefix.
    pub fn complain(&mut self, what: fmt::Arguments<'_>) {
        self.end_dots(self.patience);
        let line = visible(what);
        match &mut self.messages {
            Messages::Error => {}
            // A line that is not accepted is lost: there is nowhere else to say so.
            Messages::Both(system_log) => _ = system_log.send(Severity::Error, line.as_str()),
            Messages::SystemLog(system_log) => {
                let _ = system_log.send(Severity::Warning, line.as_str());
                return;
            }
        }
        self.error.line(line, self.patience);
    }

    fn end_dots(&mut self, patience: Nanos) {
        if core::mem::take(&mut self.open_line) {
            self.out.write(b"\n", patience);
        }
    }
}

/// Standard output or standard error.
#[derive(Debug)]
struct Output {
    stream: Stream,
    fd: BorrowedFd<'static>,
    /// The same file opened again, for nonblocking writes.
    own: Option<OwnedFd>,
}

impl Output {
    fn new(fd: BorrowedFd<'static>) -> Self {
        let stream = stream::stream(fd);
        let live = matches!(stream, Stream::Pipe | Stream::Terminal);
        // This fails for a socket and for a terminal of another user.
        let own = if live { stream::reopen(fd).ok() } else { None };
        Self { stream, fd, own }
    }

    fn nothing() -> Self {
        Self { stream: Stream::Closed, fd: stream::stdout(), own: None }
    }

    /// Writes one line.
    fn line(&mut self, mut line: Text<{ limits::MESSAGE + 1 }>, patience: Nanos) {
        line.push("\n");
        self.write(line.as_str().as_bytes(), patience);
    }

    /// Writes in pieces and waits at most `patience` for each; after that the rest is lost. Returns whether everything
    /// was written.
    fn write(&mut self, mut bytes: &[u8], patience: Nanos) -> bool {
        // Bytes that a ready descriptor accepts without blocking. Only our own one returns when it accepts no more.
        let piece = match self.stream {
            _ if self.own.is_some() => usize::MAX,
            Stream::Terminal => 1,
            Stream::Pipe | Stream::Stored | Stream::Closed => PIPE_BUF,
        };
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
                // Not closed: a full disk or a stopped terminal may accept the next line.
                Err(_) => return false,
            }
        }
        true
    }
}

/// Replaces what a terminal would obey by `?`, see [`width::shown`]. The result has space for a newline.
fn visible(line: fmt::Arguments<'_>) -> Text<{ limits::MESSAGE + 1 }> {
    let line = Text::<{ limits::MESSAGE }>::format(line);
    let mut shown = Text::new();
    for c in line.as_str().chars() {
        let mut bytes = [0; 4];
        shown.push(width::shown(c).encode_utf8(&mut bytes));
    }
    shown
}
