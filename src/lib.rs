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
//! [`monitor`] decides everything: which probe starts when, what it does next, what is counted,
//! when a report is due. It is a plain value: [`monitor::Monitor::handle`] takes in what happened
//! and when, [`monitor::Monitor::poll`] gives the next thing to do, and
//! [`monitor::Monitor::next_deadline`] says how long nothing is to be done. It reads no clock,
//! owns no descriptor and allocates nothing once it is made, so that the simulator in `tests` can
//! run hours of it in milliseconds, with any fault at any moment.
//!
//! [`event_loop`] is the shell: one thread, one poll set. It waits, stamps the time, hands over
//! events and carries out actions. getaddrinfo blocks and cannot be cancelled, so [`resolver`]
//! keeps a pool of helper processes that call it, each over a packet socket pair; one that holds a
//! lookup beyond its limit is killed. Signals come through a descriptor in the same set.
//!
//! # Nothing is lost
//!
//! [`ledger`] is the layout of a small mapped file that holds every counter; the monitor writes each
//! change through to it, one store for a finished probe. [`ledger_file`] makes, locks and maps it.
//! A report is journalled there before its one write to [`daily_log`] and marked after it, and
//! [`recovery`] brings the two into agreement when a run starts: so that whatever instruction a
//! kill lands on, no probe is lost and none is reported twice.
//!
//! # Layers
//!
//! A file imports only from layers above its own in this table, and within its own only what
//! stands to its left. A test reads the table and the `use` lines.
//!
//! | layer | files |
//! |---|---|
//! | 0 | words, text, time, limits |
//! | 1 | ring, timers, path, zone, keep, user, histogram, target, tally |
//! | 2 | config, cli, probe, schedule, table, ledger, message |
//! | 3 | monitor |
//! | 4 | sys |
//! | 5 | resolver, daily_log, console, config_file, ledger_file, recovery, confinement |
//! | 6 | event_loop |
//! | 7 | commands, main |
//!
//! `sys` does not know `monitor`; it holds every system call and all `unsafe`. Memory is reserved
//! at the start, within the bounds of [`limits`]; after that the heap is not used.

#![deny(unsafe_code)]

pub mod cli;
pub mod commands;
pub mod config;
pub mod config_file;
pub mod confinement;
pub mod console;
pub mod daily_log;
pub mod event_loop;
pub mod histogram;
pub mod keep;
pub mod ledger;
pub mod ledger_file;
pub mod limits;
pub mod message;
pub mod monitor;
pub mod path;
pub mod probe;
pub mod recovery;
pub mod resolver;
pub mod ring;
pub mod schedule;
#[allow(unsafe_code)]
pub mod sys;
pub mod table;
pub mod tally;
pub mod target;
pub mod text;
pub mod time;
pub mod timers;
pub mod user;
pub mod words;
pub mod zone;
