//! The strace(1) output for one process.

use std::collections::BTreeMap;

use nix::sys::signal::Signal;

use crate::run_dir::{Kind, STATS};
use crate::witness::{PerListener, Witness};

/// One system call.
#[derive(Clone, Debug)]
pub struct Call {
    pub name: String,
    /// Its number among the calls of this name, from 1.
    pub nth: u32,
    /// The whole line.
    line: String,
    /// The name of the file that it writes to.
    file: String,
}

/// The calls of a process, in order.
pub struct Trace(pub Vec<Call>);

impl Trace {
    /// Reads strace's file: a line a call.
    pub fn parse(text: &str) -> Self {
        let (mut calls, mut files) = (Vec::<Call>::new(), BTreeMap::new());
        for line in text.lines() {
            let Some((name, _)) = line.split_once('(') else { continue };
            if name.is_empty() || !name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_') {
                continue;
            }
            let nth = calls.iter().filter(|call| call.name == name).count() as u32 + 1;
            let mut call = Call { name: name.to_owned(), nth, line: line.to_owned(), file: String::new() };
            if let Some((path, number)) = call.opened() {
                files.insert(number.to_owned(), path.to_owned());
            }
            if name == "write" {
                call.file = call.descriptor().and_then(|number| files.get(number)).cloned().unwrap_or_default();
            }
            calls.push(call);
        }
        Self(calls)
    }

    /// Whether strace has written everything up to the end of the process.
    pub fn is_whole(text: &str) -> bool {
        text.lines().last().is_some_and(|line| line.starts_with("+++ "))
    }

    /// Whether strace holds the process after a call.
    pub fn is_held(text: &str) -> bool {
        text.trim_end().ends_with("(DELAYED)")
    }

    /// The last call, at which the process was killed.
    pub fn last(&self) -> Option<&Call> {
        self.0.last()
    }

    /// Connects made and perhaps not counted when the trace ends, for each listener. A probe is
    /// counted after its socket is closed and before the next call.
    pub fn in_flight(&self, witness: &Witness) -> PerListener {
        let mut in_flight = [0; 4];
        for (at, call) in self.0.iter().enumerate() {
            if call.name != "connect" || call.is_undone() {
                continue;
            }
            let (Some(fd), Some(index)) = (call.descriptor(), call.port().and_then(|port| witness.index_of(port)))
            else {
                continue;
            };
            let after = &self.0[at..];
            let closed = after.iter().position(|later| later.name == "close" && later.descriptor() == Some(fd));
            if closed.is_none_or(|closed| closed + 1 == after.len()) {
                in_flight[index] += 1;
            }
        }
        in_flight
    }
}

impl Call {
    /// Whether the process was killed before the call did anything.
    pub fn is_undone(&self) -> bool {
        self.line.trim_end().ends_with("= ?")
    }

    /// Whether it wrote rows to a log.
    pub fn is_report(&self) -> bool {
        self.writes_to(STATS) && !self.is_undone()
    }

    /// Whether it is a write to a daily file of this kind.
    pub fn writes_to(&self, (begin, _): Kind) -> bool {
        self.file.starts_with(begin)
    }

    /// How many bytes it has written.
    pub fn written(&self) -> u64 {
        let (_, result) = self.line.rsplit_once("= ").unwrap_or_default();
        result.split(' ').next().and_then(|bytes| bytes.trim().parse().ok()).unwrap_or(0)
    }

    /// Whether its arguments name a file.
    pub fn names(&self, file: &str) -> bool {
        self.line.contains(&format!("{file}\""))
    }

    /// Whether it read this signal from a signalfd(2): 128 bytes that begin with the signal's
    /// number, which strace writes in octal.
    pub fn reads_signal(&self, signal: Signal) -> bool {
        self.name == "read"
            && self.line.contains(&format!(", \"\\{:o}\\0\\0\\0", signal as i32))
            && self.line.contains("= 128")
    }

    /// The path that it has opened, and its descriptor.
    fn opened(&self) -> Option<(&str, &str)> {
        let path = self.line.split('"').nth(1).filter(|_| self.name.starts_with("open"))?;
        let number = self.line.rsplit_once("= ")?.1.split(' ').next()?;
        Some((path, number.trim()))
    }

    fn descriptor(&self) -> Option<&str> {
        let (_, words) = self.line.split_once('(')?;
        words.split([',', ')']).next()
    }

    fn port(&self) -> Option<u16> {
        let (_, rest) = self.line.split_once("htons(")?;
        rest.split_once(')')?.0.parse().ok()
    }
}
