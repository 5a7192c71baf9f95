//! tcpmon times name lookups and TCP connects to a list of services and appends a table of the results to a daily
//! log. This page is its architecture.
//!
//! # How a number comes about
//!
//! ```text
//! configuration -> schedule -> probe -> (lookup helper | attempts) -> outcome -> ledger -> rows, events, samples -> daily files
//! ```
//!
//! Each target has a fixed grid of ticks. A tick starts a probe: a lookup, made by getaddrinfo in a helper process,
//! then a connect, which is one attempt or several in turn over the addresses that the lookup gave. A probe ends in
//! exactly one of seven outcomes and adds one to one of its target's seven counters. The columns of the log are sums
//! of those, and a report is what was counted since the last report that was written. If a tick cannot become a
//! probe because of a shortage of our own, it is skipped: it gets a counter of its own and a message.
//!
//! # Why, and since when
//!
//! The end of a probe is a value with all its facts, [`core::probe::End`]. [`core::ledger::Record`] counts its causes beside
//! its outcome and adds its times to the distributions of all time and of the interval, from which the rows of times are
//! made. [`core::health`] decides whether the target is up. A change is an event: it goes into a ring in the ledger
//! and stays there until its line is known to be in the file. Samples are the ends themselves; they are kept nowhere but in
//! their file.
//!
//! # A pure core in a thin shell
//!
//! [`core::monitor`] decides everything: which probe starts when, what it does next, what is counted, when a report is
//! due. It is a plain value: [`core::monitor::Monitor::handle`] takes in what happened and when,
//! [`core::monitor::Monitor::poll`] gives the next thing to do, and [`core::monitor::Monitor::next_deadline`] says how
//! long there is nothing to do. It reads no clock, owns no descriptor and allocates nothing once it is made, so that
//! the simulator in `tests` can run hours of it in milliseconds, with any fault at any moment.
//!
//! [`shell::event_loop`] is the shell: one thread, one poll set. It waits, stamps the time, hands over facts and carries
//! out actions. Its rooms are connects, helpers, clocks and reports, each with its own state and its own entries in
//! the poll set. getaddrinfo blocks and cannot be cancelled, so [`shell::resolver`] keeps a pool of helper processes
//! that call it; a helper that holds a lookup beyond its limit is killed. Signals come through a descriptor in the same
//! poll set.
//!
//! # One place for each rule
//!
//! | question | file |
//! |---|---|
//! | which error blames whom, and what a late look means | [`core::verdict`] |
//! | when a target is up or down | [`core::health`] |
//! | what becomes an event | `core::monitor::events` |
//! | when a report is due | [`core::due`] |
//! | whether the wall clock is right | [`core::clock_trust`] |
//! | which directives there are | [`model::directive`] |
//! | which commands and options there are, and which command uses which option | [`model::command`] |
//! | what a file of the log is called | [`model::log_names`] |
//! | what a line of a daily file says | [`render::table`], [`render::times`], [`render::events`], [`render::samples`] |
//! | what `status` shows | [`render::overview`], [`render::status`], [`render::json`] |
//! | what a line of a daily file said | [`model::log_line`] |
//! | what the daily files say of a period | [`core::report`] |
//! | what `report` shows | [`render::report`], [`render::report_json`], [`render::page`] |
//! | what a web server may ask for, and how it is answered | [`model::request`], [`render::answer`] |
//! | how many columns of a terminal a text takes | [`base::width`] |
//! | whether a run is there, and which process it is | [`shell::place`] |
//! | what a process may still do | [`shell::sandbox`] |
//! | which files of the log are kept | [`model::keep`] |
//! | what of a configuration will not work on this box | [`shell::surroundings`] |
//! | every bound | [`base::limits`] |
//!
//! # Nothing is lost
//!
//! [`core::ledger`] is the layout of a small mapped file that holds every counter. The monitor writes each change
//! through to it, one store for a finished probe. [`shell::ledger_file`] makes, locks and maps it; [`shell::snapshot`]
//! copies it for readers; [`shell::locks`] are the locks by name, which a run without a ledger has, too. A report is
//! journalled in the ledger before its one write to [`shell::daily_files`] and marked after it, and [`shell::recovery`]
//! makes the two agree when a run starts: whatever instruction a kill lands on, no probe is lost and none is reported
//! twice. Each other kind of daily file is written in the same way and has a journal of its own, so that one that cannot
//! be written holds up none of the others.
//!
//! # Seen from outside
//!
//! The monitor never listens. What others see of it is made by a process of its own, which reads the ledger and the daily
//! files: `status`, `metrics` for Prometheus, `report`, and `cgi` for the box's own web server. [`core::report`] is a plain
//! value that takes the bytes of files in, in pieces; what it keeps is bounded by services and days.
//!
//! # Layers
//!
//! The folders are the layers. Each imports only from those above it in this table. Inside a folder no two files
//! import each other; a file and the folder of its parts (`monitor.rs`, `monitor/`) count as one. A test reads the table
//! and the imports.
//!
//! | folder | what |
//! |---|---|
//! | `base/` | words, text, width, line, order, time, limits, ring, timers, path, histogram, messages that are said once, local times |
//! | `model/` | what is watched and counted, facts, settings and their readers, messages to helpers, names of log files |
//! | `core/` | the decisions: probe, verdict, health, grid, boundaries, clock, due, ledger, monitor, report |
//! | `render/` | what is read: table, times, events, samples, the screen and tables of status, JSON, metrics, reports, a configuration in force |
//! | `sys/` | every system call, and all `unsafe` |
//! | `shell/` | console, configuration file, helpers, daily files, ledger's file, sandbox, and the loop |
//! | `commands/` | what the command line can ask for, one file a command |
//!
//! `sys` does not know `core`. Memory is reserved at the start, within the bounds of [`base::limits`]; after that the
//! heap is not used.

#![deny(unsafe_code)]
#![warn(clippy::too_many_lines)]

pub mod base;
pub mod commands;
pub mod core;
pub mod model;
pub mod render;
pub mod shell;
#[allow(unsafe_code)]
pub mod sys;
