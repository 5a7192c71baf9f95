//! The loop: owns the descriptors, waits, stamps the time, hands events to the monitor and
//! carries out what it asks for. No policy.

use core::fmt::Write;
use std::os::fd::{AsFd, OwnedFd};

use crate::config::{Close, Config, Directive, Settings};
use crate::config_file::ConfigFile;
use crate::console::Console;
use crate::daily_log::DailyLog;
use crate::limits;
use crate::message::{Answer, Reply};
use crate::monitor::{Action, Event, Monitor, Span, WatchId};
use crate::probe::ProbeId;
use crate::resolver::{Heard, Resolver};
use crate::sys::clock::{self, ClockWatch};
use crate::sys::poll::{Interest, PollSet};
use crate::sys::signal::{self, Signals, Wish};
use crate::sys::{Errno, file, net, process, reason, shortage};
use crate::table::Form;
use crate::tally::Shortage;
use crate::target::{Address, Target};
use crate::text::{Count, Text};
use crate::time::{Instant, Nanos, WallTime};

/// Places of the poll set: signals, the wall clock, the helpers, and then one for each connect.
const SIGNALS: usize = 0;
const CLOCK: usize = 1;
const HELPERS: usize = 2;
const CONNECTS: usize = HELPERS + limits::HELPERS;

/// How long a summary that was asked for may hold up the loop where its reader is slow.
const SUMMARY_PATIENCE: Nanos = Nanos::from_millis(20);

/// How long the loop rests after poll itself has failed, which must not become a spin.
const POLL_PAUSE: Nanos = Nanos::from_millis(10);

/// A connect under way.
#[derive(Debug)]
struct Connection {
    socket: OwnedFd,
    probe: ProbeId,
    started: Instant,
    /// Its place behind [`CONNECTS`] in the poll set.
    place: usize,
}

/// The loop and everything it owns.
#[derive(Debug)]
pub struct EventLoop {
    monitor: Monitor,
    config_file: ConfigFile,
    /// Where a reload builds the next configuration.
    next: Config,
    resolver: Resolver,
    /// `None`: nothing is logged, as for a single check.
    log: Option<DailyLog>,
    log_failing: bool,
    link_failing: bool,
    poll_failing: bool,
    console: Console,
    signals: Signals,
    clock_watch: Option<ClockWatch>,
    polls: PollSet,
    /// The connect of each probe slot. It grows up to the highest slot in use, within its memory.
    connections: Vec<Option<Connection>>,
    /// The slot of each connect in the poll set, in the same order.
    owners: Vec<u16>,
    /// When poll was last asked: whatever is ready by then has been seen.
    seen: Instant,
    /// Connects made since the answers were last collected.
    batch: usize,
    started: WallTime,
    finished: bool,
    summary: String,
}

impl EventLoop {
    /// Everything that a run needs, with all its memory reserved; the ticks start now. A loop that
    /// is not `logged` writes no reports.
    pub fn new(
        config: Config,
        config_file: ConfigFile,
        span: Span,
        logged: bool,
        console: Console,
        signals: Signals,
    ) -> Self {
        clock::read_zone();
        file::open_to_all();
        let started = clock::wall();
        let mut polls = PollSet::new(CONNECTS, limits::PROBES);
        polls.place(SIGNALS, Some(signals.as_fd()));
        // Without it, a clock that is set is noticed at the next boundary.
        let clock_watch = ClockWatch::new().ok();
        polls.place(CLOCK, clock_watch.as_ref().map(AsFd::as_fd));
        let mut event_loop = Self {
            log: logged.then(|| DailyLog::new(config.settings.log_dir, form(&config))),
            monitor: Monitor::new(&config, span, clock::monotonic(), started),
            config_file,
            next: config,
            resolver: Resolver::new(HELPERS),
            log_failing: false,
            link_failing: false,
            poll_failing: false,
            console,
            signals,
            clock_watch,
            polls,
            connections: Vec::with_capacity(limits::PROBES),
            owners: Vec::with_capacity(limits::PROBES),
            seen: clock::monotonic(),
            batch: 0,
            started,
            finished: false,
            summary: String::with_capacity((limits::TARGETS + 2) * limits::ROW),
        };
        event_loop.console.never_wait();
        event_loop.allow_descriptors();
        event_loop.prepare_log();
        event_loop.warm_up();
        event_loop
    }

    /// Runs to the end.
    pub fn run(&mut self) {
        while self.turn() {}
    }

    /// One turn: do what is due, then wait for the next thing. Returns false at the end of the run.
    pub fn turn(&mut self) -> bool {
        self.drain();
        if self.finished {
            self.resolver.end(&mut self.polls);
            // Whoever is tired of the last words may end them; what was said before is obeyed.
            while self.signals.next().is_some() {}
            signal::unblock();
            return false;
        }
        let deadline = self.monitor.next_deadline().min(self.resolver.next_deadline());
        let now = clock::monotonic();
        self.collect((deadline != Instant::NEVER).then(|| deadline.since(now)));
        true
    }

    /// The decision-making core, for who wants to know how it went.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// The console, for the last words.
    pub fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    /// Prints the table of the whole run, in the log's form.
    pub fn print_summary(&mut self, patience: Nanos) {
        let Some(form) = self.log.as_ref().map(|log| *log.form()) else { return };
        let stamp = clock::wall();
        self.summary.clear();
        // Writing to a String does not fail, and there is memory for the longest summary.
        let _ = write!(self.summary, "\nSince {}:\n{}", self.started, form.header());
        for watch in self.monitor.live() {
            let columns = watch.tally.counted().columns();
            let _ = write!(self.summary, "{}", form.row(stamp, watch.target.service.as_str(), columns));
        }
        let skipped = self.monitor.skipped();
        if skipped > 0 {
            let _ = writeln!(self.summary, "{} skipped for reasons of this box's own", Count(skipped, "tick"));
        }
        self.console.lines(&self.summary, patience);
    }

    /// Does everything that was due when poll was last asked: no deadline passes before the answer
    /// that may be there has been looked for. The core sees one moment for all of it, so that a
    /// drain ends however long it takes; what is measured is stamped where it happens.
    fn drain(&mut self) {
        let now = self.seen;
        self.resolver.shrink(now, &mut self.polls);
        while let Some(action) = self.monitor.poll(now) {
            self.carry_out(action);
            if self.batch >= limits::BATCH {
                self.collect(Some(Nanos::ZERO));
            }
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Lookup(probe, watch) => self.look_up(probe, watch),
            Action::DropLookup(probe) => self.resolver.drop_lookup(&mut self.polls, probe),
            Action::Connect(probe, watch, address) => self.connect(probe, watch, address),
            Action::DropConnect(probe) => drop(self.forget(probe.slot)),
            Action::ReadClock => self.tell(Event::Clock(clock::wall())),
            Action::Report(stamp) => {
                let written = self.report(stamp);
                self.tell(Event::Reported { written });
            }
            Action::Round => self.console.dot(),
            Action::SaySkipped(ticks, shortage) => self.console.say(
                "probes",
                format_args!("{} skipped ({shortage}), no target is blamed and probing goes on", Count(ticks, "tick")),
            ),
            Action::Finish => self.finished = true,
        }
    }

    fn tell(&mut self, event: Event<'_>) {
        self.monitor.handle(clock::monotonic(), event);
    }

    /// Waits for something to happen, at most so long, and takes in all that has.
    fn collect(&mut self, limit: Option<Nanos>) {
        self.batch = 0;
        let ready = self.polls.wait(limit);
        let now = clock::monotonic();
        self.seen = now;
        match ready {
            Ok(0) => return,
            Ok(_) => self.poll_failing = false,
            Err(errno) => {
                if !core::mem::replace(&mut self.poll_failing, true) {
                    self.console.say("poll", format_args!("{}, trying again", errno.desc()));
                }
                clock::rest(POLL_PAUSE);
                return;
            }
        }
        // Backwards: the entry that takes the place of one that ends has been seen already.
        for place in (CONNECTS..self.polls.len()).rev() {
            let ready = self.polls.ready(place);
            if ready.any() {
                self.end_connect(now, self.owners[place - CONNECTS], ready.is_connected());
            }
        }
        for index in 0..limits::HELPERS {
            if self.polls.ready(HELPERS + index).any() {
                self.hear(now, index);
            }
        }
        if self.polls.ready(CLOCK).any() {
            self.clock_was_set();
        }
        if self.polls.ready(SIGNALS).any() {
            while let Some(wish) = self.signals.next() {
                self.obey(wish);
            }
        }
    }

    fn look_up(&mut self, probe: ProbeId, watch: WatchId) {
        let Target { host, family, .. } = *self.monitor.target(watch);
        match self.resolver.ask(clock::monotonic(), &mut self.polls, probe, host, family) {
            Ok(forked) => {
                self.tell(Event::LookupStarted(probe));
                // A fork takes long enough for others' answers to come in.
                self.batch += if forked { limits::BATCH } else { 1 };
            }
            Err(shortage) => self.tell(Event::FellShort(probe, shortage)),
        }
    }

    fn hear(&mut self, now: Instant, index: usize) {
        match self.resolver.hear(now, &mut self.polls, index) {
            Heard::Reply(probe, Reply { elapsed, answer, .. }) => {
                let event = match &answer {
                    Answer::Found(addresses) => Event::Answered(probe, elapsed, addresses.as_slice()),
                    Answer::Failed(reason) => Event::LookupFailed(probe, elapsed, *reason),
                    Answer::Short(shortage) => Event::FellShort(probe, *shortage),
                };
                self.monitor.handle(now, event);
            }
            Heard::Lost(probe) => self.monitor.handle(now, Event::LookupLost(probe)),
            Heard::Nothing => {}
        }
    }

    fn connect(&mut self, probe: ProbeId, watch: WatchId, address: Address) {
        self.batch += 1;
        let target = self.monitor.target(watch);
        let port = target.port;
        let prepared = prepare(target, address);
        let started = clock::monotonic();
        self.monitor.handle(started, Event::ConnectStarted(probe));
        let (socket, address) = match prepared {
            Ok(prepared) => prepared,
            // What is missing to go the configured way out is ours, not the target's.
            Err(Errno::EPERM | Errno::EACCES) => {
                return self.monitor.handle(started, Event::FellShort(probe, Shortage::Rights));
            }
            Err(errno) => return self.fail_connect(started, probe, errno),
        };
        match net::start_connect(&socket, address, port) {
            Ok(at_once) => {
                let slot = usize::from(probe.slot);
                if self.connections.len() <= slot {
                    self.connections.resize_with(slot + 1, || None);
                }
                let place = self.polls.len();
                self.polls.push(socket.as_fd(), Interest::Write);
                self.owners.push(probe.slot);
                self.connections[slot] = Some(Connection { socket, probe, started, place });
                if at_once {
                    self.end_connect(clock::monotonic(), probe.slot, true);
                }
            }
            Err(errno) => self.fail_connect(clock::monotonic(), probe, errno),
        }
    }

    /// A connect has ended, at `now` or before.
    fn end_connect(&mut self, now: Instant, slot: u16, connected: bool) {
        let Some(Connection { socket, probe, started, .. }) = self.forget(slot) else { return };
        let result = if connected { Ok(()) } else { net::take_error(&socket) };
        // A fast connect cannot have been faster by so much that it matters. For a slow one, and
        // for one that was reset after its handshake, the kernel is asked when that handshake
        // ended: it may be we who are late.
        let late = now.since(started) >= self.monitor.settings().thresholds.slow;
        let end = match result {
            Ok(()) if late => Ok(handshake(&socket, started, now).unwrap_or(now)),
            Ok(()) => Ok(now),
            Err(Errno::ECONNRESET) => handshake(&socket, started, now).ok_or(Errno::ECONNRESET),
            Err(errno) => Err(errno),
        };
        if end.is_ok() && self.monitor.settings().close == Close::Rst {
            // Without it the connection is closed the normal way, which does no harm.
            let _ = net::reset_on_close(&socket);
        }
        drop(socket);
        match end {
            Ok(at) => self.monitor.handle(at, Event::Connected(probe)),
            Err(errno) => self.fail_connect(now, probe, errno),
        }
    }

    fn fail_connect(&mut self, now: Instant, probe: ProbeId, errno: Errno) {
        let event = match shortage(errno) {
            Some(shortage) => Event::FellShort(probe, shortage),
            None => Event::ConnectFailed(probe, reason(errno)),
        };
        self.monitor.handle(now, event);
    }

    /// Takes a connect out of every table.
    fn forget(&mut self, slot: u16) -> Option<Connection> {
        let connection = self.connections.get_mut(usize::from(slot))?.take()?;
        self.polls.swap_remove(connection.place);
        self.owners.swap_remove(connection.place - CONNECTS);
        if let Some(moved) = self.owners.get(connection.place - CONNECTS)
            && let Some(moved) = &mut self.connections[usize::from(*moved)]
        {
            moved.place = connection.place;
        }
        Some(connection)
    }

    fn clock_was_set(&mut self) {
        if self.clock_watch.as_ref().is_some_and(ClockWatch::was_set) {
            self.tell(Event::Clock(clock::wall()));
        } else {
            self.polls.place(CLOCK, None);
            self.clock_watch = None;
        }
    }

    fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Stop => self.tell(Event::Stop),
            Wish::Report => self.tell(Event::ReportNow),
            Wish::Summary => self.print_summary(SUMMARY_PATIENCE),
            Wish::Child => self.resolver.reap(),
            Wish::Reload => self.reload(),
        }
    }

    /// Appends a report to the log. Returns whether the counts are in it.
    fn report(&mut self, stamp: WallTime) -> bool {
        let Some(log) = &mut self.log else { return true };
        let path = log.path(stamp);
        if let Err(error) = log.append(stamp, self.monitor.rows()) {
            if self.monitor.is_ending() {
                let lost = self.monitor.rows().map(|(_, columns)| columns.total).sum();
                self.console.say(
                    "log",
                    format_args!("{path} {error}, the run ends without its last report of {}", Count(lost, "probe")),
                );
            } else if !core::mem::replace(&mut self.log_failing, true) {
                self.console.say(
                    "log",
                    format_args!("{path} {error}, the counts are kept and go into the next report that can be written"),
                );
            }
            return false;
        }
        if core::mem::take(&mut self.log_failing) {
            self.console.say("log", format_args!("{path} can be written again, this report holds all that was kept"));
        }
        match log.link_latest(stamp) {
            Ok(()) => self.link_failing = false,
            Err(errno) => {
                if !core::mem::replace(&mut self.link_failing, true) {
                    self.console.say(
                        "log",
                        format_args!(
                            "tcp_stats_latest.log in {} cannot be made a link ({}), the log is written without it",
                            log.directory(),
                            errno.desc()
                        ),
                    );
                }
            }
        }
        self.console.line(format_args!("Statistics logged to {path} at {stamp}"));
        true
    }

    fn reload(&mut self) {
        clock::read_zone();
        let Some(path) = self.config_file.path() else {
            return self.console.say("configuration", format_args!("there is no file to re-read, nothing changes"));
        };
        let console = &mut self.console;
        if let Err(mistakes) = self.config_file.load(&mut self.next, &mut |what| console.complain(what)) {
            return self.console.say(
                "configuration",
                format_args!("{path} has {}, the configuration in force stays", Count(mistakes as u64, "mistake")),
            );
        }
        let before = *self.monitor.settings();
        if before.thresholds != self.next.settings.thresholds {
            // What was counted under the thresholds in force is reported under their headings. At
            // the clock's zero nothing is due but what is asked for.
            self.tell(Event::ReportNow);
            while let Some(action) = self.monitor.poll(Instant::from_nanos(0)) {
                self.carry_out(action);
            }
            if self.log_failing {
                return self.refuse_reload(path);
            }
        }
        let Some(changes) = self.monitor.adopt(&self.next, clock::monotonic(), clock::wall()) else {
            return self.refuse_reload(path);
        };
        if let Some(log) = &mut self.log {
            // Trouble with another directory is another trouble.
            self.log_failing &= before.log_dir == self.next.settings.log_dir;
            log.change(self.next.settings.log_dir, form(&self.next));
        }
        self.console.say(
            "configuration",
            format_args!(
                "{path} re-read, {} kept ({} with other options), {} new, {} gone{}",
                Count(changes.kept as u64, "target"),
                changes.changed,
                changes.added,
                changes.removed,
                differences(&before, &self.next.settings)
            ),
        );
        self.allow_descriptors();
        self.prepare_log();
        self.warm_up();
    }

    /// Counts that the log must have first would stand under wrong headings, or there is no room
    /// beside them.
    fn refuse_reload(&mut self, path: &str) {
        self.console.say(
            "configuration",
            format_args!("{path} cannot be taken in until the log can be written, the configuration in force stays"),
        );
    }

    /// Makes room for as many descriptors as the configuration can need, or says that there is
    /// not enough.
    fn allow_descriptors(&mut self) {
        let needed = self.next.in_flight() + (limits::HELPERS + limits::OWN_DESCRIPTORS) as u64;
        match process::raise_descriptor_limit(needed) {
            Ok(limit) if limit >= needed => {}
            Ok(limit) => self.console.say(
                "descriptors",
                format_args!(
                    "{limit} may be open and {needed} can be needed when targets hang, ticks beyond are skipped; raise it with ulimit -n"
                ),
            ),
            Err(errno) => self.console.say(
                "descriptors",
                format_args!("the limit is not known ({}), ticks beyond it are skipped", errno.desc()),
            ),
        }
    }

    /// Makes the log's directory, and says at once if a report would not find its way there.
    fn prepare_log(&mut self) {
        let Some(log) = &self.log else { return };
        if let Err(error) = log.prepare()
            && !core::mem::replace(&mut self.log_failing, true)
        {
            self.console.say(
                "log",
                format_args!(
                    "{} {error}, the counts are kept and go into the next report that can be written",
                    log.directory()
                ),
            );
        }
    }

    fn warm_up(&mut self) {
        if self.next.targets.iter().any(|target| target.literal.is_none())
            && let Err(shortage) = self.resolver.warm_up(clock::monotonic(), &mut self.polls)
        {
            self.console.say("helpers", format_args!("{shortage}, it is tried again at the next lookup"));
        }
    }
}

fn form(config: &Config) -> Form {
    Form::new(config.settings.thresholds, config.longest_service())
}

/// When the handshake of a connect that was made at `started` ended, if that was so long before
/// `now` that a loop on time would have seen it.
fn handshake(socket: &OwnedFd, started: Instant, now: Instant) -> Option<Instant> {
    net::handshake_end(socket, started, now).filter(|end| now.since(*end) >= limits::BACKDATE)
}

/// A socket that is ready to connect to the target at this address, which may need its device.
fn prepare(target: &Target, mut address: Address) -> Result<(OwnedFd, Address), Errno> {
    let socket = net::open(address.ip)?;
    if !target.zone.is_empty() {
        address.scope = net::device_index(target.zone.as_str())?;
    }
    if !target.device.is_empty() {
        net::bind_device(&socket, target.device.as_str())?;
    }
    if let Some(source) = target.source {
        net::bind_source(&socket, source)?;
    }
    Ok((socket, address))
}

/// What a reload changed in the settings, as the end of a message.
fn differences(before: &Settings, after: &Settings) -> Text<{ limits::MESSAGE / 2 }> {
    let mut text = Text::new();
    for directive in Directive::ALL {
        let (was, is) = (before.value(directive), after.value(directive));
        if was != is {
            // Writing to a Text never fails.
            let _ = write!(text, ", {} {was} is now {is}", directive.name());
        }
    }
    text
}
