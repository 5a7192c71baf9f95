//! The loop: owns the descriptors, waits, reads the time, passes facts to the monitor and carries out its actions.
//! The loop decides nothing.

mod clocks;
mod connects;
mod lines;
mod reload;
mod reports;
mod samples;
mod sender;

use core::mem::ManuallyDrop;
use std::os::fd::AsFd;

use clocks::Clocks;
use connects::Connects;
use reports::Reports;
use samples::Samples;

use crate::base::limits;
use crate::base::said::Said;
use crate::base::text::Count;
use crate::base::time::{Instant, Nanos, WallTime};
use crate::core::ledger::Ledger;
use crate::core::monitor::{Action, Ended, Fact, Monitor, Span, TargetId};
use crate::core::probe::{Input, ProbeId};
use crate::model::event::{Event, Found};
use crate::model::reason::Shortage;
use crate::model::settings::Config;
use crate::model::target::Address;
use crate::render::run_times;
use crate::shell::bounds;
use crate::shell::config_file::ConfigFile;
use crate::shell::console::Console;
use crate::shell::ledger_file::LedgerFile;
use crate::shell::resolver::Resolver;
use crate::shell::sandbox::Confinement;
use crate::shell::time_zone;
use crate::sys;
use crate::sys::poll::{Owner, PollSet};
use crate::sys::signal::{self, Signals, Wish};
use crate::sys::{by_path, clock, heap, lookup, process};

/// How long the loop waits for a slow reader of a summary that was requested by a signal.
const SUMMARY_PATIENCE: Nanos = Nanos::from_millis(20);

/// The pause after poll itself has failed, so that the loop does not spin.
const POLL_PAUSE: Nanos = Nanos::from_millis(10);

/// What a run needs at its start.
#[derive(Debug)]
pub struct Start {
    /// The configuration.
    pub config: Config,
    /// The source of the configuration, for a reload.
    pub config_file: ConfigFile,
    /// When the run ends by itself.
    pub span: Span,
    /// The ledger's file. `None`: the run stores no counts and writes no reports (`tcpmon once`).
    pub ledger_file: Option<LedgerFile>,
    /// Where messages go.
    pub console: Console,
    /// The signals that control the run.
    pub signals: Signals,
}

/// The loop and everything it owns.
#[derive(Debug)]
pub struct EventLoop {
    monitor: Monitor,
    config_file: ConfigFile,
    confinement: Confinement,
    /// The configuration that was read last: at the start or by a reload.
    next: Config,
    console: Console,
    signals: Signals,
    polls: PollSet,
    helpers: Resolver,
    connects: Connects,
    clocks: Clocks,
    reports: Reports,
    samples: Samples,
    /// What the console has shown; `None` if nobody looks on.
    shown: Option<sender::Shown>,
    poll_trouble: Said,
    signal_trouble: Said,
    /// From when on it may be said again that a file of the resolver cannot be read.
    forbidden_from: Instant,
    /// When poll last returned: everything that was ready by then has been handled.
    seen: Instant,
    /// Attempts and lookups that were started since the last poll.
    batch: usize,
    finished: bool,
}

impl EventLoop {
    /// Sets up a run: reserves all memory, finishes the last report of the run before, and lets the ticks start now.
    /// The loop lives as long as its process, so it is never dropped: the kernel frees everything.
    pub fn new(start: Start) -> ManuallyDrop<Self> {
        let Start { mut config, config_file, span, ledger_file, mut console, signals } = start;
        let mut wrong_time_zone = Said::default();
        time_zone::read(&mut wrong_time_zone, &mut console);
        heap::keep_from_helpers();
        let started = clock::wall();
        let mut polls = PollSet::new();
        polls.insert(Owner::Signals, signals.as_fd());
        let clocks = Clocks::new(&mut polls, started, wrong_time_zone);
        console.never_wait();
        let (mut reports, ledger, overdue) = Reports::open(ledger_file, &mut config, started, &mut console);
        let writable = reports.writable(&mut console);
        let confinement = Confinement::enter(&config, &config_file, writable, &mut console);
        reports.set_confined(confinement.is_in_force());
        let before = last_run(&ledger, started);
        let start = Event::Start { targets: config.targets.len() as u32 };
        let (own, first) = (process::own(), ledger.end_of_events());
        // No system call from here to the last event: a kill there would date the end of the last run by this one's
        // clocks, or nobody would learn of that run's end.
        ledger.set_clocks(clock::monotonic(), started);
        ledger.begin_run(own, config_file.real_path().as_str(), started);
        if config.settings.has_events() {
            for event in before.into_iter().chain([start]) {
                ledger.push_event(None, &Found { at: started.unix, event });
            }
        }
        reports.hold_ledger();
        let mut event_loop = ManuallyDrop::new(Self {
            monitor: Monitor::new(&config, span, ledger, limits::BUILT, clock::monotonic(), started),
            config_file,
            confinement,
            console,
            signals,
            polls,
            helpers: Resolver::new(limits::HELPERS),
            connects: Connects::new(&config.settings),
            clocks,
            reports,
            samples: Samples::new(),
            shown: None,
            next: config,
            poll_trouble: Said::default(),
            signal_trouble: Said::default(),
            forbidden_from: Instant::from_nanos(0),
            seen: clock::monotonic(),
            batch: 0,
            finished: false,
        });
        event_loop.monitor.set_first_event(first);
        let EventLoop { reports, monitor, console, next, shown, .. } = &mut *event_loop;
        if reports.are_logged() && console.is_seen() {
            monitor.watch_states();
            *shown = Some((monitor.ledger().end_of_events(), monitor.ledger().dropped_events()));
        }
        let say: bounds::Say<'_> = &mut |subject, what| console.say(subject, what);
        bounds::allow_descriptors(next, say);
        if reports.are_logged() {
            bounds::say_helpers(next, say);
        }
        reports.begin(overdue, monitor, console);
        event_loop.warm_up();
        event_loop
    }

    /// Starts the first probes.
    pub fn begin(&mut self) {
        self.drain();
    }

    /// Runs until the end of the run.
    pub fn run(&mut self) {
        while self.turn() {}
    }

    /// One turn: does what is due, then waits for the next thing. Returns false at the end of the run.
    pub fn turn(&mut self) -> bool {
        self.drain();
        if self.finished {
            self.helpers.end(&mut self.polls);
            // Signals that came before this are handled. From here on a signal ends the process, also during its last
            // output.
            while let Ok(Some(_)) = self.signals.next() {}
            signal::unblock();
            return false;
        }
        let deadline = self.monitor.next_deadline().min(self.helpers.next_deadline()).min(self.samples.next_deadline());
        let now = clock::monotonic();
        self.collect((deadline != Instant::NEVER).then(|| deadline.since(now)));
        true
    }

    /// Lets the monitor keep the times of the run.
    pub fn keep_times(&mut self) {
        self.monitor.keep_times();
    }

    /// Lets the monitor keep how attempts end, for so many probes.
    pub fn keep_attempts(&mut self, probes: usize) {
        self.monitor.keep_attempts(probes);
    }

    /// The monitor, for a caller that shows the results.
    pub fn monitor(&self) -> &Monitor {
        &self.monitor
    }

    /// Whether the report at the end of the run could not be written.
    pub fn lost_last_report(&self) -> bool {
        self.reports.lost_last_report()
    }

    /// The console, for the last output.
    pub fn console(&mut self) -> &mut Console {
        &mut self.console
    }

    /// Prints the table of the whole run, in the log's form, and the times of the run if the monitor keeps them. Waits at
    /// most `patience` for a slow reader.
    pub fn print_last_words(&mut self, patience: Nanos) {
        let is_printed = self.reports.print_summary(&self.monitor, &mut self.console, patience);
        if is_printed && self.monitor.times().next().is_some() {
            let mut text = String::new();
            run_times::write(&mut text, &self.monitor);
            self.console.lines(&text, patience);
        }
    }

    /// Does everything that was due when poll last returned. No deadline passes before poll has looked for an answer.
    /// The monitor gets the same time for all of it, so that a drain ends however long it takes; measured times are
    /// read when they are needed.
    fn drain(&mut self) {
        let now = self.seen;
        self.helpers.shrink(now, &mut self.polls);
        if now >= self.samples.next_deadline() {
            self.write_samples();
        }
        while let Some(action) = self.monitor.poll(now) {
            self.carry_out(action);
            if self.batch >= limits::BATCH {
                self.collect(Some(Nanos::ZERO));
            }
        }
        self.show_states();
    }

    /// Shows the changes of states that were not shown yet.
    fn show_states(&mut self) {
        if let Some(shown) = &mut self.shown {
            *shown = sender::show_states(self.monitor.ledger(), *shown, &mut self.console);
        }
    }

    fn carry_out(&mut self, action: Action) {
        match action {
            Action::Lookup(probe, target) => self.look_up(probe, target),
            Action::DropLookup(probe) => self.helpers.drop_lookup(&mut self.polls, probe),
            Action::Connect(probe, target, address) => self.connect(probe, target, address),
            Action::DropConnect(probe) => {
                let resent = self.connects.drop(&mut self.polls, probe);
                self.tell(Fact::Dropped(probe, resent));
            }
            Action::ReadClock => self.read_clock(),
            Action::Report(stamp) => self.report(stamp),
            Action::WriteEvents => self.write_events(),
            Action::Ended(ended) => self.add_sample(&ended),
            Action::Round => self.console.dot(),
            Action::SaySkipped(ticks, shortage) => self.console.say(
                "probes",
                format_args!("{} skipped ({shortage}), no target is blamed and probing goes on", Count(ticks, "tick")),
            ),
            Action::SayHeld(wall) => self.say_held(wall),
            Action::Finish => {
                self.write_samples();
                self.say_left();
                self.finished = true;
            }
        }
    }

    fn tell(&mut self, event: Fact<'_>) {
        self.monitor.handle(clock::monotonic(), event);
    }

    /// Waits until something happens, at most for `limit`, and handles everything that has.
    fn collect(&mut self, limit: Option<Nanos>) {
        self.batch = 0;
        let ready = self.polls.wait(limit);
        let now = clock::monotonic();
        match ready {
            Ok(0) => self.seen = now,
            Ok(_) => {
                self.seen = now;
                self.poll_trouble.clear();
                self.handle_ready(now);
            }
            Err(errno) => {
                // Poll has looked for no answer, so `seen` stays: no deadline passes, and no target is blamed.
                if self.poll_trouble.begins() {
                    self.console.say("poll", format_args!("{}, trying again", sys::describe(errno)));
                }
                self.handle_signals();
                clock::rest(POLL_PAUSE);
            }
        }
    }

    /// Handles what poll reported: the attempts first, then the helpers in their order, the clock and the signals.
    fn handle_ready(&mut self, now: Instant) {
        // Backwards: an entry that moves on a removal was looked at before.
        for at in (0..self.polls.len()).rev() {
            if let Some((slot, ready)) = self.polls.ready_attempt(at) {
                self.polls.remove_at(at);
                if let Some((probe, attempt)) = self.connects.end(now, slot, ready) {
                    self.monitor.handle(now, Fact::AttemptEnded(probe, attempt));
                }
            }
        }
        for number in 0..self.helpers.numbers() {
            if self.polls.is_ready(Owner::Helper(number)) {
                self.receive(now, number);
            }
        }
        if self.polls.is_ready(Owner::Clock) && self.clocks.was_set(&mut self.polls) {
            self.read_clock();
        }
        if self.polls.is_ready(Owner::Signals) && !self.handle_signals() {
            // The descriptor is ready but has no signal: the loop must not spin.
            clock::rest(POLL_PAUSE);
        }
    }

    /// Handles the signals that have come. Returns whether there was one.
    fn handle_signals(&mut self) -> bool {
        let mut any = false;
        loop {
            match self.signals.next() {
                Ok(Some(wish)) => {
                    any = true;
                    self.signal_trouble.clear();
                    self.obey(wish);
                }
                Ok(None) => return any,
                Err(errno) => {
                    if self.signal_trouble.begins() {
                        let why = sys::describe(errno);
                        self.console.say("signals", format_args!("cannot be read ({why}), trying again"));
                    }
                    return any;
                }
            }
        }
    }

    fn obey(&mut self, wish: Wish) {
        match wish {
            Wish::Stop => {
                self.monitor.ledger().begin_end();
                self.tell(Fact::Stop);
            }
            Wish::Report => self.tell(Fact::ReportNow),
            Wish::Summary => {
                self.reports.print_summary(&self.monitor, &mut self.console, SUMMARY_PATIENCE);
            }
            Wish::Child => self.helpers.reap(),
            Wish::Reload => self.reload(),
        }
    }

    fn look_up(&mut self, probe: ProbeId, target: TargetId) {
        let target = self.monitor.target(target);
        match self.helpers.ask(clock::monotonic(), &mut self.polls, probe, target) {
            Ok(forked) => {
                self.tell(Fact::Probe(probe, Input::LookupStarted));
                // A fork is slow: answers to others come in meanwhile.
                self.batch += if forked { limits::BATCH } else { 1 };
            }
            Err(shortage) => self.tell(Fact::Probe(probe, Input::FellShort(shortage))),
        }
    }

    #[inline(never)] // LLVM would hoist its constants into the caller's loop.
    fn receive(&mut self, now: Instant, number: u16) {
        let mut reply = None;
        if let Some((probe, input)) = self.helpers.receive(now, &mut self.polls, number, &mut reply) {
            self.monitor.handle(now, Fact::Probe(probe, input));
            if matches!(input, Input::FellShort(Shortage::ResolverFile)) && now >= self.forbidden_from {
                self.forbidden_from = now + limits::SAY_AGAIN;
                self.say_forbidden();
            }
        }
    }

    fn connect(&mut self, probe: ProbeId, target: TargetId, address: Address) {
        self.batch += 1;
        let target = self.monitor.target(target);
        let (started, end) = self.connects.start(&mut self.polls, probe, target, address);
        self.monitor.handle(started, Fact::Probe(probe, Input::ConnectStarted));
        if let Some(attempt) = end {
            self.monitor.handle(attempt.seen, Fact::AttemptEnded(probe, attempt));
        }
    }

    fn read_clock(&mut self) {
        let (wall, expected) = self.clocks.read(&mut self.console);
        self.tell(Fact::Clock(wall));
        if let Some(expected) = expected {
            self.tell(Fact::Found(&Event::Clock { from: expected.unix, to: wall.unix }));
        }
    }

    fn report(&mut self, stamp: WallTime) {
        // They come before the line that says where the report is.
        self.show_states();
        let superseded =
            self.reports.check_ledger(self.config_file.real_path().as_str(), &mut self.monitor, &mut self.console);
        let written = self.reports.write(stamp, &mut self.monitor, &mut self.console);
        let timed = self.reports.write_times(stamp, &mut self.monitor, &mut self.console);
        self.tell_changed_files();
        self.tell(Fact::Reported { written, timed });
        if superseded || self.reports.are_over() {
            self.tell(Fact::Stop);
        }
    }

    fn write_events(&mut self) {
        // After it they are not in the ledger any more.
        self.show_states();
        let written = self.reports.write_events(&self.monitor, &mut self.console);
        self.tell(Fact::EventsWritten { written });
        self.tell_changed_files();
        if self.reports.are_over() {
            self.tell(Fact::Stop);
        }
    }

    fn add_sample(&mut self, ended: &Ended) {
        // While the clock is not set, its times are wrong.
        if self.monitor.is_held() || !self.reports.are_logged() {
            return;
        }
        let (at, target) = (self.monitor.wall_at(ended.tick), self.monitor.target(ended.target));
        if self.samples.add(ended, at, target, self.seen) {
            self.write_samples();
        }
    }

    fn write_samples(&mut self) {
        self.samples.write(&mut self.reports, self.monitor.ledger(), &mut self.console);
        self.tell_changed_files();
        if self.reports.are_over() {
            self.tell(Fact::Stop);
        }
    }

    fn tell_changed_files(&mut self) {
        self.reports.note_broken(self.monitor.ledger());
        while let Some(event) = self.reports.changed_file() {
            self.tell(Fact::Found(&event));
        }
    }

    /// Says which file of the resolver helpers cannot read. A sandbox cannot be widened.
    #[inline(never)] // LLVM would hoist its constants into the caller's loop.
    fn say_forbidden(&mut self) {
        let path = lookup::forbidden_file().unwrap_or(lookup::RESOLVERS);
        let mut room = [0; limits::PATH];
        match by_path::destination(path, &mut room).filter(|file| *file != path) {
            Some(file) => self.console.say(
                "resolver",
                format_args!("{path} leads to {file}, which this run may not read; names are skipped until that changes, or the run is started anew"),
            ),
            None => self.console.say(
                "resolver",
                format_args!("{path} may not be read by this run; names are skipped until it can be"),
            ),
        }
    }

    /// Says that the clock reads `wall` and that reports wait until it is set.
    fn say_held(&mut self, wall: WallTime) {
        if self.reports.are_logged() {
            let most = limits::CLOCK_WAIT.secs() / 60;
            self.console.say(
                "clock",
                format_args!(
                    "{wall} is before this program was built, reports wait for it to be set, {most} minutes at most"
                ),
            );
        }
    }

    /// Says at the end of the run what is left for the next one because the clock was not set.
    fn say_left(&mut self) {
        let left = self.monitor.unreported();
        let is_kept = self.monitor.ledger().is_present();
        if self.reports.are_logged() && self.monitor.is_held() && is_kept && left > 0 {
            let left = Count(left, "probe");
            self.console.say(
                "clock",
                format_args!(
                    "was not set, the run ends without its last report of {left}; the ledger keeps it for the next run"
                ),
            );
        }
    }

    /// Forks the first helper if a target has a name to look up.
    fn warm_up(&mut self) {
        if self.next.targets.iter().all(|target| target.literal.is_some()) {
            return;
        }
        if let Err(shortage) = self.helpers.warm_up(clock::monotonic(), &mut self.polls) {
            self.console.say("helpers", format_args!("{shortage}, it is tried again at the next lookup"));
        }
    }
}

/// The event that the last run has ended, or was killed; `None` if there was none.
fn last_run(ledger: &Ledger, started: WallTime) -> Option<Event> {
    let (from, to) = (ledger.alive(), started.unix);
    if ledger.owner().pid == 0 {
        None
    } else if ledger.is_running() {
        Some(Event::Killed { from, to })
    } else {
        Some(Event::Stopped { from, to })
    }
}
