//! tcpmon times name lookups and TCP connects to a list of services and appends a table of the
//! results to a daily log. This page is its architecture.
//!
//! # How a number comes about
//!
//! ```text
//! configuration -> schedule -> probe -> (lookup helper | nonblocking connect) -> outcome -> ledger -> table -> daily log
//! ```
//!
//! Each target has a fixed grid of ticks. A tick starts a probe: a lookup, made by getaddrinfo in
//! a helper process, then a connect over the addresses it gave. A probe ends in exactly one of
//! seven outcomes and adds one to one of its target's seven counters; the columns of the log are
//! sums of those, and a report is what was counted since the last report that was written. A tick
//! that cannot become a probe for a reason of our own is skipped, counted apart and said.
//!
//! # A pure core in a thin shell
//!
//! [`core::monitor`] decides everything: which probe starts when, what it does next, what is counted,
//! when a report is due. It is a plain value: [`core::monitor::Monitor::handle`] takes in what happened
//! and when, [`core::monitor::Monitor::poll`] gives the next thing to do, and
//! [`core::monitor::Monitor::next_deadline`] says how long nothing is to be done. It reads no clock,
//! owns no descriptor and allocates nothing once it is made, so that the simulator in `tests` can
//! run hours of it in milliseconds, with any fault at any moment.
//!
//! [`shell::event_loop`] is the shell: one thread, one poll set. It waits, stamps the time, hands over
//! events and carries out actions. getaddrinfo blocks and cannot be cancelled, so [`shell::resolver`]
//! keeps a pool of helper processes that call it, each over a packet socket pair; one that holds a
//! lookup beyond its limit is killed. Signals come through a descriptor in the same set.
//!
//! # Nothing is lost
//!
//! [`core::ledger`] is the layout of a small mapped file that holds every counter; the monitor writes each
//! change through to it, one store for a finished probe. [`core::ledger_file`] makes, locks and maps it.
//! A report is journalled there before its one write to [`shell::daily_log`] and marked after it, and
//! [`shell::recovery`] brings the two into agreement when a run starts: so that whatever instruction a
//! kill lands on, no probe is lost and none is reported twice.
//!
//! # Layers
//!
//! The folders are the layers. Each imports only from those above it in this table; inside a folder no
//! two files import each other. A test reads the table and the `use` lines.
//!
//! | folder | what |
//! |---|---|
//! | `base/` | words, text, time, limits, ring, timers, path, histogram |
//! | `model/` | what is watched and counted, settings and their readers, messages to helpers |
//! | `core/` | the decisions: probe, schedule, ledger, monitor |
//! | `render/` | what is read: the table |
//! | `sys/` | every system call, and all `unsafe` |
//! | `shell/` | console, files, helpers, sandbox, and the loop |
//! | `commands/` | what the command line can ask for, one file a command |
//!
//! `sys` does not know `core`. Memory is reserved at the start, within the bounds of [`base::limits`];
//! after that the heap is not used.

#![deny(unsafe_code)]

pub mod base;
pub mod commands;
pub mod core;
pub mod model;
pub mod render;
pub mod shell;
#[allow(unsafe_code)]
pub mod sys;
